"""How label maps are predicted in a test, against slow and obvious ways to say the same."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from das import data
from das.engine.evaluate import evaluate
from das.errors import DasError
from das.study import load_study
from das.study.schema import Architecture, Compute, Head, SegmentationRecipe
from das.tasks import model as make_model
from das.tasks.segmentation import _starts
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]


def made(policy=None, image_size=None, **evaluation):
    torch.manual_seed(0)
    architecture = Architecture(
        task="segmentation",
        network="resnet8",
        network_options={"width": 8, "stem_stride": 2},
        head=Head(network="pspnet", output_stride=4),
        consensus="aligned_mean",
        segmentation=SegmentationRecipe(evaluation=evaluation),
        image_size=image_size,
    )
    policy = policy or Policy.single("rotate", 5, 3)
    return make_model(architecture, policy, ("sky", "sea", "land"), [0.5] * 3, [0.25] * 3).eval()


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def images():
    return torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))


# -- windows, scales, mirrors ----------------------------------------------------------------------------------------


def test_windows_cover_everything_overlap_and_end_with_the_image():
    assert _starts(12, 12) == [0]
    for length, side in ((100, 30), (31, 30), (769, 96)):
        starts = _starts(length, side)
        assert starts[0] == 0
        assert starts[-1] == length - side
        assert all(0 < later - earlier <= side * 2 / 3 + 1 for earlier, later in pairwise(starts))


def test_windows_are_the_mean_of_what_each_says_of_a_pixel(images):
    """Pixel by pixel: the windows that hold it, each put through the video by itself."""
    plain, sliding = made(), made(window=24)
    found = sliding.predict(images).softmax(1)
    said = {
        (top, left): plain(images[..., top : top + 24, left : left + 24].contiguous()).softmax(1)
        for top in (0, 16)  # two windows that overlap by a third are 40 pixels high, three are 56 wide
        for left in (0, 16, 32)
    }
    for row in range(0, 40, 3):
        for column in range(0, 56, 3):
            here = [
                probabilities[..., row - top, column - left]
                for (top, left), probabilities in said.items()
                if 0 <= row - top < 24 and 0 <= column - left < 24
            ]
            mean = torch.stack(here).mean(0)
            torch.testing.assert_close(found[..., row, column], mean, atol=1e-5, rtol=1e-4)
    assert (found - plain(images).softmax(1)).abs().max() > 0.01  # and that is another prediction


def test_a_window_as_large_as_the_image_is_the_whole_image(images):
    square = images[..., :40].contiguous()
    torch.testing.assert_close(made(window=40).predict(square).softmax(1), made()(square).softmax(1))


def test_a_window_larger_than_the_image_is_black_beyond_it(images):
    padded = torch.zeros(2, 3, 64, 64)
    padded[..., :40, :56] = images
    expected = made()(padded).softmax(1)[..., :40, :56]
    torch.testing.assert_close(made(window=64).predict(images).softmax(1), expected)


def test_the_whole_image_at_scale_one_is_the_models_own_word(images):
    assert torch.equal(made(scales=[1.0]).predict(images), made()(images))


def test_mirrored_copies_are_mirrored_back(images):
    plain = made()
    mean = (plain(images).softmax(1) + plain(images.flip(-1)).softmax(1).flip(-1)) / 2
    torch.testing.assert_close(made(flip=True).predict(images).softmax(1), mean)


def test_a_network_that_commutes_with_mirrors_gains_nothing_from_them(images):
    class Pointwise(torch.nn.Module):
        def forward(self, videos, frames):
            return (torch.stack([videos.sum(2), videos.prod(2), -videos[:, :, 0]], 2),)

    model = made(Policy.replicate(2), flip=True)
    model.network = Pointwise()
    torch.testing.assert_close(model.predict(images).softmax(1), model(images).softmax(1))


def test_scales_are_brought_back_and_averaged(images):
    plain = made()
    larger = F.interpolate(images, (80, 112), mode="bilinear", align_corners=False, antialias=True)
    scaled = F.interpolate(plain(larger).softmax(1), (40, 56), mode="bilinear", align_corners=False)
    expected = (plain(images).softmax(1) + scaled) / 2
    torch.testing.assert_close(made(scales=[1.0, 2.0]).predict(images).softmax(1), expected)


def test_everything_at_once_is_everything_one_after_the_other(images):
    settings = {"window": 24, "scales": [0.5, 1.5], "flip": True}
    total = 0
    for scale in settings["scales"]:
        for mirror in (False, True):
            seen = images.flip(-1) if mirror else images
            size = [round(scale * side) for side in images.shape[2:]]
            seen = F.interpolate(seen, size, mode="bilinear", align_corners=False, antialias=True)
            probabilities = made(window=24).predict(seen).softmax(1)
            probabilities = F.interpolate(probabilities, (40, 56), mode="bilinear", align_corners=False)
            total = total + (probabilities.flip(-1) if mirror else probabilities) / 4
    torch.testing.assert_close(made(**settings).predict(images).softmax(1), total, atol=1e-5, rtol=1e-4)


def test_what_training_saw_scaled_to_a_square_is_tested_in_that_square(images):
    """Half of the size, the square's last rows black; the prediction comes back to 40 x 56."""
    model = made(image_size=28)
    square = torch.zeros(2, 3, 28, 28)
    square[..., :20, :] = F.interpolate(images, (20, 28), mode="bilinear", align_corners=False, antialias=True)
    expected = made()(square).softmax(1)[..., :20, :]
    expected = F.interpolate(expected, (40, 56), mode="bilinear", align_corners=False)
    torch.testing.assert_close(model.predict(images).softmax(1), expected)
    native = made(image_size=28, size="native")
    assert torch.equal(native.predict(images), made()(images))


# -- images and masks of any size, in files --------------------------------------------------------------------------

SIZES = [(40, 56), (33, 47), (56, 40), (40, 56)]


@pytest.fixture
def pairs(tmp_path):
    (tmp_path / "classes.txt").write_text("sky\nsea\nland\n")
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            (tmp_path / split / kind).mkdir(parents=True)
        for k, (height, width) in enumerate(SIZES):
            pixels = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
            labels = draws.choice([0, 1, 2, 255], (height, width)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / "images" / f"{k}.png")
            Image.fromarray(labels).save(tmp_path / split / "masks" / f"{k}.png")
    return tmp_path


@pytest.mark.parametrize("evaluation", [{}, {"window": 24}, {"scales": [0.5, 1.0], "flip": True}], ids=str)
@pytest.mark.parametrize("size", ["training", "native"])
def test_scores_count_every_pixel_of_the_masks_own_size(pairs, evaluation, size):
    model = made(image_size=32, size=size, **evaluation)
    found = evaluate(model, data.load("pairs", root=pairs, options={"size": 32}).test, Compute(), batch_size=3)
    confusion = np.zeros((3, 3), int)
    for k in range(len(SIZES)):
        image = torch.from_numpy(np.array(Image.open(pairs / f"test/images/{k}.png"))).permute(2, 0, 1)
        labels = np.array(Image.open(pairs / f"test/masks/{k}.png"))
        predicted = model.predict(image[None].float() / 255)[0].argmax(0).numpy()
        for label in range(3):
            for other in range(3):
                confusion[label, other] += ((labels == label) & (predicted == other)).sum()
    right = confusion.diagonal()
    iou = right / (confusion.sum(0) + confusion.sum(1) - right)
    assert list(found["class_iou"].values()) == pytest.approx(iou.tolist())
    assert found["pixel_accuracy"] == pytest.approx(right.sum() / confusion.sum())


def test_a_test_holds_a_few_images_at_a_time(pairs):
    """However many there are: each is decoded when its turn is near, and forgotten."""
    test = data.load("pairs", root=pairs, options={"size": 32}).test
    many = test.subset(torch.arange(40) % len(SIZES))
    batches = made().batches(many, 16, torch.device("cpu"))
    read, item = [], type(many).item
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(many), "item", lambda self, index, *rest: read.append(index) or item(self, index, *rest))
        for done, (pictures, masks) in enumerate(batches.epoch()):
            assert pictures.shape[0] == masks.shape[0] == 1
            assert pictures.shape[2:] == masks.shape[1:] == SIZES[done % len(SIZES)]
            assert len(read) <= done + 1 + many.AHEAD
    assert len(read) == 40


def test_settings_that_no_test_can_have_are_refused(tmp_path):
    for value, message in {
        "{window: 0}": r"evaluation\.window: is 0; should be greater than or equal to 1",
        "{scales: []}": r"evaluation\.scales: is \[\]; .*at least 1",
        "{scales: [0.0]}": r"evaluation\.scales\.0: is 0\.0; should be greater than 0",
        "{mirror: true}": r"evaluation\.mirror: unknown key; allowed here: size, window, scales, flip",
    }.items():
        text = f"recipes: {{land_cover: {{segmentation: {{evaluation: {value}}}}}}}"
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(DasError, match=message):
            load_study([ROOT / "params.yaml", ROOT / "config/segmentation.yaml", tmp_path / "bad.yaml"])


def test_what_training_saw_in_a_rectangle_is_tested_in_that_rectangle(images):
    """40 x 56 in 28 x 42: height limits, at 0.7; 39.2 of the 42 columns are the image's, the rest is black."""
    seen = torch.zeros(2, 3, 28, 42)
    seen[..., :39] = F.interpolate(images, (28, 39), mode="bilinear", align_corners=False, antialias=True)
    expected = made()(seen).softmax(1)[..., :39]
    expected = F.interpolate(expected, (40, 56), mode="bilinear", align_corners=False)
    torch.testing.assert_close(made(image_size=[28, 42]).predict(images).softmax(1), expected)
