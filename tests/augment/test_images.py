"""Augmentations of single images: Cutout, Random Erasing, YOCO, temporal resolution decrement, and the rest's draws."""

import math

import pytest
import torch

from das import augment

EVERY = [
    {"cutout": {"size": 6}},
    "random_erasing",
    "autoaugment",
    {"autoaugment": {"policy": "svhn"}},
    "randaugment",
    "trivialaugment_wide",
    {"yoco": {"augment": ["trivialaugment_wide"]}},
    {"temporal_resolution_decrement": {"fraction": 1.0}},
    "faster_autoaugment",
    "mixup",
    "cutmix",
]


@pytest.mark.parametrize("entry", EVERY, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_decides_everything(entry, channels):
    images, labels = torch.rand(12, channels, 20, 16), torch.arange(12) % 4
    (step,) = augment.build([entry], classes=4)
    untouched = images.clone()
    results = []
    for seed in (1, 1, 2):
        generator = torch.Generator().manual_seed(seed)
        before = torch.get_rng_state()
        augment.start_epoch([step], generator, 0.5)
        results.append(step(images, labels, generator))
        assert torch.equal(torch.get_rng_state(), before), "the global generator was used"
        torch.rand(3)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert torch.equal(images, untouched), "the images were changed in place"
    if "temporal" not in str(entry):
        assert not torch.equal(results[0][0], results[2][0])
    assert results[0][0].min() >= 0
    assert results[0][0].max() <= 1 + 1e-6


def test_cutout_blackens_one_square_cut_off_at_the_edge(draws):
    images = torch.ones(4000, 2, 9, 11)
    (step,) = augment.build([{"cutout": {"size": 4}}])
    out, _ = step(images, torch.zeros(4000), draws)
    assert torch.equal(out[:, 0], out[:, 1])
    black = out[:, 0] == 0
    rows, columns = black.any(2), black.any(1)
    assert torch.equal(black, rows[:, :, None] & columns[:, None, :])
    # The center is uniform over the pixels: each pixel is covered as often as centers within reach of it exist.
    reach = [[sum(c - 2 <= p < c + 2 for c in range(side)) / side for p in range(side)] for side in (9, 11)]
    expected = torch.tensor(reach[0])[:, None] * torch.tensor(reach[1])
    assert (black.float().mean(0) - expected).abs().max() < 5 * math.sqrt(0.25 / 4000)


def test_random_erasing_follows_its_area_and_aspect(draws):
    side, count = 64, 4000
    ranges = {"area": [0.1, 0.3], "aspect": [0.5, 2.0]}
    (step,) = augment.build(
        [{"random_erasing": {"probability": 0.5, "aspect_draw": "log_uniform", "fill": "black"} | ranges}]
    )
    out, _ = step(torch.ones(count, 1, side, side), torch.zeros(count), draws)
    black = out[:, 0] == 0
    erased = black.any((1, 2))
    assert abs(erased.float().mean() - 0.5) < 5 * math.sqrt(0.25 / count)
    tall, wide = black[erased].any(2).sum(1).double(), black[erased].any(1).sum(1).double()
    assert torch.equal(black[erased].sum((1, 2)).double(), tall * wide)
    area, aspect = tall * wide / side**2, (tall / wide).log()
    assert area.min() > 0.1 - 0.01
    assert area.max() < 0.3 + 0.01
    # every box of these ranges fits a 64 x 64 image: area is uniform, log aspect is uniform
    assert abs(area.mean() - 0.2) < 5 * 0.2 / math.sqrt(12) / math.sqrt(int(erased.sum()))
    assert aspect.abs().max() < math.log(2) + 0.1
    assert abs(aspect.mean()) < 5 * 2 * math.log(2) / math.sqrt(12) / math.sqrt(int(erased.sum()))


def test_random_erasing_draws_as_its_authors_code(draws):
    """Aspects uniform, and boxes of the batch's mean; against areas and aspects drawn by the definition."""
    side, count = 64, 4000
    (step,) = augment.build([{"random_erasing": {"probability": 1.0}}])
    images = torch.rand(count, 3, side, side, generator=draws)
    out, _ = step(images, torch.zeros(count), draws)
    changed = (out != images).all(1)
    color = images.mean((0, 2, 3))
    assert torch.allclose(out.permute(0, 2, 3, 1)[changed], color, atol=1e-4)
    tall, wide = changed.any(2).sum(1).double(), changed.any(1).sum(1).double()
    area = torch.empty(100_000, dtype=torch.float64).uniform_(0.02, 0.4, generator=draws)
    aspect = torch.empty_like(area).uniform_(0.3, 1 / 0.3, generator=draws)
    fits = ((area * aspect).sqrt() < 1) & ((area / aspect).sqrt() < 1)
    for found, defined in ((tall * wide / side**2, area), (tall / wide, aspect)):
        defined = defined[fits]
        assert abs(found.mean() - defined.mean()) < 5 * defined.std() / math.sqrt(count) + 0.01


def test_random_erasing_keeps_images_that_no_box_fits():
    (step,) = augment.build([{"random_erasing": {"probability": 1.0, "area": [1.0, 1.0], "aspect": [1.0, 1.0]}}])
    images = torch.ones(4, 1, 8, 8)
    assert torch.equal(step(images, torch.zeros(4), torch.Generator().manual_seed(0))[0], images)


def test_yoco_augments_halves_by_themselves(monkeypatch):
    (step,) = augment.build([{"yoco": {"augment": ["random_flip"]}}])
    seen = []

    def record(images, labels, generator):
        seen.append(tuple(images.shape[2:]))
        return images + len(seen), labels

    step.steps = [record]
    sizes = set()
    for seed in range(20):
        seen.clear()
        out, _ = step(torch.zeros(2, 1, 7, 10), torch.zeros(2), torch.Generator().manual_seed(seed))
        sizes.add(tuple(seen))
        first, second = out[..., 0, 0], out[..., -1, -1]
        assert (first == 1).all()
        assert (second == 2).all()
        assert out.shape == (2, 1, 7, 10)
    assert sizes == {((3, 10), (4, 10)), ((7, 5), (7, 5))}


def test_resolution_is_halved_in_the_given_fraction_of_epochs():
    (step,) = augment.build([{"temporal_resolution_decrement": {"fraction": 0.9}}])
    images, generator = torch.rand(2, 3, 6, 8), torch.Generator().manual_seed(0)
    halved = 0
    for _ in range(500):
        step.start_epoch(generator, 0.5)
        sizes = {step(images, torch.zeros(2), generator)[0].shape for _ in range(2)}
        assert len(sizes) == 1, "the size changed within an epoch"
        halved += sizes == {torch.Size([2, 3, 3, 4])}
    assert abs(halved / 500 - 0.9) < 5 * math.sqrt(0.09 / 500)
    step.halved = True
    small, _ = step(images, torch.zeros(2), generator)
    assert torch.allclose(small[0, 0, 1, 2], images[0, 0, 2:4, 4:6].mean())


@pytest.mark.parametrize(("epochs", "whole"), [(10, 1), (6, 1), (100, 10), (1, 1)])
def test_resolution_is_never_halved_in_the_last_tenth(epochs, whole):
    (step,) = augment.build([{"temporal_resolution_decrement": {"fraction": 1.0}}])
    halved = []
    for epoch in range(epochs):
        step.start_epoch(torch.Generator().manual_seed(epoch), (epoch + 1) / epochs)
        halved.append(step.halved)
    assert halved == [True] * (epochs - whole) + [False] * whole
