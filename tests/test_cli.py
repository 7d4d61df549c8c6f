"""The command line as a person meets it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from das.cli import runs
from das.study import load_study
from das.video.policy import Policy

ROOT = Path(__file__).parents[1]


def das(*arguments, cwd=ROOT):
    environment = {key: value for key, value in os.environ.items() if key != "DAS_STUDY"}
    return subprocess.run(
        [Path(sys.executable).parent / "das", *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_help_names_every_command_and_gives_an_example():
    text = das("--help").stdout
    assert all(name in text for name in ("search", "train", "evaluate", "tables", "figures", "show"))
    assert "Example: das train fashion_mnist resnet8 das --seed 0" in das("train", "--help").stdout


def test_help_answers_at_once():
    """Within 0.3 s of processor time, which other processes do not lengthen: above all, without torch."""
    before = os.times()
    assert das("--help").returncode == 0
    after = os.times()
    assert (after.children_user - before.children_user) + (after.children_system - before.children_system) < 0.3


def test_commands_work_from_below_the_project_and_from_elsewhere(tmp_path):
    """The study and results are the project's; paths that are typed begin where they are typed."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "notes/deep").mkdir(parents=True)
    elsewhere.mkdir()
    shutil.copy(ROOT / "params.yaml", project)
    (project / "data").symlink_to(ROOT / "data")
    own = "study: {name: own}\n"
    (project / "notes/deep/own.yaml").write_text(own)
    (elsewhere / "own.yaml").write_text(own.replace("own", "other"))
    studies = ("-c", "../../params.yaml", "-c", "own.yaml")
    for study, where, arguments in (
        ("quickstart", project / "notes", ("search", "fashion_mnist", "resnet8", "random")),
        ("own", project / "notes/deep", ("search", "fashion_mnist", "resnet8", "random", *studies)),
        ("other", elsewhere, ("--project", "../project", "search", "fashion_mnist", "resnet8", "random",
                              "-c", project / "params.yaml", "-c", "own.yaml")),
    ):  # fmt: skip
        done = das(*arguments, cwd=where)
        assert done.returncode == 0, done.stderr
        assert (project / f"results/policies/{study}/fashion_mnist/resnet8/random/seed0.yaml").is_file()
    done = das("--project", elsewhere, "tables", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"das: --project: {elsewhere} holds no params.yaml; name the folder of a project\n"
    assert sorted(path.name for path in elsewhere.iterdir()) == ["own.yaml"]


def test_the_default_search_is_the_one_that_measured_best():
    """By the committed results of the policy benchmark: the accuracy of its choices, mean over the data sets."""
    tables = [pd.read_csv(path, index_col="search") for path in ROOT.glob("docs/policy_benchmark/*/searches.csv")]
    assert len(tables) == 2
    best = sum(table.accuracy for table in tables).idxmax()
    benchmark = load_study([ROOT / "params.yaml", ROOT / "config/policy_benchmark.yaml"])
    params = load_study([ROOT / "params.yaml"])
    assert _kind(params, runs.BEST_POLICY) == _kind(benchmark, benchmark.methods[best].policy)
    assert params.methods[runs.BEST_METHOD].policy == runs.BEST_POLICY


def _kind(study, policy):
    source = study.policies[policy]
    cell, search = study.cells[source.cell], study.searches[source.search]
    how = (search.relaxation, search.order, search.selection, search.alpha)
    return cell.kind, cell.magnitudes, cell.schedule, how


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "fashion_mnst", "resnet8", "das"), ["'fashion_mnst'", "fashion_mnist"]),
        (("train", "fashion_mnist", "resnet8", "baseline_tta"), ["baseline_tta", "das evaluate"]),
        (("evaluate", "fashion_mnist", "resnet8", "das"), ["methods.das", "das train"]),
        (("search", "fashion_mnist", "resnet8", "sarched"), ["'sarched'", "searched"]),
        (("train", "fashion_mnist", "resnet8", "das", "-c", "nowhere.yaml"), ["nowhere.yaml", "cannot be read"]),
    ],
)
def test_bad_requests_are_one_line_and_fail(arguments, words):
    done = das(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("das: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words)


def test_training_without_its_policy_says_how_to_make_it(tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    done = das("train", "fashion_mnist", "resnet8", "das", "-c", ROOT / "params.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "results/policies/quickstart/fashion_mnist/resnet8/searched/seed0.yaml: does not exist" in done.stderr


def test_show_draws_the_frames_and_names_bad_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Policy.single("rotate", 15, 4).save(tmp_path / "policy.yaml")
    done = das("show", tmp_path / "policy.yaml", tmp_path / "photo.png", tmp_path / "strip.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.width > 2 * strip.height
    assert not (tmp_path / "strip.pdf").exists()
    turned, exif = Image.fromarray(np.rot90(pixels).copy()), Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    done = das("show", tmp_path / "policy.yaml", tmp_path / "turned.png", tmp_path / "same.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "same.png").read_bytes() == (tmp_path / "strip.png").read_bytes()
    done = das("show", tmp_path / "policy.yaml", tmp_path / "photo.png", tmp_path / "strip.jpg")
    assert done.returncode == 1
    assert "strip.jpg: should end in .png, .pdf, .svg or .gif, not .jpg" in done.stderr
    (tmp_path / "photo.png").write_text("no picture")
    done = das("show", tmp_path / "policy.yaml", tmp_path / "photo.png", tmp_path / "strip.png")
    assert done.returncode == 1
    assert "photo.png: cannot be read as a picture" in done.stderr
    (tmp_path / "policy.yaml").write_text("format: das-policy\nversion: 1\nframes: 4\nnodes: nonsense\n")
    done = das("show", tmp_path / "policy.yaml", tmp_path / "photo.png", tmp_path / "strip.png")
    assert done.returncode == 1
    assert "policy.yaml: nodes: 'nonsense'" in done.stderr


def start_interrupted(folder, *arguments):
    """Start `das` in ``folder`` as a shell does in the foreground."""
    environment = {key: value for key, value in os.environ.items() if key != "DAS_STUDY"}
    return subprocess.Popen(
        [Path(sys.executable).parent / "das", *map(str, arguments)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.mark.parametrize("command", ["search", "train"])
def test_an_interruption_is_one_line(command, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    what = ("searched",) if command == "search" else ("baseline",)
    run = start_interrupted(tmp_path, command, "fashion_mnist", "resnet8", *what, "-c", ROOT / "params.yaml")
    for _ in range(600):
        if list(tmp_path.glob("results/work/**/*.lock")) or run.poll() is not None:
            break
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert (
        said.strip().splitlines()[-1]
        == "das: interrupted; the same command continues a search or training from its last whole epoch"
    )
    assert "Traceback" not in said
    assert "Aborted" not in said


def test_a_device_that_is_not_here_is_one_line():
    import torch

    for device in ["banana"] if torch.cuda.is_available() else ["banana", "cuda"]:
        done = das("profile", "resnet8", "--device", device)
        assert done.returncode == 1
        assert done.stderr.startswith(f"das: --device: is '{device}'")
        assert len(done.stderr.strip().splitlines()) == 1
