"""SmoothDARTS: where weights may go, and that the adversarial ones raise the loss."""

import pytest
import torch

from das.search.smoothing import radius, smoothed
from das.study.schema import Smoothing

WEIGHTS = torch.tensor([[0.5, 0.3, 0.2], [0.02, 0.97, 0.01]])
RANDOM, ADVERSARIAL = Smoothing(kind="random"), Smoothing(kind="adversarial")


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_radius_grows_linearly_from_the_first_epoch_to_the_last():
    assert [radius(RANDOM, epoch, 4) for epoch in range(4)] == pytest.approx([0.03, 0.12, 0.21, 0.3])
    assert radius(RANDOM, 0, 1) == 0.03


def test_random_weights_are_even_in_the_cube_and_sum_to_one():
    found = torch.stack([smoothed(WEIGHTS, None, RANDOM, 0.1, draws(seed)) for seed in range(2000)])
    assert torch.allclose(found.sum(-1), torch.ones(2000, 2), atol=1e-6)
    assert (found >= 0).all()
    # independent: the first edge's cube does not touch 0 or 1, so its draws are 2000 of the plain definition
    place = WEIGHTS[0] + 0.1 * (2 * torch.rand(20_000, 3, generator=draws(1)) - 1)
    plain = place / place.sum(-1, keepdim=True)
    assert torch.allclose(found[:, 0].mean(0), plain.mean(0), atol=0.005)
    assert torch.allclose(found[:, 0].std(0), plain.std(0), rtol=0.1)


def test_adversarial_weights_climb_a_linear_loss_to_the_cubes_corner():
    slope = torch.tensor([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])

    def loss(weights):
        return (slope * weights).sum()

    found = smoothed(WEIGHTS, loss, ADVERSARIAL, 0.1, draws())
    best = max(
        float((slope[0] * (corner / corner.sum())).sum())
        for a in (-0.1, 0.1) for b in (-0.1, 0.1) for c in (-0.1, 0.1)
        for corner in [WEIGHTS[0] + torch.tensor([a, b, c])]
    )  # fmt: skip
    assert float(loss(found)) == pytest.approx(best, abs=1e-5)


def test_weights_stay_where_the_loss_did_not_rise():
    def valley(weights):  # highest at the weights themselves
        return -((weights - WEIGHTS) ** 2).sum()

    assert torch.equal(smoothed(WEIGHTS, valley, ADVERSARIAL, 0.1, draws()), WEIGHTS)
