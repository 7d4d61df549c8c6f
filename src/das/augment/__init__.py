"""Training augmentations (`das.augment.components`). Importing the package costs no torch.

What acts on more than images and labels is an objective (`das.augment.objective`).
"""

from collections.abc import Callable, Sequence

from das.study.augmentations import Listed, read
from das.study.registry import Entry

__all__ = ["build", "build_objective", "read", "start_epoch"]


def build(listed: Sequence[Listed], classes: int | None = None) -> list[Callable]:
    """Return the augmentations that ``listed`` names, in order: a name, or {name: {option: value}}.

    Objectives in the list are left out; ``classes`` K is needed where images are mixed. Raises DasError for what
    `das.study.augmentations.read` refuses.

    >>> build(["random_flip", {"random_crop": {"padding": 4}}])
    [RandomFlip(probability=0.5), RandomCrop(padding=4)]
    """
    return [
        entry.load()(**options, **({"classes": classes} if entry.facts.get("mix") else {}))
        for entry, options in map(read, listed)
        if entry.kind == "augmentation"
    ]


def build_objective(listed: Sequence[Listed]) -> Callable:
    """Return the constructor (model, criterion, arithmetic) -> `das.augment.objective.Objective` for ``listed``."""
    for entry, options in map(read, listed):
        if entry.kind == "objective":
            return lambda *arguments: entry.load()(*arguments, **options)
    return Entry("objective", "plain", "das.augment.objective:Objective").load()


def start_epoch(steps: Sequence[Callable], generator, end: float) -> None:
    """Tell those of ``steps`` that are an `das.data.augmentation.Augmentation` that an epoch starts, at whose end the
    share ``end`` of the training is done."""
    from das.data.augmentation import Augmentation

    for step in steps:
        if isinstance(step, Augmentation):
            step.start_epoch(generator, end)
