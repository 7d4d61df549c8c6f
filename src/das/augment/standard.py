"""The augmentations that every recipe uses: crop, flip, random resized crop. Each image of a batch gets its own draw."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class RandomCrop:
    """Pad by ``padding`` black pixels on every side, then cut a window of the original size at a uniform place."""

    padding: int

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = images.shape
        corner = torch.randint(2 * self.padding + 1, (2, count), generator=generator).to(images.device)
        padded = functional.pad(images, (self.padding,) * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(count, device=images.device), :, corner[0], corner[1]], labels


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right with the given probability."""

    probability: float = 0.5

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        flipped = torch.rand(len(images), generator=generator).to(images.device) < self.probability
        return torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images), labels
