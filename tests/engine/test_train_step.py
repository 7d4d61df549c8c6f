"""Training with every kind of method: it repeats bit by bit, continues after an interruption, and pairs fairly."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from das.augment.automix import AutoMix
from das.augment.objective import Objective
from das.augment.patchmix import PatchMix
from das.data.sets import Dataset, ImageSet
from das.engine import train as module
from das.engine.checkpoint import load_model, weights_digest
from das.engine.train import fit, resume_state, train
from das.errors import DasError
from das.files import read_json
from das.search.make import control_policy
from das.study import check, of_method
from das.video.policy import Policy

OBJECTIVES = (Objective, AutoMix, PatchMix)
METHODS = {
    "baseline": {},
    "augmented": {"augment": ["trivialaugment_wide", "random_erasing", "cutmix"]},
    "halved": {"augment": [{"temporal_resolution_decrement": {"fraction": 0.5}}, "mixup"]},
    "hidden": {"augment": ["manifold_mixup"]},
    "patches": {"augment": [{"patchmix": {"grid": 2}}]},
    "evolved": {"augment": [{"patchmix_evolved": {"grid": 2, "population": 8}}]},
    "automix": {"augment": ["automix"]},
    "learned": {"augment": [{"faster_autoaugment": {"epochs": 1, "sub_policies": 2, "batch_size": 8}}]},
    "video": {"policy": "moved", "fusion": "tsm", "augment": ["automix"]},
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").touch()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def dataset() -> Dataset:
    draws = torch.Generator().manual_seed(0)

    def read(split: str) -> ImageSet:
        labels = torch.arange(24) % 3
        images = torch.randint(0, 256, (24, 1, 16, 16), dtype=torch.uint8, generator=draws)
        return ImageSet(images // 2 + (labels * 40).to(torch.uint8).view(-1, 1, 1, 1), labels)

    return Dataset("made", read, ("a", "b", "c"))


def number(method: str, **recipe):
    study = {
        "study": {
            "name": "made", "datasets": ["made"], "backbones": ["small"], "methods": list(METHODS), "seeds": [0],
            "reference": "baseline",
        },
        "datasets": {"made": {"title": "made", "reader": "arrays", "root": "x", "recipe": "short",
                              "augment": ["random_flip"]}},
        "backbones": {"small": {"title": "small", "network": "resnet8", "options": {"width": 8}, "dropout": 0.2}},
        "recipes": {"short": {"epochs": 3, "batch_size": 8, "lr": 0.05, "clip_norm": 2.0} | recipe},
        "cells": {"three": {"frames": 3}},
        "policies": {"moved": {"source": "single", "cell": "three", "operation": "translate_x", "magnitude": 0.1}},
        "methods": {name: {"title": name} | method for name, method in METHODS.items()},
    }  # fmt: skip
    return of_method(check(study, "made"), "made", "small", method, 0)


def policy(made) -> Policy | None:
    if made.made_by and not made.made_by.main.exists():
        control_policy(made.made_by)
    return Policy.load(made.made_by.main) if made.made_by else None


def bytes_of(made) -> tuple[bytes, bytes]:
    return made.number.read_bytes(), made.checkpoint.read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_training_ends_in_the_same_bytes(dataset, method, monkeypatch):
    made = number(method)
    train(made, dataset, policy(made))
    whole = bytes_of(made)
    assert not list(Path("results/work").rglob("*.pt"))

    class Interrupted(Exception):
        pass

    calls = []
    evaluate = module.evaluate

    def interrupting(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise Interrupted
        return evaluate(*arguments, **options)

    made.number.unlink()
    made.checkpoint.unlink()
    shutil.rmtree("results/store")
    monkeypatch.setattr(module, "evaluate", interrupting)
    with pytest.raises(Interrupted):
        train(made, dataset, policy(made))
    torch.manual_seed(99)  # another process starts from another state
    monkeypatch.setattr(module, "evaluate", evaluate)
    train(made, dataset, policy(made))
    assert bytes_of(made) == whole
    record = read_json(made.record)
    assert record["cost"]["test_device_s"] > 0
    assert len(record.get("augmentation_search", [])) == (method == "learned")


def test_methods_start_alike_and_see_the_same_images(dataset, monkeypatch):
    """Initial weights and the order of images do not depend on the method."""
    seen = {}

    class Stop(Exception):
        pass

    for method in ("baseline", "automix", "patches", "halved"):
        made = number(method)
        objective = {}

        def losses(self, images, labels, generator, objective=objective):
            objective.update(weights=[p.clone() for p in self.model.network.parameters()], labels=labels)
            raise Stop

        for kind in OBJECTIVES:
            monkeypatch.setattr(kind, "losses", losses)
        with pytest.raises(Stop):
            fit(made, dataset, policy(made), resume_state(made, made.digest))
        seen[method] = objective
    for method, objective in seen.items():
        for ours, theirs in zip(objective["weights"], seen["baseline"]["weights"], strict=True):
            assert torch.equal(ours, theirs), method
        if method != "halved":  # whose labels mixup has made probabilities
            assert torch.equal(objective["labels"], seen["baseline"]["labels"]), method


def test_tests_are_as_far_apart_as_asked_and_the_last_epoch_always_has_one(dataset):
    """The weights do not notice."""
    every = number("baseline")
    fitted = {}
    for apart in (1, 2):
        made = replace(every, epochs=5, recipe=every.recipe.model_copy(update={"test_every": apart}))
        fitted[apart] = fit(made, dataset, policy(made), resume_state(made, made.digest))
    assert fitted[1].curves["test_epoch"] == [1, 2, 3, 4, 5]
    assert fitted[2].curves["test_epoch"] == [2, 4, 5]
    assert fitted[1].tested == fitted[2].tested


def test_gradients_of_terms_add_up(dataset, monkeypatch):
    """One step with the terms taken one by one moves the weights as their sum does."""
    together = AutoMix.losses

    def summed(self, images, labels, generator):
        yield sum(together(self, images, labels, generator))

    made = number("automix", epochs=1, batch_size=24)
    resume = resume_state(made, made.digest)
    one_by_one = fit(made, dataset, None, resume).model.state_dict()
    resume.discard()
    monkeypatch.setattr(AutoMix, "losses", summed)
    at_once = fit(made, dataset, None, resume).model.state_dict()
    for name, value in one_by_one.items():
        assert torch.allclose(value.float(), at_once[name].float(), atol=1e-5), name


def test_cost_counts_every_frame_that_passes_a_network(dataset):
    made = number("video", epochs=2)
    train(made, dataset, policy(made))
    cost = read_json(made.number)["cost"]
    assert cost["frames"] == 3
    assert cost["train_frames"] == 2 * 24 * 3 * 4  # epochs, images, frames, AutoMix's forward passes


def test_a_validation_part_chooses_the_epoch_and_the_test_set_is_seen_once(dataset, monkeypatch):
    """The weights tested last are those of the validation's best epoch; no held-out image is trained on."""
    seen, trained_on = [], []
    evaluate, losses = module.evaluate, Objective.losses

    def watched(model, images, *arguments, **options):
        scores = evaluate(model, images, *arguments, **options)
        # Scores that tell epochs apart, the second the best of them.
        scores["accuracy"] = (0.3, 0.9, 0.5, 0.4)[len(seen)]
        seen.append((images, weights_digest(model), scores["accuracy"]))
        return scores

    def watched_losses(self, images, labels, generator):
        trained_on.extend((255 * images).round().to(torch.uint8))
        return losses(self, images, labels, generator)

    monkeypatch.setattr(module, "evaluate", watched)
    monkeypatch.setattr(Objective, "losses", watched_losses)
    made = number("baseline", validation=0.25, batch_size=6)
    train(made, dataset, None)
    *validations, (last, weights, score) = seen
    held = validations[0][0]
    assert [len(images) for images, _, _ in validations] == [6, 6, 6]
    assert torch.bincount(held.labels).tolist() == [2, 2, 2]
    assert last is dataset.test
    assert len({digest for _, digest, _ in validations}) == 3
    assert weights == validations[1][1] == weights_digest(load_model(made.checkpoint))
    mirrored = torch.cat([held.images, held.images.flip(-1)])
    assert not any((mirrored == image).flatten(1).all(1).any() for image in trained_on)
    written = read_json(made.number)
    assert written["last"]["epoch"] == 2
    assert (written["accuracy"], written["curves"]["test_epoch"]) == (score, [2])
    assert written["curves"]["validation_accuracy"] == [0.3, 0.9, 0.5]


def test_an_interrupted_training_with_validation_ends_in_the_same_bytes(dataset, monkeypatch):
    made = number("baseline", validation=0.25, batch_size=6)
    train(made, dataset, None)
    whole = bytes_of(made)
    shutil.rmtree("results")
    evaluate = module.evaluate

    def interrupting(model, images, *arguments, **options):
        if images is dataset.test:
            raise KeyboardInterrupt
        return evaluate(model, images, *arguments, **options)

    monkeypatch.setattr(module, "evaluate", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train(made, dataset, None)
    monkeypatch.setattr(module, "evaluate", evaluate)
    train(made, dataset, None)
    assert bytes_of(made) == whole


def test_runs_without_a_validation_part_are_those_of_before_there_was_one():
    assert "validation" not in number("baseline").settings["recipe"]
    assert number("baseline", validation=0.25).digest != number("baseline").digest


def test_a_validation_part_of_nothing_is_refused(dataset):
    with pytest.raises(DasError, match=r"recipes\.short\.validation: 0\.01 of 24 training images is none"):
        train(number("baseline", validation=0.01), dataset, None)
