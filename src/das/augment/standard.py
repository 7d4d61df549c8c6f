"""The augmentations of the standard recipes. Every image of a batch gets its own draw.

``images`` are float (B, C, H, W); ``labels`` int64 (B,) or masks int64 (B, H, W), which move with their images.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from das.data.frames import IGNORE, cut_batch
from das.errors import DasError


def _require(name: str, value: object, good: bool, allowed: str) -> None:
    if not good:
        raise DasError(f"augment.{name}: {value!r} is not allowed; use {allowed}")


def _is_range(value: object, highest: float = float("inf")) -> bool:
    numbers = isinstance(value, list | tuple) and all(type(v) in (int, float) for v in value)
    return numbers and len(value) == 2 and 0 < value[0] <= value[1] <= highest


@dataclass(frozen=True)
class RandomCrop:
    """Pad by ``padding`` black pixels on every side, then cut a window of the original size at a uniform place."""

    padding: int

    def __post_init__(self):
        good = type(self.padding) is int and self.padding >= 0
        _require("random_crop.padding", self.padding, good, "a whole number of pixels")

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        corner = torch.randint(2 * self.padding + 1, (2, len(images)), generator=generator).to(images.device)
        if labels.ndim == 3:
            labels = self._window(labels[:, None], corner, IGNORE)[:, 0]
        return self._window(images, corner, 0), labels

    def _window(self, images: Tensor, corner: Tensor, fill: int) -> Tensor:
        count, _, height, width = images.shape
        padded = functional.pad(images, (self.padding,) * 4, value=fill)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(count, device=images.device), :, corner[0], corner[1]]


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right with the given probability."""

    probability: float = 0.5

    def __post_init__(self):
        good = type(self.probability) in (int, float) and 0 <= self.probability <= 1
        _require("random_flip.probability", self.probability, good, "a number from 0 to 1")

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        flipped = (torch.rand(len(images), generator=generator) < self.probability).to(images.device)
        if labels.ndim == 3:
            labels = torch.where(flipped.view(-1, 1, 1), labels.flip(-1), labels)
        return torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images), labels


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut a random box and resize it to ``size`` x ``size``: area U(scale) of the image, aspect log-uniform in ratio.

    A box that does not fit is drawn again, up to ten times; then the central one of the nearest allowed aspect is
    taken (Inception's scheme, as in torchvision's RandomResizedCrop). As first augmentation of a set read from files
    it is applied to the full-size images while they are read.
    """

    size: int
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    ATTEMPTS = 10
    draws = 2 * ATTEMPTS + 2

    def __post_init__(self):
        _require("random_resized_crop.size", self.size, type(self.size) is int and self.size > 0, "a number of pixels")
        _require("random_resized_crop.scale", self.scale, _is_range(self.scale, 1), "two shares, 0 < low <= high <= 1")
        _require("random_resized_crop.ratio", self.ratio, _is_range(self.ratio), "two ratios, 0 < low <= high")

    def boxes(self, heights: Tensor, widths: Tensor, draws: Tensor) -> Tensor:
        """See `das.data.frames`."""
        heights, widths = heights.double().view(-1, 1), widths.double().view(-1, 1)
        draws = draws.double()
        low, high = self.scale
        area = heights * widths * (low + (high - low) * draws[:, : self.ATTEMPTS])
        low, high = torch.tensor(self.ratio, dtype=torch.float64).log()
        aspect = (low + (high - low) * draws[:, self.ATTEMPTS : -2]).exp()
        height, width = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
        fits = (height >= 1) & (width >= 1) & (height <= heights) & (width <= widths)
        first = fits.int().argmax(1, keepdim=True)
        height, width = height.gather(1, first), width.gather(1, first)
        top = ((heights - height + 1) * draws[:, -2:-1]).floor()
        left = ((widths - width + 1) * draws[:, -1:]).floor()
        # the fallback
        aspect = (widths / heights).clamp(*self.ratio)
        tallest = torch.minimum(heights, (widths / aspect).round())
        widest = torch.minimum(widths, (heights * aspect).round())
        centred = torch.cat([(heights - tallest) // 2, (widths - widest) // 2, tallest, widest], dim=1)
        return torch.where(fits.any(1, keepdim=True), torch.cat([top, left, height, width], dim=1), centred).long()

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = images.shape
        draws = torch.rand(count, self.draws, generator=generator)
        boxes = self.boxes(torch.full((count,), height), torch.full((count,), width), draws)
        return cut_batch(images, boxes, self.size), labels


@dataclass(frozen=True)
class RandomScaleCrop:
    """Scale the shorter side to ``base`` times U(scale), then cut a ``size`` x ``size`` window at a uniform place.

    For images and masks read from files, as the first augmentation. Where the scaled image is smaller than the
    window, the window's right and bottom lie outside it: black, IGNORE in the mask.
    """

    size: int
    base: int
    scale: tuple[float, float] = (0.5, 2.0)

    draws = 3

    def __post_init__(self):
        for name, value in (("size", self.size), ("base", self.base)):
            _require(f"random_scale_crop.{name}", value, type(value) is int and value > 0, "a number of pixels")
        _require("random_scale_crop.scale", self.scale, _is_range(self.scale), "two factors, 0 < low <= high")

    def boxes(self, heights: Tensor, widths: Tensor, draws: Tensor) -> Tensor:
        """See `das.data.frames`."""
        low, high = self.scale
        draws = draws.double()
        zoom = self.base * (low + (high - low) * draws[:, 0]) / torch.minimum(heights, widths)
        side = (self.size / zoom).round().long().clamp_min(1)
        top = ((heights - side + 1).clamp_min(1) * draws[:, 1]).floor().long()
        left = ((widths - side + 1).clamp_min(1) * draws[:, 2]).floor().long()
        return torch.stack([top, left, side, side], dim=1)
