"""One's own arrays: an .npz of images and labels. Prepared sets are kept in the same form."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from das.data.sets import Dataset, ImageSet
from das.errors import DasError


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read the .npz file ``root``.

    It holds {train,test}_images, uint8 (N, C, H, W) or (N, H, W) with C 1 or 3; {train,test}_labels, whole numbers
    (N,) in [0, classes); and optionally classes, the names.
    """
    labels = {split: _array(root, f"{split}_labels") for split in ("train", "test")}
    for split, found in labels.items():
        if found.ndim != 1 or found.dtype.kind not in "iu" or found.min(initial=0) < 0 or not len(found):
            raise DasError(f"{root}: {split}_labels must be whole numbers of 0 or more, (N,); found {_kind(found)}")
    count = int(max(found.max() for found in labels.values())) + 1
    classes = _array(root, "classes", [str(k) for k in range(count)])
    if len(classes) < count:
        raise DasError(f"{root}: names {len(classes)} classes, but labels go up to {count - 1}")

    def split(name: str) -> ImageSet:
        images = _array(root, f"{name}_images")
        images = images[:, None] if images.ndim == 3 else images
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise DasError(f"{root}: {name}_images must be uint8 (N, 1 or 3, H, W) or (N, H, W); found {_kind(images)}")
        if len(images) != len(labels[name]):
            raise DasError(f"{root}: {len(images)} {name}_images but {len(labels[name])} {name}_labels")
        return ImageSet(torch.from_numpy(images), torch.from_numpy(labels[name].astype(np.int64)))

    per_class = {s: options[f"{s}_per_class"] for s in ("train", "test")}
    return Dataset(reader, split, tuple(str(name) for name in classes), per_class)


def _array(path: Path, key: str, default: list | None = None) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as content:
            return content[key] if key in content or default is None else np.asarray(default)
    except FileNotFoundError as error:
        raise DasError(f"{path}: not found; name an .npz file") from error
    except (KeyError, ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DasError(f"{path}: not an .npz file with {key} ({error})") from error


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"
