"""Curves of a search or training while it runs, as TensorBoard event files, where the study asks for them."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.special import softmax

from das.errors import DasError
from das.study.runs import RESULTS, Run

EVENTS = "events.out.tfevents.*"

#: What is drawn: name, step (epochs done), value.
Point = tuple[str, int, float]


class Curves:
    """Event files of ``run`` in results/tensorboard/STUDY/KIND/PLACE, if its study has `compute.tensorboard`.

    A process begins with an empty folder and writes all that is known: an epoch is there once, however often the run
    was interrupted. Raises DasError where the package tensorboard is missing.
    """

    def __init__(self, run: Run):
        self.folder = RESULTS / "tensorboard" / run.study / run.kind / run.place
        self.asked, self.written = run.compute.tensorboard, dict[str, int]()
        if self.asked and find_spec("tensorboard") is None:
            raise DasError(
                "compute.tensorboard: is true, but the package tensorboard is not installed; `uv sync --extra "
                "tensorboard` or `pip install tensorboard` brings it"
            )

    def write(self, points: Iterable[Point]) -> None:
        """Write those of ``points`` that are later than what was written of the same name. Raises DasError where the
        folder cannot be written."""
        if not self.asked:
            return
        try:
            if not self.written:
                self._begin()
            for name, step, value in points:
                if step > self.written.get(name, -1):
                    self.writer.add_scalar(name, value, step)
                    self.written[name] = step
            self.writer.flush()
        except OSError as error:
            raise DasError(
                f"{self.folder}: cannot be written ({error.strerror}); check permissions and free space"
            ) from None

    def _begin(self) -> None:
        from torch.utils.tensorboard import SummaryWriter  # loads what most runs do not need

        for earlier in self.folder.glob(EVENTS):
            earlier.unlink()
        self.writer = SummaryWriter(str(self.folder), purge_step=0)  # a board that is open forgets what it read


def of_training(curves: Mapping[str, list[float]]) -> Iterator[Point]:
    """The points of a training's curves (`das.engine.train.Fitted`)."""
    for epoch, loss in enumerate(curves["train_loss"], start=1):
        yield "loss/train", epoch, loss
    for name, values in curves.items():
        part, _, score = name.partition("_")
        if part != "train" and score != "epoch":
            yield from ((f"{score}/{part}", int(e), v) for e, v in zip(curves[f"{part}_epoch"], values, strict=True))


def of_search(history: Mapping[str, Any]) -> Iterator[Point]:
    """The points of a search's history (`das.search.bilevel`): losses, held-out accuracy, entropy of alpha, and the
    share softmax(alpha) of every candidate on every edge."""
    named = {"train_loss": "loss/train", "val_loss": "loss/held_out", "val_accuracy": "accuracy/held_out"}
    for key, name in named.items():
        yield from ((name, epoch, value) for epoch, value in enumerate(history[key], start=1))
    yield from (("alpha/entropy", epoch, value) for epoch, value in enumerate(history["entropy"]))
    for epoch, alpha in enumerate(history["alpha"]):
        for edge, shares in enumerate(softmax(np.asarray(alpha), axis=-1)):
            for candidate, share in zip(history["candidates"], shares, strict=True):
                yield f"alpha_edge_{edge}/{candidate.replace(' ', '_')}", epoch, float(share)
