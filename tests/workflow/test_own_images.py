"""A user's own folder of images: searched, trained and used from Python, without code of the user's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from das.engine.checkpoint import load_model

ROOT = Path(__file__).parents[2]
STUDY = """
study: {{name: mine, datasets: [mine], methods: [baseline, das], seeds: [0]}}
datasets:
  mine: {{title: Mine, reader: folder, root: "{root}", options: {{size: 24}}, recipe: short, augment: [random_flip]}}
recipes: {{short: {{epochs: 8, batch_size: 16, lr: 0.05}}}}
searches: {{quick: {{epochs: 1, batch_size: 16}}}}
"""


@pytest.fixture
def project(tmp_path):
    """Four classes of photographs: one colored quarter each, on noise, of several sizes."""
    draws = np.random.default_rng(0)
    for label, (top, left) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        for number in range(30):
            height, width = draws.integers(30, 50, 2)
            pixels = draws.integers(0, 90, (height, width, 3), dtype=np.uint8)
            pixels[top * height // 2 :, left * width // 2 :][: height // 2, : width // 2, label % 3] = 250
            folder = tmp_path / "photos" / "abcd"[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "mine.yaml").write_text(STUDY.format(root=tmp_path / "photos"))
    return tmp_path


def das(project, *arguments):
    studies = ("--study", ROOT / "params.yaml", "--study", "mine.yaml")
    command = [Path(sys.executable).parent / "das", *arguments, *studies]
    return subprocess.run(list(map(str, command)), cwd=project, capture_output=True, text=True)


def test_search_train_and_use(project):
    for command in (("search", "mine", "resnet8", "searched"), ("train", "mine", "resnet8", "das")):
        done = das(project, *command)
        assert done.returncode == 0, done.stderr
    number = json.loads((project / "results/numbers/mine/mine/resnet8/das/seed0.json").read_text())
    assert number["last"]["accuracy"] > 0.5  # four classes that a network of this size can tell apart
    model = load_model(project / "results/checkpoints/mine/mine/resnet8/das/seed0.pt")
    assert model.classes == ("a", "b", "c", "d")
    assert model(torch.rand(5, 3, 24, 24)).shape == (5, 4)


def test_a_damaged_image_is_named(project):
    (project / "photos/c/7.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    done = das(project, "train", "mine", "resnet8", "baseline")
    assert done.returncode == 1
    assert "c/7.png" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_images_that_are_added_have_everything_made_again(project):
    """Also where a natural place for images is: under data/raw, where published sets are fetched to."""
    (project / "data/raw").mkdir(parents=True)
    (project / "photos").rename(project / "data/raw/mine")
    for name in ("Snakefile", "workflow", "profiles", "params.yaml"):
        (project / name).symlink_to(ROOT / name)
    number = "results/numbers/mine/mine/resnet8/baseline/seed0.json"
    root = project / "data/raw/mine"
    study = (
        STUDY.format(root="data/raw/mine").replace("[baseline, das]", "[baseline]").replace("epochs: 8", "epochs: 1")
    )
    (project / "mine.yaml").write_text(study)

    def planned(*arguments) -> str:
        command = [Path(sys.executable).parent / "snakemake", "--cores", "1", number, *arguments, "--configfile"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run([*map(str, command), "mine.yaml"], cwd=project, env=os.environ | {"PATH": path},
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        return done.stdout

    made = planned()
    assert (project / number).is_file(), made
    assert "fetch" not in made
    Image.fromarray(np.full((30, 30, 3), 7, np.uint8)).save(root / "a/new.png")
    again = planned("-n")
    assert f"{number}: was made from other images" in again
    assert "describe mine" in again
    assert "train baseline on mine" in again
    root.rename(project / "elsewhere")
    assert "root: data/raw/mine is not there; data set 'Mine'" in planned("-n")
