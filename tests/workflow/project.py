"""A project folder with a tiny study, and Snakemake in it as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TINY = {
    "study": {"name": "tiny", "datasets": ["few"], "methods": ["baseline", "random", "das"], "seeds": [0]},
    "datasets": {
        "few": {
            "title": "Few images",
            "reader": "fashion_mnist_embedded",
            "options": {"train_per_class": 8, "test_per_class": 4},
            "recipe": "tiny",
            "augment": ["random_flip"],
        }
    },
    "recipes": {"tiny": {"epochs": 1, "batch_size": 20, "lr": 0.05}},
    "searches": {"quick": {"epochs": 1, "batch_size": 20}},
}
FOLDER = "results/numbers/{study}/few/resnet8"


def project_in(folder: Path) -> Path:
    for name in ("Snakefile", "workflow", "profiles", "params.yaml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "data").symlink_to(ROOT / "data")
    return folder


def layered(content: dict, **changes) -> dict:
    return content | {key: content.get(key, {}) | value for key, value in changes.items()}


def snakemake(project: Path, study: dict, *arguments: str, fails: bool = False) -> str:
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        [binaries / "snakemake", "--cores", "2", *arguments, "--configfile", "study.yaml"],
        cwd=project,
        env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout
