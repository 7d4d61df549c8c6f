"""Studies side by side in one folder, by the workflow: what is finished is never made twice, and never lost."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TINY = {
    "study": {"name": "tiny", "datasets": ["few"], "methods": ["baseline", "random", "das"], "seeds": [0]},
    "datasets": {
        "few": {
            "title": "Few images",
            "reader": "fashion_mnist_embedded",
            "options": {"train_per_class": 8, "test_per_class": 4},
            "recipe": "tiny",
            "augment": ["random_flip"],
        }
    },
    "recipes": {"tiny": {"epochs": 1, "batch_size": 20, "lr": 0.05}},
    "searches": {"quick": {"epochs": 1, "batch_size": 20}},
}
FOLDER = "results/numbers/{study}/few/resnet8"


def project_in(folder: Path) -> Path:
    for name in ("Snakefile", "workflow", "profiles", "params.yaml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "data").symlink_to(ROOT / "data")
    return folder


def layered(content: dict, **changes) -> dict:
    return content | {key: content.get(key, {}) | value for key, value in changes.items()}


def snakemake(project: Path, study: dict, *arguments: str) -> str:
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        [binaries / "snakemake", "--cores", "2", *arguments, "--configfile", "study.yaml"],
        cwd=project,
        env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def work(said: str) -> Counter:
    """{first word of the message: jobs} that Snakemake ran or would run."""
    return Counter(re.findall(r"^Job \d+: (\w+)", said, re.MULTILINE))


def logs(project: Path, study: str) -> dict[str, str]:
    """{kind/name: log} of the study's policies and numbers."""
    found = {}
    for kind in ("policies", "numbers"):
        for path in (project / "results/logs" / kind / study).rglob("seed0.log"):
            found[f"{kind}/{path.parent.name}"] = path.read_text()
    return found


def taken(project: Path, study: str) -> set[str]:
    return {name for name, log in logs(project, study).items() if "taken from the store" in log}


def products(project: Path, study: str) -> dict[str, bytes]:
    files = [
        p for kind in ("policies", "numbers", "checkpoints") for p in (project / "results" / kind / study).rglob("*")
    ]
    return {str(p): p.read_bytes() for p in sorted(files) if p.is_file() and ".run." not in p.name}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project in which the tiny study was run."""
    made = project_in(tmp_path_factory.mktemp("project"))
    snakemake(made, TINY, "results/tables")
    return made


def test_a_layered_study_makes_what_differs_and_going_back_makes_nothing(project):
    longer = layered(TINY, study={"name": "longer"}, searches={"quick": {"epochs": 2, "batch_size": 20}})
    snakemake(project, longer, "results/tables")
    assert taken(project, "longer") == {"numbers/baseline", "numbers/random", "policies/random"}
    record = json.loads((project / FOLDER.format(study="longer") / "baseline/seed0.run.json").read_text())
    assert record["taken_from"]["entry"] == "tiny/few/resnet8/baseline/seed0"
    again = snakemake(project, TINY, "results/tables")
    assert "Nothing to be done" in again


def test_two_studies_of_one_name_say_what_is_made_again_and_come_back_from_the_store(project):
    before = products(project, "tiny")
    other = layered(TINY, recipes={"tiny": {"epochs": 1, "batch_size": 20, "lr": 0.01}})
    said = snakemake(project, other, "results/tables")
    assert said.count("was made with other settings; it is made again") == 3
    assert products(project, "tiny") != before
    snakemake(project, TINY, "results/tables")
    assert products(project, "tiny") == before
    assert {"numbers/baseline", "numbers/random", "numbers/das"} <= taken(project, "tiny")


def test_a_removed_result_comes_back_from_the_store_also_when_it_is_forced(project):
    before = products(project, "tiny")
    for path in (project / FOLDER.format(study="tiny")).rglob("seed0*"):
        path.unlink()
    snakemake(project, TINY, "results/tables")
    assert products(project, "tiny") == before
    assert {"numbers/baseline", "numbers/random", "numbers/das"} <= taken(project, "tiny")
    snakemake(project, TINY, "results/tables", "--forcerun", "train")
    assert products(project, "tiny") == before
    assert {"numbers/baseline", "numbers/random", "numbers/das"} <= taken(project, "tiny")


@pytest.mark.parametrize("fault", ["edited", "exchanged", "foreign record", "no record"])
def test_what_cannot_stand_for_a_run_is_named_and_made_again(project, fault):
    before = products(project, "tiny")
    folder = project / FOLDER.format(study="tiny")
    number, record = folder / "das/seed0.json", folder / "das/seed0.run.json"
    if fault == "edited":
        number.write_text(number.read_text().replace('"accuracy": 0.', '"accuracy": 0.9', 1))
    elif fault == "exchanged":
        number.write_bytes((folder / "baseline/seed0.json").read_bytes())
    elif fault == "foreign record":
        for name in ("seed0.json", "seed0.run.json"):
            (folder / "das" / name).write_bytes((folder / "baseline" / name).read_bytes())
    else:
        record.unlink()
    said = snakemake(project, TINY, "results/tables")
    assert "das/seed0.json: " in said
    assert "made again" in said
    assert products(project, "tiny") == before
    assert "Nothing to be done" in snakemake(project, TINY, "results/tables")


def test_a_missing_number_is_made_also_where_its_policy_is_made_again(project):
    before = products(project, "tiny")
    number = project / FOLDER.format(study="tiny") / "das/seed0.json"
    policy = project / "results/policies/tiny/few/resnet8/searched/seed0.yaml"
    policy.write_text(policy.read_text() + "\n")
    number.unlink()
    said = snakemake(project, TINY, str(number.relative_to(project)))
    assert "searched/seed0.yaml is not the file that was made" in said
    assert products(project, "tiny") == before


def test_restored_files_without_snakemakes_memory_still_vouch_for_themselves(project, tmp_path):
    """What `dvc pull` or a copy brings: results and cards, no metadata, no store."""
    clone = project_in(tmp_path)
    for kind in ("policies", "numbers", "checkpoints", "data"):
        source, target = project / "results" / kind / "tiny", clone / "results" / kind / "tiny"
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", source, target], check=True)
    assert jobs(snakemake(clone, TINY, "results/tables", "--dry-run")).keys() <= {"tables", "results/tables", "total"}
    other = layered(TINY, recipes={"tiny": {"epochs": 1, "batch_size": 20, "lr": 0.02}})
    assert jobs(snakemake(clone, other, "results/tables", "--dry-run"))["train"] == 3


def jobs(said: str) -> dict[str, int]:
    """What a dry run plans."""
    lines = said.split("Job stats:")[1].split("\n\n")[0].splitlines() if "Job stats:" in said else []
    rows = (line.split() for line in lines)
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def test_a_fresh_clone_makes_its_tables_of_recorded_results_without_training(project, tmp_path):
    environment = {**os.environ, "DAS_STUDY": os.pathsep.join(["params.yaml", "study.yaml"])}
    (project / "study.yaml").write_text(yaml.safe_dump(TINY))
    das = Path(sys.executable).parent / "das"
    subprocess.run([das, "record"], cwd=project, env=environment, check=True, capture_output=True)
    fresh = project_in(tmp_path)
    shutil.copytree(project / "docs", fresh / "docs")
    more = snakemake(fresh, layered(TINY, study={**TINY["study"], "seeds": [0, 1]}), "-n", "results/tables")
    assert work(more) == {"describe": 1, "policy": 1, "search": 1, "train": len(TINY["study"]["methods"]), "tables": 1}
    assert work(snakemake(fresh, TINY, "results/tables")) == {"tables": 1}
    for name, content in products(project, "tiny").items():
        if "checkpoints" not in name:
            assert (fresh / Path(name).relative_to(project)).read_bytes() == content
    assert not (fresh / "results/checkpoints").exists()
    table = (fresh / "results/tables/tiny/accuracy.md").read_text()
    assert table.count("1 recorded, not made here") == len(TINY["study"]["methods"])
    other = snakemake(fresh, layered(TINY, recipes={"tiny": {"epochs": 1, "batch_size": 20, "lr": 0.1}}), "-n")
    assert "recorded with other settings than the study's, so made where needed: few/resnet8/baseline/seed0" in other
