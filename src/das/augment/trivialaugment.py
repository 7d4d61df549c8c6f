"""TrivialAugment, wide space (Mueller and Hutter 2021)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from das.augment import operations
from das.augment.base import Augmentation

BINS = 31
SPACE = v2.TrivialAugmentWide._AUGMENTATION_SPACE


@dataclass(frozen=True)
class TrivialAugmentWide(Augmentation):
    """One operation an image, drawn evenly from torchvision's wide space, at an even level of its 31."""

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        draw = torch.randint(len(SPACE), (len(images),), generator=generator)
        levels = torch.randint(BINS, (len(images),), generator=generator)
        chosen = operations.indices(SPACE)[draw]
        magnitudes = operations.sampled_magnitudes(SPACE, chosen, levels, BINS, images.shape[2:], generator)
        return operations.apply(images, chosen, magnitudes), labels
