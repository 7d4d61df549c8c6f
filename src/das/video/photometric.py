"""Photometric operations on images in [0, 1], each as a function of its per-step magnitude and a strength.

Definitions follow PIL's (as in AutoAugment and torchvision), in floating point. Each takes images (..., C, H, W), a
magnitude (a number, or a tensor that broadcasts) and a non-zero strength in steps, and returns the same
shape. The step functions (posterize, equalize) are exact forwards and pass gradients straight through to the image.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from das.errors import DasError

LEVELS = 255


def gray(images: Tensor) -> Tensor:
    """Luma (ITU-R 601-2, as PIL's mode L) of RGB images, (..., 3, H, W) -> (..., 1, H, W); one channel is itself."""
    if images.shape[-3] == 1:
        return images
    if images.shape[-3] != 3:
        raise DasError(f"images: shape {tuple(images.shape)} has no luma; contrast and saturation need 1 or 3 channels")
    red, green, blue = images.unbind(-3)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(-3)


def blend(other: Tensor, images: Tensor, share) -> Tensor:
    """``other`` at share 0, ``images`` at share 1, extrapolated beyond, kept in [0, 1]."""
    return torch.clamp(other + share * (images - other), 0, 1)


def straight_through(exact: Tensor, images: Tensor) -> Tensor:
    return images + (exact - images).detach()


def brightness(images, magnitude, strength):
    """Multiply by magnitude ** strength."""
    return blend(torch.zeros_like(images), images, magnitude**strength)


def contrast(images, magnitude, strength):
    """Scale the distance from the image's mean luma by magnitude ** strength."""
    return blend(gray(images).mean((-3, -2, -1), keepdim=True), images, magnitude**strength)


def saturation(images, magnitude, strength):
    """Scale the distance from each pixel's luma by magnitude ** strength."""
    return blend(gray(images), images, magnitude**strength)


def sharpness(images, magnitude, strength):
    """Scale the distance from the smoothed image (PIL's SMOOTH kernel, border pixels kept) by magnitude ** strength."""
    height, width = images.shape[-2:]
    if min(height, width) < 3:
        return images
    planes = images.reshape(-1, 1, height, width)
    inner = planes[..., 1:-1, 1:-1]
    smooth = (9 * F.avg_pool2d(planes, 3, stride=1) + 4 * inner) / 13
    smooth = torch.cat([planes[..., 1:-1, :1], smooth, planes[..., 1:-1, -1:]], -1)
    smooth = torch.cat([planes[..., :1, :], smooth, planes[..., -1:, :]], -2)
    return blend(smooth.reshape(images.shape), images, magnitude**strength)


def solarize(images, magnitude, strength):
    """Invert the values above the threshold 1 - magnitude * |strength|."""
    return torch.where(images > 1 - magnitude * abs(strength), 1 - images, images)


def posterize(images, magnitude, strength):
    """Keep the highest 8 - round(magnitude * |strength|) bits of 8-bit values, at least one."""
    removed = torch.as_tensor(magnitude).detach() * abs(strength)
    step = 2 ** removed.round().clamp(max=7)
    return straight_through(torch.floor(images * LEVELS / step) * step / LEVELS, images)


def share(magnitude, strength):
    """The part that an operation without a natural scale takes in the result: magnitude * |strength|, at most 1."""
    amount = magnitude * abs(strength)
    return torch.clamp(amount, max=1) if isinstance(amount, Tensor) else min(amount, 1.0)


def invert(images, magnitude, strength):
    """Blend with 1 - x; the negative's part is magnitude * |strength|, at most 1."""
    return blend(images, 1 - images, share(magnitude, strength))


def autocontrast(images, magnitude, strength):
    """Blend with the image whose channels are stretched to [0, 1]; a constant channel stays."""
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    span = high - low
    stretched = torch.where(span > 0, (images - low) / torch.where(span > 0, span, torch.ones_like(span)), images)
    return blend(images, stretched, share(magnitude, strength))


def equalize(images, magnitude, strength):
    """Blend with PIL's histogram equalization of each channel at 8 bits."""
    values = torch.round(images.detach().clamp(0, 1) * LEVELS).flatten(-2)
    levels = torch.arange(LEVELS + 1, device=images.device, dtype=values.dtype).repeat(*values.shape[:-1], 1)
    ordered = values.sort(-1).values  # counting by sorting needs no atomics: deterministic on CUDA
    below = torch.searchsorted(ordered, levels)
    step = torch.searchsorted(ordered, ordered[..., -1:].contiguous()) // LEVELS
    table = torch.where(step > 0, (below + step // 2) // step.clamp(min=1), levels.long()).clamp(0, LEVELS)
    equal = table.gather(-1, values.long()).to(images.dtype).reshape(images.shape) / LEVELS
    return blend(images, straight_through(equal, images), share(magnitude, strength))
