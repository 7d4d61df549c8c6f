"""The names at the top of the package: what they are, and that they compute what studies compute."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import das
from das import data
from das.engine.checkpoint import weights_digest
from das.engine.train import fit, resume_state
from das.search import arrays
from das.search.make import search_policy
from das.study import load_study, new
from das.study.runs import of_method, of_policy
from das.video.policy import Policy

ROOT = Path(__file__).parents[1]
TURN = Policy.single("rotate", 8, 3)


@pytest.fixture(scope="module")
def shop():
    options = {"train_per_class": 8, "test_per_class": 3}
    return data.load("fashion_mnist_embedded", root=ROOT / "data/embedded/fashion_mnist", options=options)


@pytest.fixture
def study(shop, tmp_path, monkeypatch):
    """The study that the calls below stand for, of the same images in a file."""
    monkeypatch.chdir(tmp_path)
    parts = {f"{s}_{k}": getattr(getattr(shop, s), k).numpy() for s in ("train", "test") for k in ("images", "labels")}
    np.savez("shop.npz", **parts)
    TURN.save("turn.yaml")
    recipe = {"epochs": 2, "batch_size": 16, "lr": 0.05, "optimizer": "sgd"}
    content = {
        "study": {
            "name": "s",
            "datasets": ["images"],
            "backbones": ["network"],
            "methods": ["method"],
            "seeds": [3],
            "reference": "method",
        },
        "datasets": {
            "images": {
                "title": "",
                "reader": "arrays",
                "root": "shop.npz",
                "recipe": "recipe",
                "augment": ["random_flip"],
            }
        },
        "backbones": {"network": {"title": "", "network": "resnet8", "options": {"width": 8}}},
        "recipes": {"recipe": recipe},
        "cells": {"one_edge": yaml.safe_load((ROOT / "params.yaml").read_text())["cells"]["one_edge"]},
        "searches": {"fast": yaml.safe_load((ROOT / "params.yaml").read_text())["searches"]["fast"]},
        "policies": {
            "turn": {"source": "file", "path": "turn.yaml"},
            "policy": {"source": "search", "cell": "one_edge", "search": "fast", "fusion": "gsf"},
        },
        "methods": {"method": {"title": "", "policy": "turn", "fusion": "tsm"}},
    }  # fmt: skip
    content["searches"]["fast"] |= {"epochs": 2, "batch_size": 20}
    Path("study.yaml").write_text(yaml.safe_dump(content))
    return load_study(["study.yaml"])


ALIKE = {"network_options": {"width": 8}, "augment": ["random_flip"], "seed": 3}


def test_fit_is_what_a_study_trains(study, shop):
    run = of_method(study, "images", "network", "method", 3)
    images = data.of_study(study, "images")
    expected = fit(run, images, TURN, resume_state(run, run.digest)).model
    made = das.fit(
        shop.train.images,
        shop.train.labels,
        policy=TURN,
        recipe={**study.recipes["recipe"].model_dump(exclude={"segmentation"})},
        test=(shop.test.images, shop.test.labels),
        **ALIKE,
    )
    assert weights_digest(made) == weights_digest(expected)
    without = das.fit(shop.train.images, shop.train.labels.numpy(), policy=TURN, recipe={"epochs": 2}, **ALIKE)
    assert weights_digest(without) != weights_digest(expected)
    assert not without.training


def test_search_is_what_a_study_searches(study, shop):
    run = of_policy(study, "images", "network", "policy", 3)
    search_policy(run, data.of_study(study, "images"))
    settings = {"epochs": 2, "batch_size": 20}
    found = das.search(shop.train.images, shop.train.labels, fusion="gsf", settings=settings, **ALIKE)
    assert found == Policy.load(run.main)
    assert found.provenance["source"] == "search"


@pytest.mark.parametrize("train", [30, 240, 700])
def test_a_search_is_as_long_as_das_new_makes_it(monkeypatch, train):
    class Asked(Exception):
        pass

    def one_run(*_, searches, **others):
        raise Asked(searches["search"]["epochs"], searches["search"]["batch_size"])

    monkeypatch.setattr(arrays, "one_run", one_run)
    with pytest.raises(Asked) as asked:
        das.search(torch.zeros(train, 1, 8, 8), [label % 2 for label in range(train)])
    told = new.settings(new.Found("folder", train, 10, 2, 8, "cpu", pretrained=False))
    assert asked.value.args == (told["search_epochs"], told["batch"])


def test_what_is_searched_by_default_is_what_measured_best():
    """Of das.cli, which names the policy, and of params.yaml, which says what it is."""
    from das.cli.runs import BEST_POLICY

    params = load_study([ROOT / "params.yaml"])
    source = params.policies[BEST_POLICY]
    assert type(params.cells[source.cell])(**arrays.CELL) == params.cells[source.cell]
    length = {"epochs": 60, "batch_size": 20}  # of the quickstart's 200 images, not of anybody's
    assert type(params.searches[source.search])(**arrays.SEARCH, **length) == params.searches[source.search]


def test_floats_and_names_are_taken_alike(shop):
    options = {"recipe": {"epochs": 1}, "network_options": {"width": 4}}
    names = [f"{label:02}" for label in shop.train.labels]
    made = das.fit(shop.train.images.double() / 255, names, **options)
    assert made.classes[:2] == ("00", "01")
    assert weights_digest(made) == weights_digest(das.fit(shop.train.images, shop.train.labels, **options))


def test_torchs_state_stays_as_it_was(shop):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    das.fit(shop.train.images, shop.train.labels, recipe={"epochs": 1}, network_options={"width": 4})
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_predictions(shop, tmp_path):
    model = das.fit(shop.train.images, shop.train.labels, recipe={"epochs": 1}, network_options={"width": 4})
    das.save(model, tmp_path / "model.pt")
    with torch.no_grad():
        probabilities = model(shop.test.images.float() / 255).softmax(1)
    frame = das.predict(model, shop.test.images, batch_size=7)
    np.testing.assert_allclose(frame[list(model.classes)], probabilities, atol=1e-6)
    assert frame["label"].tolist() == [str(label) for label in probabilities.argmax(1).tolist()]
    np.testing.assert_allclose(frame["confidence"], probabilities.amax(1), atol=1e-6)
    pd.testing.assert_frame_equal(das.predict(tmp_path / "model.pt", shop.test.images), frame)
    assert das.load(tmp_path / "model.pt").classes == model.classes


WRONG = {
    "images: shape (80, 28, 28, 1) is not (N, 1 or 3, H, W); channels come first": lambda x, y: (x.movedim(1, 3), y),
    "images: values from 0 to 255; floats must lie in [0, 1]": lambda x, y: (x.float(), y),
    "images: torch.int64 is neither uint8 nor": lambda x, y: (x.long(), y),
    "labels: there are 79 for 80 images": lambda x, y: (x, y[:-1]),
    "labels: torch.float32 (80,) is not (N,) of names or whole numbers": lambda x, y: (x, y.float()),
    "labels: -1 to 8; 9 classes count from 0 to 8": lambda x, y: (x, y - 1),
    "images: there are none": lambda x, y: (x[:0], y[:0]),
}


@pytest.mark.parametrize("message", WRONG)
def test_arrays_that_do_not_fit_are_one_line(shop, message):
    for call in (das.fit, das.search):
        with pytest.raises(das.DasError) as raised:
            call(*WRONG[message](shop.train.images, shop.train.labels))
        assert str(raised.value).startswith(message)
        assert "\n" not in str(raised.value)


def test_arguments_that_do_not_fit_are_one_line(shop):
    images, labels = shop.train.images, shop.train.labels
    with pytest.raises(das.DasError, match=r"^das.fit: recipes.recipe.lr: is -1; should be greater than 0$"):
        das.fit(images, labels, recipe={"lr": -1})
    with pytest.raises(das.DasError, match=r"^das.search: cells.cell.frames: is 0; should be"):
        das.search(images, labels, cell={"frames": 0})
    with pytest.raises(das.DasError, match=r"^das.fit: .*fusion: is 'tsm'; without a policy"):
        das.fit(images, labels, fusion="tsm")
    with pytest.raises(das.DasError, match=r"^labels: 'cat' is no class; there are dog, eel$"):
        das.fit(images, ["cat"] * 80, classes=["dog", "eel"])
    with pytest.raises(das.DasError, match=r"^test: labels are numbers where the training's are names"):
        das.fit(images, ["cat", "dog"] * 40, test=(images, labels))


def test_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "config", "data"):
        Path(name).symlink_to(ROOT / name)
    quickstart = load_study(["params.yaml"]).study
    frame = das.results("quickstart")
    assert len(frame) == len(quickstart.methods) * len(quickstart.seeds)
    assert not frame["made"].any()
    assert set(das.results("segmentation")["dataset"]) == {"land_cover"}
    pd.testing.assert_frame_equal(das.results(["params.yaml", "config/one_edge.yaml"]), das.results("one_edge"))
    with pytest.raises(das.DasError, match=r"results: no study 'quick' in .*; there are quickstart, "):
        das.results("quick")


class Pictures(Dataset):
    """Real pictures through a pipeline that ends in the image-to-video step."""

    def __init__(self, images, policy):
        step = das.ImageToVideo.from_file(policy)
        self.images, self.pipeline = images, v2.Compose([v2.ToDtype(torch.float32, scale=True), step])

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.pipeline(self.images[index])


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
def test_the_step_works_in_a_data_loaders_workers(shop, tmp_path, start):
    TURN.save(tmp_path / "turn.yaml")
    pictures = Pictures(shop.test.images[:6], tmp_path / "turn.yaml")
    pictures[0]  # compiled here, before the workers copy it
    context = multiprocessing.get_context(start)
    videos = torch.cat(list(DataLoader(pictures, batch_size=4, num_workers=2, multiprocessing_context=context)))
    torch.testing.assert_close(videos, das.ImageToVideo(TURN)(shop.test.images[:6].float() / 255), atol=1e-6, rtol=0)


NAMES = """
import sys, das
assert not {"torch", "numpy", "pandas", "pydantic"} & set(sys.modules)
assert set(das.__all__) <= set(dir(das))
import das.search.bilevel
assert callable(das.search)
assert all(getattr(das, name).__doc__ for name in das.__all__)
try:
    das.lode
except AttributeError as error:
    print(error)
"""


def test_names_are_imported_when_they_are_asked_for():
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("module 'das' has no attribute 'lode'; it has DasError, ImageToVideo, ")
