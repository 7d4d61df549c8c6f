"""Restoring 1,000 small files from a folder, beside `dvc pull` alone, and tracing what a number rests on.

python -m benchmarks.trust
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path

import yaml

from benchmarks._measure import write
from das.files import publish
from das.seals import sealed
from das.study import load_study, results
from das.study.schema import Study

ROOT = Path(__file__).parents[1]
BINARIES = Path(sys.executable).parent
REPETITIONS = 5
SEEDS = 334  # of one method, with three files each
CHECKPOINT = 3000  # bytes
FACTS = {"cost": {"wall_s": 1.0, "device_s": 1.0, "peak_memory_bytes": 1}, "machine": {"device": "CPU"}}


def call(folder: Path, *command: str) -> str:
    path = f"{BINARIES}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def publish_all(study: Study) -> None:
    """What the study's runs would leave."""
    for run in results.everything(study):
        number = {"number": run.identity, "settings": run.settings, "digests": {"settings": run.digest}}
        contents = {"checkpoint": f"{run.seed:0{CHECKPOINT}d}", "number": json.dumps(number, indent=1)}
        results.publish(run, contents, results.inputs(run), FACTS)
    for card, data in results.cards(study).items():
        publish(card, sealed({"made_from": results.card_source(data)}))
    Path("results/policies/many/fashion_mnist/resnet8").mkdir(parents=True)  # so that DVC finds a whole chain


def saved(place: Path) -> Path:
    """A project whose results, published without being made, were saved in a folder beside it."""
    project = place / "project"
    project.mkdir()
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, project / name)
    (project / "data").symlink_to(ROOT / "data")
    study = yaml.safe_load((ROOT / "params.yaml").read_text())
    study["study"] |= {"name": "many", "methods": ["baseline"], "seeds": list(range(SEEDS))}
    (project / "params.yaml").write_text(yaml.safe_dump(study))
    with chdir(project):
        publish_all(load_study(["params.yaml"]))
    for command in (("init", "-q"), ("config", "user.email", "a@b"), ("config", "user.name", "a")):
        call(project, "git", *command)
    call(project, "dvc", "init", "-q")
    call(project, "dvc", "remote", "add", "-q", "-d", "folder", str(place / "remote"))
    call(project, "das", "save")
    call(project, "git", "add", "-A")
    call(project, "git", "commit", "-qm", "made")
    return project


def restoring(project: Path, *command: str) -> float:
    """Seconds of ``command`` in a fresh clone with an empty cache."""
    clone = project.parent / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    call(project.parent, "git", "clone", "-q", "project", "clone")
    start = time.perf_counter()
    call(clone, *command)
    seconds = time.perf_counter() - start
    assert len(list((clone / "results/numbers").rglob("*.json"))) == 2 * SEEDS
    return seconds


def tracing(folder: Path) -> tuple[float, float]:
    """Seconds of `das verify` as a process, and milliseconds a result as it says itself."""
    start = time.perf_counter()
    said = call(folder, "das", "verify").splitlines()[-1]
    return time.perf_counter() - start, float(said.split("(")[1].split(" ms")[0])


def main() -> None:
    project = saved(Path(tempfile.mkdtemp()))
    stages = ("data@fashion_mnist", "checkpoints@fashion_mnist-resnet8", "numbers@fashion_mnist-resnet8")
    pull = ("dvc", "pull", *stages)
    times = [(restoring(project, *pull), restoring(project, "das", "restore")) for _ in range(REPETITIONS)]
    alone, restored = (min(column) for column in zip(*times, strict=True))
    first, first_each = tracing(project.parent / "clone")
    again, again_each = min(tracing(project.parent / "clone") for _ in range(REPETITIONS))
    rows = [
        (f"`dvc pull` of {3 * SEEDS + 1} files from a folder", alone),
        ("`das restore` of the same, each file vouched for", restored),
        (f"`das verify` of {SEEDS} numbers just restored ({first_each} ms each after start)", first),
        (f"`das verify` once more ({again_each} ms each after start)", again),
    ]
    write("trust", "Restoring and tracing", [
        {"what": what, "seconds": seconds, "times `dvc pull`": seconds / alone} for what, seconds in rows
    ])  # fmt: skip


if __name__ == "__main__":
    main()
