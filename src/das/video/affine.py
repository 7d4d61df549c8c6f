"""Affine maps as exponentials of their generators (Benton et al. 2020, "Learning Invariances in Neural Networks";
g-benton/learning-invariances, augerino/models/uniform_aug.py)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from das.video.frames import check_images
from das.video.warp import sampled

#: What the six coefficients stand for, in their order.
GENERATORS = ("translate_x", "translate_y", "rotate", "scale", "stretch", "shear")
TRANSLATION = 0.1  # of half a side: what a coefficient of 1 translates by, as in the authors' code


def inverse_maps(coefficients: Tensor, height: int, width: int) -> Tensor:
    """Coefficients (..., 6) of `GENERATORS` -> inverse maps (..., 3, 3), float64, in pixels about the image's center.

    The exponential of the generators' sum maps coordinates in which the image spans [-1, 1] both ways. Differentiable.
    """
    x, y, turn, scale, stretch, shear = coefficients.double().unbind(-1)
    zero = torch.zeros_like(x)
    rows = (
        torch.stack([scale + stretch, shear - turn, TRANSLATION * x], -1),
        torch.stack([shear + turn, scale - stretch, TRANSLATION * y], -1),
        torch.stack([zero, zero, zero], -1),
    )
    half = torch.tensor([width / 2, height / 2, 1], dtype=torch.float64, device=coefficients.device)
    return torch.linalg.matrix_exp(torch.stack(rows, -2)) * half[:, None] / half


def moved(images: Tensor, coefficients: Tensor) -> Tensor:
    """Each image (B, C, H, W) through its own map, of coefficients (B, 6); black outside."""
    return sampled(images, inverse_maps(coefficients, *images.shape[2:]))


class AffineViews(nn.Module):
    """Images (B, C, H, W) -> videos (B, T, C, H, W): the same T maps of every image, ``views`` (T, 6). No state."""

    def __init__(self, views: Sequence[Sequence[float]]):
        super().__init__()
        self.views = torch.tensor(views, dtype=torch.float64)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images)
        views = self.views.to(images.device)
        return torch.stack([moved(images, view.expand(len(images), -1)) for view in views], 1)
