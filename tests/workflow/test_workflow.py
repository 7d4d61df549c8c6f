"""The whole chain on a tiny study, run as a user runs it, in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
NUMBERS, POLICIES = (f"results/{kind}/tiny/few/resnet8" for kind in ("numbers", "policies"))
TINY = """
study: {name: tiny, datasets: [few], methods: [baseline, baseline_tta, das], seeds: [0, 1]}
datasets:
  few:
    title: Few images
    reader: fashion_mnist_embedded
    options: {train_per_class: 8, test_per_class: 4}
    recipe: tiny
    augment: [random_flip]
recipes: {tiny: {epochs: 2, batch_size: 20, lr: 0.05}}
searches: {quick: {epochs: 1, batch_size: 20}}
"""


def project_in(folder: Path) -> Path:
    """A copy of the project, with the tiny study layered over its own."""
    for name in ("Snakefile", "workflow", "profiles", "params.yaml", "dvc.yaml", "config"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "tiny.yaml").write_text(TINY)
    return folder


def command(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def heed_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(project: Path, *targets: str) -> subprocess.Popen:
    return subprocess.Popen(
        [command("snakemake"), "--cores", "2", *targets, "--configfile", "tiny.yaml"],
        cwd=project,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def snakemake(project: Path, *targets: str) -> tuple[int, str]:
    """Exit status and output of one run."""
    run = start(project, *targets)
    output, _ = run.communicate()
    return run.returncode, output


def contents(project: Path, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(project)): path.read_bytes() for path in project.glob(pattern)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project in which the tiny study was run."""
    project = project_in(tmp_path_factory.mktemp("project"))
    status, output = snakemake(project, "results/tables", "results/figures")
    assert status == 0, output
    return project


def test_every_table_figure_policy_number_and_checkpoint_is_where_the_contract_says(finished):
    seeds = ("seed0", "seed1")
    expected = {
        *(f"results/tables/tiny/{t}.{f}" for t in ("accuracy", "search") for f in ("csv", "md", "tex")),
        *(f"results/figures/tiny/{n}.{f}" for n in ("accuracy", "alpha") for f in ("png", "pdf")),
        *(f"results/figures/tiny/film_strip_few_resnet8_searched_{s}.{f}" for s in seeds for f in ("png", "pdf")),
        "results/data/tiny/few.json",
        *(f"{POLICIES}/searched/{s}.yaml" for s in seeds),
        *(f"{NUMBERS}/{m}/{s}.json" for m in ("baseline", "baseline_tta", "das") for s in seeds),
        *(f"{NUMBERS}/{m}/{s}.run.json" for m in ("baseline", "baseline_tta", "das") for s in seeds),
        *(f"results/checkpoints/tiny/few/resnet8/{m}/{s}.pt" for m in ("baseline", "das") for s in seeds),
    }
    assert {path for path in expected if not (finished / path).is_file()} == set()
    for picture in finished.glob("results/figures/tiny/*.png"):
        with Image.open(picture) as image:
            assert min(image.size) > 100


def test_accuracies_in_the_table_are_those_of_the_numbers(finished):
    numbers = [json.loads(p.read_text()) for p in sorted(finished.glob(f"{NUMBERS}/das/seed?.json"))]
    mean = 100 * sum(n["last"]["accuracy"] for n in numbers) / len(numbers)
    row = next(
        line for line in (finished / "results/tables/tiny/accuracy.md").read_text().splitlines() if "| DAS " in line
    )
    assert f"| {mean:.2f} " in row


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in snakemake(finished, "results/tables")[1]


def test_one_deleted_number_is_remade_alone_and_to_the_byte(finished):
    target = f"{NUMBERS}/das/seed0.json"
    made_with_it = {target, target.replace(".json", ".run.json"), "results/checkpoints/tiny/few/resnet8/das/seed0.pt"}
    kinds = ("policies", "checkpoints", "numbers")
    files = {path: path.stat().st_mtime_ns for kind in kinds for path in (finished / "results" / kind).rglob("seed*")}
    before, weights = (finished / target).read_bytes(), contents(finished, "results/checkpoints/**/*.pt")
    (finished / target).unlink()
    status, output = snakemake(finished, target)
    assert status == 0, output
    assert (finished / target).read_bytes() == before
    assert contents(finished, "results/checkpoints/**/*.pt") == weights
    remade = {str(path.relative_to(finished)) for path, then in files.items() if path.stat().st_mtime_ns != then}
    assert remade == made_with_it


def test_an_interrupted_run_leaves_no_half_made_output_and_a_rerun_completes_it_to_the_same_bytes(finished, tmp_path):
    project = project_in(tmp_path)
    run = start(project, f"{NUMBERS}/das/seed0.json")
    log, deadline = project / "results/logs/policies/tiny/few/resnet8/searched/seed0.log", time.monotonic() + 60
    while not (log.exists() and "epoch 1/" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)  # then the search is about to be published, and a whole training is ahead
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode != 0
    for path in project.glob("results/**/seed*.json"):
        json.loads(path.read_text())
    status, output = snakemake(project, f"{NUMBERS}/das/seed0.json")
    assert status == 0, output
    for path in (
        f"{NUMBERS}/das/seed0.json",
        f"{POLICIES}/searched/seed0.yaml",
    ):
        assert (project / path).read_bytes() == (finished / path).read_bytes()
    assert not list(project.glob("results/work/**/*.pt"))


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ("methods: {das: {fusion: tms}}", ["methods.das.fusion", "'tms'"]),
        ("study: {seedz: [1]}", ["study.seedz", "seeds"]),
    ],
)
def test_a_wrong_study_stops_everything_at_the_start(tmp_path, overlay, words):
    project = project_in(tmp_path)
    (project / "tiny.yaml").write_text(overlay)
    status, output = snakemake(project, "results/tables")
    assert status != 0
    assert all(word in output for word in words)
    assert "Traceback" not in output
    assert not (project / "results").exists()


def test_the_workflow_has_no_lints():
    done = subprocess.run([command("snakemake"), "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


def filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def test_every_dvc_out_is_a_target_of_snakemake(tmp_path):
    project = project_in(tmp_path)
    study = yaml.safe_load((project / "params.yaml").read_text())["study"]
    outs = []
    for stage in yaml.safe_load((project / "dvc.yaml").read_text())["stages"].values():
        for entry in (*stage.get("outs", ()), *stage.get("metrics", ())):
            (template,) = entry
            assert entry[template]["persist"], "DVC would delete it before Snakemake is asked"
            for dataset in study["datasets"]:
                for backbone in study["backbones"]:
                    names = {"${study.name}": study["name"], "${item.dataset}": dataset, "${item.backbone}": backbone}
                    out, cmd = (filled(text, names) for text in (template, stage["cmd"]))
                    target = cmd.split()[-1]
                    assert target in (out, str(Path(out).parent))
                    outs.append(target)
    assert {Path(out).parts[1] for out in outs} == {
        *("data", "policies", "checkpoints", "numbers"),
        "summary",
        "tables",
    }
    done = subprocess.run(
        [command("snakemake"), "--cores", "1", "--dry-run", *outs], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    planned = done.stdout + done.stderr
    for out in outs:
        assert out in planned, "nothing would be made in this place"
