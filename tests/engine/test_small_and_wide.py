"""Sets that are smaller than a batch are named; images that are no squares pass through everything."""

from pathlib import Path

import pytest
import torch

from das.analysis.strips import film_strip
from das.data.sets import Dataset, ImageSet
from das.engine.augmentation_search import search as search_augmentation
from das.engine.train import fit, resume_state
from das.errors import DasError
from das.search.bilevel import BilevelSearch
from das.study import check, load_study, of_method, of_policy
from das.video.policy import Policy
from das.video.transform import ImageToVideo

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(size, batch_size: int, augment=()):
    """Of one data set of one's own: a baseline and a method with a searched policy, an epoch each."""
    base = load_study([ROOT / "params.yaml"]).model_dump()
    base["study"] |= {"datasets": ["mine"], "methods": ["baseline", "das"], "seeds": [0]}
    base["recipes"]["quick"] |= {"epochs": 1, "batch_size": batch_size}
    base["searches"]["quick"] |= {"epochs": 1, "batch_size": batch_size}
    base["methods"]["baseline"]["augment"] = list(augment)
    base["datasets"] = {
        "mine": {
            "title": "M",
            "reader": "folder",
            "root": ".",
            "options": {"size": size},
            "recipe": "quick",
            "augment": [{"random_crop": {"padding": 2}}, "random_flip"],
        }
    }
    return check(base, "a test")


def images(count: int, height: int = 16, width: int = 16) -> Dataset:
    def read(split):
        pixels = torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(0))
        return ImageSet(pixels.byte(), torch.arange(count) % 2)

    return Dataset("mine", read, ("a", "b"))


def test_a_training_set_smaller_than_a_batch_is_named():
    run = of_method(study(16, 8), "mine", "resnet8", "baseline", 0)
    with pytest.raises(DasError, match=r"recipes.quick.batch_size: is 8, but mine has 7 training images; use at most"):
        fit(run, images(7), None, resume_state(run, run.digest))


def test_a_half_smaller_than_a_batch_is_named():
    """Of seven images a half has four and the other three: no step has images of both."""
    run = of_policy(study(16, 4), "mine", "resnet8", "searched", 0)
    with pytest.raises(DasError, match=r"searches.quick.batch_size: is 4, but half the training set of mine has 3"):
        BilevelSearch(run, images(7), run.digest)


def test_an_augmentation_whose_search_finds_no_batch_is_named():
    run = of_method(study(16, 4, ["faster_autoaugment"]), "mine", "resnet8", "baseline", 0)
    step = _faster()
    with pytest.raises(
        DasError, match=r"methods.baseline.augment: the search's batch_size is 128, but it sees 9 images"
    ):
        search_augmentation(step, run, images(9), torch.device("cpu"))


def _faster():
    from das import augment

    return augment.build(["faster_autoaugment"], 2)[0]


def test_a_rectangle_is_searched_trained_and_drawn():
    asked, wide = study([16, 24], 4), images(16, 16, 24)
    search = of_policy(asked, "mine", "resnet8", "searched", 0)
    policy, _, _ = BilevelSearch(search, wide, search.digest).find()
    run = of_method(asked, "mine", "resnet8", "das", 0)
    fitted = fit(run, wide, policy, resume_state(run, run.digest))
    pictures = torch.rand(2, 3, 16, 24)
    assert fitted.model(pictures).shape == (2, 2)
    assert fitted.model.video(pictures).shape[-2:] == (16, 24)
    assert film_strip(policy, pictures)


@pytest.mark.parametrize(
    "augmentation",
    [
        "cutmix",
        {"cutout": {"size": 8}},
        "random_erasing",
        "trivialaugment_wide",
        {"yoco": {"augment": ["random_flip"]}},
    ],
    ids=str,
)
def test_competitors_take_rectangles(augmentation):
    run = of_method(study([16, 24], 4, [augmentation]), "mine", "resnet8", "baseline", 0)
    wide = images(8, 16, 24)
    fitted = fit(run, wide, None, resume_state(run, run.digest))
    assert fitted.model(torch.rand(2, 3, 16, 24)).shape == (2, 2)


def test_a_grid_must_divide_both_sides():
    with pytest.raises(DasError, match=r"patchmix.grid: is 4, which does not divide the image's side of 18 pixels"):
        study([16, 18], 4, ["patchmix"])


def test_a_rectangle_turns_about_its_center_without_distortion():
    """A policy's rotation by 90 degrees of 16 x 24, seen in the middle square, is a turned picture."""
    picture = torch.rand(1, 3, 16, 24)
    turned = ImageToVideo(Policy.single("rotate", 90.0, 3))(picture)[0, 0]
    inside = picture[0, :, 2:14, 6:18]  # a square about the center
    options = [torch.rot90(inside, k, (1, 2)) for k in (1, 3)]
    assert min((turned[:, 2:14, 6:18] - option).abs().max() for option in options) < 1e-4
