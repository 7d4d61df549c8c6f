"""Augmentations that move images and their label maps together, in memory as from files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from das.augment.base import Augmentation
from das.augment.standard import RandomScaleCrop as FromFiles
from das.data.crops import IGNORE, Box, Size, cut_batch, sides


class RandomScaleCrop(FromFiles, Augmentation):
    """`das.augment.standard.RandomScaleCrop`, also for images and label maps in memory, each with its own draw.

    Images float (B, C, H, W) become (B, C, *size), bilinear with antialiasing; label maps int64 (B, H, W) become
    (B, *size) by the nearest label. What lies outside the image is black, and IGNORE.
    """

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = images.shape
        draws = torch.rand(count, self.draws, generator=generator).tolist()
        boxes = [self.box(height, width, draw) for draw in draws]
        rows, columns = max(box[2] for box in boxes), max(box[3] for box in boxes)
        beyond = (0, max(columns - width, 0), 0, max(rows - height, 0))
        images = cut_batch(F.pad(images, beyond), boxes, self.size)
        if labels.ndim == 3:
            labels = nearest(F.pad(labels, beyond, value=IGNORE), boxes, self.size)
        return images, labels


@dataclass(frozen=True)
class RandomRotation(Augmentation):
    """Turn each image by whole degrees, uniform in [-``degrees``, ``degrees``], about its center: bilinear, black
    outside; label maps by the nearest label, IGNORE outside."""

    degrees: int

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = images.shape
        angle = torch.randint(-self.degrees, self.degrees + 1, (count,), generator=generator) * (math.pi / 180)
        cos, sin, none = angle.cos(), angle.sin(), torch.zeros(count)
        rows = [torch.stack([cos, -sin * height / width, none], 1), torch.stack([sin * width / height, cos, none], 1)]
        grid = F.affine_grid(torch.stack(rows, 1), [count, 1, height, width], align_corners=False).to(images)
        if labels.ndim == 3:
            shifted = (labels + 1)[:, None].to(images.dtype)  # so that 0 is what comes from outside
            found = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)[:, 0].long() - 1
            labels = torch.where(found < 0, IGNORE, found)
        return F.grid_sample(images, grid, align_corners=False), labels


def nearest(maps: Tensor, boxes: Sequence[Box], size: Size) -> Tensor:
    """Resample a box of each label map (B, H, W) to ``size`` by the nearest label."""
    boxes = torch.tensor(boxes).to(maps.device)
    shares = [(torch.arange(side, device=maps.device) + 0.5) / side for side in sides(size)]
    rows, columns = ((boxes[:, i, None] + shares[i] * boxes[:, i + 2, None]).long() for i in (0, 1))
    return maps[torch.arange(len(maps), device=maps.device)[:, None, None], rows[:, :, None], columns[:, None]]
