"""Numbers evaluated again and made again: what is not as stored is found, and nothing is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.workflow.project import ROOT, TINY, layered

from das import verification
from das.seals import SEAL, sealed
from das.study import load_study, results, verify
from das.study.sources import sha256

STUDY = layered(TINY, study={"methods": ["baseline", "das", "baseline_tta"]})
NUMBERS = Path("results/numbers/tiny/few/resnet8")
FILES = ["params.yaml", "study.yaml"]


def das(*command: str, **environment: str) -> None:
    told = {"DAS_STUDY": os.pathsep.join(FILES), "OMP_NUM_THREADS": "1", **environment}
    subprocess.run([Path(sys.executable).parent / "das", *command], check=True, env=os.environ | told)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of seconds, all of whose results are there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        for name in ("data", "params.yaml"):
            Path(name).symlink_to(ROOT / name)
        Path("study.yaml").write_text(yaml.safe_dump(STUDY))
        study = load_study(FILES)
        for run in results.everything(study):
            verification._make(study, run)
        yield study


def run_of(study, method: str):
    return next(run for run in results.everything(study) if run.main == NUMBERS / method / "seed0.json")


def files() -> dict[Path, str]:
    kept = (path for path in Path("results").rglob("*") if path.is_file())
    return {path: sha256(path) for path in kept if path.parts[1] not in ("work", "verified")}


def forge(run, **changes) -> None:
    """Change a number as somebody does who knows how results vouch for themselves."""
    number = json.loads(run.number.read_text())
    number["last"] |= changes
    run.number.write_text(json.dumps(number, indent=1) + "\n")
    record = json.loads(run.record.read_text())
    del record[SEAL]
    record["files"]["number"] = sha256(run.number)
    run.record.write_text(sealed(record))


@pytest.fixture
def restored(made):
    """Whatever a test does to the results is undone."""
    before = {path: path.read_bytes() for path in files()}
    yield made
    for path, content in before.items():
        path.write_bytes(content)


def test_what_is_as_stored_gets_its_tiers_and_nothing_is_touched(made):
    before, runs = files(), list(results.everything(made))
    again = {outcome.run.name: outcome for outcome in verification.again(made, runs)}
    assert {name: outcome.tier for name, outcome in again.items()} == dict.fromkeys(
        ["baseline", "das", "baseline_tta"], "evaluated again"
    )
    assert {result.tier for result in verify.trace(made, [NUMBERS]) if NUMBERS in result.path.parents} == {
        "evaluated again"
    }
    remade = {outcome.run.name: outcome for outcome in verification.remake(made, runs)}
    assert {name: (outcome.tier, outcome.said) for name, outcome in remade.items()} == dict.fromkeys(
        ["searched", "baseline", "das", "baseline_tta"], ("remade here", "the same bytes")
    )
    assert {result.tier for result in verify.trace(made)} == {"remade here"}
    assert files() == before
    assert not list(Path("results/work/remade").iterdir())
    assert not list(Path("results/work/evaluated").iterdir())


def test_a_number_that_was_typed_in_is_found_by_evaluating(restored):
    """Its hashes are all right."""
    for method in ("baseline", "baseline_tta"):
        run = run_of(restored, method)
        forge(run, accuracy=0.99)
        assert not [result for result in verify.trace(restored, [run.main]) if result.fault]
        (outcome,) = verification.again(restored, [run])
        assert outcome.tier is None
        assert "stored is 0.99" in outcome.said


def test_one_digit_of_a_loss_is_found_by_making_again(restored):
    run = run_of(restored, "baseline")
    forge(run, loss=json.loads(run.number.read_text())["last"]["loss"] + 1e-12)
    (outcome,) = verification.remake(restored, [run])
    assert outcome.tier is None
    assert "other bytes (number) by the same processor, packages and code" in outcome.said


def test_weights_that_are_not_here_are_named(restored):
    run = run_of(restored, "baseline_tta")
    run.trained.checkpoint.unlink()
    (outcome,) = verification.again(restored, [run])
    assert outcome.tier is None
    assert f"{run.trained.checkpoint} is not here" in outcome.said
    (outcome,) = verification.remake(restored, [run])
    assert outcome.tier == "remade here"


def test_other_kernels_are_another_place_and_within_the_tolerance(restored, tmp_path):
    """The same training by torch's plainest kernels, which round otherwise, as on another processor."""
    for name in ("data", "params.yaml", "study.yaml"):
        (tmp_path / name).symlink_to(Path(name).resolve())
    das("--project", str(tmp_path), "train", "few", "resnet8", "baseline",
        ATEN_CPU_CAPABILITY="default", ONEDNN_MAX_CPU_ISA="SSE41")  # fmt: skip
    run = run_of(restored, "baseline")
    for path in (*run.files.values(), run.record):
        path.write_bytes((tmp_path / path).read_bytes())
    stored, said = verification._compared(run, tmp_path)
    assert (stored, said) == ("remade here", "the same bytes")
    (outcome,) = verification.remake(restored, [run])
    assert outcome.tier is None  # the record names the same processor
    record = json.loads(run.record.read_text())
    del record[SEAL]
    record["machine"]["device"] = "another"
    run.record.write_text(sealed(record))
    (outcome,) = verification.remake(restored, [run])
    assert outcome.tier == "remade elsewhere"
    assert "by another machine" in outcome.said
    forge(run, accuracy=json.loads(run.number.read_text())["accuracy"] + 0.2)
    (outcome,) = verification.remake(restored, [run])
    assert outcome.tier is None
    assert "not within the tolerances" in outcome.said


def test_an_interrupted_remake_continues(restored, monkeypatch):
    run = run_of(restored, "das")
    with monkeypatch.context() as patch:
        patch.setattr(verification, "train", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(verification.remake(restored, [run]))
        patch.setattr(verification, "train", _train_alone)
        patch.setattr(verification, "search_policy", _interrupted)  # it is there already
        (outcome,) = verification.remake(restored, [run])
    assert outcome.tier == "remade here"


def _interrupted(*_) -> None:
    raise KeyboardInterrupt


_train_alone = verification.train
