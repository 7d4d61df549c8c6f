"""The same study and seed give the same bytes: in another process, with other thread settings, after a kill."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from das.errors import DasError

# Every kind of search, one after another, then a training with the first policy; what is there is not made again.
WORK = """
import sys
from pathlib import Path
from das import data
from das.study import load_study, of_method, of_policy
from das.engine.train import train
from das.search.make import search_policy
from das.video.policy import Policy

study = load_study(["study.yaml"])
dataset = study.datasets["tiny"]
images = data.load(dataset.reader, root=Path(dataset.root), options=dataset.options)
for policy in sys.argv[1:]:
    run = of_policy(study, "tiny", "tiny", policy, 0)
    if not run.main.exists():
        search_policy(run, images)
run = of_method(study, "tiny", "tiny", "das", 0)
if not run.main.exists():
    train(run, images, Policy.load(run.made_by.main))
"""
POLICIES = ("mixture", "second", "gumbel", "perturbation", "tournament", "learnable")


def start(folder: Path, settings: dict, threads: int = 1, policies=POLICIES) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": "random"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WORK, *policies],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    if process.returncode:
        raise DasError(errors.decode()[-2000:])


def products(folder: Path) -> dict[str, bytes]:
    """All that must repeat: policies, histories, numbers, checkpoints. Run records tell what varies."""
    results = folder / "results"
    kinds = ("policies", "numbers", "checkpoints")
    files = sorted(file for kind in kinds for file in (results / kind).rglob("seed0*") if ".run." not in file.name)
    return {str(file.relative_to(results)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def reference(settings, tmp_path_factory):
    """What one process under OMP_NUM_THREADS=1 makes."""
    folder = tmp_path_factory.mktemp("reference")
    finish(start(folder, settings))
    found = products(folder)
    assert len(found) == 3 * len(POLICIES) + 2  # policies, histories, halves; number, checkpoint
    assert not states(folder)
    return found


def test_a_killed_run_continues_to_the_same_bytes_in_other_processes_with_two_threads(settings, reference, tmp_path):
    assert killed_and_continued(tmp_path, settings, random.Random(0), kills=1) == reference


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_many_times_continues_to_the_same_bytes(settings, reference, tmp_path, seed):
    assert killed_and_continued(tmp_path, settings, random.Random(seed), kills=4) == reference


@pytest.mark.long
def test_an_undisturbed_process_with_two_threads_makes_the_same_bytes(settings, reference, tmp_path):
    finish(start(tmp_path, settings, threads=2))
    assert products(tmp_path) == reference


def killed_and_continued(folder: Path, settings: dict, moments: random.Random, kills: int) -> dict[str, bytes]:
    """What is there at the end of a run killed without warning ``kills`` times, each soon after it saved a state."""
    for _ in range(kills):
        process, saved = start(folder, settings, threads=2), states(folder)
        while process.poll() is None and states(folder) == saved:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        assert process.poll() is None, "the run was over before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finish(start(folder, settings, threads=2))
    return products(folder)


def states(folder: Path) -> dict[Path, int]:
    """The states of unfinished work and when they were written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("results/work/**/*.pt") if path.exists()}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_makes_the_same_bytes_in_another_process(settings, tmp_path):
    on_cuda = settings | {"compute": {"device": "cuda"}}
    for name in ("first", "second"):
        finish(start(tmp_path / name, on_cuda))
    assert products(tmp_path / "first") == products(tmp_path / "second")
