"""Tiny-ImageNet from its official zip: 200 classes, 64 x 64. Its labeled validation images are the test set."""

from pathlib import Path

import numpy as np
import torch

from das.data import archives, decode
from das.data.prepared import require, seal
from das.data.readers import arrays
from das.data.sets import Dataset
from das.errors import DasError

ARCHIVE = "tiny-imagenet-200.zip"
ARRAYS = "tiny-imagenet-200.npz"
SIDE = 64


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read what `prepare` made in ``root``."""
    require(reader, root)
    return arrays.read(reader, root / ARRAYS, options)


def prepare(root: Path) -> None:
    """Decode the archive's images once, into an .npz beside it. Classes are numbered in the order of their WordNet id.

    DasError where an image is damaged.
    """
    images: list[tuple[str, bytes]] = []
    texts = {}
    for name, content in archives.members(root / ARCHIVE, lambda name: name.split("/")[1:2] != ["test"]):
        if name.endswith(".JPEG"):
            images.append((name, content))
        else:
            texts[name.partition("/")[2]] = content.decode()
    try:
        wnids = sorted(texts["wnids.txt"].split())
        words = dict(line.split("\t") for line in texts["words.txt"].splitlines())
        of_file = dict(line.split("\t")[:2] for line in texts["val/val_annotations.txt"].splitlines())
        number = {wnid: k for k, wnid in enumerate(wnids)}
        content = {"classes": np.array([words[wnid].split(",")[0] for wnid in wnids])}
        # tiny-imagenet-200/train/<wnid>/images/<file> and tiny-imagenet-200/val/images/<file>
        for split, part in (("train", "train"), ("test", "val")):
            chosen = [(name, data) for name, data in images if name.split("/")[1] == part]
            labels = [number[of_file[n.split("/")[-1]] if part == "val" else n.split("/")[2]] for n, _ in chosen]
            content[f"{split}_labels"] = np.array(labels, dtype=np.int64)
            content[f"{split}_images"] = _decode(chosen)
    except (KeyError, ValueError, IndexError) as error:
        raise DasError(f"{root / ARCHIVE}: not Tiny-ImageNet's layout (missing or malformed: {error})") from error
    part = root / (ARRAYS + ".part")
    with part.open("wb") as file:
        np.savez(file, **content)
    part.rename(root / ARRAYS)
    seal("tiny_imagenet", root)


def _decode(named: list[tuple[str, bytes]]) -> np.ndarray:
    results = decode.attempt(lambda entry: _one(*entry), named)
    decode.settle(results, "refuse")
    return torch.stack(results).numpy()


def _one(name: str, content: bytes) -> torch.Tensor:
    picture = decode.image(content, name)
    if picture.shape != (3, SIDE, SIDE):
        raise decode.Damaged(f"{name}: {tuple(picture.shape[1:])} pixels instead of {SIDE} x {SIDE}")
    return picture
