"""RandAugment (Cubuk et al. 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from das.augment import operations
from das.augment.base import Augmentation

BINS = 31
SPACE = v2.RandAugment._AUGMENTATION_SPACE


@dataclass(frozen=True)
class RandAugment(Augmentation):
    """``operations`` in a row for each image, drawn evenly from torchvision's space, all at level ``magnitude`` of
    0 to 30."""

    operations: int = 2
    magnitude: int = 9

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        levels = torch.full((len(images),), self.magnitude)
        for _ in range(self.operations):
            chosen = operations.indices(SPACE)[torch.randint(len(SPACE), (len(images),), generator=generator)]
            magnitudes = operations.sampled_magnitudes(SPACE, chosen, levels, BINS, images.shape[2:], generator)
            images = operations.apply(images, chosen, magnitudes)
        return images, labels
