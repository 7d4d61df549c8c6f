"""Cutout (DeVries and Taylor 2017; uoguelph-mlrg/Cutout)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from das.augment.base import Augmentation


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Blacken a square of ``size`` pixels about a uniformly drawn pixel; beyond the image's edge it is cut off.

    An even square reaches size/2 pixels up and left of its center and size/2 - 1 down and right.
    """

    size: int

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = images.shape
        top, left = (torch.randint(side, (count, 1), generator=generator) - self.size // 2 for side in (height, width))
        square = torch.full((count, 1), self.size)
        return images.masked_fill(boxes(top, left, square, square, height, width).to(images.device), 0), labels


def boxes(top: Tensor, left: Tensor, tall: Tensor, wide: Tensor, height: int, width: int) -> Tensor:
    """Boolean masks (B, 1, height, width) of the boxes given by int64 (B, 1) corners and sides."""
    rows, columns = torch.arange(height), torch.arange(width)
    inside_rows = (rows >= top) & (rows < top + tall)
    inside_columns = (columns >= left) & (columns < left + wide)
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
