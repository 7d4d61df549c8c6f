"""Cityscapes, fine annotations, 19 classes: train (2975 images) and val (500) as test."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from das.data import archives, decode
from das.data.crops import IGNORE
from das.data.prepared import damaged, drop_damaged, folder, require, seal
from das.data.readers.pairs import matched
from das.data.sets import Dataset, FileSet

IMAGES, MASKS = "leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"
# id in the official masks of each class that is trained, and its color: cityscapesScripts, helpers/labels.py
TRAIN_IDS = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
COLORS = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
    (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70),
    (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read what `prepare` made in ``root``."""
    facts = require(reader, root)

    def split(name: str) -> FileSet:
        part = "train" if name == "train" else "val"
        files = sorted((root / "images" / part).glob("*.png"))
        masks = [root / "masks" / part / file.name for file in files]
        pairs = matched(root, files, masks, options["size"], tuple(TRAIN_IDS.values()))
        return pairs.subset(torch.tensor(drop_damaged(files, root, facts["damaged"], options["damaged"])))

    return Dataset(reader, split, tuple(TRAIN_IDS.values()), colors=COLORS)


def prepare(root: Path) -> None:
    """Unpack into ``root``/{images,masks}/{train,val}/, masks with train ids 0 to 18 and 255 for what is ignored."""
    archives.make_room(root, root / IMAGES, root / MASKS)
    train_id = np.full(256, IGNORE, np.uint8)
    train_id[list(TRAIN_IDS)] = np.arange(len(TRAIN_IDS))

    def place(suffix: str):
        # <kind>/<split>/<city>/<city>_<sequence>_<frame><suffix>
        def wanted(name: str) -> str | None:
            parts = name.split("/")
            keep = name.endswith(suffix) and len(parts) == 4 and parts[1] in ("train", "val")
            return f"{parts[1]}/{parts[3].removesuffix(suffix)}.png" if keep else None

        return wanted

    with folder(root / "images") as images, folder(root / "masks") as masks:
        archives.extract(root / IMAGES, images, place("_leftImg8bit.png"))
        archives.extract(root / MASKS, masks, place("_gtFine_labelIds.png"))
        for file in masks.glob("*/*.png"):
            Image.fromarray(train_id[decode.mask(file.read_bytes(), file).numpy()]).save(file)
    files = sorted((root / "images").glob("*/*.png"))
    seal("cityscapes", root, damaged=damaged(root, files))
