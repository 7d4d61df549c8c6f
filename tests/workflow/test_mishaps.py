"""What happens to users, by the workflow and DVC as they run them: minutes each."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.workflow.project import FOLDER, ROOT, TINY, layered, project_in, snakemake

pytestmark = pytest.mark.long
NUMBERS = FOLDER.format(study="tiny")


def made_files(project: Path) -> dict[str, bytes]:
    kinds = ("policies", "numbers", "checkpoints")
    paths = [path for kind in kinds for path in sorted((project / "results" / kind).rglob("seed0*"))]
    return {str(path): path.read_bytes() for path in paths if ".run." not in path.name}


@pytest.fixture
def project(tmp_path):
    made = project_in(tmp_path)
    snakemake(made, TINY, "results/tables")
    return made


def test_a_wrong_rate_costs_nothing(project):
    """Snakemake deletes what is made again before it is made; then the training fails."""
    before = made_files(project)
    shutil.rmtree(project / "results/store")  # as after `dvc pull`
    wrong = layered(TINY, recipes={"tiny": {"epochs": 1, "batch_size": 20, "lr": 1e30}})
    failed = snakemake(project, wrong, "results/tables", "--keep-going", fails=True)
    assert "the loss is nan in epoch 1; lower recipes.*.lr" in failed
    assert not list((project / NUMBERS).rglob("seed0.json"))
    snakemake(project, TINY, "results/tables")
    assert made_files(project) == before
    logs = (project / "results/logs/numbers/tiny").rglob("seed0.log")
    assert all("taken from the store" in log.read_text() for log in logs)


def test_a_clock_a_day_behind_loses_nothing(project):
    before = made_files(project)
    tomorrow = time.time() + 86400
    (project / NUMBERS / "das/seed0.json").write_text("{}")
    for path in (project / "results").rglob("*"):
        if path.is_file() and "store" not in path.parts:
            os.utime(path, (tomorrow, tomorrow))
    shutil.rmtree(project / "results/policies/tiny/few/resnet8/searched")
    said = snakemake(project, TINY, "results/tables")
    assert "das/seed0.json is not the file that was made" in said
    assert made_files(project) == before
    assert "Nothing to be done" in snakemake(project, TINY, "results/tables")


def tool(folder: Path, *command: str) -> str:
    binaries = Path(sys.executable).parent
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_dvc_certifies_no_number_of_other_settings(tmp_path):
    """Make, commit, push; clone, pull; change a rate: trainings are planned, and `dvc repro` records what they give."""
    first, clone = tmp_path / "first", tmp_path / "clone"
    first.mkdir()
    for name in ("Snakefile", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, first / name)
    for name in ("workflow", "profiles", "src", "data/embedded", "data/published"):
        shutil.copytree(ROOT / name, first / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    study = layered(params, **layered(TINY, study={"methods": ["baseline", "das"]}))
    (first / "params.yaml").write_text(yaml.safe_dump(study))
    tool(first, "git", "init", "-q")
    tool(first, "git", "config", "user.email", "a@b")
    tool(first, "git", "config", "user.name", "a")
    tool(first, "dvc", "init", "-q")
    tool(first, "dvc", "remote", "add", "-d", "folder", str(tmp_path / "remote"))
    tool(first, "snakemake", "--cores", "2", "results/tables", "results/summary")
    tool(first, "das", "save")
    tool(first, sys.executable, "-c", "import sys; sys.path.insert(0, 'src'); import das.study")
    assert list((first / "src").rglob("*.pyc"))
    assert tool(first, "dvc", "status").split() == ["data@few:", "always", "changed"]
    tool(first, "git", "add", "-A")
    tool(first, "git", "commit", "-qm", "made")

    tool(tmp_path, "git", "clone", "-q", "first", "clone")
    tool(clone, "dvc", "pull")
    study["recipes"]["tiny"]["lr"] = 0.06
    (clone / "params.yaml").write_text(yaml.safe_dump(study))
    planned = tool(clone, "snakemake", "--cores", "2", "results/tables", "--dry-run")
    assert planned.count("was made with other settings; it is made again") == 2
    tool(clone, "dvc", "repro")
    certified = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]["numbers@few-resnet8"]
    assert certified["params"]["params.yaml"]["recipes"]["tiny"]["lr"] == 0.06
    for method in ("baseline", "das"):
        number = json.loads((clone / NUMBERS / method / "seed0.json").read_text())
        assert number["settings"]["recipe"]["lr"] == 0.06


def test_dvc_brings_damaged_files_that_are_named(tmp_path, project):
    """An object of the remote is damaged: DVC links it into place and calls it clean."""
    before = made_files(project)
    number = project / NUMBERS / "das/seed0.json"
    number.write_bytes(number.read_bytes().replace(b'"accuracy": 0.', b'"accuracy": 0.9', 1))
    for path in (project / ".snakemake", project / "results/store", project / "results/work"):
        shutil.rmtree(path)
    said = snakemake(project, TINY, "results/tables")
    assert "das/seed0.json is not the file that was made" in said
    assert made_files(project) == before
