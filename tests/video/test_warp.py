import pytest
import torch

from das.video.warp import Pattern, product


@pytest.fixture
def sparse():
    """A sparse 5 x 7 map with an empty row, an empty column and a double entry, and its values."""
    starts = torch.tensor([0, 2, 2, 5, 6, 8])
    index = torch.tensor([6, 0, 1, 4, 4, 2, 0, 3])
    return Pattern(starts, index, 7), torch.linspace(-1, 1, 8).double()


def dense(pattern, values):
    matrix = torch.zeros(len(pattern.starts) - 1, pattern.columns, dtype=values.dtype)
    for row in range(len(matrix)):
        for entry in range(pattern.starts[row], pattern.starts[row + 1]):
            matrix[row, pattern.index[entry]] += values[entry]
    return matrix


def test_product_is_the_matrix_product(sparse):
    pattern, values = sparse
    table = torch.rand(7, 3, dtype=torch.float64)
    torch.testing.assert_close(product(pattern, values, table[:2], table[2:]), dense(pattern, values) @ table)


@pytest.mark.parametrize(
    "needed", [(True, True, True), (True, False, False), (False, False, True), (False, True, False)]
)
def test_gradients(sparse, needed):
    pattern, values = sparse
    first, second = torch.rand(2, 3, dtype=torch.float64), torch.rand(5, 3, dtype=torch.float64)
    inputs = [x.clone().requires_grad_(need) for x, need in zip((values, first, second), needed, strict=True)]
    assert torch.autograd.gradcheck(lambda *x: product(pattern, *x), inputs)
