"""A study that `das new` writes: valid as it is, and as its own comments say."""

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from das.cli.images import new
from das.data import examine
from das.errors import DasError
from das.study import load_study, of_study
from das.study.new import Found, write

ROOT = Path(__file__).parents[2]
READERS, DEVICES = ("folder", "pairs"), ("cpu", "cuda")
CASES = list(product(READERS, (4, 120, 280, 1200, 4000, 60000), (20, 90, 2000), DEVICES, (False, True)))


@pytest.mark.parametrize(("reader", "train", "shorter", "device", "pretrained"), CASES[::5])
def test_what_is_written_is_valid_and_keeps_to_its_rules(tmp_path, reader, train, shorter, device, pretrained):
    text = write("mine", "some folder/with: signs", Found(reader, train, 50, 3, shorter, device, pretrained))
    (tmp_path / "mine.yaml").write_text(text)
    study = load_study([ROOT / "params.yaml", tmp_path / "mine.yaml"])
    assert [run.how.policy for run in of_study(study)] == [None, "one_edge"]
    mine, recipe, search = study.datasets["mine"], study.recipes["mine"], study.searches["fast"]
    assert mine.root == "some folder/with: signs"
    assert mine.options["size"] <= max(32, shorter)
    kept = train - int(train * (recipe.validation or 0))
    steps = recipe.epochs * (kept // recipe.batch_size)
    assert steps >= 1000 or recipe.epochs == 200
    assert recipe.epochs == 20 or (recipe.epochs - 1) * (kept // recipe.batch_size) < 1000
    assert search.epochs * (train // 2 // search.batch_size) >= 300 or search.epochs == 200
    assert (recipe.validation is None) == (train < 1000)
    assert (recipe.optimizer == "adamw") == (train < 5000 or pretrained)
    assert f": {steps} steps\n" in text
    assert "rest on a few measurements of one data set" in text


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").symlink_to(ROOT / "params.yaml")
    for name, number in product(("ant", "bee"), range(10)):
        Path("photos", name).mkdir(parents=True, exist_ok=True)
        pixels = np.full((40 + number, 60, 3), 7 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{name}/{number}.png")
    monkeypatch.setattr(examine, "weights_can_be_had", lambda: False)
    return tmp_path


def test_the_command_looks_at_the_folder(project, capsys):
    Path("photos/ant/0.png").write_text("no picture")
    new("mine", project / "photos")
    content = yaml.safe_load(Path("mine.yaml").read_text())
    assert content["datasets"]["mine"]["root"] == "photos"
    assert content["datasets"]["mine"]["options"] == {"size": 40}  # the shorter sides are 40 to 49, their median 45
    assert "# Found: 16 training and 4 test images of 2 classes" in Path("mine.yaml").read_text()
    assert "--configfile mine.yaml" in capsys.readouterr().out
    with pytest.raises(DasError, match=r"mine\.yaml: is there already"):
        new("mine", project / "photos")


@pytest.mark.parametrize(
    ("parts", "kinds"), [("Train Test", "images masks"), (".", "images masks"), (".", "Images Masks")]
)
@pytest.mark.parametrize("archived", [False, True])
def test_pairs_are_known_by_their_folders(project, parts, kinds, archived):
    for part, kind, number in product(parts.split(), kinds.split(), range(6)):
        Path("pairs", part, kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 64), number % 2, dtype=np.uint8)).save(f"pairs/{part}/{kind}/{number}.png")
    Path("pairs/classes.txt").write_text("sky\nearth\n")
    root = Path(shutil.make_archive("packed", "zip", "pairs")) if archived else Path("pairs")
    new("land", project / root, project / "elsewhere.yaml")
    study = load_study(["params.yaml", "elsewhere.yaml"])
    assert study.task == "segmentation"
    assert study.recipes["land"].batch_size in (2, 3)


def test_what_cannot_be_a_study_leaves_no_file(project):
    with pytest.raises(DasError, match=r"NAME: is 'My photos'; should be small letters"):
        new("My photos", project / "photos", project / "mine.yaml")
    with pytest.raises(DasError, match="nowhere: no such folder"):
        new("mine", project / "nowhere")
    Path("params.yaml").unlink()
    with pytest.raises(DasError, match=r"params\.yaml: cannot be read"):
        new("mine", project / "photos")
    assert not list(project.glob("*mine*"))
