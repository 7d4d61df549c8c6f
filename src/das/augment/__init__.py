"""Training augmentations by name (`das.augment.names`). Importing the package costs no torch.

An augmentation is a callable (images, labels, generator) -> (images, labels): images float (B, C, H, W) in [0, 1] on
any device; labels int64 (B,), label maps, or probabilities (B, K) once images are mixed; generator on the CPU. One
with a ``start_epoch(generator)`` is told when an epoch starts. What acts on more than images and labels is an
objective (`das.augment.objective`).
"""

from collections.abc import Callable, Sequence
from importlib import import_module

from das.augment.names import NAMES, Entry, read

__all__ = ["NAMES", "build", "build_objective", "start_epoch"]


def build(settings: Sequence[Entry], classes: int | None = None) -> list[Callable]:
    """Return the augmentations that ``settings`` lists, in order: a name, or {name: {parameter: value}}.

    Objectives in the list are left out; ``classes`` K is needed where images are mixed. Raises DasError for what
    `das.augment.names.read` refuses.

    >>> build(["random_flip", {"random_crop": {"padding": 4}}])
    [RandomFlip(probability=0.5), RandomCrop(padding=4)]
    """
    entries = [read(entry) for entry in settings]
    return [
        _constructor(name)(**parameters, **({"classes": classes} if NAMES[name].classes else {}))
        for name, parameters in entries
        if NAMES[name].kind != "objective"
    ]


def build_objective(settings: Sequence[Entry]) -> Callable:
    """Return the constructor (model, criterion, arithmetic) -> `das.augment.objective.Objective` for ``settings``."""
    for name, parameters in map(read, settings):
        if NAMES[name].kind == "objective":
            return lambda *arguments: _constructor(name)(*arguments, **parameters)
    return import_module("das.augment.objective").Objective


def start_epoch(steps: Sequence[Callable], generator) -> None:
    """Tell those of ``steps`` that draw something once an epoch that one starts."""
    for step in steps:
        if hasattr(step, "start_epoch"):
            step.start_epoch(generator)


def _constructor(name: str) -> Callable:
    return getattr(import_module(f"das.augment.{NAMES[name].module}"), NAMES[name].attribute)
