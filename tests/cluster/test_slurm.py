"""A study through a real SLURM of one node, with its jobs canceled in the middle: the bytes of a local run."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from tests.workflow.project import ROOT, project_in

pytestmark = pytest.mark.long
SLURM = Path(__file__).with_name("slurm")
LAYER = {"recipes": {"smoke": {"epochs": 20}}}  # trainings long enough to be met in the middle


@pytest.fixture
def cluster(tmp_path_factory):
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: needs Debian's slurm-wlm and munge")
    if os.getuid() != 0:
        pytest.skip("starts SLURM's daemons, as root")
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("needs `uv sync --extra cluster`")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SLURM, "start", folder], check=True, timeout=60)
    yield
    subprocess.run([SLURM, "stop", folder], check=True, timeout=60)


def started(folder: Path, *arguments: str) -> subprocess.Popen:
    folder.mkdir()
    project_in(folder)
    (folder / "layer.yaml").write_text(yaml.safe_dump(LAYER))
    binaries = Path(sys.executable).parent
    command = [binaries / "snakemake", "results/tables", *arguments]
    return subprocess.Popen(
        [*command, "--configfile", ROOT / "config/smoke.yaml", "layer.yaml"],
        cwd=folder,
        env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "SBATCH_PARTITION": "only"},
        stdout=(folder / "log").open("w"),
        stderr=subprocess.STDOUT,
    )


def cancel_in_the_middle(run: subprocess.Popen, folder: Path, kind: str, rule: str) -> str:
    """``scancel`` a running job of a rule whose unfinished work has a state, and return the job's id."""
    query = ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"]
    while run.poll() is None:
        states = folder.glob(f"results/work/{kind}/smoke/*/*/*/seed*.pt")
        works = {"_".join([*path.parts[-4:-1], path.name[4]]) for path in states}
        for line in subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines():
            job, comment = line.split()
            if comment.removeprefix(f"rule_{rule}_wildcards_") in works:
                subprocess.run(["scancel", job], check=True)
                return job
        time.sleep(0.1)
    pytest.fail((folder / "log").read_text())


def results_of(folder: Path) -> dict[str, bytes]:
    """What must repeat: all results but the run records, whose costs and times differ."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for kind in ("policies", "checkpoints", "numbers")
        for path in (folder / "results" / kind).rglob("*")
        if path.is_file() and not path.name.endswith(".run.json")
    }


def test_canceled_jobs_are_submitted_again_and_end_in_the_bytes_of_a_local_run(tmp_path, cluster):
    local = started(tmp_path / "local", "--cores", "2")
    assert local.wait(300) == 0, (tmp_path / "local/log").read_text()

    there = tmp_path / "there"
    run = started(there, "--profile", "profiles/slurm")
    canceled = [
        cancel_in_the_middle(run, there, "search", "search"),
        cancel_in_the_middle(run, there, "training", "train"),
    ]
    assert run.wait(600) == 0, (there / "log").read_text()

    log = (there / "log").read_text()
    for job in canceled:
        assert f"SLURM-job '{job}' failed, SLURM status is: 'CANCELLED'" in log
        assert list(there.glob(f".snakemake/slurm_logs/*/*/{job}.log"))
    expected = results_of(tmp_path / "local")
    assert (
        len(expected) == 8 + 6 + 2 * 3 + 2
    )  # numbers, checkpoints, searched policies with two files beside, random ones
    assert results_of(there) == expected
