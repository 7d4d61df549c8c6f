"""Taps of learned warps, beside those of constant ones; transposing by counting, beside sorting."""

import pytest
import torch

from das.video.moving import moving_taps
from das.video.warp import Pattern, centers, padded, pushed, taps

SIZE = (6, 9)
STRENGTHS, MAPS = 2, 3


@pytest.fixture
def matrices():
    draws = torch.Generator().manual_seed(0)
    random = torch.randn(STRENGTHS, MAPS, 3, 3, generator=draws, dtype=torch.float64)
    found = torch.eye(3, dtype=torch.float64) + 0.2 * random
    found[..., :2, 2] = 2 * random[..., :2, 2]
    found[..., 2, :] = torch.tensor([0.0, 0, 1])
    found[0, 0] = torch.eye(3)
    found[0, 1, :2, 2] = 20  # far outside
    return found


def dense(index, weight, columns):
    """A map of taps as a matrix."""
    table = torch.zeros(len(index), columns, dtype=weight.dtype)
    return table.scatter_add(1, index.long(), weight)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_learned_taps_are_the_constant_ones_with_autograds_slope(matrices, padding, dtype, tolerance):
    pixels = SIZE[0] * SIZE[1]
    offsets = torch.tensor([[0, pixels, 0], [0, 2 * pixels, pixels]])
    other = torch.arange(STRENGTHS * pixels)[:, None] % pixels
    given = (other, torch.full((len(other), 1), 0.5, dtype=dtype))
    ours, theirs = matrices.to(dtype).requires_grad_(), matrices.clone().requires_grad_()
    index, weight = moving_taps(ours, offsets, padding, SIZE, *given)
    found = dense(index, weight, 3 * pixels)

    expected = 0.5 * torch.eye(3 * pixels, dtype=torch.float64)[other[:, 0]]
    for place in range(MAPS):
        positions = padded(pushed(centers(*SIZE)[None], theirs[:, place]), padding, *SIZE)
        rows, shares = taps(positions, *SIZE)
        rows = rows + offsets[:, place, None, None]
        expected = expected + dense(rows.flatten(0, 1), shares.flatten(0, 1), 3 * pixels)
    assert (found.double() - expected).abs().max() < tolerance

    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (slope,) = torch.autograd.grad((found * direction.to(dtype)).sum(), ours)
    (plain,) = torch.autograd.grad((expected * direction).sum(), theirs)
    moved = torch.ones(STRENGTHS, MAPS, dtype=torch.bool)
    moved[0, 0] = False  # at whole pixels the slope has two sides
    error = (slope.double() - plain)[moved][:, :2].abs().max()
    assert error < tolerance * 100 * plain.abs().max()


def test_transposing_by_counting_gives_the_order_of_a_stable_sort():
    draws = torch.Generator().manual_seed(0)
    index = torch.randint(40, (25, 7), generator=draws)
    pattern = Pattern.regular(index, 40)
    for first in (0, 13):
        transposed, order = pattern.transposed(first)
        flat = index.flatten()
        expected = flat.argsort(stable=True)
        expected = expected[flat[expected] >= first]
        assert order.tolist() == expected.tolist()
        assert transposed.index.tolist() == (expected // 7).tolist()
        counts = torch.bincount(flat, minlength=40)[first:]
        assert transposed.starts.diff().tolist() == counts.tolist()
        assert transposed.columns == 25
