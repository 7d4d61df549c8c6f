"""One's own segmentation data: a folder of images beside a folder of masks."""

from collections.abc import Sequence
from pathlib import Path

import torch

from das.data import pictures
from das.data.prepared import damaged as find_damaged
from das.data.prepared import drop_damaged
from das.data.sets import Dataset, FileSet
from das.errors import DasError


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read ``root``/{train,test}/images/<name>.{jpg,jpeg,png} with masks/<name>.png beside, and ``root``/classes.txt.

    classes.txt names a class a line; a mask's value is the class's place in it, from 0, or 255 where nothing counts.
    """
    names = root / "classes.txt"
    if not names.is_file():
        raise DasError(f"{names}: not found; write the names of the classes there, one a line, in the masks' order")
    classes = tuple(filter(None, map(str.strip, names.read_text().splitlines())))
    if len(classes) < 2:
        raise DasError(f"{names}: names {len(classes)} classes; write two or more, one a line, in the masks' order")

    def split(name: str) -> FileSet:
        images = root / name / "images"
        files = sorted(f for f in images.glob("*") if f.suffix.lower() in pictures.SUFFIXES)
        if not files:
            raise DasError(f"{images}: holds no image ({', '.join(sorted(pictures.SUFFIXES))})")
        pairs = matched(root, files, [root / name / "masks" / f"{f.stem}.png" for f in files], options["size"], classes)
        if options["damaged"] == "refuse":  # when it is reached
            return pairs
        bad = find_damaged(root, files)
        return pairs.subset(torch.tensor(drop_damaged(files, root, bad, "skip")))

    return Dataset(reader, split, classes)


def matched(root: Path, files: list[Path], masks: list[Path], size: int, classes: Sequence[str]) -> FileSet:
    """Return the set of images and masks; DasError names an image or a mask that is not there."""
    for path in (*files, *masks):
        if not path.is_file():
            raise DasError(f"{path}: not found; every image needs its mask and every mask its image")
    return FileSet(root, tuple(files), tuple(masks), size, classes=len(classes))
