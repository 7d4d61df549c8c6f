"""One's own segmentation data: a folder of images beside a folder of masks."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from das.data import decode, listing, masks, paired, splits, unpacked
from das.data.pictures import Damaged, content
from das.data.sets import Dataset, FileSet
from das.errors import DasError


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read what `das.data.paired.pairs` finds below ``root``, a folder or an archive of one.

    A mask's values are places in classes.txt, from 0, or 255 where nothing counts, unless ``values`` and ``ignore`` say
    otherwise. All masks of a part, and the headers of its images, are looked through before it is used: DasError names
    all that is wrong, ``damaged: skip`` goes on without what cannot be decoded. How many pixels each class has is said.
    """
    found = paired.pairs(unpacked.folder_of(root), options["mask_ending"])
    table = masks.table(found.classes, options["values"], options["ignore"])
    refused, broken = options["damaged"] == "refuse", found.left_out.broken()
    listing.refuse(root, [*found.faults, *(broken if refused else ())])
    said = [*found.lines(), *found.notes, *found.left_out.lines(), *listing.repetitions(found.root, found.parts)]
    print("\n".join([*said, *(f"left out: {one}" for one in broken)]), flush=True)

    def split(name: str) -> FileSet:
        files, labels = zip(*found.parts[name if found.divided else listing.WHOLE], strict=True)
        pairs = FileSet(found.root, files, labels, options["size"], table=table, upright=True)
        if not found.divided:
            parts = splits.holdout(pairs.strata, options["test_fraction"], reader)
            pairs = pairs.subset(parts[0 if name == "train" else 1])
        looks = decode.attempt(lambda k: paired.look(pairs.files[k], pairs.targets[k], table), range(len(pairs)))
        listing.refuse(root, [fault for one in looks for fault in (*one.wrong, *(one.damaged if refused else ()))])
        if name == "train":
            print("\n".join(paired.shares(found.classes, looks)), flush=True)
            if never := paired.absent(found.classes, looks):
                warnings.warn(f"{root}: {never}", stacklevel=2)
        return pairs if refused else _undamaged(pairs, looks)

    return Dataset(reader, split, found.classes, colors=table.colors())


def _undamaged(pairs: FileSet, looks: Sequence[paired.Look]) -> FileSet:
    """The pairs whose images and masks can be decoded; the others are named."""

    def image(index: int) -> None:
        for fault in looks[index].damaged:
            raise Damaged(fault)
        decode.image(content(pairs.files[index]), pairs.files[index])

    keep = decode.settle(decode.attempt(image, range(len(pairs))), "skip")
    if not keep:
        raise DasError(f"{pairs.root}: no image is left without the damaged ones")
    return pairs.subset(torch.tensor(keep))


def matched(root: Path, files: list[Path], labels: list[Path], size: int, classes: Sequence[str]) -> FileSet:
    """Return the set of images and masks; DasError names an image or a mask that is not there."""
    for path in (*files, *labels):
        if not path.is_file():
            raise DasError(f"{path}: not found; every image needs its mask and every mask its image")
    return FileSet(root, tuple(files), tuple(labels), size, table=masks.Table(len(classes)))
