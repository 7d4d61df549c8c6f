"""The operations of AutoAugment and its kin on a whole batch, each image with its own operation and magnitude.

Names, ranges and meaning of magnitudes are torchvision's (transforms/v2/_auto_augment.py); values are not rounded to
8 bits between operations. Geometry reads the nearest pixel; outside the image is black.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from das.video import photometric

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")

# Half a level and less: thresholds of 8-bit values are inclusive in torchvision, exclusive in photometric.
INCLUSIVE = 0.25 / photometric.LEVELS

PHOTOMETRIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Brightness": lambda images, m: photometric.brightness(images, 1 + m, 1),
    "Color": lambda images, m: photometric.saturation(images, 1 + m, 1),
    "Contrast": lambda images, m: photometric.contrast(images, 1 + m, 1),
    "Sharpness": lambda images, m: photometric.sharpness(images, 1 + m, 1),
    "Posterize": lambda images, m: photometric.posterize(images, 8 - m, 1),
    "Solarize": lambda images, m: photometric.solarize(images, 1 - m + INCLUSIVE, 1),
    "AutoContrast": lambda images, m: photometric.autocontrast(images, 1, 1),
    "Equalize": lambda images, m: photometric.equalize(images, 1, 1),
    "Invert": lambda images, m: 1 - images,
}

NAMES = ("Identity", *GEOMETRIC, *PHOTOMETRIC)

Space = dict[str, tuple[Callable[[int, int, int], Tensor | None], bool]]


def apply(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Images (B, C, H, W) in [0, 1]; ``operations`` int64 (B,) in NAMES and ``magnitudes`` float (B,), on the CPU."""
    out = images.clone()
    geometric = torch.isin(operations, torch.tensor([NAMES.index(name) for name in GEOMETRIC]))
    groups = [(geometric, lambda part, m: _warped(part, operations[geometric], m.flatten()))]
    groups += [(operations == NAMES.index(name), function) for name, function in PHOTOMETRIC.items()]
    for chosen, function in groups:
        if chosen.any():
            places = chosen.nonzero().flatten().to(images.device)
            out[places] = function(images[places], magnitudes[chosen].view(-1, 1, 1, 1).to(images))
    return out


def _warped(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    matrices = inverse_maps(operations, magnitudes.cpu(), *images.shape[2:])
    grid = F.affine_grid(matrices.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def inverse_maps(operations: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    """Where each image reads its pixels: (B, 2, 3) maps of `affine_grid`'s coordinates (the image is [-1, 1] wide).

    Shears hold the top left corner, as PIL's do; translations are whole pixels; rotation is about the center.
    """
    matrices = torch.eye(2, 3, dtype=torch.float64).repeat(len(operations), 1, 1)
    amount = {name: torch.where(operations == NAMES.index(name), magnitudes.double(), 0) for name in GEOMETRIC}
    ratio = height / width
    matrices[:, 0, 1] += amount["ShearX"] * ratio
    matrices[:, 0, 2] += amount["ShearX"] * ratio
    matrices[:, 1, 0] += amount["ShearY"] / ratio
    matrices[:, 1, 2] += amount["ShearY"] / ratio
    matrices[:, 0, 2] -= amount["TranslateX"].trunc() * 2 / width
    matrices[:, 1, 2] -= amount["TranslateY"].trunc() * 2 / height
    angle = torch.deg2rad(amount["Rotate"])
    turned = operations == NAMES.index("Rotate")
    rotation = torch.stack([angle.cos(), -angle.sin() * ratio, angle.sin() / ratio, angle.cos()], 1).view(-1, 2, 2)
    matrices[turned, :, :2] = rotation[turned]
    return matrices


def sampled_magnitudes(
    space: Space, operations: Tensor, levels: Tensor, bins: int, size: Sequence[int], generator: torch.Generator
) -> Tensor:
    """The magnitudes (B,) that torchvision's ``space`` gives to ``levels`` (B,) of ``bins``, with random signs."""
    table = torch.zeros(len(NAMES), bins, dtype=torch.float64)
    signed = torch.zeros(len(NAMES), dtype=torch.bool)
    for name, (values, has_sign) in space.items():
        magnitudes = values(bins, *size)
        if magnitudes is not None:
            table[NAMES.index(name)] = magnitudes.double()
            signed[NAMES.index(name)] = has_sign
    negative = torch.rand(len(operations), generator=generator) < 0.5
    chosen = table[operations, levels]
    return torch.where(negative & signed[operations], -chosen, chosen)


def indices(space: Space) -> Tensor:
    """The operations of ``space`` as places in NAMES, int64."""
    return torch.tensor([NAMES.index(name) for name in space])
