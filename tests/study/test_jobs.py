"""How far a study is, from files as jobs leave them."""

import fcntl
import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from das.cli import watch
from das.files import publish
from das.seals import sealed
from das.study import load_study, of_method, of_policy, results
from das.study.jobs import jobs, log_of

ROOT = Path(__file__).parents[2]
OLDEST = 1  # a process that goes on, and began before any lock of these tests was signed


@pytest.fixture
def run(tmp_path, monkeypatch):
    study = load_study([ROOT / "params.yaml"])
    monkeypatch.chdir(tmp_path)
    return of_method(study, "fashion_mnist", "resnet8", "das", 1)


def says(run, *lines: str, ago: float = 0) -> None:
    publish(log_of(run), "".join(f"{line}\n" for line in lines))
    os.utime(log_of(run), (time.time() - ago,) * 2)


def held(run, process: int, ago: float, host: str = "") -> None:
    """Sign the run's lock as ``process`` would have, ``ago`` seconds before now."""
    path = results.lock_path(run)
    publish(path, f"process {process} on {host or socket.gethostname()}\n")
    os.utime(path, (time.time() - ago,) * 2)


def epochs(run, *numbers: int, total: int = 12) -> list[str]:
    return [f"{run.title}: epoch {n}/{total}: loss 0.{n}" for n in numbers]


def the(run):
    (job,) = jobs([run])
    return job


def test_where_the_workflow_writes_its_logs(run):
    assert log_of(run) == Path("results/logs/numbers/quickstart/fashion_mnist/resnet8/das/seed1.log")
    study = load_study([ROOT / "params.yaml"])
    policy = of_policy(study, "fashion_mnist", "resnet8", "searched", 0)
    assert log_of(policy) == Path("results/logs/policies/quickstart/fashion_mnist/resnet8/searched/seed0.log")


def test_what_nothing_was_done_for_waits(run):
    assert the(run).state == "waiting"


def test_time_left_is_what_the_epochs_before_took(run):
    """Two epochs in 40 s, the last one 5 s ago: ten more of 20 s, less 5 s."""
    held(run, OLDEST, ago=45)
    says(run, *epochs(run, 1, 2), ago=5)
    job = the(run)
    assert (job.state, job.epoch, job.epochs, job.said) == ("running", 2, 12, "loss 0.2")
    assert job.left_s == pytest.approx(195, abs=2)


def test_epochs_before_an_interruption_took_no_time_since(run):
    """Two epochs since it went on after the eighth, in 10 s: two more of 5 s."""
    held(run, OLDEST, ago=10)
    says(run, f"{run.title}: continues after epoch 8/12", *epochs(run, 9, 10))
    assert the(run).left_s == pytest.approx(10, abs=2)


def test_a_job_made_by_hand_runs_whatever_an_older_log_says(run):
    held(run, OLDEST, ago=10)
    says(run, *epochs(run, 1, 2), ago=500)
    assert (the(run).state, the(run).epoch) == ("running", None)


def test_a_tuning_says_its_trial(run):
    held(run, OLDEST, ago=30)
    says(
        run, "tuning q/d: trial 1/4: {}, epochs", *epochs(run, 3), "tuning q/d: trial 2/4: {}, epochs", *epochs(run, 1)
    )
    assert (the(run).said, the(run).epoch, the(run).left_s) == ("trial 2/4, loss 0.1", 1, None)


def test_what_ended_without_a_result_failed_and_says_why(run):
    held(run, 2**22 + 1, ago=30)  # no process has this number
    says(run, *epochs(run, 1), "Traceback (most recent call last):", "  File ...", "MemoryError: 3 GiB")
    assert (the(run).state, the(run).said) == ("failed", "MemoryError: 3 GiB")


def test_another_process_of_the_same_number_is_not_the_job(run):
    held(run, OLDEST, ago=30)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    held(run, other.pid, ago=30)
    says(run, *epochs(run, 1))
    assert the(run).state == "failed"
    other.communicate(b"\n")


def test_a_job_of_another_machine_runs_until_its_log_says_otherwise(run):
    held(run, 7, ago=30, host="node17")
    says(run, *epochs(run, 1))
    assert the(run).state == "running"
    says(run, *epochs(run, 1), "das: something: is wrong")
    assert (the(run).state, the(run).said) == ("failed", "das: something: is wrong")


def test_a_log_that_is_empty_is_of_a_job_that_begins(run):
    says(run)
    assert (the(run).state, the(run).said) == ("running", "starting")
    says(run, ago=3600)
    assert the(run).state == "waiting"


def test_done_is_what_was_made_with_the_settings_of_now(run):
    says(run, *epochs(run, 12), str(run.main))
    assert the(run).state == "waiting"  # made once, and gone
    publish(run.main, "{}")
    publish(run.record, sealed({"digests": {"settings": run.digest}}))
    assert the(run).state == "done"
    publish(run.record, sealed({"digests": {"settings": "other"}}))
    assert the(run).state == "waiting"
    publish(run.record, "not JSON")
    assert the(run).state == "waiting"


def test_looking_writes_nothing_and_takes_no_lock(run, tmp_path):
    held(run, OLDEST, ago=30)
    says(run, *epochs(run, 1))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with results.lock_path(run).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert the(run).state == "running"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_plain_lines_and_the_terminal_tell_the_same(run):
    from rich.console import Console

    held(run, OLDEST, ago=45)
    says(run, *epochs(run, 1, 2), ago=5)
    (job,) = jobs([run])
    lines = watch.plain("quickstart", [job]).splitlines()
    assert lines[0] == "quickstart: 0 of 1 done, 1 running"
    assert lines[1].startswith("running: training fashion_mnist/resnet8/das/seed1: epoch 2/12, 3 min ")
    console = Console(width=120, height=10, record=True, file=io.StringIO())
    console.print(watch.drawn("quickstart", [job] * 30, 10))
    drawn = console.export_text()
    assert len(drawn.splitlines()) <= 10
    assert "epoch 2/12" in drawn
    assert "and 25 more" in drawn


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (75, "1 min 15 s"), (3600, "1 h 00 min"), (7 * 86400 + 7200, "7 d 2 h")]
)
def test_durations(seconds, said):
    assert watch.duration(seconds) == said
