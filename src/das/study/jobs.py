"""How far a study is, by the files that its jobs leave: logs, locks, results. Nothing is locked and nothing written."""

import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import psutil

from das.errors import DasError
from das.seals import read_sealed
from das.study.results import lock_path
from das.study.runs import RESULTS, Run

State = Literal["done", "running", "failed", "waiting"]
STARTING_S = 600  # a job that has said nothing for longer has not just begun
CLOCK_S = 2  # by which a process and a file may seem to be of different times
EPOCH = re.compile(r": epoch (\d+)/(\d+): (.*)")
CONTINUES = re.compile(r": continues after epoch (\d+)/\d+")
TRIAL = re.compile(r": (trial \d+/\d+): ")


@dataclass(frozen=True)
class Job:
    """A run of the study and how far it is.

    ``said`` is, of what runs, what it reported last; of what failed, the last line of its log. ``epoch`` of ``epochs``
    are over; ``left_s`` is how long the others will take if they take as long; None where nothing tells.
    """

    run: Run
    state: State
    said: str = ""
    epoch: int | None = None
    epochs: int | None = None
    left_s: float | None = None


def jobs(runs: Iterable[Run]) -> list[Job]:
    """A job for each of ``runs``, in their order."""
    return [_job(run) for run in runs]


def log_of(run: Run) -> Path:
    """Where the workflow has the run's job write to."""
    return RESULTS / "logs" / run.main.relative_to(RESULTS).with_suffix(".log")


def _job(run: Run) -> Job:
    holder = _holder(lock_path(run))
    if holder == "alive":
        return _running(run)
    if run.main.is_file():
        return Job(run, "done" if _made_with(run.record) == run.digest else "waiting")
    log = log_of(run)
    lines = _lines(log)
    if not lines:
        begins = time.time() - _changed(log) < STARTING_S
        return Job(run, "running", "starting") if begins else Job(run, "waiting")
    if lines[-1] == str(run.main):  # it was made, and is gone since
        return Job(run, "waiting")
    if holder == "elsewhere" and not any(line.startswith(("das: ", "Traceback")) for line in lines):
        return _running(run)
    return Job(run, "failed", lines[-1])


def _holder(lock: Path) -> Literal["alive", "dead", "elsewhere"]:
    """What became of the process that signed ``lock``."""
    try:
        signed = re.fullmatch(r"process (\d+) on (.*)\n", lock.read_text())
    except (OSError, UnicodeDecodeError):
        return "dead"
    if not signed:
        return "dead"
    if signed[2] != socket.gethostname():
        return "elsewhere"
    try:
        same = psutil.Process(int(signed[1])).create_time() <= _changed(lock) + CLOCK_S
    except (psutil.Error, OverflowError):
        return "dead"
    return "alive" if same else "dead"


def _running(run: Run) -> Job:
    log, begun = log_of(run), _changed(lock_path(run))
    reported = _changed(log)
    lines = _lines(log) if reported >= begun - CLOCK_S else []  # else it is of an earlier time
    if not lines:
        return Job(run, "running")
    trial = next((found[1] for line in reversed(lines) if (found := TRIAL.search(line))), "")
    reports = [(place, found) for place, line in enumerate(lines) if (found := EPOCH.search(line))]
    if not reports or TRIAL.search(lines[-1]):
        return Job(run, "running", trial or lines[-1])
    place, report = reports[-1]
    done, total = int(report[1]), int(report[2])
    said = ", ".join(filter(None, [trial, report[3] if place == len(lines) - 1 else lines[-1]]))
    start = next((int(found[1]) for line in lines if (found := CONTINUES.search(line))), 0)
    left = None
    if not trial and done > start:
        each = (reported - begun) / (done - start)
        left = max(0.0, each * (total - done) - (time.time() - reported))
    return Job(run, "running", said, done, total, left)


def _changed(path: Path) -> float:
    """When ``path`` was written last; 0 where it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _lines(log: Path) -> list[str]:
    """What a log says; nothing where it is not there, or not begun."""
    try:
        return [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []


def _made_with(record: Path) -> str | None:
    """The digest of the settings that a run record names; None where it is missing or damaged."""
    try:
        return _settings(record, record.stat().st_mtime_ns)
    except (DasError, OSError, KeyError, TypeError):
        return None


@cache
def _settings(record: Path, changed: int) -> str:
    return read_sealed(record)["digests"]["settings"]
