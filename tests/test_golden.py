"""Nothing may change in what is computed: weights, scores and policies of cut-down studies, recorded before the package
das.study existed (commit 728b220). A change that is meant to alter them says so in CHANGELOG.md and records anew."""

import json
from pathlib import Path

import pytest
import yaml

from das.cli import runs
from das.files import read_json
from das.study import load_study, results
from das.study.runs import EvaluationRun, PolicyRun

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests/golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


def make(run, files):
    where = (run.dataset, run.backbone, run.name, run.seed, files)
    command = (
        runs.search if isinstance(run, PolicyRun) else runs.evaluate if isinstance(run, EvaluationRun) else runs.train
    )
    command(*where)


@pytest.mark.parametrize("name", EXPECTED)
def test_weights_scores_and_policies_are_those_of_before(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(ROOT / "data")
    files = [ROOT / "params.yaml", GOLDEN / f"{name}.yaml"]
    found = {"runs": {}, "policies": {}}
    for run in results.everything(load_study(files)):
        make(run, files)
        if isinstance(run, PolicyRun):
            document = yaml.safe_load(run.main.read_text())
            document["provenance"].pop("study", None)
            found["policies"][run.name] = document
        else:
            number = read_json(run.number)
            last = number["last"]
            score = last[number["metric"]]
            found["runs"][run.name] = {"weights": number["digests"]["weights"], "score": score, "loss": last["loss"]}
    assert found == EXPECTED[name]
