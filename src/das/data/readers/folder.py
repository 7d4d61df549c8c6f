"""One's own folder of images: a folder a class, below train/ and test/ or, to be split here, at once."""

from pathlib import Path

import torch

from das.data import decode, pictures, splits
from das.data.crops import Center
from das.data.sets import Dataset, FileSet, ImageSet
from das.errors import DasError


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read ``root``/{train,test}/<class>/*.{jpg,jpeg,png}, or ``root``/<class>/* and hold out ``test_fraction``.

    Images are resized to ``size`` on the shorter side and cut to the central square, in memory; with ``stream`` they
    stay in their files. Classes are numbered in the order of their names.
    """
    if not root.is_dir():
        raise DasError(f"{root}: no such folder of images")
    divided = (root / "train").is_dir() and (root / "test").is_dir()
    classes = _folders(root / "train" if divided else root)

    def split(name: str) -> FileSet | ImageSet:
        listed = _listed(root / name if divided else root, classes, root, options["size"])
        if not divided:
            parts = splits.holdout(listed.strata, options["test_fraction"], reader)
            listed = listed.subset(parts[0 if name == "train" else 1])
        return _settle(listed, **{key: options[key] for key in ("stream", "damaged")})

    return Dataset(reader, split, classes, {s: options[f"{s}_per_class"] for s in ("train", "test")})


def _folders(root: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    if len(names) < 2:
        raise DasError(f"{root}: holds {len(names)} class folders; at least 2 are needed, one a class")
    return names


def _listed(part: Path, classes: tuple[str, ...], root: Path, size: int) -> FileSet:
    files, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(file for file in (part / name).rglob("*") if file.suffix.lower() in pictures.SUFFIXES)
        if not found:
            raise DasError(f"{part / name}: holds no image ({', '.join(sorted(pictures.SUFFIXES))})")
        files += found
        labels += [label] * len(found)
    return FileSet(root, tuple(files), torch.tensor(labels), size, upright=True)


def _settle(listed: FileSet, stream: bool, damaged: str) -> FileSet | ImageSet:
    """Deal with damaged images and, unless the set is streamed, read it into memory."""
    if stream and damaged == "refuse":  # a damaged image is refused when it is reached
        return listed
    framing = Center(listed.size)

    def image(index: int) -> torch.Tensor | None:
        picture, _ = listed.item(index, framing, ())
        return None if stream else picture

    results = decode.attempt(image, range(len(listed)))
    keep = decode.settle(results, damaged)
    if stream:
        return listed.subset(torch.tensor(keep))
    return ImageSet(torch.stack([results[i] for i in keep]), listed.targets[keep])
