"""The embedded part of MNIST is what its script says, and fit for splits."""

import importlib.util
from pathlib import Path

import numpy as np
import torch

from das import data

ROOT = Path(__file__).parents[2]
FILE = ROOT / "data/embedded/mnist/mnist_5k.npz"


def script():
    spec = importlib.util.spec_from_file_location("make_mnist", ROOT / "data/embedded/make_mnist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_has_disjoint_balanced_images_that_look_like_their_digits():
    images = data.load("arrays", root=FILE)
    assert images.train.labels.bincount().tolist() == [200] * 10
    assert images.test.labels.bincount().tolist() == [300] * 10
    assert images.train.shape == (1, 28, 28)
    train, test = (part.images.flatten(1).float() for part in (images.train, images.test))
    assert not {tuple(row) for row in train.int().tolist()} & {tuple(row) for row in test.int().tolist()}
    nearest = images.train.labels[torch.cdist(test[::10], train).argmin(1)]
    assert (nearest == images.test.labels[::10]).float().mean() > 0.85  # nearest neighbors know digits


def test_the_script_divides_each_digit_in_the_order_of_the_table():
    labels = np.repeat(np.arange(10, dtype=np.uint8), 500)
    table = np.zeros((5000, 785), np.uint8)
    table[:, 0], table[:, 1], table[:, -1] = np.arange(5000) % 256, np.arange(5000) // 256, labels
    made = script().parts(table)
    places = {s: made[f"{s}_images"].reshape(-1, 784)[:, :2].astype(int) @ [1, 256] for s in ("train", "test")}
    assert places["train"].tolist() == [500 * digit + k for digit in range(10) for k in range(200)]
    assert places["test"].tolist() == [500 * digit + k for digit in range(10) for k in range(200, 500)]
    assert made["test_labels"].tolist() == labels[places["test"]].tolist()
