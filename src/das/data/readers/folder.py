"""One's own images: a folder a class, below train/ and test/ or at once, or as a CSV of labels says."""

from pathlib import Path

import torch

from das.data import decode, listing, splits, unpacked
from das.data.crops import Center
from das.data.sets import Dataset, FileSet, ImageSet
from das.errors import DasError


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read what `das.data.listing.images` finds below ``root``, a folder or an archive of one.

    Images are resized and cut to the central box of shape ``size``, in memory; with ``stream`` they stay in their
    files. Classes are numbered in the order of their names. What was found is said, a line a class. Raises DasError
    for a layout that cannot be read as meant, for classes with too few images, and for files that cannot be read.
    """
    found = listing.images(unpacked.folder_of(root), options["labels"])
    share, broken = options["test_fraction"], found.left_out.broken()
    listing.refuse(root, [*found.faults, *found.poor(share), *(broken if options["damaged"] == "refuse" else ())])
    said = [*found.lines(share), *found.notes, *found.left_out.lines(), *listing.repetitions(found.root, found.parts)]
    print("\n".join([*said, *(f"left out: {one}" for one in broken)]), flush=True)

    def split(name: str) -> FileSet | ImageSet:
        files, labels = zip(*found.parts[name if found.divided else listing.WHOLE], strict=True)
        images = FileSet(found.root, files, torch.tensor(labels), options["size"], upright=True)
        if not found.divided:
            parts = splits.holdout(images.strata, share, reader)
            images = images.subset(parts[0 if name == "train" else 1])
        return _settle(images, options["stream"], options["damaged"], found.classes)

    return Dataset(reader, split, found.classes, {s: options[f"{s}_per_class"] for s in ("train", "test")})


def _settle(listed: FileSet, stream: bool, damaged: str, classes: tuple[str, ...]) -> FileSet | ImageSet:
    """Deal with damaged images and, unless the set is streamed, read it into memory."""
    if stream and damaged == "refuse":  # a damaged image is refused when it is reached
        return listed
    framing = Center(listed.size)

    def image(index: int) -> torch.Tensor | None:
        picture, _ = listed.item(index, framing, ())
        return None if stream else picture

    results = decode.attempt(image, range(len(listed)))
    keep = torch.tensor(decode.settle(results, damaged), dtype=torch.int64)
    left = torch.bincount(listed.targets[keep], minlength=len(classes))
    if not left.min():
        raise DasError(f"{listed.root}: no image of class {classes[int(left.argmin())]!r} is left without damaged ones")
    if stream:
        return listed.subset(keep)
    return ImageSet(torch.stack([results[i] for i in keep]), listed.targets[keep])
