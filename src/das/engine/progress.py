"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SHORT = 100  # what is less needs no lines


def counted(items: Iterable[T], total: int, title: str, unit: str) -> Iterator[T]:
    """Pass ``items`` on and say how many of ``total`` went by: a bar on a terminal, a line each tenth in a log."""
    if sys.stderr.isatty():
        yield from tqdm(items, title, total, unit=unit, leave=False)
        return
    for number, item in enumerate(items, start=1):
        yield item
        if number * 10 // total > (number - 1) * 10 // total and total >= SHORT:
            print(f"{title}: {number}/{total} {unit}s", file=sys.stderr, flush=True)


class Epochs:
    """Iterates over the epochs still to do and reports each one.

    >>> for epoch in (epochs := Epochs("das seed 0", total=2)):
    ...     epochs.report(f"accuracy {0.5 + epoch / 10:.1%}")
    das seed 0: epoch 1/2: accuracy 50.0%
    das seed 0: epoch 2/2: accuracy 60.0%
    """

    def __init__(self, title: str, total: int, start: int = 0, stop: int | None = None):
        self.title, self.total, self.start = title, total, start
        self.stop = total if stop is None else stop
        self.terminal = sys.stderr.isatty()

    def __iter__(self) -> Iterator[int]:
        if 0 < self.start < self.stop:
            print(f"{self.title}: continues after epoch {self.start}/{self.total}", flush=True)
        for epoch in range(self.start, self.stop):
            self.epoch = epoch
            yield epoch

    def batches(self, batches: Iterable, total: int) -> Iterable:
        """Wrap an epoch's batches in a bar, on a terminal."""
        title = f"{self.title} {self.epoch + 1}/{self.total}"
        return tqdm(batches, title, total, leave=False, unit="batch", disable=not self.terminal)

    def report(self, text: str) -> None:
        print(f"{self.title}: epoch {self.epoch + 1}/{self.total}: {text}", flush=True)
