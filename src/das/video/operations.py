"""The operations a cell chooses from.

An affine operation gives the *inverse* map, from an output pixel to where it is read, as a 3x3 matrix in pixels about
the image's center (x to the right, y down; a pixel's center is its coordinate, so the image spans [-W/2, W/2]). Its
strength is a whole number of steps; at strength 0 every operation is the identity.
"""

from dataclasses import dataclass
from functools import cache
from math import pi
from typing import Any

import torch
from torch import Tensor

from das.errors import DasError
from das.study import registry
from das.video import photometric
from das.video.spaces import COLORS, COMPOUNDS


@dataclass(frozen=True)
class Range:
    """Per-step magnitudes: ``drawn`` uniformly, ``allowed`` in a policy, without effect at ``neutral``."""

    drawn: tuple[float, float]
    allowed: tuple[float, float]
    neutral: float
    unit: str
    whole: bool = False

    def draw(self, generator: torch.Generator) -> float:
        """Draw one magnitude: a whole number where ``whole``, else rounded to four decimals."""
        low, high = self.drawn
        if self.whole:
            return int(torch.randint(int(low), int(high) + 1, (), generator=generator))
        return round(low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64)), 4)

    def grid(self) -> tuple[float, ...]:
        """Four evenly spread magnitudes of the drawn range, the neutral one left out."""
        low, high = self.drawn
        ends: tuple[float, ...]
        if low < self.neutral < high:
            ends = (low, (low + self.neutral) / 2, (self.neutral + high) / 2, high)
        else:
            ends = tuple(self.neutral + (high - self.neutral) * quarter / 4 for quarter in (1, 2, 3, 4))
        return tuple(round(end, 4) for end in ends)


@dataclass(frozen=True)
class Operation:
    """A transformation with per-step magnitudes: affine (``inverse``) or photometric (``recolor``).

    ``inverse(magnitudes, strengths, height, width)`` returns (len(strengths), 3, 3) float64 matrices and is
    differentiable in the magnitudes; ``recolor(images, magnitude, strength)`` maps (..., C, H, W) to the same shape.
    """

    name: str
    ranges: tuple[Range, ...]
    inverse: Any = None
    recolor: Any = None


def _matrices(strengths: Tensor, **entries) -> Tensor:
    """Identity matrices, one per strength, with the named entries (``xx``, ``xy``, ``xt``, ``yx``, …) replaced."""
    values = {"xx": 1.0, "xy": 0.0, "xt": 0.0, "yx": 0.0, "yy": 1.0, "yt": 0.0, "tx": 0.0, "ty": 0.0, "tt": 1.0}
    values.update(entries)
    return torch.stack([value * torch.ones_like(strengths) for value in values.values()], -1).unflatten(-1, (3, 3))


def _identity(magnitudes, strengths, height, width):
    return _matrices(strengths)


def _translate_x(magnitudes, strengths, height, width):
    return _matrices(strengths, xt=-magnitudes[0] * strengths * width)


def _translate_y(magnitudes, strengths, height, width):
    return _matrices(strengths, yt=-magnitudes[0] * strengths * height)


def _zoom(magnitudes, strengths, height, width):
    scale = magnitudes[0] ** -strengths
    return _matrices(strengths, xx=scale, yy=scale)


def _rotate(magnitudes, strengths, height, width):
    angle = magnitudes[0] * strengths * (pi / 180)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return _matrices(strengths, xx=cosine, xy=-sine, yx=sine, yy=cosine)


def _shear_x(magnitudes, strengths, height, width):
    return _matrices(strengths, xy=-magnitudes[0] * strengths)


def _shear_y(magnitudes, strengths, height, width):
    return _matrices(strengths, yx=-magnitudes[0] * strengths)


def _compound(parts: tuple[Operation, ...]) -> Operation:
    """The parts applied one after the other as a single affine map: one interpolation, one rule at the border."""

    def inverse(magnitudes, strengths, height, width):
        matrices = _matrices(strengths)
        for part, magnitude in zip(parts, magnitudes, strict=True):
            matrices = matrices @ part.inverse([magnitude], strengths, height, width)
        return matrices

    return Operation("+".join(part.name for part in parts), tuple(part.ranges[0] for part in parts), inverse=inverse)


_SHIFT = Range((-0.12, 0.12), (-1, 1), 0, "of the side")
_ZOOM = Range((0.7, 1.3), (0.25, 4), 1, "times")
_ANGLE = Range((-20, 20), (-180, 180), 0, "degrees", whole=True)
_SHEAR = Range((-0.12, 0.12), (-1, 1), 0, "of the distance")
_FACTOR = Range((0.8, 1.25), (0.25, 4), 1, "times")
_SHARE = Range((0, 0.25), (0, 1), 0, "of the whole")
_BITS = Range((0, 2), (0, 7), 0, "bits", whole=True)

identity = Operation("identity", (), inverse=_identity)
translate_x = Operation("translate_x", (_SHIFT,), inverse=_translate_x)  # positive: content moves right
translate_y = Operation("translate_y", (_SHIFT,), inverse=_translate_y)  # positive: content moves down
zoom = Operation("zoom", (_ZOOM,), inverse=_zoom)  # above one: content grows, magnitude ** strength
rotate = Operation("rotate", (_ANGLE,), inverse=_rotate)  # positive: content turns counter-clockwise
shear_x = Operation("shear_x", (_SHEAR,), inverse=_shear_x)  # positive: the lower half moves right
shear_y = Operation("shear_y", (_SHEAR,), inverse=_shear_y)  # positive: the right half moves down

_COLOR_RANGES = {
    "brightness": _FACTOR,
    "contrast": _FACTOR,
    "saturation": _FACTOR,
    "sharpness": _FACTOR,
    "solarize": _SHARE,
    "posterize": _BITS,
    "invert": _SHARE,
    "autocontrast": _SHARE,
    "equalize": _SHARE,
}


@cache
def __getattr__(name: str) -> Operation:
    """Photometric operations and compounds, which all are made alike."""
    if name in COLORS:
        return Operation(name, (_COLOR_RANGES[name],), recolor=getattr(photometric, name))
    if name in COMPOUNDS:
        return _compound(tuple(globals()[part] for part in name.split("+")))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def operation_named(name: str) -> Operation:
    """Return the operation that a study or a policy calls ``name``; raises DasError, naming the known ones, and for one
    of your own that is no `Operation`."""
    entry = registry.lookup("operation", name)
    operation = entry.load()
    if not isinstance(operation, Operation):
        raise DasError(f"operation {name!r}: is {type(operation).__name__}; should be a das.video.operations.Operation")
    return operation
