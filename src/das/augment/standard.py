"""The augmentations of the standard recipes. Every image of a batch gets its own draw.

``images`` are float (B, C, H, W); ``labels`` int64 (B,) or masks int64 (B, H, W), which move with their images. What
only moves pixels (``moves_pixels``) also takes uint8, at a quarter of the cost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from das.augment.base import Augmentation
from das.data.crops import IGNORE, Box, Framing, Size, cut_batch, sides


@dataclass(frozen=True)
class RandomCrop(Augmentation):
    """Pad by ``padding`` black pixels on every side, then cut a window of the original size at a uniform place."""

    padding: int

    moves_pixels = True

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        corner = torch.randint(2 * self.padding + 1, (2, len(images)), generator=generator).to(images.device)
        if labels.ndim == 3:
            labels = self._window(labels[:, None], corner, IGNORE)[:, 0]
        return self._window(images, corner, 0), labels

    def _window(self, images: Tensor, corner: Tensor, fill: int) -> Tensor:
        count, channels, height, width = images.shape
        padded = functional.pad(images, (self.padding,) * 4, value=fill).contiguous()
        _, _, rows, columns = padded.shape
        # Each row of a window is a run of the padded batch in memory: one copy per row.
        runs = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
        plane = torch.arange(count * channels, device=images.device).view(count, channels, 1) * (rows * columns)
        place = (corner[0] * columns + corner[1]).view(count, 1, 1)
        start = plane + place + torch.arange(height, device=images.device) * columns
        return runs.index_select(0, start.flatten()).view(images.shape)


@dataclass(frozen=True)
class RandomFlip(Augmentation):
    """Mirror left and right with the given probability."""

    probability: float = 0.5

    moves_pixels = True

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.rand(len(images), generator=generator) < self.probability
        flipped = chosen.nonzero()[:, 0].to(images.device)
        if labels.ndim == 3:
            labels = self._mirror(labels, flipped)
        return self._mirror(images, flipped), labels

    @staticmethod
    def _mirror(images: Tensor, which: Tensor) -> Tensor:
        place = torch.arange(len(images), device=images.device)
        place[which] = len(images) + torch.arange(len(which), device=images.device)
        return torch.cat([images, images.index_select(0, which).flip(-1)]).index_select(0, place)


@dataclass(frozen=True)
class RandomResizedCrop(Framing, Augmentation):
    """Cut a random box and resize it to ``size``: area U(scale) of the image, aspect log-uniform in ratio.

    A box that does not fit is drawn again, up to ten times; then the central one of the nearest allowed aspect is
    taken (Inception's scheme, as in torchvision's RandomResizedCrop). As first augmentation of a set read from files
    it is applied to the full-size images while they are read.
    """

    size: Size
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    ATTEMPTS = 10
    draws = 2 * ATTEMPTS + 2

    def box(self, height: int, width: int, draws: Sequence[float]) -> Box:
        """See `das.data.crops`: the draws are the attempts' areas, the attempts' aspects, and the place."""
        (smallest, largest), (low, high) = self.scale, map(math.log, self.ratio)
        for area, aspect in zip(draws[: self.ATTEMPTS], draws[self.ATTEMPTS : -2], strict=True):
            area = height * width * (smallest + (largest - smallest) * area)
            aspect = math.exp(low + (high - low) * aspect)
            rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 1 <= rows <= height and 1 <= columns <= width:
                return int((height - rows + 1) * draws[-2]), int((width - columns + 1) * draws[-1]), rows, columns
        aspect = min(max(width / height, self.ratio[0]), self.ratio[1])
        rows, columns = min(height, round(width / aspect)), min(width, round(height * aspect))
        return (height - rows) // 2, (width - columns) // 2, rows, columns

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        draws = torch.rand(len(images), self.draws, generator=generator)
        boxes = [self.box(*images.shape[2:], draw) for draw in draws.tolist()]
        return cut_batch(images, boxes, self.size), labels


@dataclass(frozen=True)
class RandomScaleCrop(Framing):
    """Scale a side (``side``: the shorter or the longer) to ``base`` times U(scale), then cut a window of ``size`` at a
    uniform place.

    For images and masks read from files, as the first augmentation. Where the scaled image is smaller than the
    window, the window's right and bottom lie outside it: black, IGNORE in the mask.
    """

    size: Size
    base: int
    scale: tuple[float, float] = (0.5, 2.0)
    side: str = "shorter"

    draws = 3

    def box(self, height: int, width: int, draws: Sequence[float]) -> Box:
        """See `das.data.crops`: the draws are the zoom and the place."""
        low, high = self.scale
        scaled = min(height, width) if self.side == "shorter" else max(height, width)
        zoom = self.base * (low + (high - low) * draws[0])
        rows, columns = (max(round(side * scaled / zoom), 1) for side in sides(self.size))
        top, left = int(max(height - rows + 1, 1) * draws[1]), int(max(width - columns + 1, 1) * draws[2])
        return top, left, rows, columns
