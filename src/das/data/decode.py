"""From image files to uint8 tensors, refusing what is damaged or a decompression bomb."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from das.data import masks, pictures
from das.data.pictures import Damaged
from das.errors import DasError


def image(content: bytes, origin: str | Path, upright: bool = True) -> Tensor:
    """Decode an image file's ``content`` to uint8 (3, H, W), whatever its format (`das.data.pictures.FORMATS`), depth,
    palette and transparency (`das.data.pictures.rgb`).

    The EXIF orientation is applied unless ``upright`` is false, which leaves JPEG and plain PNG as they are stored.
    Raises `Damaged`, naming ``origin``, for anything else, for images cut short, and for more than MAX_PIXELS.
    """
    with pictures.opened(content, origin) as picture:
        if not _plain(picture):
            return torch.from_numpy(pictures.rgb(picture)).permute(2, 0, 1)
    from torchvision.io import ImageReadMode  # seconds, which sets in memory need not pay

    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    try:
        # The operator behind torchvision.io.decode_image, which warns since 0.29 that TorchCodec will replace it.
        return torch.ops.image.decode_image(encoded, ImageReadMode.RGB.value, upright)
    except RuntimeError as error:
        raise Damaged(f"{origin}: damaged image ({str(error).splitlines()[0].split(', ')[-1]})") from error


def _plain(picture: pictures.Image.Image) -> bool:
    """Whether torchvision decodes the picture, which is faster."""
    if picture.format in ("JPEG", "MPO"):
        return True
    return picture.format == "PNG" and not pictures.deep(picture) and not picture.has_transparency_data


def mask(content: bytes, origin: str | Path, table: masks.Table = masks.VALUES) -> Tensor:
    """Decode a mask to labels, uint8 (H, W), by ``table``. Raises `Damaged` as `das.data.masks.Table.read` does."""
    return torch.from_numpy(table.read(content, origin))


def attempt(work: Callable[[Any], Any], items: Sequence, workers: int | None = None) -> list:
    """Return ``work(item)`` for all items, in order, from several threads; where it raised `Damaged`, that error."""

    def one(item: Any) -> Any:
        try:
            return work(item)
        except Damaged as error:
            return error

    with ThreadPoolExecutor(workers or cores()) as pool:
        return list(pool.map(one, items))


def settle(results: Sequence, damaged: str) -> list[int]:
    """Return the positions of the good ones among the results of `attempt`, having named the damaged.

    ``damaged`` "skip" reports them as one warning; "refuse" raises DasError with their number and the first of them.
    """
    import warnings

    bad = [result for result in results if isinstance(result, Damaged)]
    if bad:
        names = "; ".join(str(error) for error in bad[:5]) + ("; ..." if len(bad) > 5 else "")
        if damaged == "refuse":
            raise DasError(f"{len(bad)} of {len(results)} images are damaged: {names} (option `damaged: skip` goes on)")
        warnings.warn(f"skipped {len(bad)} damaged images of {len(results)}: {names}", stacklevel=2)
    return [i for i, result in enumerate(results) if not isinstance(result, Damaged)]


def cores() -> int:
    """Processor cores this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
