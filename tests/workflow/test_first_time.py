"""A first-time user's path: from a folder of photographs to a table of predictions in four commands."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from das import data

ROOT = Path(__file__).parents[2]
CLASSES = {"bag": "Bag", "boot": "Ankle boot", "shirt": "T-shirt/top", "trousers": "Trouser"}
HELD = 10  # photographs a class that the study never sees


@pytest.fixture
def project(tmp_path):
    """A project, and real images as JPEG files: 40 a class below photos, HELD others a class below new_photos."""
    for name in ("Snakefile", "workflow", "profiles", "params.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    fashion = data.load("fashion_mnist_embedded", root=ROOT / "data/embedded/fashion_mnist")
    for name, title in CLASSES.items():
        label = fashion.classes.index(title)
        for folder, part, count in (("photos", fashion.train, 40), ("new_photos", fashion.test, HELD)):
            (tmp_path / folder / name).mkdir(parents=True)
            for number, picture in enumerate(part.images[part.labels == label][:count, 0]):
                Image.fromarray(picture.numpy()).save(tmp_path / folder / name / f"{number}.jpg", quality=95)
    return tmp_path


@pytest.mark.long
def test_four_commands_from_photographs_to_predictions(project):
    binaries = Path(sys.executable).parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DAS_")}
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    checkpoint = "results/checkpoints/mine/mine/resnet8/das_one_edge/seed0.pt"
    spent = {}
    for command in (
        "das new mine photos",
        "snakemake --cores 2 all results/tables --configfile mine.yaml",
        f"das test {checkpoint} new_photos report",
        f"das predict {checkpoint} new_photos --csv predictions.csv",
    ):
        start = time.monotonic()
        done = subprocess.run(command.split(), cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        spent[" ".join(command.split()[:2])] = time.monotonic() - start
    for command, seconds in spent.items():
        print(f"{command}: {seconds:.0f} s")  # pytest -s shows them
    study = yaml.safe_load((project / "mine.yaml").read_text())
    assert study["datasets"]["mine"]["root"] == "photos"
    table = pd.read_csv(project / "predictions.csv")
    truth = table.file.map(lambda file: Path(file).parent.name)
    assert len(table) == HELD * len(CLASSES)
    assert (table.prediction == truth).mean() > 0.85  # four classes that are easy to tell apart
    assert (project / "report.png").is_file()
    assert sum(spent.values()) < 600
