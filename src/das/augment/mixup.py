"""Mixup (Zhang et al. 2018), torchvision's."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from das.augment.base import Augmentation
from das.augment.draws import forked
from das.augment.labels import probabilities


@dataclass(frozen=True)
class Mixup(Augmentation):
    """Blend every image and label with another one's: lambda ~ Beta(alpha, alpha), one a batch.

    The partner is the neighbor in the shuffled batch (torchvision.transforms.v2.MixUp).
    """

    classes: int
    alpha: float = 1.0

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        with forked(generator):
            return v2.MixUp(alpha=self.alpha)(images, probabilities(labels, self.classes))
