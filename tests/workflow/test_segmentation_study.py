"""The segmentation study is asked for in two ways, by its name and by its file, and is the same work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def snakemake(project: Path, *arguments: str) -> str:
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        [binaries / "snakemake", "--cores", "1", *arguments],
        cwd=project,
        env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_what_was_made_by_name_is_not_made_again_by_file(tmp_path):
    for name in ("Snakefile", "workflow", "profiles", "params.yaml", "config"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "data").symlink_to(ROOT / "data")
    path = tmp_path / "config/segmentation.yaml"
    study = yaml.safe_load(path.read_text())
    study["study"] |= {"methods": ["baseline"], "seeds": [0]}
    study["datasets"]["land_cover"]["options"] = {"train_tiles": 16, "test_tiles": 4}
    study["recipes"]["land_cover"] |= {"epochs": 1, "batch_size": 8}
    path.write_text(yaml.safe_dump(study))

    snakemake(tmp_path, "results/tables/segmentation")
    made = (tmp_path / "results/tables/segmentation/segmentation.csv").read_text()
    assert made.count("\n") == 2
    again = snakemake(tmp_path, "results/tables", "--dry-run", "--configfile", "config/segmentation.yaml")
    assert "Nothing to be done" in again
    study["recipes"]["land_cover"]["lr"] = 0.01
    path.write_text(yaml.safe_dump(study))
    for how in (["results/tables/segmentation"], ["results/tables", "--configfile", "config/segmentation.yaml"]):
        assert "train baseline on land_cover" in snakemake(tmp_path, "--dry-run", *how)
