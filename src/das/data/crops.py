"""Cut boxes out of images of any size and resample them to one size: how pictures become a batch.

A box is (top, left, height, width) in whole pixels and may reach beyond the image, where it is black (in masks:
IGNORE). A framing says which box of an image to take: its ``size`` is the side of the result, or its (height, width)
(None: the box's own sides), ``draws`` how many uniform numbers in [0, 1) it needs an image, ``box(height, width,
draws)`` the box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from das.data.masks import IGNORE

__all__ = ["IGNORE", "Box", "Center", "Framing", "Native", "Size", "Whole", "cut", "cut_batch", "cut_mask", "sides"]
Box = tuple[int, int, int, int]
Size = int | Sequence[int]  # the side of a square, or (height, width); pixels


def sides(size: Size) -> tuple[int, int]:
    """(height, width) of a size."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


class Framing:
    """Which box of an image of any size becomes a picture of ``size``."""

    size: Size | None
    draws: int

    def box(self, height: int, width: int, draws: Sequence[float]) -> Box:
        """The box of an image of height x width pixels."""
        raise NotImplementedError


@dataclass(frozen=True)
class Center(Framing):
    """The central box of the result's shape with ``share`` of the side that limits it: of a square, the shorter one."""

    size: Size
    share: float = 1.0

    draws = 0

    def box(self, height: int, width: int, draws: Sequence[float] = ()) -> Box:
        rows, columns = sides(self.size)
        tall = height * columns > width * rows  # more so than the result, which its width limits
        inside = (width * rows / columns, width) if tall else (height, height * columns / rows)
        high, wide = (max(round(side * self.share), 1) for side in inside)
        return (height - high) // 2, (width - wide) // 2, high, wide


@dataclass(frozen=True)
class Whole(Framing):
    """The whole image at the top left of the least box of the result's shape."""

    size: Size

    draws = 0

    def box(self, height: int, width: int, draws: Sequence[float] = ()) -> Box:
        rows, columns = sides(self.size)
        tall = height * columns > width * rows
        return (0, 0, height, round(height * columns / rows)) if tall else (0, 0, round(width * rows / columns), width)


@dataclass(frozen=True)
class Native(Framing):
    """The whole image as it is."""

    size = None
    draws = 0

    def box(self, height: int, width: int, draws: Sequence[float] = ()) -> Box:
        return 0, 0, height, width


_FRAMINGS: dict[str, type[Framing]] = {"center": Center, "whole": Whole, "native": Native}


def described(framing: Framing) -> dict[str, Any]:
    """A framing of a test as plain values, for a checkpoint; `as_described` makes it again."""
    name = next(name for name, kind in _FRAMINGS.items() if type(framing) is kind)
    return {"framing": name, **asdict(framing)}


def as_described(values: Mapping[str, Any]) -> Framing:
    """The framing that `described` wrote down; KeyError or TypeError for anything else."""
    fields = dict(values)
    return _FRAMINGS[fields.pop("framing")](**fields)


def cut(image: Tensor, box: Box, size: Size | None) -> Tensor:
    """Resample the box of one image, uint8 (C, H, W), to uint8 (C, *sides(size)), bilinear with antialiasing.

    The result is channels last in memory: so decoders deliver images, and so torch resamples them fastest.
    """
    part = _crop(image, box, 0)[None].contiguous(memory_format=torch.channels_last)
    return (part if size is None else functional.interpolate(part, sides(size), mode="bilinear", antialias=True))[0]


def cut_mask(mask: Tensor, box: Box, size: Size | None) -> Tensor:
    """Resample the box of one mask, uint8 (H, W), to int64 ``sides(size)`` by nearest neighbors."""
    part = _crop(mask[None], box, IGNORE)
    if size is not None:
        part = functional.interpolate(part[None], sides(size), mode="nearest-exact")[0]
    return part[0].long()


def _crop(image: Tensor, box: Box, fill: int) -> Tensor:
    top, left, height, width = box
    inside = image[:, max(top, 0) : top + height, max(left, 0) : left + width]
    above, before = max(-top, 0), max(-left, 0)
    padding = (before, width - before - inside.shape[2], above, height - above - inside.shape[1])
    return functional.pad(inside, padding, value=fill) if any(padding) else inside


def cut_batch(images: Tensor, boxes: Sequence[Box], size: Size) -> Tensor:
    """`cut` for a batch of equal-sized float images (B, C, H, W) at once: two products with the filter's weights."""
    top, left, height, width = torch.tensor(boxes).to(images.device).unbind(1)
    high, wide = sides(size)
    rows = _weights(top, height, images.shape[2], high).to(images.dtype)
    columns = _weights(left, width, images.shape[3], wide).to(images.dtype)
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _weights(start: Tensor, length: Tensor, side: int, size: int) -> Tensor:
    """(B, size, side): how much each of ``side`` pixels counts for each of ``size`` samples of [start, start+length).

    A triangle about the sample's place, as wide as the larger of a source and a target pixel, cut off at the box.
    """
    step = (length.float() / size).view(-1, 1, 1)
    start, length = start.view(-1, 1, 1), length.view(-1, 1, 1)
    sample = start + (torch.arange(size, device=start.device).view(1, -1, 1) + 0.5) * step
    pixel = torch.arange(side, device=start.device).view(1, 1, -1)
    weight = (1 - ((pixel + 0.5 - sample) / step.clamp_min(1)).abs()).clamp_min(0)
    weight = weight * ((pixel >= start) & (pixel < start + length))
    return weight / weight.sum(2, keepdim=True)
