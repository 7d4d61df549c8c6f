"""What batches apply to their images: the base of augmentations."""

import torch
from torch import Tensor


class Augmentation:
    """Images and labels of a batch to others.

    Attributes: ``moves_pixels``, whether it also takes uint8, which is a quarter of the work.
    """

    moves_pixels = False

    def start_epoch(self, generator: torch.Generator, end: float) -> None:
        """Called before each epoch's first batch; ``end`` is the share of the training done after it, in (0, 1]."""

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images float (B, C, H, W) in [0, 1] on any device; labels int64 (B,), label maps (B, H, W), or probabilities
        (B, K) once images are mixed; ``generator`` is on the CPU."""
        raise NotImplementedError
