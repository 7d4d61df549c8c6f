"""What the relaxed cell and the compiled policy share: distinct strengths, the canvas, and assembling the video.

Frames of equal strength are equal, and a frame of strength 0 is the image itself, so only the distinct non-zero
strengths ("moving") are computed: 4 for the 8 frames of a mirrored schedule with T = 8.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from das.errors import DasError
from das.video.operations import operation_named
from das.video.policy import Choice, Policy
from das.video.schedule import strengths
from das.video.warp import to_images, to_table

NO_NODE = -1
REMEMBERED = 8  # image sizes, with their device and precision


def sources(policy: Policy) -> list[list[int]]:
    """What each node reads: the indices of nodes, or ``NO_NODE`` for the image."""
    return [[edge.source if isinstance(edge.source, int) else NO_NODE for edge in edges] for edges in policy.nodes]


class Frames:
    """The frames of a video: schedule, layout and canvas of ``settings``, for nodes that read ``sources``."""

    def __init__(self, settings, sources: Sequence[Sequence[int]]):
        self.strengths = strengths(settings.schedule, settings.frames)
        self.moving = tuple(sorted(set(self.strengths) - {0}))
        self.layout = settings.frame_layout
        self.canvas = settings.canvas
        self.gain = 1.0  # the amplitude of the untransformed frame; sums of frames add up
        if settings.node_reduce == "sum":
            gains: list[float] = []
            for node in sources:
                gains.append(sum(1.0 if source == NO_NODE else gains[source] for source in node))
            self.gain = gains[-1]

    def window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The frames' height and width, and the row and column at which the image begins in them."""
        if self.canvas is None:
            return height, width, 0, 0
        if max(height, width) > self.canvas:
            raise DasError(f"images: {height} x {width} pixels do not fit on a canvas of side {self.canvas}")
        return self.canvas, self.canvas, (self.canvas - height) // 2, (self.canvas - width) // 2

    def begin(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Check images (B, C, H, W); return them on the canvas, and as a table in the precision of the products."""
        check_images(images)
        height, width = images.shape[2:]
        rows, columns, top, left = self.window(height, width)
        if self.canvas is not None:
            images = F.pad(images, [left, columns - width - left, top, rows - height - top])
        return images, to_table(images.to(torch.promote_types(images.dtype, torch.float32)))

    def split(self, table: Tensor, pixels: int) -> Sequence[Tensor]:
        """The part of each moving strength of a node's table; the image's table stands for all."""
        return [table] * len(self.moving) if len(table) == pixels else table.split(pixels)

    def recolor(self, choice: Choice, magnitude, parts: Iterable[Tensor]) -> list[Tensor]:
        """Apply a photometric operation to images (B, C, H, W), one per moving strength."""
        recolor = operation_named(choice.operation).recolor
        return [recolor(part, magnitude, strength) for strength, part in zip(self.moving, parts, strict=True)]

    def images(self, table: Tensor, shape: Sequence[int]) -> list[Tensor]:
        """A table as images of ``shape`` (B, C, H, W), one per moving strength."""
        return [to_images(part, shape) for part in self.split(table, shape[2] * shape[3])]

    def video(self, images: Tensor, moved: Sequence[Tensor]) -> Tensor:
        """Assemble (B, T, C, H, W) from the images and the moving strengths' images."""
        by_strength = {0: images if self.gain == 1 else images * self.gain}
        by_strength.update(zip(self.moving, (part.to(images.dtype) for part in moved), strict=True))
        video = torch.stack([by_strength[strength] for strength in self.strengths], 1)
        return video.transpose(1, 2).reshape(video.shape) if self.layout == "scrambled" else video


def check_images(images: Tensor) -> None:
    """Refuse what is not a batch of images (B, C, H, W) of floating-point values."""
    if images.ndim != 4 or 0 in images.shape:
        raise DasError(f"images: shape {tuple(images.shape)} is not (B, C, H, W) with every side at least 1")
    if not images.is_floating_point():
        raise DasError(f"images: dtype {images.dtype} is not floating point; values must lie in [0, 1]")


def remembered(cache: dict, key: tuple, make: Callable):
    """Return ``cache[key]``, made when missing; the oldest entry goes when there are too many."""
    if key not in cache:
        while len(cache) >= REMEMBERED:
            del cache[next(iter(cache))]
        with torch.inference_mode(False):  # what is made during an evaluation serves training too
            cache[key] = make()
    return cache[key]
