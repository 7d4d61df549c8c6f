"""The differentiable policy search: its operations, its relaxation, and whether it learns."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das.augment.faster_autoaugment import OPERATIONS, FasterAutoAugment, gradient_penalty

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
