"""Mean and standard deviation are measured once, of the training images alone, and kept in the data set's card."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from das import data
from das.data import statistics
from das.data.sets import Dataset, ImageSet
from das.seals import read_sealed
from das.study import load_study

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)


def images(count: int) -> ImageSet:
    pixels = RANDOM.integers(0, 256, (count, 3, 6, 5), dtype=np.uint8)
    return ImageSet(torch.from_numpy(pixels), torch.arange(count) % 2)


@pytest.fixture
def train() -> ImageSet:
    return images(300)


def test_the_card_says_what_numpy_says(train, tmp_path):
    path = tmp_path / "data" / "set.json"
    made = statistics.card(path, train, ("a", "b"), {})
    pixels = train.images.numpy() / 255
    np.testing.assert_allclose(made["mean"], pixels.mean((0, 2, 3)), atol=1e-12)
    np.testing.assert_allclose(made["std"], pixels.std((0, 2, 3)), atol=1e-12)
    assert (made["classes"], made["images"], made["shape"]) == (["a", "b"], 300, [3, 6, 5])
    assert read_sealed(path) == made
    before = path.read_bytes()
    path.unlink()
    statistics.card(path, train, ("a", "b"), {})
    assert path.read_bytes() == before


def test_what_a_card_says_is_not_measured_again(train, tmp_path, monkeypatch):
    made = statistics.card(tmp_path / "set.json", train, ("a", "b"), {})
    monkeypatch.delattr(statistics, "mean_std")
    assert statistics.card(tmp_path / "set.json", train, ("a", "b"), {}) == made


def test_the_card_of_other_images_or_classes_is_made_anew(train, tmp_path, capsys):
    path = tmp_path / "set.json"
    statistics.card(path, images(300), ("a", "b"), {})
    assert statistics.card(path, train, ("a", "b"), {})["digest"] == train.digest
    assert (
        statistics.card(path, train, ("a", "c"), {})["classes"] == json.loads(path.read_text())["classes"] == ["a", "c"]
    )
    path.write_text("{")
    statistics.card(path, train, ("a", "c"), {})
    assert "set.json: is not valid JSON" in capsys.readouterr().out
    assert read_sealed(path)["classes"] == ["a", "c"]


def test_with_and_without_a_card_the_values_are_the_same_to_the_bit(train, tmp_path):
    def read(split: str) -> ImageSet:
        assert split == "train", "the test set was opened"
        return train

    without, written, kept = (Dataset("set", read, ("a", "b")) for _ in range(3))
    written.card = kept.card = tmp_path / "set.json"
    assert without.mean_std == written.mean_std == kept.mean_std


def test_a_study_keeps_a_card_for_each_of_its_sets(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    arrays = {f"{s}_images": random.integers(0, 256, (8, 9, 9), dtype=np.uint8) for s in ("train", "test")}
    np.savez(tmp_path / "own.npz", **arrays, train_labels=np.arange(8) % 2, test_labels=np.arange(8) % 2)
    (tmp_path / "study.yaml").write_text(
        f"datasets: {{own: {{title: Own, reader: arrays, root: {tmp_path / 'own.npz'}, recipe: quick}}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    own = data.of_study(load_study([ROOT / "params.yaml", "study.yaml"]), "own")
    mean, _ = own.mean_std
    assert mean == pytest.approx([arrays["train_images"].mean() / 255], abs=1e-12)
    assert json.loads((tmp_path / "results/data/quickstart/own.json").read_text())["mean"] == mean
