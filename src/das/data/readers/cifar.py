"""CIFAR-10 and CIFAR-100 from their official Python archives, read in place: nothing is unpacked."""

from pathlib import Path

import numpy as np
import torch

from das.data.archives import members
from das.data.pickles import loads
from das.data.sets import Dataset, ImageSet
from das.errors import DasError

# archive, training members, test member, key of the labels, member and key of the class names
_LAYOUT = {
    "cifar10": (
        "cifar-10-python.tar.gz",
        [f"cifar-10-batches-py/data_batch_{k}" for k in range(1, 6)],
        "cifar-10-batches-py/test_batch",
        b"labels",
        ("cifar-10-batches-py/batches.meta", b"label_names"),
    ),
    "cifar100": (
        "cifar-100-python.tar.gz",
        ["cifar-100-python/train"],
        "cifar-100-python/test",
        b"fine_labels",
        ("cifar-100-python/meta", b"fine_label_names"),
    ),
}


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read the official archive in ``root``."""
    archive, train, test, labels_key, (meta, names_key) = _LAYOUT[reader]
    path = root / archive

    def split(name: str) -> ImageSet:
        wanted = train if name == "train" else [test]
        batches = _members(path, wanted)
        try:
            pixels = [batches[member][b"data"] for member in wanted]
            numbers = [label for member in wanted for label in batches[member][labels_key]]
            plain = all(isinstance(part, np.ndarray) for part in pixels)
            if not plain or not all(type(label) is int and 0 <= label < count for label in numbers):
                raise ValueError("arrays or labels are not CIFAR's")
            images, labels = np.concatenate(pixels).reshape(-1, 3, 32, 32), np.array(numbers, dtype=np.int64)
            if len(images) != len(labels):
                raise ValueError(f"{len(images)} images, {len(labels)} labels")
        except (KeyError, ValueError, TypeError) as error:
            raise DasError(f"{path}: not CIFAR's layout ({error}); fetch it again") from error
        return ImageSet(torch.from_numpy(images), torch.from_numpy(labels))

    try:
        classes = tuple(name.decode() for name in _members(path, [meta])[meta][names_key])
    except (KeyError, TypeError, AttributeError) as error:
        raise DasError(f"{path}: {meta} holds no class names; fetch it again") from error
    count = len(classes)
    return Dataset(reader, split, classes, {s: options[f"{s}_per_class"] for s in ("train", "test")})


def _members(path: Path, wanted: list[str]) -> dict[str, dict]:
    """Unpickle the wanted members; stops reading when all are there."""
    found = {}
    for name, content in members(path, lambda name: name in wanted):
        found[name] = loads(content, f"{path}: {name}")
        if len(found) == len(wanted):
            return found
    raise DasError(f"{path}: holds no {', '.join(sorted(set(wanted) - set(found)))}; fetch it again")
