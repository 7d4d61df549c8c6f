"""Recipes are chosen by successive halving: against a fake landscape, resumed, and layered back over the study."""

from pathlib import Path

import pytest
import torch
import yaml

from das.data.sets import Dataset, ImageSet
from das.engine import resume
from das.engine import tune as tuner
from das.engine.tune import halve, held_out, trials, tune, with_settings, write_chosen
from das.errors import DasError
from das.files import read_json
from das.study import check, of_method, of_tuning, results
from das.study.tuning import rungs

RECIPE = {"lr": {"low": 1e-3, "high": 0.1}, "batch_size": [6, 12]}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").touch()


def content(epochs: int = 8, **tuning) -> dict:
    asked = {"trials": 4, "fraction": 0.25, "recipe": RECIPE, "halving": {"factor": 2, "rungs": 3}, "tests": 2} | tuning
    return {
        "study": {"name": "made", "datasets": ["made"], "backbones": ["small"], "methods": ["plain", "longer", "tta"],
                  "seeds": [0], "reference": "plain"},
        "datasets": {"made": {"title": "made", "reader": "arrays", "root": "x", "recipe": "short"}},
        "backbones": {"small": {"title": "small", "network": "resnet8", "options": {"width": 4}}},
        "recipes": {"short": {"epochs": epochs, "batch_size": 12, "lr": 0.1}},
        "cells": {"two": {"frames": 2}},
        "policies": {"copies": {"source": "replicate", "cell": "two"}},
        "methods": {
            "plain": {"title": "plain"},
            "longer": {"title": "longer", "equal_compute_to": "copies"},
            "copies": {"title": "copies", "policy": "copies"},
            "tta": {"title": "tta", "weights_of": "plain", "policy": "copies"},
        },
        "tuning": asked,
    }  # fmt: skip


def made(per_class: int = 12, rare: int | None = None) -> Dataset:
    """Bright and dark images, in the order dark, bright, dark, ...; ``rare`` of the bright ones."""

    def read(split: str) -> ImageSet:
        assert split == "train", "the test set was read"
        labels = torch.arange(2 * per_class) % 2
        if rare is not None:
            labels = torch.cat([torch.zeros(per_class, dtype=torch.int64), torch.ones(rare, dtype=torch.int64)])
        noise = torch.randint(0, 200, (len(labels), 1, 8, 8), generator=torch.Generator().manual_seed(0))
        return ImageSet((noise + 40 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)

    return Dataset("made", read, ("dark", "bright"))


def run_of(method="plain", **tuning):
    return of_tuning(check(content(**tuning), "made"), "made", "small", method)


@pytest.mark.parametrize("seed", range(5))
def test_halving_finds_what_halving_by_hand_finds(seed):
    """A landscape in which scores at each share are known: survivors are the best by that share's scores alone."""
    table = torch.rand(27, 3, generator=torch.Generator().manual_seed(seed))
    asked = run_of(trials=27, halving={"factor": 3, "rungs": 3}, epochs=9).tuning
    shares = {1 / 9: 0, 1 / 3: 1, 1.0: 2}
    work = []

    def score(trial, share):
        rung = min(shares, key=lambda known: abs(known - share))
        work.append((trial.settings["n"], shares[rung]))
        trial.scores.append(float(table[trial.settings["n"], shares[rung]]))

    found = halve([{"n": n} for n in range(27)], rungs(asked, 27), score)
    first = set(table[:, 0].argsort(descending=True)[:9].tolist())
    second = set(sorted(first, key=lambda n: -float(table[n, 1]))[:3])
    assert [len(trial.scores) for trial in found] == [1 + (n in first) + (n in second) for n in range(27)]
    assert len(work) == 27 + 9 + 3
    assert [n for n, rung in work if rung == 1] == sorted(first)


def test_trials_without_a_finite_loss_never_go_on_and_equals_go_on_in_order():
    def score(trial, share):
        trial.scores.append(None if trial.settings["n"] < 6 else 0.5)

    found = halve([{"n": n} for n in range(8)], [(8, 0.25), (4, 0.5), (1, 1.0)], score)
    assert [len(trial.scores) for trial in found] == [1] * 6 + [3, 2]


def test_every_method_tries_the_same_recipes_within_their_ranges():
    tried = trials(run_of(trials=64))
    rates = torch.tensor([point["recipe.lr"] for point in tried]).log10()
    assert rates.min() >= -3
    assert rates.max() <= -1
    below = (rates < -2).float().mean()  # even in the logarithm: half of 64, give or take 3 standard deviations
    assert abs(below - 0.5) < 3 * 0.5 / 8
    assert {point["recipe.batch_size"] for point in tried} == {6, 12}
    assert trials(run_of("longer", trials=64)) == tried
    assert trials(run_of(trials=64, seed=1)) != tried


def test_equal_compute_follows_the_epochs_that_the_other_method_was_given():
    study = content(recipe=RECIPE | {"epochs": [8, 16]})
    assert all("recipe.epochs" in point for point in trials(run_of(recipe=RECIPE | {"epochs": [8, 16]})))
    assert not any("recipe.epochs" in p for p in trials(run_of("longer", recipe=RECIPE | {"epochs": [8, 16]})))
    study["methods"]["copies"]["tuned"] = {"made": {"small": {"recipe.epochs": 16, "recipe.lr": 0.03}}}
    known = check(study, "made")
    longer, copies = (of_method(known, "made", "small", name, 0) for name in ("longer", "copies"))
    assert (copies.epochs, copies.recipe.lr) == (16, 0.03)
    assert (longer.epochs, longer.recipe.lr) == (32, 0.1)


def test_what_was_tuned_is_part_of_the_digest_and_leaves_the_tuning_alone():
    plain, layered = content(), content()
    layered["methods"]["plain"]["tuned"] = {"made": {"small": {"recipe.weight_decay": 0.01}}}
    before, after = check(plain, "made"), check(layered, "made")
    runs = [of_method(study, "made", "small", "plain", 0) for study in (before, after)]
    assert runs[0].digest != runs[1].digest
    assert runs[1].settings["recipe"]["weight_decay"] == 0.01
    tested = of_method(after, "made", "small", "tta", 0)
    assert tested.settings["weights"]["recipe"]["weight_decay"] == 0.01
    assert len({of_tuning(study, "made", "small", "plain").digest for study in (before, after)}) == 1
    assert {run.name for run in results.everything(before) if run.kind == "tuning"} == {"plain", "longer"}


def test_an_interrupted_tuning_ends_in_the_same_bytes_and_stops_what_is_behind(monkeypatch):
    run = run_of()
    tune(run, made(), None)
    whole = run.main.read_text()
    record = read_json(run.main)
    assert sorted(len(trial["scores"]) for trial in record["trials"]) == [1, 1, 2, 3]
    assert {len(trial["scores"]): trial["epochs"] for trial in record["trials"]} == {1: 2, 2: 4, 3: 8}
    best = next(trial["settings"] for trial in record["trials"] if len(trial["scores"]) == 3)
    assert not list(Path("results/work/training").rglob("*.pt"))

    run.main.unlink()
    run.record.unlink()
    monkeypatch.setenv("DAS_AFRESH", "1")
    saved = resume.ResumeState.save
    count = iter(range(11))  # epochs before the interruption: in the second rung

    def save(state, content):
        saved(state, content)
        if next(count, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(resume.ResumeState, "save", save)
        with pytest.raises(KeyboardInterrupt):
            tune(run, made(), None)
    epochs = []
    trained = tuner.fit

    def fit(*arguments, **options):
        before = arguments[3].load()
        epochs.append(options["stop"] - (before["epoch"] if before else 0))
        return trained(*arguments, **options)

    monkeypatch.setattr(tuner, "fit", fit)
    tune(run, made(), None)
    assert run.main.read_text() == whole
    assert sum(max(0, done) for done in epochs) == 4 * 2 + 2 * 2 + 4 - 12
    study = check(content(), "made")
    monkeypatch.setattr("das.engine.tune.tunings_of", lambda study: [run])
    assert yaml.safe_load(write_chosen(study).read_text()) == {
        "methods": {"plain": {"tuned": {"made": {"small": best}}}}
    }


def test_a_trial_is_scored_by_the_mean_of_its_last_tests():
    run = run_of(halving=None, trials=1, tests=3)
    tune(run, made(), None)
    (trial,) = read_json(run.main)["trials"]
    kept, held = held_out(run, made())
    parts = {"train": made().train.subset(kept), "test": made().train.subset(held)}
    split = Dataset("made", parts.__getitem__, ("dark", "bright"))
    training = with_settings(run, trials(run)[0])
    curve = tuner.fit(training, split, None, resume.ResumeState("alone", digest="0")).curves["test_accuracy"]
    assert trial["scores"] == [pytest.approx(sum(curve[-3:]) / 3)]


def test_a_recipe_that_blows_up_is_recorded_and_not_chosen():
    run = run_of(recipe={"lr": [0.01, 1e30]}, trials=6, halving=None)
    tune(run, made(), None)
    record = read_json(run.main)["trials"]
    assert {trial["settings"]["recipe.lr"]: trial["scores"] == [None] for trial in record} == {0.01: False, 1e30: True}
    assert tuner.chosen(run) == {"recipe.lr": 0.01}
    hopeless = run_of(recipe={"lr": [1e30]}, trials=2, halving=None)
    with pytest.raises(DasError, match=r"no trial of .* kept a finite loss"):
        tune(hopeless, made(), None)


def test_a_split_that_takes_the_last_image_of_a_class_is_refused():
    with pytest.raises(DasError, match=r"fraction: 0.9 takes the last image of class 'bright' of made, which has 1;"):
        held_out(run_of(fraction=0.9), made(rare=1))
    kept, held = held_out(run_of(fraction=0.2), made(rare=2))
    assert made(rare=2).train.labels[kept].unique().tolist() == [0, 1]
    assert len(held) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trials": 3}, r"tuning.trials: is 3; should be at least 4, of which halving by 2 leaves one in"),
        ({"test_every": 3}, r"first rung ends after 2 of 8 epochs, before a test \(every 3\)"),
        ({"recipe": {"lr": {"low": 0.1, "high": 0.01}}}, r"tuning.recipe.lr: is 0.1 to 0.01; low should be below high"),
        ({"recipe": {"rate": [0.1]}}, r"tuning.recipe.rate: unknown key; allowed here: epochs, batch_size"),
        (
            {"recipe": {"batch_size": {"low": 10, "high": 50}}},
            r"tuning.recipe.batch_size: is 10.0; should be a whole number",
        ),
        ({"recipe": {"lr": []}}, r"tuning.recipe.lr: is empty"),
        ({"recipe": {}}, r"tuning: tries nothing"),
    ],
)  # fmt: skip
def test_impossible_tunings_are_refused_at_start(change, words):
    with pytest.raises(DasError, match=words):
        check(content(**change), "made")


@pytest.mark.parametrize(
    ("tuned", "words"),
    [
        ({"made": {"small": {"recipe.lr": -1}}}, r"methods.plain.tuned.made.small.recipe.lr: is -1; should be greater"),
        ({"made": {"small": {"cutmix.alpha": 1.0}}}, r"cutmix.alpha: the method has no such augmentation; it has none"),
        ({"made": {"large": {"recipe.lr": 0.1}}}, r"methods.plain.tuned.made.large: is of a data set or backbone"),
    ],
)
def test_impossible_choices_are_refused_at_start(tuned, words):
    study = content()
    study["methods"]["plain"]["tuned"] = tuned
    with pytest.raises(DasError, match=words):
        check(study, "made")
