import numpy as np
import pytest
import torch

from das.seeding import generator
from das.study.registry import names
from das.video import spaces
from das.video.operations import operation_named

MOVES = [name for name in names("operation") if operation_named(name).inverse and operation_named(name).ranges]


def drawn(name):
    return [values.draw(generator("test", name)) for values in operation_named(name).ranges]


@pytest.mark.parametrize("name", MOVES)
def test_inverse_undoes_the_definition(slow, name):
    magnitudes = drawn(name)
    for strength in (-2, 1, 3):
        inverse = operation_named(name).inverse(
            torch.tensor(magnitudes, dtype=torch.float64), torch.tensor([strength]).double(), 12, 20
        )
        forward = slow.forward_map(name, magnitudes, strength, 12, 20)
        np.testing.assert_allclose(inverse[0].numpy() @ forward, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("name", MOVES)
def test_inverse_is_differentiable_in_its_magnitudes(name):
    magnitudes = torch.tensor(drawn(name), dtype=torch.float64, requires_grad=True)
    strengths = torch.tensor([-1.0, 2.0]).double()
    assert torch.autograd.gradcheck(lambda m: operation_named(name).inverse(m, strengths, 12, 20), (magnitudes,))


@pytest.mark.parametrize("name", [name for name in names("operation") if name != "identity"])
def test_draws_and_grids_are_allowed_and_not_neutral(name):
    draws = generator("range")
    for values in operation_named(name).ranges:
        many = [values.draw(draws) for _ in range(200)]
        assert values.drawn[0] <= min(many) < max(many) <= values.drawn[1]
        assert len(set(values.grid())) == 4
        assert values.neutral not in values.grid()
        for magnitude in (*many, *values.grid()):
            assert values.allowed[0] <= magnitude <= values.allowed[1]


def test_published_ranges():
    draws = generator("published")
    angles = [operation_named("rotate").ranges[0].draw(draws) for _ in range(2000)]
    assert set(angles) == set(range(-20, 21))
    assert (
        operation_named("translate_x").ranges[0].drawn
        == operation_named("translate_y").ranges[0].drawn
        == (-0.12, 0.12)
    )
    assert operation_named("zoom").ranges[0].drawn == (0.7, 1.3)


def test_spaces_hold_what_they_are_named_for():
    assert spaces.AFFINE5 == ("identity", "translate_x", "translate_y", "zoom", "rotate")
    assert set(spaces.AFFINE7) - set(spaces.AFFINE5) == {"shear_x", "shear_y"}
    moves = spaces.AFFINE5[1:]
    pairs = {f"{a}+{b}" for i, a in enumerate(moves) for b in moves[i + 1 :]}
    assert set(spaces.COMPOUND) >= set(moves) | pairs
    assert len(spaces.COMPOUND) == 4 + 6 + 4
    assert all(operation_named(name).recolor for name in set(spaces.FULL) - set(spaces.AFFINE7))
    assert len(spaces.FULL) == 7 + 9
