"""The workflows of GitHub: their files against its schema, and their steps, run here in their order on a tiny study."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.workflow.project import ROOT, TINY, layered

FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))
HOSTED = ("uv sync", "gh ")  # what only a hosted machine can do
BINARIES = Path(sys.executable).parent


def steps(name: str, event: str) -> tuple[dict[str, str], list[dict]]:
    """Environment and `run` steps of a workflow's job, as they are for an event."""
    (job,) = yaml.safe_load((ROOT / f".github/workflows/{name}.yaml").read_text())["jobs"].values()
    pull = event == "pull_request"

    def chosen(value: str) -> str:
        found = re.fullmatch(r"\$\{\{ github\.event_name == 'pull_request' && '(.*)' \|\| '(.*)' \}\}", value)
        return found[1 if pull else 2] if found else value

    environment = {key: chosen(value) for key, value in job.get("env", {}).items()}
    asked = [step for step in job["steps"] if "run" in step and (pull or "pull_request" not in step.get("if", ""))]
    return environment, asked


def run(project: Path, name: str, event: str) -> str:
    """Run the steps as a hosted machine would, but those that need one; returns what they said."""
    environment, asked = steps(name, event)
    said = ""
    for step in asked:
        command = re.sub(r"\$\{\{ env\.(\w+) \}\}", lambda found: environment[found[1]], step["run"])
        assert "${{" not in command
        if command.startswith(HOSTED):
            continue
        summary = {"GITHUB_STEP_SUMMARY": str(project / "summary.md"), "OMP_NUM_THREADS": "1"}
        path = {"PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(command.removeprefix("uv run "), shell=True, cwd=project, text=True,
                              env={**os.environ, **environment, **summary, **path},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        said += done.stdout
    return said


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_workflow_fits_the_schema_of_github(path, tmp_path):
    command = [BINARIES / "check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
    assert subprocess.run([*command, path], capture_output=True).returncode == 0
    broken = tmp_path / path.name
    broken.write_text(path.read_text().replace("runs-on:", "runs-at:"))
    assert subprocess.run([*command, broken], capture_output=True).returncode == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_steps_are_single_commands_and_what_they_name_is_there(path):
    for step in (step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]):
        if "run" in step:
            assert len(step["run"].splitlines()) == 1
            assert not re.search(r"&&|\|\||;|\bif\b|\bfor\b", step["run"])
    for named in re.findall(r"(?:config|\.github)/[\w/]+\.yaml", path.read_text()):
        assert (ROOT / named).is_file()


@pytest.fixture
def project(tmp_path):
    """A project whose quickstart and ablations are tiny."""
    for name in ("Snakefile", "workflow", "profiles", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    tiny = layered(TINY, study={"methods": ["baseline", "das"]})
    quickstart = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(layered(quickstart, **tiny)))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/ablations.yaml").write_text("study: {name: ablations}\n")
    (tmp_path / ".github").mkdir()
    change = yaml.safe_load((ROOT / ".github/change.yaml").read_text())
    (tmp_path / ".github/change.yaml").write_text(yaml.safe_dump(change | {"recipes": {"tiny": {"lr": 0.01}}}))
    return tmp_path


@pytest.mark.long
def test_ablations_weekly_and_then_on_a_pull_request_that_changes_something(project):
    said = run(project, "ablations", "schedule")
    assert "2 numbers more" in said
    assert "| DAS " in (project / "summary.md").read_text()
    assert (project / "results/report/ablations.html").is_file()
    said = run(project, "ablations", "pull_request")
    assert (
        "taken from the store"
        in (project / "results/logs/policies/ablations_change/few/resnet8/searched/seed0.log").read_text()
    )
    moved = (project / "results/moved.md").read_text()
    assert "baseline" in moved
    assert "das" in moved
    assert (project / "results/tables/ablations_change/accuracy.md").is_file()


@pytest.mark.long
def test_one_number_is_verified(project):
    said = run(project, "verify", "schedule")
    assert re.search(r"results/numbers/tiny/few/resnet8/\w+/seed0\.json: remade here: the same bytes", said)
