"""A project with a study of seconds, whose commands can be run, killed, and starved of disk."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import yaml
from tests.workflow.project import ROOT, TINY, layered

from das.study import load_study, of_method, of_policy, of_tuning, products, results
from das.study.results import card_path
from das.study.runs import Run

STUDY = layered(
    TINY,
    study={"methods": ["baseline", "das", "baseline_tta"]},
    recipes={"tiny": {"epochs": 3, "batch_size": 20, "lr": 0.05}},
    searches={"quick": {"epochs": 3, "batch_size": 20}},
    methods={"mixed": {"title": "Mixed", "augment": [{"mixup": {"alpha": 1.0}}]}},
    tuning={"trials": 2, "grids": {"mixed": {"mixup.alpha": [0.5, 1.0]}}},
)
PLACE = ("few", "resnet8")
COMMANDS = {
    "search": ("search", *PLACE, "searched"),
    "training": ("train", *PLACE, "das"),
    "tuning": ("tune", *PLACE, "mixed"),
    "evaluation": ("evaluate", *PLACE, "baseline_tta"),
    "tables": ("tables",),
}


def in_place(path: Path, content: bytes) -> None:
    """As a failing disk does it: no new file, no new time of modification."""
    times = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
    os.utime(path, ns=(times, times))


class Project:
    """A folder in which all results of `STUDY` are made; ``whole`` holds their bytes."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "data").symlink_to(ROOT / "data")
        (folder / "params.yaml").symlink_to(ROOT / "params.yaml")
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
        os.chdir(folder)
        self.study = load_study(["params.yaml", "study.yaml"])
        self.log = folder / "log.txt"
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"DAS_STUDY": "params.yaml:study.yaml", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.whole: dict[Path, bytes] = {}
        for command in (COMMANDS["search"], ("train", *PLACE, "baseline"), *list(COMMANDS.values())[1:]):
            self.must(*command)
        self.whole = self.bytes()

    def tables_anew(self) -> None:
        """What was made again cost other seconds, which the tables tell."""
        self.must("tables")
        self.whole = self.bytes()

    def run_of(self, work: str) -> Run:
        if work == "search":
            return of_policy(self.study, *PLACE, "searched", 0)
        if work == "tuning":
            return of_tuning(self.study, *PLACE, "mixed")
        return of_method(self.study, *PLACE, {"training": "das", "evaluation": "baseline_tta"}.get(work, work), 0)

    def outputs(self, work: str) -> list[Path]:
        if work == "tables":
            there = products.record_path(self.study, "tables").parent.iterdir()
            return sorted(path for path in there if path.suffix != ".part")  # what a kill left is tidied an hour later
        run = self.run_of(work)
        return [*run.files.values(), run.record]

    def bytes(self) -> dict[Path, bytes]:
        """What must be the same after any mishap: all results and tables. Records tell of times."""
        works = ("search", "baseline", "training", "tuning", "evaluation", "tables")
        paths = [card_path(self.study, "few", 0), *(path for work in works for path in self.outputs(work))]
        return {path: path.read_bytes() for path in paths if ".run." not in path.name and "made_from" not in path.name}

    def start(self, *argv: str, cwd: Path | None = None, full: int | None = None) -> int:
        """Begin a command and return its process id; `end` must follow."""
        asked = {"argv": argv, "cwd": str(cwd or self.folder), "log": str(self.log), "full": full}
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def end(self) -> int:
        """Wait for the command; its exit status."""
        return int(self.server.stdout.readline())

    def must(self, *argv: str, cwd: Path | None = None) -> str:
        """Run a command that has to succeed; its output."""
        self.start(*argv, cwd=cwd)
        code = self.end()
        said = self.log.read_text()
        assert code == 0, said
        return said

    def seconds(self, *argv: str) -> float:
        """How long a command takes."""
        before = time.perf_counter()
        self.must(*argv)
        return time.perf_counter() - before

    def killed(self, after: float, *argv: str) -> bool:
        """Run a command and kill it ``after`` so many seconds; whether it was still at work."""
        process = self.start(*argv)
        time.sleep(after)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(process, signal.SIGKILL)
        return self.end() == -signal.SIGKILL

    def as_snakemake_starts(self) -> dict[Path, str]:
        """Name what cannot stand and delete it, as Snakemake does with what it makes again."""
        unfit = results.audit(self.study)
        for run in results.everything(self.study):
            if run.main in unfit:
                for path in (*run.files.values(), run.record):
                    path.unlink(missing_ok=True)
        return unfit | products.stale(self.study)

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait()
