"""What the relaxed cell and the compiled policy share: distinct strengths, the canvas, and assembling the video.

Frames of equal strength are equal, and a frame of strength 0 is the image itself, so only the distinct non-zero
strengths are computed: 4 of the 8 frames of a mirrored schedule with T = 8.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from das.errors import DasError
from das.video.schedule import strengths
from das.video.warp import to_images, to_table


class Frames:
    """The frames of a video of H x W images under one schedule, layout and canvas."""

    def __init__(self, settings, gain: float):
        self.strengths = strengths(settings.schedule, settings.frames)
        self.moving = tuple(sorted(set(self.strengths) - {0}))
        self.layout = settings.frame_layout
        self.canvas = settings.canvas
        self.gain = gain

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The frames' height and width."""
        return (height, width) if self.canvas is None else (self.canvas, self.canvas)

    def begin(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Check images (B, C, H, W) and return them on the canvas, and as a table in the precision of the products."""
        check_images(images)
        if self.canvas is not None:
            margins = [self.canvas - side for side in (images.shape[3], images.shape[2])]
            if min(margins) < 0:
                raise DasError(f"images: shape {tuple(images.shape)} does not fit on a canvas of side {self.canvas}")
            images = F.pad(images, [half for margin in margins for half in (margin // 2, margin - margin // 2)])
        return images, to_table(images.to(torch.promote_types(images.dtype, torch.float32)))

    def video(self, images: Tensor, tables: Sequence[Tensor]) -> Tensor:
        """Assemble (B, T, C, H, W) from the images and one table per strength of ``moving``."""
        still = images if self.gain == 1 else images * self.gain
        by_strength = {0: still}
        for strength, table in zip(self.moving, tables, strict=True):
            by_strength[strength] = to_images(table, images.shape).to(images.dtype)
        video = torch.stack([by_strength[strength] for strength in self.strengths], 1)
        if self.layout == "scrambled":
            video = video.transpose(1, 2).reshape(video.shape)
        return video


def check_images(images: Tensor) -> None:
    """Refuse what is not a batch of images (B, C, H, W) of floating-point values."""
    if images.ndim != 4 or 0 in images.shape:
        raise DasError(f"images: shape {tuple(images.shape)} is not (B, C, H, W) with every side at least 1")
    if not images.is_floating_point():
        raise DasError(f"images: dtype {images.dtype} is not floating point; values must lie in [0, 1]")
