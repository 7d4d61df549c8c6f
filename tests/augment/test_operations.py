"""The batched operations against torchvision's, image by image, and the draws of the policies made of them."""

import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from das import augment
from das.augment import operations

REFERENCE = v2.AutoAugment()
MAGNITUDES = {
    "Posterize": (8.0, 4.0, 2.0),
    "Solarize": (1.0, 0.5, 200 / 255, 0.0),
    "TranslateX": (0.0, 3.7, -5.2),
    "TranslateY": (0.0, 3.7, -5.2),
    "Rotate": (0.0, 17.0, -77.0, 133.0),  # at multiples of 45 degrees, pixels are read from between two
}


@pytest.mark.parametrize("name", operations.NAMES)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 20, 28)], ids=str)
def test_operation_is_torchvisions(name, shape):
    images = torch.randint(256, (5, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for magnitude in MAGNITUDES.get(name, (0.0, 0.3, -0.3, 0.9)):
        wanted = torch.stack([
            REFERENCE._apply_image_or_video_transform(
                image, name, magnitude, InterpolationMode.NEAREST, REFERENCE._fill
            )
            for image in images
        ])  # fmt: skip
        chosen = torch.full((5,), operations.NAMES.index(name))
        made = operations.apply(images.float() / 255, chosen, torch.full((5,), magnitude, dtype=torch.float64))
        # torchvision cuts to whole levels twice where it blends (the gray or smoothed image, then the result)
        tolerance = 2 if name in ("Brightness", "Color", "Contrast", "Sharpness", "AutoContrast") else 1e-3
        assert (255 * made - wanted).abs().max() < tolerance


def test_every_image_has_its_own_operation(draws):
    images = torch.rand(40, 3, 12, 12, generator=draws)
    chosen = torch.arange(40) % len(operations.NAMES)
    magnitudes = torch.rand(40, generator=draws, dtype=torch.float64) * 0.5
    together = operations.apply(images, chosen, magnitudes)
    alone = [operations.apply(images[i : i + 1], chosen[i : i + 1], magnitudes[i : i + 1]) for i in range(40)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)


def test_trivialaugment_draws_every_operation_as_often(draws, monkeypatch):
    drawn = []
    monkeypatch.setattr(operations, "apply", lambda images, chosen, m: drawn.append((chosen, m)) or images)
    (step,) = augment.build(["trivialaugment_wide"])
    step(torch.zeros(14_000, 1, 32, 32), torch.zeros(14_000), draws)
    ((chosen, magnitudes),) = drawn
    counts = torch.bincount(chosen, minlength=len(operations.NAMES))
    assert counts[operations.NAMES.index("Invert")] == 0  # not in the wide space
    assert (counts[counts > 0] - 1000).abs().max() < 5 * 1000**0.5
    rotations = magnitudes[chosen == operations.NAMES.index("Rotate")]
    assert rotations.abs().max() == 135
    assert abs((rotations < 0).double().mean() - 0.48) < 0.1
    assert magnitudes[chosen == operations.NAMES.index("Solarize")].min() >= 0


def test_randaugment_applies_its_level_in_a_row(draws, monkeypatch):
    drawn = []
    monkeypatch.setattr(operations, "apply", lambda images, chosen, m: drawn.append((chosen, m)) or images)
    (step,) = augment.build([{"randaugment": {"operations": 3, "magnitude": 15}}])
    step(torch.zeros(500, 1, 32, 32), torch.zeros(500), draws)
    assert len(drawn) == 3
    for chosen, magnitudes in drawn:
        assert set(magnitudes[chosen == operations.NAMES.index("Rotate")].abs().tolist()) == {15.0}
        assert set(magnitudes[chosen == operations.NAMES.index("Brightness")].abs().round(decimals=6).tolist()) == {
            0.45
        }


def test_autoaugment_follows_the_published_probabilities(draws, monkeypatch):
    drawn = []
    monkeypatch.setattr(operations, "apply", lambda images, chosen, m: drawn.append(chosen) or images)
    (step,) = augment.build([{"autoaugment": {"policy": "svhn"}}])
    count = 20_000
    step(torch.zeros(count, 1, 8, 8), torch.zeros(count), draws)
    table = v2.AutoAugment(v2.AutoAugmentPolicy.SVHN)._policies
    for position, chosen in enumerate(drawn):
        expected = torch.zeros(len(operations.NAMES))
        for policy in table:
            name, probability, _ = policy[position]
            expected[operations.NAMES.index(name)] += probability / len(table)
        expected[0] = 1 - expected.sum()
        share = torch.bincount(chosen, minlength=len(operations.NAMES)) / count
        assert (share - expected).abs().max() < 5 * (0.25 / count) ** 0.5
