"""The search of augmentation policies that are part of a method: done before its training, on its training set."""

from typing import Any

import torch
from torch import Tensor, nn

from das import augment
from das.augment.base import SearchedAugmentation
from das.data.batches import Batches
from das.data.sets import Dataset
from das.engine.provenance import Meter
from das.errors import DasError
from das.models import Normalize, video_model
from das.study.runs import MethodRun


class Critic(nn.Module):
    """A single-frame network of the run's backbone: images (B, C, H, W) in [0, 1] to (B, outputs)."""

    def __init__(self, run: MethodRun, dataset: Dataset, outputs: int):
        super().__init__()
        mean, std = dataset.mean_std
        self.normalize = Normalize(mean, std)
        self.network = video_model(run.net.network, outputs, 1, in_channels=len(mean), backbone_options=run.net.options)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalize(images)[:, None])


def search(step: SearchedAugmentation, run: MethodRun, dataset: Dataset, device) -> dict[str, Any]:
    """Let ``step`` (das.augment.faster_autoaugment) learn its policy; return what the run record says of it."""
    meter = Meter(device)
    standard = augment.build(run.data.augment)
    order = torch.randperm(len(dataset.train), generator=run.generator("augmentation search", "images"))
    seen = dataset.train.subset(order[: step.images].sort().values)
    batches = Batches(seen, step.batch_size, standard, device=device, drop_last=True)
    if not len(batches):
        raise DasError(
            f"methods.{run.method}.augment: the search's batch_size is {step.batch_size}, but it sees {len(seen)} "
            f"images of {run.dataset}; use at most that many"
        )
    step.search(
        batches.epoch,
        lambda outputs: Critic(run, dataset, outputs).to(device),
        len(dataset.classes),
        run.generator("augmentation search"),
    )
    cost = {key: round(value, 3) for key, value in meter.state().items()}
    return cost | {"space_size": step.space_size, "chosen": step.describe()}
