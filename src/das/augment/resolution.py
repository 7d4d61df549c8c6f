"""Temporal resolution decrement (arXiv 2112.00954): some epochs see the images at half their resolution."""

import torch
from torch import Tensor
from torch.nn import functional as F

from das.augment.base import Augmentation


class TemporalResolutionDecrement(Augmentation):
    """In ``fraction`` of the epochs within the first ``within`` of the training, drawn by chance, train at half the
    height and width (means of 2x2 pixels; an odd last row or column is dropped); in the others, and in every test, at
    full size. So the last epochs are at full size (the abstract: within 90 % of the epochs)."""

    def __init__(self, fraction: float = 0.5, within: float = 0.9):
        self.fraction, self.within = fraction, within
        self.halved = False

    def __repr__(self) -> str:
        return f"TemporalResolutionDecrement(fraction={self.fraction}, within={self.within})"

    def start_epoch(self, generator: torch.Generator, end: float) -> None:
        drawn = bool(torch.rand((), generator=generator) < self.fraction)
        self.halved = drawn and end <= self.within + 1e-9  # the ninth of ten epochs ends at 0.9, rounding aside

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return F.avg_pool2d(images, 2) if self.halved else images, labels
