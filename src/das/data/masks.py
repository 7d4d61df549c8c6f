"""What the values and colors of masks mean. Imports no torch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from das.data import pictures
from das.data.colors import Color
from das.data.pictures import Damaged
from das.errors import DasError

IGNORE = 255  # the label that no loss and no score counts
SUFFIXES = frozenset().union(*(pictures.FORMATS[kind] for kind in ("PNG", "TIFF", "BMP", "GIF")))  # nothing lossy
COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class Wrong(Damaged):
    """A mask that can be decoded and does not mean what it should."""


@dataclass(frozen=True)
class Table:
    """From what a mask holds to labels: 0 to ``classes`` - 1, and IGNORE.

    ``labels`` maps values, or colors as 0xRRGGBB if ``colored``; None: values are labels, IGNORE itself.
    """

    classes: int = IGNORE
    labels: Mapping[int, int] | None = None
    colored: bool = False

    def read(self, content: bytes, origin: str | Path) -> np.ndarray:
        """The labels of a mask, uint8 (H, W): gray, palette or, of colors, whatever Pillow shows as RGB.

        Raises `Damaged`, naming ``origin``: for what cannot be decoded, JPEG (whose values are blurred), colors where
        no table names colors, and values that are no class, all of them with their number of pixels.
        """
        with pictures.opened(content, origin) as picture:
            if picture.format in ("JPEG", "MPO"):
                raise Wrong(f"{origin}: is a JPEG, which blurs values; a mask is a PNG, TIFF, BMP or GIF")
            codes = _colors(picture) if self.colored else _values(picture, origin)
        if codes.dtype == np.uint8:
            found, places = np.arange(256), codes
        else:
            found, places = np.unique(codes, return_inverse=True)
        pixels = np.bincount(places.ravel(), minlength=len(found))
        labels = [self._label(int(code)) for code in found]
        wrong = [k for k, label in enumerate(labels) if label is None and pixels[k]]
        if wrong:
            named = ", ".join(f"{self._name(int(found[k]))} ({pixels[k]} pixels)" for k in wrong[:5])
            raise Wrong(f"{origin}: holds {named}{', …' if wrong[5:] else ''}, which are no class; {self._allowed()}")
        return np.array([label or 0 for label in labels], np.uint8)[places].reshape(codes.shape)

    def colors(self) -> tuple[Color, ...] | None:
        """The first color of each class, where the table is of colors and has one for all of them."""
        first = {label: code for code, label in reversed((self.labels or {}).items()) if self.colored}
        if not set(range(self.classes)) <= set(first):
            return None
        return tuple((first[k] >> 16, first[k] >> 8 & 255, first[k] & 255) for k in range(self.classes))

    def _label(self, code: int) -> int | None:
        if self.labels is not None:
            return self.labels.get(code)
        return code if 0 <= code < self.classes or code == IGNORE else None

    def _name(self, code: int) -> str:
        return f"#{code:06x}" if self.colored else str(code)

    def _allowed(self) -> str:
        if self.labels is None:
            return f"use 0 to {self.classes - 1}, or {IGNORE} where nothing counts, or name them in options.values"
        return f"options.values and options.ignore name {', '.join(self._name(code) for code in sorted(self.labels))}"


VALUES = Table()  # values are labels


def table(classes: Sequence[str], values: Mapping[Any, str] | None, ignore: Sequence[Any] | None) -> Table:
    """The table of a data set's options: ``values`` {value or "#rrggbb": class}, ``ignore`` the values or colors that
    count for nothing (by default 255, if ``values`` does not name it). Raises DasError for what contradicts itself."""
    if values is None and ignore is None:
        return Table(len(classes))
    given: dict[Any, str | None] = dict(values or {place: name for place, name in enumerate(classes)})
    for name in given.values():
        if name not in classes:
            raise DasError(f"options.values: names {name!r}; classes.txt has {', '.join(classes)}")
    for code in ignore if ignore is not None else [IGNORE]:
        if code in given and ignore is not None:
            raise DasError(f"options.ignore: {code!r} stands for {given[code]!r} in options.values; name it once")
        given.setdefault(code, None)
    colored = any(isinstance(code, str) for code in values or ())
    labels = {}
    for code, name in given.items():
        if colored and isinstance(code, str) and COLOR.fullmatch(code):
            number = int(code[1:], 16)
        elif not colored and type(code) is int and code >= 0:
            number = code
        elif colored and code == IGNORE and ignore is None:
            continue
        else:
            raise DasError(f"options.values: {code!r} should be {'a color, #rrggbb' if colored else 'a whole number'}")
        labels[number] = IGNORE if name is None else classes.index(name)
    return Table(len(classes), labels, colored)


def _values(picture: pictures.Image.Image, origin: str | Path) -> np.ndarray:
    if picture.format == "GIF":  # whose writers number colors as they like: only the colors say what is meant
        picture = picture.convert("RGB")
    if picture.mode in ("P", "L", "1"):
        return np.array(picture, np.uint8)
    if picture.mode.startswith("I"):
        return np.array(picture).astype(np.int64)
    if picture.mode in ("RGB", "RGBA", "LA"):
        channels = np.array(picture.convert("RGB"))
        if (channels == channels[..., :1]).all():  # gray, kept in three channels
            return channels[..., 0]
    raise Wrong(
        f"{origin}: mode {picture.mode}; a mask is a gray or palette PNG whose values are classes, or colored as "
        "options.values says"
    )


def _colors(picture: pictures.Image.Image) -> np.ndarray:
    red, green, blue = np.moveaxis(np.array(picture.convert("RGB")).astype(np.int64), 2, 0)
    return red << 16 | green << 8 | blue
