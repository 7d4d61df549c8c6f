"""The differentiable policy search: its operations, its relaxation, and whether it learns."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das import seeding
from das.augment.faster_autoaugment import OPERATIONS, FasterAutoAugment, gradient_penalty
from das.data.sets import Dataset, ImageSet
from das.engine import augmentation_search

NAMES = list(OPERATIONS)


def amounts(value: float, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((count, 1, 1, 1), value), torch.ones(count, 1, 1, 1)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.0])
def test_rotation_is_grid_samples(angle, draws):
    images = torch.rand(2, 3, 11, 11, generator=draws)
    radians = angle * math.pi / 6
    theta = torch.tensor([[math.cos(radians), -math.sin(radians), 0], [math.sin(radians), math.cos(radians), 0]])
    grid = F.affine_grid(theta.expand(2, 2, 3), list(images.shape), align_corners=False)
    wanted = F.grid_sample(images, grid, align_corners=False)
    assert torch.allclose(OPERATIONS["rotate"](images, *amounts(angle, 2)), wanted, atol=1e-5)


def test_translation_moves_whole_pixels(draws):
    images = torch.rand(1, 1, 5, 20, generator=draws)
    moved = OPERATIONS["translate_x"](images, *amounts(2 / 9))  # 0.45 * 2 / 9 * 20 = 2 pixels
    assert torch.allclose(moved[..., :-2], images[..., 2:], atol=1e-5)
    assert (moved[..., -2:].abs() < 1e-5).all()


@pytest.mark.parametrize("name", NAMES[: NAMES.index("posterize")])  # the rest are steps in theirs, or have none
def test_magnitudes_have_gradients_by_finite_differences(name, draws):
    images = torch.rand(1, 3, 8, 8, generator=draws, dtype=torch.float64) * 0.4 + 0.3  # no value is clamped
    weights = torch.rand(images.shape, generator=draws, dtype=torch.float64)
    magnitude = torch.tensor(0.3123, dtype=torch.float64, requires_grad=True)

    def value(m):
        return (weights * OPERATIONS[name](images, m.view(1, 1, 1, 1), torch.ones(1, 1, 1, 1))).sum()

    (slope,) = torch.autograd.grad(value(magnitude), magnitude)
    with torch.no_grad():
        difference = (value(magnitude + 1e-6) - value(magnitude - 1e-6)) / 2e-6
    assert slope == pytest.approx(float(difference), rel=1e-4, abs=1e-6)


def test_a_decided_policy_relaxed_is_the_policy(draws):
    """With one operation certain, its probability at 1, relaxation and application agree."""
    policy = FasterAutoAugment(sub_policies=2, operations=1)
    with torch.no_grad():
        policy.logits[0, 0, NAMES.index("invert")] = 10
        policy.logits[1, 0, NAMES.index("autocontrast")] = 10
        policy.probability.fill_(20)
    images = torch.rand(6, 3, 8, 8, generator=draws) * 0.5 + 0.2
    relaxed = policy.relaxed(images, draws)
    assert torch.allclose(relaxed[0::2], 1 - images[0::2], atol=1e-5)
    stretched = OPERATIONS["autocontrast"](images[1::2], *amounts(0.5, 3))
    assert torch.allclose(relaxed[1::2], stretched, atol=1e-5)
    applied, _ = policy(images, torch.zeros(6), draws)
    for image, out in zip(images, applied, strict=True):
        choices = (1 - image, OPERATIONS["autocontrast"](image[None], *amounts(0.5))[0])
        assert any(torch.allclose(out, choice, atol=1e-5) for choice in choices)


def test_probabilities_are_how_often_operations_are_applied(draws):
    policy = FasterAutoAugment(sub_policies=1, operations=1)
    with torch.no_grad():
        policy.logits[..., NAMES.index("invert")] = 10
        policy.probability.fill_(math.log(0.3 / 0.7))
    images = torch.full((3000, 1, 2, 2), 0.2)
    applied, _ = policy(images, torch.zeros(3000), draws)
    assert abs((applied[:, 0, 0, 0] > 0.5).float().mean() - 0.3) < 5 * math.sqrt(0.21 / 3000)


def test_the_gradient_penalty_of_a_linear_critic_is_known(draws):
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    norm = critic[1].weight[-1].norm()
    penalty = gradient_penalty(critic, torch.rand(4, 3, 2, 2), torch.rand(4, 3, 2, 2), draws)
    assert torch.allclose(penalty, (norm - 1).square(), atol=1e-6)


def search(seed: int) -> FasterAutoAugment:
    """Dark images of two classes: inversion makes them bright, which a critic tells at once."""
    policy = FasterAutoAugment(epochs=6, sub_policies=2, operations=1, lr=0.05)
    generator = torch.Generator().manual_seed(seed)

    def epoch_of(draws):
        for _ in range(10):
            labels = torch.randint(2, (32,), generator=draws)
            images = torch.rand(32, 1, 8, 8, generator=draws) * 0.2
            images[:, :, :, :4] += 0.3 * labels.view(-1, 1, 1, 1)
            yield images, labels

    before = torch.get_rng_state()
    policy.search(epoch_of, lambda outputs: nn.Sequential(nn.Flatten(), nn.Linear(64, outputs)), 2, generator)
    assert torch.equal(torch.get_rng_state(), before), "the global generator moved"
    return policy


def test_the_search_repeats_and_learns_to_avoid_what_a_critic_tells():
    first, again, other = search(0), search(0), search(1)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.logits, other.logits)
    shares = (first.logits / first.temperature).softmax(-1).mean((0, 1))
    used = (shares * first._probability().mean((0, 1))).detach()
    assert used[NAMES.index("invert")] < 0.02


def test_the_search_starts_as_dda_does(draws):
    """Logits, probabilities and magnitudes from U(0, 1): at temperature 0.05 the likeliest of 15 weighs about 0.66."""
    policy = FasterAutoAugment(epochs=0, sub_policies=500, operations=2)
    policy.search(lambda draws: [], lambda outputs: nn.Linear(1, 1), 2, draws)
    policy.requires_grad_(False)
    for values in (policy.logits, policy._probability(), policy._magnitude()):
        assert values.min() >= 0
        assert values.max() <= 1
        assert values.mean() == pytest.approx(0.5, abs=0.01)
        assert values.var() == pytest.approx(1 / 12, rel=0.03)
    drawn = torch.rand(100_000, 15, generator=torch.Generator().manual_seed(1))
    expected = (drawn / 0.05).softmax(-1).amax(-1).mean()
    assert len(NAMES) == 15
    assert (policy.logits / policy.temperature).softmax(-1).amax(-1).mean() == pytest.approx(float(expected), abs=0.02)


def test_the_search_sees_so_many_images():
    """`images` of the training set, the same whenever it is asked."""
    pixels = torch.arange(100, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    dataset = Dataset("numbered", lambda split: ImageSet(pixels, torch.arange(100) % 2), ("a", "b"))
    run = SimpleNamespace(
        data=SimpleNamespace(augment=[]), generator=lambda *purpose: seeding.generator("test", *purpose)
    )
    step, seen = FasterAutoAugment(images=20, batch_size=4), []
    step.search = lambda epoch_of, *_: seen.append(torch.cat([b for b, _ in epoch_of(torch.Generator())]))
    for _ in range(2):
        augmentation_search.search(step, run, dataset, torch.device("cpu"))
    values = [sorted((255 * batch[:, 0, 0, 0]).round().long().tolist()) for batch in seen]
    assert values[0] == values[1]
    assert len(set(values[0])) == 20
    assert values[0] != list(range(20))
