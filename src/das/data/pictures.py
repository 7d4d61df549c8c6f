"""Image files by Pillow: what they say of themselves, and their pixels. Imports no torch."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from das.errors import DasError

# What Pillow warns of (odd metadata, huge sizes) is harmless, or ends in an error here.
warnings.filterwarnings("ignore", module=r"PIL\.")

FORMATS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"},
    "GIF": {".gif"},
}
SUFFIXES = frozenset().union(*FORMATS.values())
MAX_PIXELS = 1 << 26  # 64 megapixels: more is taken for a decompression bomb
BACKGROUND = (255, 255, 255)  # what shows through transparent pixels
ORIENTATION = 274  # the EXIF tag
UPRIGHT = {  # what turns a picture of that orientation upright (EXIF 2.32, 4.6.4)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Damaged(DasError):
    """An image that cannot be decoded."""


def content(path: Path) -> bytes:
    """The bytes of an image file. Raises `Damaged` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def opened(content: bytes, origin: str | Path) -> Iterator[Image.Image]:
    """Yield the first picture of ``content``, whose header alone is read so far.

    Raises `Damaged`, naming ``origin``, for what is none of FORMATS, what has more than MAX_PIXELS, and for whatever
    fails in decoding while the picture is open.
    """
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS)) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise Damaged(
                    f"{origin}: {width} x {height} pixels, allowed are {MAX_PIXELS}; taken for a decompression bomb"
                )
            yield picture
    except DasError:
        raise
    except Image.UnidentifiedImageError:
        raise Damaged(f"{origin}: not a readable image{_hint(content)}; use {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError as error:
        raise Damaged(f"{origin}: taken for a decompression bomb ({error})") from None
    except Exception as error:  # decoders raise nearly anything of a damaged file
        raise Damaged(f"{origin}: damaged image ({_reason(error)})") from error


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation of a picture that is not loaded yet: 1 (upright) to 8."""
    tags = picture.getexif() if picture.format == "TIFF" or "exif" in picture.info else {}
    value = tags.get(ORIENTATION)
    return value if value in UPRIGHT else 1


def deep(picture: Image.Image) -> bool:
    """Whether the channels of a picture that is not loaded yet have more than 8 bits."""
    stored = [tile.args if isinstance(tile.args, str) else str(tile.args[0]) for tile in picture.tile if tile.args]
    return picture.mode.startswith(("I", "F")) or any(";16" in mode for mode in stored)


def rgb(picture: Image.Image) -> np.ndarray:
    """The pixels of an opened picture, upright: uint8 (H, W, 3).

    Gray, palette, CMYK and others become RGB; what is transparent lies over BACKGROUND. Of 16 bits a channel, 65535
    becomes 255. Gray floats and whole numbers of 32 bits in [0, 1] are multiplied by 255; others are scaled so that the
    least becomes 0 and the greatest 255. Raises ValueError for values that are no numbers.
    """
    turn = UPRIGHT.get(orientation(picture)) if picture.format != "TIFF" else None  # Pillow turns a TIFF in loading it
    picture.load()
    if picture.mode.startswith(("I", "F")):
        gray = _in_bytes(np.asarray(picture), sixteen=picture.mode.startswith("I;16"))
        flat = Image.fromarray(gray).convert("RGB")
    elif picture.has_transparency_data:
        whole = Image.new("RGBA", picture.size, (*BACKGROUND, 255))
        flat = Image.alpha_composite(whole, picture.convert("RGBA")).convert("RGB")
    else:
        flat = picture.convert("RGB")
    return np.array(flat if turn is None else flat.transpose(turn))


def _in_bytes(values: np.ndarray, sixteen: bool) -> np.ndarray:
    if sixteen:
        low, high = 0.0, 65535.0
    elif not np.isfinite(values).all():
        raise ValueError("holds values that are no numbers")
    else:
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
    share = (values.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.round(255 * share).astype(np.uint8)


def _hint(content: bytes) -> str:
    """What a file is that is no image, where that is easy to tell."""
    if not content:
        return " (an empty file)"
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        return " (HEIC or AVIF)"
    if content[:1024].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return " (a page of text)"
    return ""


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
