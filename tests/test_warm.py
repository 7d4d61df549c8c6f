"""Runs that share a start end as those that start by themselves: result, words, exit status, signals."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from tests.workflow.project import FOLDER, TINY, layered, project_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every run starts by itself")
HANDED = "import sys; from das.cli import main, warm; warm.hand_over(sys.argv[1:]); print('by itself'); main()"
RUN = "train", "few", "resnet8", "baseline", "--seed", "0"
NUMBER = FOLDER.format(study="tiny") + "/baseline/seed0"


def started(*arguments, owner=None, counted=False, **more):
    command = [sys.executable, "-c", HANDED, *arguments]
    if counted:  # whoever is forked and executed keeps the peak memory of who forked it: not the tests', then
        command = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))", *command]
    environment = os.environ | {"DAS_STUDY": "params.yaml:study.yaml"} | more
    environment.pop("PYTEST_CURRENT_TEST")
    if owner:
        environment["DAS_WARM"] = str(owner)
    return subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def project(folder, **changes):
    folder.mkdir()
    (project_in(folder) / "study.yaml").write_text(yaml.safe_dump(layered(TINY, **changes)))
    return folder


def servers(owner):
    return [
        found
        for found in psutil.process_iter(["cmdline"])
        if f"warm.serve({owner})" in " ".join(found.info["cmdline"] or [])
    ]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    """A process that a warm one serves."""
    place = project(tmp_path_factory.mktemp("first") / "project")
    sleeping = subprocess.Popen(["sleep", "600"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        status, out, _ = ended(started(*RUN, owner=sleeping.pid))
    assert status == 0
    assert out.startswith("by itself")  # the first one
    until(lambda: servers(sleeping.pid))
    yield sleeping.pid
    sleeping.kill()
    sleeping.wait()
    until(lambda: not servers(sleeping.pid))  # it ends with its owner


def test_a_run_makes_the_same_bytes_and_says_the_same(owner, tmp_path, monkeypatch):
    made = {}
    for name, given in (("alone", None), ("warm", owner)):
        monkeypatch.chdir(project(tmp_path / name))
        status, out, err = ended(started(*RUN, owner=given, counted=True))
        assert status == 0, err
        number = tmp_path / name / f"{NUMBER}.json"
        record = json.loads(number.with_suffix(".run.json").read_text())
        made[name] = number.read_bytes(), out.replace("by itself\n", ""), record["cost"]["peak_memory_bytes"]
        assert ("by itself" in out) == (given is None)
    assert made["alone"][:2] == made["warm"][:2]
    assert made["warm"][2] == pytest.approx(made["alone"][2], rel=0.1)  # what is shared is counted, too


def test_errors_come_through(owner, tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "project"))
    wrong = ("train", "nowhere", "resnet8", "baseline", "--seed", "0")
    alone, warm = ended(started(*wrong)), ended(started(*wrong, owner=owner))
    assert "by itself" not in warm[1]
    assert alone[0] == warm[0] == 1
    assert alone[2] == warm[2]
    assert "nowhere" in warm[2]


@pytest.mark.parametrize("environment", [{"OMP_NUM_THREADS": "7"}, {"NEW": "1"}])
def test_in_another_environment_a_run_starts_by_itself(owner, tmp_path, monkeypatch, environment):
    monkeypatch.chdir(project(tmp_path / "project"))
    status, out, _ = ended(started(*RUN, owner=owner, **environment))
    assert (status, out.splitlines()[0]) == (0, "by itself")


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_signals_reach_the_run_and_nothing_is_left(owner, tmp_path, monkeypatch, sent, status):
    long = {"recipes": {"tiny": {"epochs": 5000, "batch_size": 20, "lr": 0.05}}}
    monkeypatch.chdir(project(tmp_path / "project", **long))
    (server,) = servers(owner)
    asking = started(*RUN, owner=owner)
    until(lambda: (tmp_path / "project/results/work/training").is_dir())
    asked = [process for process in server.children(recursive=True) if process.is_running()]
    assert len(asked) == 2  # the run and who keeps it
    asking.send_signal(sent)
    assert ended(asking)[0] == status
    until(lambda: not [process for process in asked if process.is_running() and process.status() != "zombie"])
    assert not (tmp_path / "project" / f"{NUMBER}.json").exists()


def test_what_was_interrupted_continues(owner, tmp_path, monkeypatch):
    """SIGINT ends a run after it has said how to go on, once."""
    long = {"recipes": {"tiny": {"epochs": 5000, "batch_size": 20, "lr": 0.05}}}
    monkeypatch.chdir(project(tmp_path / "project", **long))
    asking = started(*RUN, owner=owner)
    until(lambda: (tmp_path / "project/results/work/training").is_dir())
    asking.send_signal(signal.SIGINT)
    assert ended(asking)[2].count("the same command continues") == 1


def test_an_edit_of_the_package_shows(tmp_path, monkeypatch):
    """What was imported before it would not be what the run's code says."""
    from das.cli import warm

    (tmp_path / "engine").mkdir()
    edited = tmp_path / "engine" / "train.py"
    edited.write_text("epochs = 1\n")
    monkeypatch.setattr(warm.das, "__path__", [str(tmp_path)])
    before = warm._code()
    assert warm._code() == before
    edited.write_text("epochs = 2\n")
    assert warm._code() != before
