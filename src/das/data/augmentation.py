"""What batches apply to their images: the base of augmentations."""

import torch
from torch import Tensor


class Augmentation:
    """Images and labels of a batch to others.

    Attributes: ``moves_pixels``, whether it also takes uint8, which is a quarter of the work.
    """

    moves_pixels = False

    def start_epoch(self, generator: torch.Generator) -> None:
        """Called before each epoch's first batch."""

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images float (B, C, H, W) in [0, 1] on any device; labels int64 (B,), label maps (B, H, W), or probabilities
        (B, K) once images are mixed; ``generator`` is on the CPU."""
        raise NotImplementedError
