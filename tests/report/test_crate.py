"""The crate, read as JSON and ZIP by the text of the profiles; and, where the network gives it, by their validator."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from tests.report.studies import ROOT, leave, make, number, study

from das.analysis.tables import write_tables
from das.errors import DasError
from das.report.crate import write_crate
from das.seals import read_sealed
from das.study import check, products, results
from das.study.runs import TrainingRun

METADATA = "ro-crate-metadata.json"
RUNS = 3 * (4 + 2)  # numbers of four methods, policies searched and drawn


class Crate:
    """A crate's files, and its entities by @id, every value a list."""

    def __init__(self, path: Path):
        with zipfile.ZipFile(path) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        self.raw = json.loads(self.files[METADATA])
        self.entities = {
            entity["@id"]: {key: value if isinstance(value, list) else [value] for key, value in entity.items()}
            for entity in self.raw["@graph"]
        }
        assert len(self.entities) == len(self.raw["@graph"])

    def of(self, type: str) -> list[dict]:
        return [entity for entity in self.entities.values() if type in entity["@type"]]

    def follow(self, entity: dict, key: str) -> list[dict]:
        return [self.entities[value["@id"]] for value in entity.get(key, [])]

    def action(self, id: str) -> dict:
        """The action that made a file."""
        (made,) = [a for a in self.of("CreateAction") if {"@id": id} in a["result"] and a["@id"] != ["#study"]]
        return made


def score(run):
    return 0.5 + run.seed / 100


def write(made, *layers: Path, **options) -> tuple[Crate, list[str]]:
    path, left_out = write_crate(made, [Path("params.yaml"), *layers], **options)
    return Crate(path), left_out


def weights(made) -> list[TrainingRun]:
    """Give every training weights; returns the trainings."""
    trained = [run for run in results.everything(made) if isinstance(run, TrainingRun)]
    for run in trained:
        leave(run, checkpoint=f"weights of {run.title}", number=json.dumps(number(run, score(run))))
    return trained


@pytest.fixture
def made(elsewhere):
    """A project in which every run of a study was made, and its tables."""
    for name in ("Snakefile", "workflow", "params.yaml", "LICENSE"):
        (elsewhere / name).symlink_to(ROOT / name)
    made = study()
    make(made, score)
    weights(made)
    for run in results.everything(made):  # tests that read those weights
        if run.kind == "evaluation":
            leave(run, number=json.dumps(number(run, score(run))))
    with products.making(made, "tables") as folder:
        write_tables(made, folder)
    return made


def test_it_is_what_the_profiles_ask_for(made):
    crate, left_out = write(made)
    assert left_out == []
    descriptor, root = crate.entities[METADATA], crate.entities["./"]
    assert descriptor["about"] == [{"@id": "./"}]
    assert crate.raw["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    profiles = ["https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0"]
    assert [value["@id"] for value in descriptor["conformsTo"]] == profiles
    assert root["@type"] == ["Dataset"]
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert datetime.fromisoformat(root["datePublished"][0])
    assert {profile["@id"][0] for profile in crate.follow(root, "conformsTo")} >= {
        "https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/workflow/0.5"
    }  # fmt: skip
    (workflow,) = crate.follow(root, "mainEntity")
    assert workflow["@id"] == ["Snakefile"]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    (language,) = crate.follow(workflow, "programmingLanguage")
    assert language["@type"] == ["ComputerLanguage"]
    parameters = [*crate.follow(workflow, "input"), *crate.follow(workflow, "output")]
    assert {parameter["name"][0] for parameter in parameters} == {
        "study", "data", "policies", "numbers", "tables"
    }  # fmt: skip
    for parameter in parameters:
        assert parameter["@type"] == ["FormalParameter"]
        assert parameter["additionalType"][0] in ("File", "Dataset")
        for example in crate.follow(parameter, "workExample"):
            assert example["exampleOfWork"] == [{"@id": parameter["@id"][0]}]
            assert parameter["additionalType"][0] in example["@type"]
    mentioned = {action["@id"][0] for action in crate.follow(root, "mentions")}
    assert mentioned == {action["@id"][0] for action in crate.of("CreateAction")}
    assert any(crate.follow(action, "instrument") == [workflow] for action in crate.of("CreateAction"))
    for action in crate.of("CreateAction"):
        (tool,) = crate.follow(action, "instrument")
        assert {"SoftwareApplication", "ComputationalWorkflow"} & set(tool["@type"])
        assert {"name", "version"} <= tool.keys()
        assert action["actionStatus"] == ["http://schema.org/CompletedActionStatus"]
        assert {"name", "object", "result"} <= action.keys()


def test_every_reference_leads_somewhere_and_every_file_is_described_and_is_what_is_said_of_it(made):
    crate, _ = write(made)
    outside = ("https://", "http://")
    for entity in crate.entities.values():
        for values in entity.values():
            for value in values:
                if isinstance(value, dict):
                    assert value["@id"] in crate.entities or value["@id"].startswith(outside), value
    files = {entity["@id"][0]: entity for entity in crate.of("File")}
    assert {name for name in crate.files if not name.endswith("/")} == files.keys() | {METADATA}
    assert {name for name in crate.files if name.endswith("/")} == {
        entity["@id"][0] for entity in crate.of("Dataset") if entity["@id"][0][0] not in "#."
    }
    for name, entity in files.items():
        assert entity["sha256"] == [hashlib.sha256(crate.files[name]).hexdigest()], name
        assert entity["contentSize"] == [str(len(crate.files[name]))]
    parts = {value["@id"] for value in crate.entities["./"]["hasPart"]}
    assert files.keys() <= parts
    for name in (
        "Snakefile",
        "workflow/rules/numbers.smk",
        "params.yaml",
        "LICENSE",
        "results/tables/made/accuracy.csv",
    ):
        assert crate.files[name] == Path(name).read_bytes()
    assert crate.entities["#data-fashion_mnist"]["name"] == ["Few images"]


def test_a_number_leads_back_to_settings_data_policy_weights_and_record(made):
    crate, _ = write(made)
    assert len(crate.of("CreateAction")) == RUNS + 1
    place = "made/fashion_mnist/resnet8"
    action = crate.action(f"results/numbers/{place}/das/seed1.json")
    record = read_sealed(f"results/numbers/{place}/das/seed1.run.json")
    assert action["endTime"] == [record["made"]] == ["2026-01-02T03:04:05+00:00"]
    assert action["startTime"] == ["2026-01-02T03:03:53+00:00"]  # 12 seconds before
    assert action["subjectOf"] == [{"@id": f"results/numbers/{place}/das/seed1.run.json"}]
    (tool,) = crate.follow(action, "instrument")
    assert tool["name"] == ["das train"]
    assert tool["identifier"] == [record["code"]]
    assert [package["name"] + package["version"] for package in crate.follow(tool, "softwareRequirements")] == [
        ["torch", "2.11"]
    ]
    read = [value["@id"] for value in action["object"]]
    assert read == ["settings/resolved.yaml", "#data-fashion_mnist", f"results/policies/{place}/searched/seed1.yaml"]
    assert crate.follow(crate.action(read[-1]), "instrument")[0]["name"] == ["das search"]
    weights = Path(f"results/checkpoints/{place}/baseline/seed1.pt").read_bytes()
    named = f"ni:///sha-256;{base64.urlsafe_b64encode(hashlib.sha256(weights).digest()).decode().rstrip('=')}"
    tested = crate.action(f"results/numbers/{place}/baseline_tta/seed1.json")
    assert {"@id": named} in tested["object"]
    assert crate.action(named)["@id"] == ["#training/fashion_mnist/resnet8/baseline/seed1"]
    assert crate.entities[named]["sha256"] == [hashlib.sha256(weights).hexdigest()]


def test_weights_are_in_it_where_they_are_asked_for(made):
    without, _ = write(made)
    assert not [name for name in without.files if "checkpoints" in name]
    crate, _ = write(made, checkpoints=True)
    path = Path("results/checkpoints/made/fashion_mnist/resnet8/das/seed0.pt")
    assert crate.files[str(path)] == path.read_bytes()
    assert {"@id": str(path)} in crate.action("results/numbers/made/fashion_mnist/resnet8/das/seed0.json")["result"]
    assert not [id for id in crate.entities if id.startswith("ni:")]


def test_settings_are_the_resolved_ones_and_layers_from_elsewhere_come_along(made, tmp_path_factory):
    layer = tmp_path_factory.mktemp("other") / "a layer.yaml"
    layer.write_text("{}\n")
    crate, _ = write(made, layer)
    resolved = yaml.safe_load(crate.files["settings/resolved.yaml"])
    assert check(resolved, "the crate") == made
    assert crate.files["layers/1_a layer.yaml"] == b"{}\n"
    assert "layers/1_a%20layer.yaml" in crate.entities
    assert b"--configfile layers/1_a layer.yaml" in crate.files["README.md"]


def test_the_same_content_is_the_same_bytes_and_another_is_not(made):
    path = Path("results/crate/made.zip")
    write(made)
    first = path.read_bytes()
    for file in Path("results").rglob("*.json"):
        os.utime(file, (1, 1))
    path.unlink()
    write(made)
    assert path.read_bytes() == first
    run = next(run for run in results.everything(made) if run.kind == "training")
    leave(run, checkpoint="weights of another", number=json.dumps(number(run, 0.9)))
    write(made)
    assert path.read_bytes() != first


def test_what_cannot_stand_is_left_out_and_named(made):
    place = "made/fashion_mnist/resnet8"
    damaged, lost = (Path(f"results/numbers/{place}/random/seed{seed}.json") for seed in (0, 1))
    damaged.write_text(damaged.read_text().replace("0.5", "0.9", 1))
    lost.unlink()
    table = Path("results/tables/made/accuracy.csv")
    table.write_text(table.read_text() + "1\n")
    crate, left_out = write(made)
    assert [line.partition(": ")[0] for line in left_out] == [
        str(damaged), str(lost), "results/tables/made/tables.made_from.json"
    ]  # fmt: skip
    assert not {str(damaged), str(lost), str(table)} & crate.files.keys()
    assert f"results/numbers/{place}/random/seed2.json" in crate.files
    assert f"{RUNS - 2} of its {RUNS} runs" in crate.entities["./"]["description"][0]


def test_without_results_or_without_a_workflow_there_is_no_crate(elsewhere):
    with pytest.raises(DasError, match="Snakefile: is not here"):
        write(study())
    (elsewhere / "Snakefile").symlink_to(ROOT / "Snakefile")
    with pytest.raises(DasError, match="no results that can stand"):
        write(study())


@pytest.mark.long
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv makes the validator's environment")
def test_the_validator_of_the_profiles_finds_nothing_that_is_required_and_lacking(made):
    path, _ = write_crate(made, [Path("params.yaml")], checkpoints=True)
    command = ["uv", "run", "--quiet", "--script", ROOT / "tests/report/validate_crate.py", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": 0 required things are lacking") == 3
    with zipfile.ZipFile(path) as archive:
        archive.extractall("broken")
    metadata = Path("broken", METADATA)
    metadata.write_text(metadata.read_text().replace('"ComputerLanguage"', '"Thing"'))
    done = subprocess.run([*command[:-1], "broken"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "must refer to its language via programmingLanguage" in done.stdout
