"""Pascal VOC 2012 segmentation: train (1464 images) and val (1449) as test; optionally trained on SBD's masks too."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from das.data import archives, colors
from das.data.prepared import damaged, drop_damaged, folder, require, seal
from das.data.readers.pairs import matched
from das.data.sets import Dataset, FileSet
from das.errors import DasError

VOC, SBD = "VOCtrainval_11-May-2012.tar", "benchmark.tgz"
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip  # the order of the masks' values: the VOC 2012 development kit


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read what `prepare` made in ``root``; ``augmented`` trains on SBD's images as well (10,582 in all)."""
    facts = require(reader, root)
    if options["augmented"] and not facts["augmented"]:
        raise DasError(f"options.augmented: {root / SBD} was not there when {root} was prepared; fetch it and prepare")
    lists = {"train": "augmented" if options["augmented"] else "train", "test": "val"}

    def split(name: str) -> FileSet:
        ids = facts[lists[name]]
        files = [root / "images" / f"{i}.jpg" for i in ids]
        pairs = matched(root, files, [root / "masks" / f"{i}.png" for i in ids], options["size"], CLASSES)
        return pairs.subset(torch.tensor(drop_damaged(files, root, facts["damaged"], options["damaged"])))

    return Dataset(reader, split, CLASSES, colors=colors.voc(len(CLASSES)))


def prepare(root: Path) -> None:
    """Unpack the segmentation images and masks of VOC and, if its archive is there, SBD's.

    The augmented training list is what SBD or VOC train annotate, less VOC's val; where both do, VOC's mask is taken.
    """
    archives.make_room(root, root / VOC, root / SBD)
    lists: dict[str, list[str]] = {}
    with folder(root / "images") as images, folder(root / "masks") as masks:
        for name, content in archives.members(root / VOC):
            path = Path(name)
            match path.parts[2:-1]:
                case ("JPEGImages",):
                    (images / path.name).write_bytes(content)
                case ("SegmentationClass",):
                    (masks / path.name).write_bytes(content)
                case ("ImageSets", "Segmentation"):
                    lists[path.stem] = content.decode().split()
        if not {"train", "val"} <= set(lists):
            raise DasError(f"{root / VOC}: holds no ImageSets/Segmentation/train.txt and val.txt; fetch it again")
        augmented = _add_sbd(root / SBD, images, masks, lists) if (root / SBD).is_file() else []
        used = set(lists["train"]) | set(lists["val"]) | set(augmented)
        for image in images.iterdir():
            if image.stem not in used:
                image.unlink()  # annotated for detection only
    seal(
        "voc2012",
        root,
        train=lists["train"],
        val=lists["val"],
        augmented=augmented,
        damaged=damaged(root, sorted((root / "images").iterdir())),
    )


def _add_sbd(path: Path, images: Path, masks: Path, lists: dict[str, list[str]]) -> list[str]:
    """Add SBD's images and masks that VOC has not; return the augmented training list."""
    from scipy.io import loadmat

    annotated = set()
    for name, content in archives.members(path):
        entry = Path(name)
        match entry.parts[1:-1]:
            case ("dataset", "img") if not (images / entry.name).exists():
                (images / entry.name).write_bytes(content)
            case ("dataset", "cls"):
                annotated.add(entry.stem)
                if not (masks / f"{entry.stem}.png").exists():
                    values = loadmat(io.BytesIO(content))["GTcls"][0, 0]["Segmentation"]
                    Image.fromarray(values.astype(np.uint8)).save(masks / f"{entry.stem}.png")
    return sorted((annotated | set(lists["train"])) - set(lists["val"]))
