"""Training images that a training leaves out."""

import torch
from torch import Tensor

from das.data import splits
from das.data.sets import Dataset
from das.errors import DasError
from das.study.runs import TrainingRun


def held_out(run: TrainingRun, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Indices, ascending, of the training images that ``run`` trains on and of those that it leaves out: of every
    class the same share, drawn from data set and seed.

    Raises DasError where a class would have none left to train on, or none to leave out.
    """
    labels = dataset.train.strata
    parts = splits.holdout(labels, run.held_out, run.dataset, "held out", run.seed)
    for part, what in zip(parts, ("train on", "leave out"), strict=True):
        counts = torch.bincount(labels[part], minlength=len(dataset.classes))
        if counts.any() and not counts[labels.unique()].all():
            poorest = dataset.classes[int(counts.argmin())]
            raise DasError(
                f"methods.{run.method}.held_out: is {run.held_out:g}, which leaves no image of {poorest!r} to {what}; "
                f"{run.dataset} has {len(labels)} training images"
            )
    return parts
