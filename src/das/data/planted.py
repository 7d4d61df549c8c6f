"""A known nuisance in every image: the ground truth that searches are asked to find (`das.study.schema.Planted`)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from das.errors import DasError
from das.seeding import generator
from das.study import registry
from das.study.schema import Planted

CHUNK = 512  # images in memory as floats at a time


def magnitudes(planted: Planted, count: int, *identity: str) -> Tensor:
    """What is planted in each of ``count`` images, in the operation's unit, float64; drawn from ``identity``."""
    draws = torch.rand(count, generator=generator("planted", *identity), dtype=torch.float64)
    if planted.operation == "zoom":
        low, high = map(math.log, planted.bounds)
        return (low + (high - low) * draws).exp()
    low, high = planted.bounds
    return low + (high - low) * draws


def plant(images: Tensor, planted: Planted, values: Tensor) -> Tensor:
    """Images uint8 (N, C, H, W), centered on the canvas and transformed by ``values`` (N,), read bilinearly; black
    outside. Raises DasError where the range leaves the canvas."""
    for field, problem in planted.problems(max(images.shape[2:])):
        raise DasError(f"planted.{field}: {problem}")
    if planted.canvas:
        height, width = images.shape[2:]
        top, left = (planted.canvas - height) // 2, (planted.canvas - width) // 2
        images = F.pad(images, [left, planted.canvas - width - left, top, planted.canvas - height - top])
    parts = zip(images.split(CHUNK), values.split(CHUNK), strict=True)
    return torch.cat([_moved(part, planted.operation, own) for part, own in parts])


def _moved(images: Tensor, operation: str, values: Tensor) -> Tensor:
    """Every image by its own magnitude, one step of the operation that policies name."""
    height, width = images.shape[2:]
    inverse = registry.lookup("operation", operation).load().inverse([values], torch.ones_like(values), height, width)
    x, y = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in (width, height))
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width, dtype=torch.float64)], -1)
    read = torch.einsum("nij,hwj->nhwi", inverse[:, :2], pixels) / torch.tensor([width / 2, height / 2])
    moved = F.grid_sample(images.double(), read, align_corners=False)
    return moved.round().to(torch.uint8)
