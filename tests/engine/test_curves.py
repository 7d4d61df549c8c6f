"""Curves in TensorBoard's event files, read back by TensorBoard's own reader."""

import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from das import data
from das.engine import curves, train
from das.engine.resume import ResumeState
from das.errors import DasError
from das.search.make import search_policy
from das.study import check, load_study, of_method, of_policy

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(asked: bool = True, **recipe):
    settings = load_study([ROOT / "params.yaml", ROOT / "config/smoke.yaml"]).model_dump()
    settings["compute"]["tensorboard"] = asked
    settings["datasets"]["fashion_mnist_tiny"]["root"] = str(ROOT / "data/embedded/fashion_mnist")
    settings["recipes"]["smoke"] |= {"epochs": 3, **recipe}
    settings["searches"]["quick"]["epochs"] = 2
    return check(settings, "a test")


def run_of(made):
    return of_method(made, "fashion_mnist_tiny", "resnet8", "baseline", 0)


def images(made):
    return data.of_study(made, "fashion_mnist_tiny", 0)


def read(folder: Path) -> dict[str, dict[int, float]]:
    """{name: {step: value}}, and no step twice."""
    events = EventAccumulator(str(folder))
    events.Reload()
    found = {}
    for name in events.Tags()["scalars"]:
        points = [(event.step, event.value) for event in events.Scalars(name)]
        assert len(dict(points)) == len(points), name
        found[name] = dict(points)
    return found


class Stopped(Exception):
    """In place of a kill."""


def stop_in_epoch(monkeypatch, epoch: int, before_saving: bool) -> None:
    """Have the next run end around the saving of the state after ``epoch``."""
    save = ResumeState.save

    def stopping(self, state):
        if state["epoch"] == epoch and before_saving:
            raise Stopped
        save(self, state)
        if state["epoch"] == epoch:
            raise Stopped

    monkeypatch.setattr(ResumeState, "save", stopping)


@pytest.mark.parametrize("before_saving", [True, False])
def test_an_interrupted_training_writes_every_epoch_of_its_number_once(monkeypatch, before_saving):
    made = study()
    run = run_of(made)
    with monkeypatch.context() as patch:
        stop_in_epoch(patch, 2, before_saving)
        with pytest.raises(Stopped):
            train.train(run, images(made), None)
    folder = Path("results/tensorboard/smoke/training/fashion_mnist_tiny/resnet8/baseline/seed0")
    assert read(folder)["loss/train"].keys() == {1, 2}
    train.train(run, images(made), None)
    number = json.loads(run.number.read_text())["curves"]
    found = read(folder)
    assert found.keys() == {"loss/train", "loss/test", "accuracy/test"}
    for name, key in (("loss/train", "train_loss"), ("loss/test", "test_loss"), ("accuracy/test", "test_accuracy")):
        assert found[name] == pytest.approx(dict(zip((1, 2, 3), number[key], strict=True)))


def test_a_validation_and_the_one_test_after_it_are_there():
    made = study(validation=0.2)
    run = run_of(made)
    train.train(run, images(made), None)
    number = json.loads(run.number.read_text())["curves"]
    found = read(curves.Curves(run).folder)
    assert found["accuracy/validation"].keys() == {1, 2, 3}
    assert found["accuracy/test"] == pytest.approx({number["test_epoch"][0]: number["test_accuracy"][0]})


def test_a_search_shows_the_share_of_every_candidate_on_every_edge():
    made = study()
    run = of_policy(made, "fashion_mnist_tiny", "resnet8", "searched", 0)
    search_policy(run, images(made))
    history = json.loads(run.files["history"].read_text())
    found = read(curves.Curves(run).folder)
    assert found["alpha/entropy"] == pytest.approx(dict(enumerate(history["entropy"])))
    assert found["loss/held_out"] == pytest.approx(dict(enumerate(history["val_loss"], start=1)))
    shares = torch.tensor(history["alpha"]).softmax(-1)
    edge = {name: points for name, points in found.items() if name.startswith("alpha_edge_3/")}
    assert list(edge) == [f"alpha_edge_3/{candidate}" for candidate in history["candidates"]]
    assert edge["alpha_edge_3/zoom"] == pytest.approx(
        dict(enumerate(shares[:, 3, history["candidates"].index("zoom")].tolist()))
    )


def test_what_is_asked_for_changes_no_digest_and_no_number():
    asked, not_asked = study(True), study(False)
    assert run_of(asked).digest == run_of(not_asked).digest
    train.train(run_of(not_asked), images(not_asked), None)
    assert not Path("results/tensorboard").exists()
    plain = run_of(not_asked).number.read_bytes()
    train.train(run_of(asked), images(asked), None)
    assert run_of(asked).number.read_bytes() == plain


def test_a_missing_package_is_one_line_before_anything_is_made(monkeypatch):
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    made = study()
    with pytest.raises(DasError, match=r"compute.tensorboard: is true, but .* not installed; `uv sync --extra"):
        train.train(run_of(made), images(made), None)
    curves.Curves(run_of(study(False)))


def test_a_folder_that_cannot_be_written_is_named():
    Path("results").mkdir()
    Path("results/tensorboard").write_text("a file")
    shown = curves.Curves(run_of(study()))
    with pytest.raises(DasError, match=r"results/tensorboard/smoke/.*: cannot be written"):
        shown.write([("loss/train", 1, 0.5)])
