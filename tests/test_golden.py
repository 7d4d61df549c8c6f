"""Nothing may change in what is computed: losses, scores and policies of cut-down studies.

The code of commit 728b220 and today's gave the same bits of every weight on one machine. From processor to processor
losses differ by rounding, for which `ROUNDING` leaves room. A change that is meant to alter them says so in the
changelog and records anew: `uv run python -m tests.test_golden`.
"""

import json
import os
import tempfile
from pathlib import Path

import pytest
import yaml

from das.cli import runs
from das.files import read_json
from das.study import load_study, results
from das.study.runs import EvaluationRun, PolicyRun

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests/golden"
EXPECTED = GOLDEN / "expected.json"
STUDIES = ("classification", "segmentation")
ROUNDING = 5e-5  # relative; kernels for SSE, AVX2 and AVX-512 differ by up to 7e-6 in these studies


def make(run, files):
    where = (run.dataset, run.backbone, run.name, run.seed, files)
    command = (
        runs.search if isinstance(run, PolicyRun) else runs.evaluate if isinstance(run, EvaluationRun) else runs.train
    )
    command(*where)


def computed(name: str) -> dict:
    """What the present code computes, in the working folder: {losses: {run: curves}, policies: {run: policy}}."""
    Path("data").symlink_to(ROOT / "data")
    files = [ROOT / "params.yaml", GOLDEN / f"{name}.yaml"]
    found: dict[str, dict] = {"losses": {}, "policies": {}}
    for run in results.everything(load_study(files)):
        make(run, files)
        if isinstance(run, PolicyRun):
            document = yaml.safe_load(run.main.read_text())
            document["provenance"].pop("study", None)
            found["policies"][run.name] = document
        else:
            number = read_json(run.number)
            curves = {curve: values for curve, values in number.get("curves", {}).items() if curve.endswith("loss")}
            found["losses"][run.name] = curves | {"last": [number["last"]["loss"]]}
    return found


@pytest.mark.parametrize("name", STUDIES)
def test_losses_and_policies_are_those_of_before(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, expected = computed(name), json.loads(EXPECTED.read_text())[name]
    assert found["policies"] == expected["policies"]
    assert found["losses"].keys() == expected["losses"].keys()
    for run, curves in expected["losses"].items():
        assert found["losses"][run] == {curve: pytest.approx(v, rel=ROUNDING) for curve, v in curves.items()}, run


def record() -> None:
    recorded = {}
    for name in STUDIES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            recorded[name] = computed(name)
            os.chdir(ROOT)
    EXPECTED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    record()
