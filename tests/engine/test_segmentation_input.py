"""Pairs that cannot be right are refused where they are read, by file, value and number."""

import numpy as np
import pytest
import torch
from PIL import Image

from das import data
from das.data.batches import Batches
from das.errors import DasError


@pytest.fixture
def pairs(tmp_path):
    """Two training pairs and a test pair of 8 x 8 pixels, and a way to replace a training mask."""
    (tmp_path / "classes.txt").write_text("ground\nroof\n")
    for split, names in {"train": ("a", "b"), "test": ("c",)}.items():
        for name in names:
            for kind in ("images", "masks"):
                (tmp_path / split / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (90, 80, 70)).save(tmp_path / split / "images" / f"{name}.png")
            Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / split / "masks" / f"{name}.png")
    return tmp_path


def read(root):
    train = data.load("pairs", root=root, options={"size": 8}).train
    return [masks for _, masks in Batches(train, 2, workers=1).epoch()]


def replace(root, picture: Image.Image):
    picture.save(root / "train/masks/b.png")


def test_good_pairs_are_read(pairs):
    (masks,) = read(pairs)
    assert torch.equal(masks, torch.eye(8, dtype=torch.int64).expand(2, 8, 8))


def test_a_mask_of_another_size(pairs):
    replace(pairs, Image.new("L", (8, 7)))
    with pytest.raises(DasError, match=r"masks/b\.png: mask is \(7, 8\), its image \(8, 8\)"):
        read(pairs)


def test_a_value_that_is_no_class(pairs):
    values = np.zeros((8, 8), np.uint8)
    values[0, :3] = 7
    values[1] = 255
    replace(pairs, Image.fromarray(values))
    with pytest.raises(DasError, match=r"masks/b\.png: holds 7 \(3 pixels\), which are no class; use 0 to 1, or 255"):
        read(pairs)


def test_a_palette_mask_that_was_saved_as_colors(pairs):
    replace(pairs, Image.new("RGB", (8, 8), (128, 0, 0)))
    with pytest.raises(DasError, match=r"masks/b\.png: mode RGB; a mask is a gray or palette PNG"):
        read(pairs)


def test_a_palette_mask_is_read_by_its_indices(pairs):
    picture = Image.fromarray(np.eye(8, dtype=np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 255, 255] * 128)
    replace(pairs, picture)
    assert torch.equal(read(pairs)[0][1], torch.eye(8, dtype=torch.int64))


@pytest.mark.parametrize("text", ["", "\n\n", "ground\n"])
def test_an_empty_list_of_classes(pairs, text):
    (pairs / "classes.txt").write_text(text)
    with pytest.raises(DasError, match=r"classes\.txt: names [01] classes; write 2 to 255"):
        read(pairs)
