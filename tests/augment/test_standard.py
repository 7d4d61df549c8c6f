"""Crop, flip and random resized crop against their definitions, image by image."""

import math

import pytest
import torch
from torch.nn import functional

from das import augment, seeding
from das.augment.standard import RandomCrop, RandomFlip, RandomResizedCrop, RandomScaleCrop
from das.data.crops import cut, cut_batch

IMAGES = torch.rand(400, 2, 6, 7, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(400)


def find(image: torch.Tensor, candidates: list[torch.Tensor]) -> int:
    found = [k for k, candidate in enumerate(candidates) if torch.equal(image, candidate)]
    assert len(found) == 1
    return found[0]


def test_a_crop_is_a_window_of_the_padded_image_at_every_place_alike():
    out, labels = RandomCrop(padding=2)(IMAGES, LABELS, seeding.generator(0))
    assert torch.equal(labels, LABELS)
    places = torch.zeros(25)
    for image, got in zip(IMAGES, out, strict=True):
        padded = torch.zeros(2, 10, 11)
        padded[:, 2:8, 2:9] = image
        places[find(got, [padded[:, y : y + 6, x : x + 7] for y in range(5) for x in range(5)])] += 1
    assert places.min() > 0
    expected = 400 / 25
    assert ((places - expected) ** 2 / expected).sum() < 51.2  # chi-square, 24 degrees of freedom, p = 0.001


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_flip_mirrors_left_and_right(probability):
    out, labels = RandomFlip(probability)(IMAGES, LABELS, seeding.generator(0))
    assert torch.equal(labels, LABELS)
    flipped = sum(find(got, [image, image[:, :, range(6, -1, -1)]]) for image, got in zip(IMAGES, out, strict=True))
    assert abs(flipped - 400 * probability) <= 4 * math.sqrt(400 * probability * (1 - probability))


def test_masks_move_with_their_images():
    images = torch.rand(50, 1, 6, 7)
    masks = (images[:, 0] * 100).long()
    for step in (RandomFlip(), RandomCrop(2)):
        moved, moved_masks = step(images, masks, seeding.generator(1))
        inside = moved_masks != 255
        assert torch.equal((moved[:, 0] * 100).long()[inside], moved_masks[inside])
        assert (moved[:, 0][~inside] == 0).all()


HEIGHTS, WIDTHS = torch.tensor([50, 300, 40, 7]).repeat(500), torch.tensor([50, 200, 400, 7]).repeat(500)


def boxes(step, heights: list[int], widths: list[int], *identity) -> torch.Tensor:
    draws = torch.rand(len(heights), step.draws, generator=seeding.generator(*identity)).tolist()
    return torch.tensor([step.box(*each) for each in zip(heights, widths, draws, strict=True)])


def boxes_of(step) -> torch.Tensor:
    return boxes(step, HEIGHTS.tolist(), WIDTHS.tolist(), "boxes")


def test_random_boxes_are_inside_and_of_the_asked_area_and_aspect():
    top, left, height, width = boxes_of(RandomResizedCrop(8, (0.2, 0.8))).unbind(1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top + height <= HEIGHTS).all()
    assert (left + width <= WIDTHS).all()
    large = (HEIGHTS == 300) & (height < 300) & (width < 200)
    area, aspect = (height * width)[large] / 60_000, (width / height)[large]
    assert area.min() > 0.195
    assert area.max() < 0.805
    assert aspect.min() > 0.74
    assert aspect.max() < 1.35


def test_small_boxes_are_uniform_in_area_log_uniform_in_aspect_and_uniform_in_place():
    count = 20_000
    step = RandomResizedCrop(8, (0.05, 0.15))
    top, left, height, width = boxes(step, [1000] * count, [1000] * count, "uniform").double().unbind(1)
    for value in (
        (height * width / 1e6 - 0.05) / 0.1,
        ((width / height).log() - math.log(3 / 4)) / (2 * math.log(4 / 3)),
        top / (1000 - height + 1),
        left / (1000 - width + 1),
    ):
        # Kolmogorov-Smirnov distance to the uniform distribution, p = 0.001
        distance = (value.sort().values - (torch.arange(count) + 0.5) / count).abs().max()
        assert distance < 1.95 / math.sqrt(count) + 0.002


def test_where_no_box_fits_the_central_one_of_the_nearest_aspect_is_taken():
    step = RandomResizedCrop(8, (1.0, 1.0), (3 / 4, 4 / 3))
    found = boxes(step, [30, 400], [300, 100], 0)
    assert found.tolist() == [[0, 130, 30, 40], [(400 - 133) // 2, 0, 133, 100]]


def test_a_batch_is_cut_as_each_image_alone():
    images = torch.randint(0, 256, (60, 3, 30, 41), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    step = RandomResizedCrop(13, (0.05, 1.0))
    drawn = boxes(step, [30] * 60, [41] * 60, 2)
    assert (drawn[:, 2] < 13).any()
    assert (drawn[:, 2] > 13).any()
    batch = cut_batch(images.float(), drawn.tolist(), 13)
    for image, box, got in zip(images, drawn.tolist(), batch, strict=True):
        top, left, height, width = box
        crop = image[None, :, top : top + height, left : left + width].float()
        expected = functional.interpolate(crop, (13, 13), mode="bilinear", antialias=True)[0]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-3)
        assert (cut(image, box, 13).float() - expected).abs().max() <= 1  # in whole gray levels


def test_random_resized_crop_of_a_batch_keeps_range_and_labels():
    out, labels = RandomResizedCrop(5)(IMAGES, LABELS, seeding.generator(0))
    assert out.shape == (400, 2, 5, 5)
    assert torch.equal(labels, LABELS)
    assert out.min() >= 0
    assert out.max() <= 1


def test_scale_crop_can_scale_the_longer_side():
    """A box in the image's pixels is size / zoom, and the zoom takes 60 pixels to 40 times the scale."""
    for draw, scale in ((0.0, 0.5), (0.5, 1.25), (1.0, 2.0)):
        _, _, tall, wide = RandomScaleCrop(20, 40, (0.5, 2.0), side="longer").box(30, 60, [draw, 0, 0])
        assert tall == wide == round(20 * 60 / (40 * scale))


def test_scale_crop_zooms_the_shorter_side_and_stays_at_home():
    step = RandomScaleCrop(size=38, base=40, scale=(0.5, 2.0))
    top, left, height, width = boxes_of(step).unbind(1)
    assert torch.equal(height, width)
    shorter = torch.minimum(HEIGHTS, WIDTHS)
    zoom = 38 * shorter / (40 * height)  # of the shorter side against base
    large = shorter >= 40
    assert zoom[large].min() > 0.48
    assert zoom[large].max() < 2.1
    assert zoom[large].max() - zoom[large].min() > 1.3
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top <= (HEIGHTS - height).clamp_min(0)).all()
    assert (left <= (WIDTHS - width).clamp_min(0)).all()


@pytest.mark.parametrize("name", ["random_flip", "random_crop", "random_resized_crop"])
def test_the_generator_alone_decides(name):
    settings = {"random_flip": {}, "random_crop": {"padding": 1}, "random_resized_crop": {"size": 5}}[name]
    (step,) = augment.build([{name: settings}])
    first, _ = step(IMAGES, LABELS, seeding.generator(0))
    torch.manual_seed(1)
    assert torch.equal(first, step(IMAGES, LABELS, seeding.generator(0))[0])
    assert not torch.equal(first, step(IMAGES, LABELS, seeding.generator(1))[0])
