"""Fashion-MNIST in its official IDX files: the embedded subset and the full set."""

import gzip
from pathlib import Path

import numpy as np
import torch

from das.data.checksums import verify_listed
from das.data.sets import Dataset, ImageSet
from das.errors import DasError

CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip  # the order of the labels: README of github.com/zalandoresearch/fashion-mnist
_PREFIX = {"train": "train", "test": "t10k"}
_REMAKE = "data/embedded/make_fashion_mnist.py"


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read ``root``/{train,t10k}-{images-idx3,labels-idx1}-ubyte, for the full set with .gz."""
    embedded = reader == "fashion_mnist_embedded"

    def split(name: str) -> ImageSet:
        arrays = []
        for kind in ("images-idx3", "labels-idx1"):
            path = root / f"{_PREFIX[name]}-{kind}-ubyte"
            if embedded:
                arrays.append(parse_idx(verify_listed(path, remake=_REMAKE), path))
            else:
                arrays.append(_read_gzip(path.with_name(path.name + ".gz")))
        images, labels = arrays
        if len(images) != len(labels):
            raise DasError(f"{root}: {len(images)} {name} images but {len(labels)} labels; fetch the files again")
        return ImageSet(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels.astype(np.int64)))

    return Dataset(reader, split, CLASSES, {s: options[f"{s}_per_class"] for s in ("train", "test")})


def parse_idx(content: bytes, path: Path) -> np.ndarray:
    """Return the uint8 array of an IDX file (magic 0 0 8 n, then n big-endian int32 sizes, then the bytes)."""
    dims = content[3] if content[:3] == b"\0\0\x08" else 0
    shape = tuple(np.frombuffer(content, ">i4", dims, 4)) if len(content) >= 4 + 4 * dims else ()
    if not dims or len(content) != 4 + 4 * dims + np.prod(shape, dtype=np.int64):
        raise DasError(f"{path}: not an IDX file of bytes, or cut short; fetch it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dims).reshape(shape).copy()


def _read_gzip(path: Path) -> np.ndarray:
    try:
        return parse_idx(gzip.decompress(path.read_bytes()), path)
    except FileNotFoundError as error:
        raise DasError(f"{path}: not found; fetch the data set first") from error
    except (OSError, EOFError) as error:
        raise DasError(f"{path}: not a whole gzip file ({error}); fetch it again") from error
