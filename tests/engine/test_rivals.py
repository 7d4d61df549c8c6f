"""The rivals of config/rivals.yaml, trained, tested and written into tables, cut down to seconds."""

import csv
import json
from pathlib import Path

import pytest
import torch

from das import data
from das.cli import reports, runs
from das.data import splits
from das.engine.checkpoint import load_model
from das.engine.holdout import held_out
from das.errors import DasError
from das.study import load_study, of_method, results
from das.study.runs import EvaluationRun, PolicyRun
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]
TINY = """
study:
  name: tiny
  datasets: [few]
  seeds: [0]
  methods: [
    baseline, baseline_quarter, baseline_held_out, baseline_tta, baseline_tta_learned, batch_augmentation_frames,
    ensemble, ensemble_equal_training, augerino, ti_pooling, tiled, large_kernels, wide, das, das_smooth_adversarial,
  ]
datasets:
  few:
    title: Few images
    reader: fashion_mnist_embedded
    options: {train_per_class: 6, test_per_class: 3}
    recipe: tiny
    augment: [random_flip]
    planted: {operation: rotate, range: 20}
recipes: {tiny: {epochs: 4, batch_size: 20, lr: 0.05, test_every: 4}}
searches:
  quick: {epochs: 1, batch_size: 10}
  fast: {epochs: 1, batch_size: 10}
  smooth_adversarial: {epochs: 1, batch_size: 10, smooth: {steps: 2}}
methods:
  ensemble: {ensemble_of: {members: 2}}
  ensemble_equal_training: {ensemble_of: {members: 2}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which the whole tiny study was made, and its study."""
    folder = tmp_path_factory.mktemp("rivals")
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "tiny.yaml").write_text(TINY)
    files = [ROOT / "params.yaml", ROOT / "config/rivals.yaml", folder / "tiny.yaml"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = load_study(files)
        for run in results.everything(study):
            kinds = ((PolicyRun, runs.search), (EvaluationRun, runs.evaluate), (object, runs.train))
            made = next(command for kind, command in kinds if isinstance(run, kind))
            made(run.dataset, run.backbone, run.name, run.seed, files)
        reports.tables(files)
    return folder, study


@pytest.fixture
def study(project, monkeypatch):
    monkeypatch.chdir(project[0])
    return project[1]


def number(study, method):
    return json.loads(of_method(study, "few", "resnet8", method, 0).number.read_text())


def pixels_of(study):
    images = data.of_study(study, "few").test
    return images.images.float() / 255, images.labels


def test_an_ensembles_number_is_the_mean_of_its_members_probabilities(study):
    images, labels = pixels_of(study)
    run = of_method(study, "few", "resnet8", "ensemble", 0)
    total = sum(load_model(member.checkpoint)(images).double().softmax(1) for member in run.weights) / 2
    found = number(study, "ensemble")
    assert found["accuracy"] == float((total.argmax(1) == labels).double().mean())
    assert found["last"]["loss"] == pytest.approx(
        -float(total[range(len(labels)), labels].log().mean().detach()), rel=1e-4
    )
    assert found["cost"]["frames"] == 2


def test_training_costs_are_those_of_all_copies(study):
    frames = {name: number(study, name)["cost"]["train_frames"] for name in study.study.methods}
    base = frames["baseline"]
    assert base == 4 * 3 * 20
    assert frames["batch_augmentation_frames"] == 4 * base
    assert frames["baseline_quarter"] == base / 4
    assert frames["augerino"] == base
    assert frames["baseline_held_out"] == 4 * 2 * 20  # 48 of 60 images
    assert frames["ti_pooling"] == frames["tiled"] == 4 * base


def test_held_out_images_are_a_fifth_of_each_class_and_the_average_was_learned_on_them(study):
    images = data.of_study(study, "few")
    run = of_method(study, "few", "resnet8", "baseline_held_out", 0)
    kept, held = held_out(run, images)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(60))
    counts = torch.bincount(images.train.labels[held], minlength=10)
    assert (counts.min(), counts.max()) == (1, 2)
    found = number(study, "baseline_tta_learned")["averaging"]
    assert set(found["chosen_on"]) == {"per_frame", "per_class"}
    learned, chosen = splits.halves(images.train.labels[held], "few", "averaging", 0)
    assert len(learned) == len(chosen) == 6
    weights = torch.tensor(found["weights"])
    images, labels = pixels_of(study)
    policy = Policy.load(of_method(study, "few", "resnet8", "das", 0).made_by.main)
    model = load_model(of_method(study, "few", "resnet8", "baseline", 0).checkpoint, policy)
    logits = model.network.frame_logits(model.normalize(model.video(images)))
    if weights.ndim == 1:
        weights = (weights / weights.sum())[:, None]
    fused = (weights * logits).sum(1)
    assert number(study, "baseline_tta_learned")["accuracy"] == float((fused.argmax(1) == labels).double().mean())


def test_augerinos_checkpoint_predicts_what_was_tested(study):
    images, labels = pixels_of(study)
    model = load_model(of_method(study, "few", "resnet8", "augerino", 0).checkpoint)
    assert model.frames == 4
    assert number(study, "augerino")["accuracy"] == float((model(images).argmax(1) == labels).double().mean())
    assert number(study, "augerino")["cost"]["frames"] == 4


def test_tables_say_what_each_costs_and_what_was_planted(study):
    with Path("results/tables/tiny/cost.csv").open() as file:
        costs = {row["name"]: row for row in csv.DictReader(file)}
    assert float(costs["baseline"]["test"]) == float(costs["baseline"]["training"]) == 1
    for name, test, training in [
        ("ensemble", 2, 2),
        ("ensemble_equal_training", 2, 0.5),
        ("batch_augmentation_frames", 1, 4),
        ("augerino", 4, 1),
        ("das", 4, 4),
        ("baseline_tta", 4, 0),
    ]:
        assert float(costs[name]["test"]) == pytest.approx(test), name
        assert float(costs[name]["training"]) == pytest.approx(training), name
    assert float(costs["wide"]["test"]) == pytest.approx(4, rel=0.05)
    assert float(costs["tiled"]["test"]) == pytest.approx(4, rel=0.1)
    assert float(costs["large_kernels"]["parameters"]) > 2 * float(costs["baseline"]["parameters"])
    with Path("results/tables/tiny/planted.csv").open() as file:
        planted = list(csv.DictReader(file))
    assert {row["policy"] for row in planted} == {"searched", "smooth_adversarial"}
    assert all(row["operation"] == "rotate" and row["seeds"] == "1" for row in planted)
    with Path("results/tables/tiny/accuracy.csv").open() as file:
        accuracy = {row["name"]: row for row in csv.DictReader(file)}
    assert float(accuracy["ensemble"]["train_frames"]) == 2
    assert all(row["seeds"] == "1" for row in accuracy.values())


def test_an_ensemble_without_a_members_checkpoint_says_how_to_make_it(study, tmp_path):
    run = of_method(study, "few", "resnet8", "ensemble", 0)
    lost = run.weights[1].checkpoint
    aside = lost.rename(tmp_path / "lost.pt")
    try:
        with pytest.raises(DasError, match=r"baseline/seed1000\.pt: does not exist; make it with"):
            results.inputs(run)
    finally:
        aside.rename(lost)


def test_a_class_without_images_to_hold_out_is_named(study):
    images = data.of_study(study, "few")
    run = of_method(study, "few", "resnet8", "baseline_held_out", 0)
    object.__setattr__(run, "how", run.how.model_copy(update={"held_out": 0.05}))
    with pytest.raises(DasError, match=r"held_out: is 0\.05, which leaves no image of '.*' to leave out; few has 60"):
        held_out(run, images)
