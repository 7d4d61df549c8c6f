"""What a stranger does: clone, restore, verify; and what DVC, Snakemake and `das verify` say of the same results."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.study.remotes import KINDS
from tests.workflow.project import ROOT, TINY, layered

METHODS = ["baseline", "das"]
NUMBERS = "results/numbers/tiny/few/resnet8"
COPIED = ("Snakefile", "dvc.yaml", ".dvcignore", ".gitignore", "workflow", "profiles", "data/embedded")


def tool(folder: Path, *command: str, fails: bool = False, **environment: str) -> str:
    binaries = Path(sys.executable).parent
    path = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env={**os.environ, **path, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)  # fmt: skip
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def jobs(folder: Path, *targets: str) -> set[str]:
    """What Snakemake would do but gather folders."""
    said = tool(folder, "snakemake", "-n", *targets)
    rules = re.findall(r"^(\w[\w/]*) +\d+$", said.split("Job stats:")[1], re.MULTILINE) if "Job stats:" in said else []
    return {rule for rule in rules if rule != "total" and "/" not in rule}


def files(folder: Path) -> dict[Path, bytes]:
    kinds = ("data", "policies", "checkpoints", "numbers")
    found = (path for kind in kinds for path in (folder / "results" / kind).rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A project under git and DVC in which `dvc repro` made everything."""
    project = tmp_path_factory.mktemp("first") / "project"
    project.mkdir()
    for name in COPIED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, project / name)
    shutil.copytree(ROOT / "data/published", project / "data/published")
    quickstart, tiny = yaml.safe_load((ROOT / "params.yaml").read_text()), layered(TINY, study={"methods": METHODS})
    study = layered(quickstart, **tiny)
    (project / "params.yaml").write_text(yaml.safe_dump(study))
    for command in (("init", "-q"), ("config", "user.email", "a@b"), ("config", "user.name", "a")):
        tool(project, "git", *command)
    tool(project, "dvc", "init", "-q")
    (project / ".dvc/plots").mkdir(exist_ok=True)
    shutil.copy(ROOT / ".dvc/plots/lines.json", project / ".dvc/plots")
    tool(project, "dvc", "repro")
    tool(project, "git", "add", "-A")
    tool(project, "git", "commit", "-qm", "made")
    return project


def cloned(first: Path, place: Path) -> Path:
    tool(place, "git", "clone", "-q", str(first), "clone")
    return place / "clone"


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_restores_and_verifies_at_every_tier(first, tmp_path, kind):
    with KINDS[kind](tmp_path / "server") as remote:
        tool(first, "dvc", "remote", "add", "-q", "-f", kind, remote.url)
        for key, value in remote.settings.items():
            tool(first, "dvc", "remote", "modify", kind, key, value)
        assert tool(first, "das", "save", "--remote", kind, **remote.environment).startswith("dvc.lock: ")
        clone = cloned(first, tmp_path)
        shutil.copy(first / ".dvc/config", clone / ".dvc/config")
        number = f"{NUMBERS}/das/seed0.json"
        assert "2 files restored" in tool(clone, "das", "restore", number, "-r", kind, **remote.environment)
        assert f"{number}: recorded" in tool(clone, "das", "verify", number, fails=True)  # its policy is not here
        tool(clone, "das", "restore", "-r", kind, **remote.environment)
    assert files(clone) == files(first)
    assert jobs(clone, "results/tables", "results/summary") == {"tables", "summary"}
    assert f"{number}: restored" in tool(clone, "das", "verify", number)
    assert f"{number}: evaluated again" in tool(clone, "das", "verify", number, "--again")
    assert f"{number}: evaluated again" in tool(clone, "das", "verify", number)
    assert f"{number}: remade here: the same bytes" in tool(clone, "das", "verify", number, "--remake")
    assert f"{number}: remade here" in tool(clone, "das", "verify", number)
    assert files(clone) == files(first)


@pytest.mark.long
def test_dvc_and_snakemake_agree_about_what_is_done(first, tmp_path):
    clone = cloned(first, tmp_path)
    tool(clone, "dvc", "remote", "add", "-q", "-f", "-d", "folder", str(tmp_path / "remote"))
    tool(first, "dvc", "remote", "add", "-q", "-f", "-d", "folder", str(tmp_path / "remote"))
    tool(first, "das", "save")
    tool(clone, "dvc", "pull")
    done = ["data@few:", "always", "changed"]  # DVC cannot know of images: it asks Snakemake each time
    assert tool(clone, "dvc", "status").split() == done
    assert jobs(clone, "results/tables", "results/summary") == set()
    assert "0 at fault" in tool(clone, "das", "verify")

    number = clone / NUMBERS / "das/seed0.json"
    number.unlink()  # DVC's cache may be what it is linked to
    whole = (first / NUMBERS / "das/seed0.json").read_bytes()
    number.write_bytes(whole.replace(b'"accuracy": 0.', b'"accuracy": 0.9', 1))
    assert "numbers@few-resnet8" in tool(clone, "dvc", "status")
    assert jobs(clone, "results/tables", "results/summary") == {"train", "tables", "summary"}
    assert "das/seed0.json is not the file that was made" in tool(clone, "das", "verify", fails=True)
    assert "3 stale" in tool(clone, "das", "audit", fails=True)  # with tables and summary
    tool(clone, "das", "tables")
    table = (clone / "results/tables/tiny/accuracy.md").read_text()
    assert "is not the file that was made" in table
    assert re.search(r"Single frame\s*\|[^\n]*\d\d", table)
    tool(clone, "dvc", "repro")
    assert tool(clone, "dvc", "status").split() == done
    assert jobs(clone, "results/tables", "results/summary") == set()
    assert files(clone).keys() == files(first).keys()
    assert number.read_bytes() == whole

    tool(clone, "dvc", "remote", "remove", "folder")  # who has the lock and no remote
    for folder in ("results", ".dvc/cache", ".snakemake"):
        shutil.rmtree(clone / folder)
    tool(clone, "dvc", "repro")
    assert number.read_bytes() == whole
    assert tool(clone, "dvc", "status").split() == done


def waited(clone: Path) -> dict[str, str]:
    """{experiment: its status} of the queue, once none waits or runs."""
    until = time.monotonic() + 600
    while True:
        said = tool(clone, "dvc", "queue", "status")
        found = dict(re.findall(r"^[0-9a-f]{7} +(\w+) .* (\w+)$", said, re.MULTILINE))
        if not {"Queued", "Running"} & set(found.values()):
            return found
        assert time.monotonic() < until, said
        time.sleep(2)


@pytest.mark.long
def test_dvc_shows_compares_and_queues(first, tmp_path):
    clone = cloned(first, tmp_path)
    tool(clone, "dvc", "remote", "add", "-q", "-f", "-d", "folder", str(tmp_path / "remote"))
    tool(first, "dvc", "remote", "add", "-q", "-f", "-d", "folder", str(tmp_path / "remote"))
    tool(first, "das", "save")
    tool(clone, "dvc", "pull")
    tool(clone, "git", "config", "user.email", "a@b")
    tool(clone, "git", "config", "user.name", "a")
    shown = json.loads(tool(clone, "dvc", "metrics", "show", "--json"))[""]["data"]
    stored = {path.split("/")[-1]: value["data"] for path, value in shown.items()}
    for method in METHODS:
        accuracy = json.loads((clone / NUMBERS / method / "seed0.json").read_text())["accuracy"]
        assert stored[f"{method}.json"] == {"accuracy": accuracy, "seeds": 1}
    widest = max(map(len, tool(clone, "dvc", "metrics", "show").splitlines()))
    assert widest < 120
    plots = json.loads(tool(clone, "dvc", "plots", "show", "--json"))
    assert "errors" not in plots or not plots["errors"]
    assert plots["data"].keys() == {"accuracy", "test_loss", "train_loss", "alpha"}
    changed = {"few": "recipes.tiny.lr=0.02", "long": "recipes.tiny.epochs=2"}
    queue = ("dvc", "exp", "run", "--queue")
    tool(clone, *queue, "-n", "few", "-S", changed["few"])
    assert "Started '1' new experiments task queue worker" in tool(clone, "dvc", "queue", "start")
    assert waited(clone) == {"few": "Success"}
    tool(clone, *queue, "-n", "long", "-S", changed["long"])
    tool(clone, "dvc", "exp", "run", "--run-all")
    assert waited(clone) == {"few": "Success", "long": "Success"}
    tool(clone, "dvc", "queue", "stop")
    accuracies = {}
    for name, setting in changed.items():
        tool(clone, "dvc", "exp", "apply", name)
        key, _, value = setting.rpartition("=")
        assert key in tool(clone, "dvc", "params", "diff")
        numbers = {method: json.loads((clone / NUMBERS / method / "seed0.json").read_text()) for method in METHODS}
        assert str(numbers["baseline"]["settings"]["recipe"][key.rpartition(".")[2]]) == value
        accuracies[name] = {method: number["accuracy"] for method, number in numbers.items()}
        assert "0 at fault" in tool(clone, "das", "verify")
        assert jobs(clone, "results/tables", "results/summary") == set()
    compared = json.loads(tool(clone, "dvc", "exp", "diff", "--all", "--json", *changed))["metrics"]
    for method in METHODS:
        (found,) = [values["accuracy"] for path, values in compared.items() if path.endswith(f"/{method}.json")]
        assert (found["old"], found["new"]) == tuple(accuracies[name][method] for name in changed)
