"""Planted nuisances: the images against a slow warp, the draws against their range, bad ranges by name."""

import math

import pytest
import torch

from das import data
from das.data.planted import magnitudes, plant
from das.data.sets import Dataset, FileSet, ImageSet
from das.errors import DasError
from das.study.schema import Planted
from das.video.policy import Policy
from das.video.transform import ImageToVideo


def slow(image, operation, value, canvas):
    """A pixel at a time: where it comes from, and what lies there."""
    channels, height, width = image.shape
    top, left = (canvas - height) // 2, (canvas - width) // 2
    large = torch.zeros(channels, canvas, canvas, dtype=torch.float64)
    large[:, top : top + height, left : left + width] = image
    found = torch.zeros_like(large)
    middle = (canvas - 1) / 2
    for row in range(canvas):
        for column in range(canvas):
            x, y = column - middle, row - middle
            if operation == "rotate":  # counter-clockwise on the screen, where y goes down
                angle = math.radians(value)
                x, y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
            elif operation == "zoom":
                x, y = x / value, y / value
            elif operation == "translate_x":
                x -= value * canvas
            else:
                y -= value * canvas
            x, y = x + middle, y + middle
            for c in (math.floor(x), math.floor(x) + 1):
                for r in (math.floor(y), math.floor(y) + 1):
                    if 0 <= c < canvas and 0 <= r < canvas:
                        found[:, row, column] += (1 - abs(x - c)) * (1 - abs(y - r)) * large[:, r, c]
    return found


@pytest.mark.parametrize(
    ("operation", "bounds"),
    [("rotate", 40.0), ("zoom", (0.6, 1.3)), ("translate_x", 0.12), ("translate_y", (-0.12, 0.02))],
)
def test_planted_images_are_those_of_a_slow_warp(operation, bounds):
    planted = Planted(operation=operation, range=bounds, canvas=16)
    images = torch.randint(256, (4, 2, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    values = magnitudes(planted, 4, "a", "train")
    found = plant(images, planted, values)
    assert found.shape == (4, 2, 16, 16)
    for image, value, result in zip(images, values.tolist(), found, strict=True):
        assert (result.double() - slow(image.double(), operation, value, 16)).abs().max() <= 0.5 + 1e-6


def test_units_and_signs_are_those_of_policies():
    images = torch.randint(256, (1, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for operation, value in (("rotate", 20.0), ("zoom", 0.8), ("translate_x", 0.1), ("translate_y", -0.1)):
        planted = Planted(operation=operation, range=(-0.1, 0.1) if "trans" in operation else (0.5, 1.0), canvas=24)
        found = plant(images, planted, torch.tensor([value]).double())
        policy = Policy.single(operation, value, 3, canvas=24)  # frame 0 is one step away from the untouched one
        frame = ImageToVideo(policy)(images / 255)[0, 0]
        assert (found[0].double() - 255 * frame).abs().max() <= 0.51


def test_draws_fill_the_range_and_belong_to_the_image():
    zoom = magnitudes(Planted(operation="zoom", range=2.0), 4000, "a", "train")
    assert zoom.min() >= 0.5
    assert zoom.max() <= 2
    assert abs(float(zoom.log().mean())) < 5 * math.log(2) / 3**0.5 / 4000**0.5
    weak, strong = (magnitudes(Planted(operation="rotate", range=r), 100, "a", "train") for r in (10.0, 30.0))
    assert torch.allclose(3 * weak, strong), "common random numbers over strengths"
    other = magnitudes(Planted(operation="rotate", range=30.0), 100, "a", "test")
    assert not torch.allclose(strong, other)


def dataset(per_class=None, planted=None):
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8, generator=draws)
    whole = ImageSet(images, torch.arange(40) % 4)
    made = Dataset("a", lambda split: whole, tuple("abcd"), {"train": per_class, "test": None})
    made.planted = planted
    return made


def test_an_image_keeps_its_nuisance_whichever_others_are_used():
    planted = Planted(operation="rotate", range=90.0)
    few, all_of_them = dataset(3, planted).train, dataset(None, planted).train
    for image in few.images:
        assert any(torch.equal(image, other) for other in all_of_them.images)
    assert len(few) == 12
    assert not torch.equal(all_of_them.images, dataset().train.images)
    assert not torch.equal(dataset(None, planted).test.images, all_of_them.images), "test images have their own"
    assert all_of_them.digest != dataset().train.digest


def test_a_study_gives_its_data_set_what_is_planted(tmp_path, monkeypatch):
    from pathlib import Path

    from das.study import load_study

    root = Path(__file__).parents[2]
    (tmp_path / "a.yaml").write_text(
        "datasets: {fashion_mnist: {options: {train_per_class: 2, test_per_class: 1},"
        " planted: {operation: translate_y, range: 0.1, canvas: 40}}}"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(root / "data")
    study = load_study([root / "params.yaml", tmp_path / "a.yaml"])
    images = data.of_study(study, "fashion_mnist")
    assert images.train.shape == (1, 40, 40)
    assert study.datasets["fashion_mnist"].size == 40
    plain = data.of_study(load_study([root / "params.yaml"]), "fashion_mnist")
    assert images.made_from != plain.made_from, "its card is of other images"


def test_images_that_stay_in_files_are_refused(tmp_path):
    files = FileSet(tmp_path, (tmp_path / "a.png",), torch.zeros(1, dtype=torch.int64), 8)
    made = Dataset("own", lambda split: files, ("a",))
    made.planted = Planted(operation="rotate", range=10.0)
    with pytest.raises(DasError, match="needs images in memory"):
        _ = made.train


def test_a_range_that_leaves_the_canvas_is_refused_where_only_the_files_tell():
    images = torch.zeros(1, 1, 12, 12, dtype=torch.uint8)
    with pytest.raises(
        DasError, match=r"planted\.range: is \[-0\.2, 0\.2\]; an image of 12 pixels leaves its canvas of 16"
    ):
        plant(images, Planted(operation="translate_x", range=0.2, canvas=16), torch.zeros(1))
