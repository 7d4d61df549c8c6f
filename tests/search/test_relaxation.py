import torch

from das.search.relaxation import edge_shares, gumbel, mixture, noise_like, path
from das.seeding import generator
from das.video.cell import Cell
from das.video.transform import ImageToVideo


def choice_in(weights):
    """{edge: candidate} of drawn weights, whatever their scale."""
    return {edge: int(row.argmax()) for edge, row in enumerate(weights) if row.abs().sum() > 0}


def test_mixture_is_the_softmax():
    cell = Cell(nodes=2)
    noise = noise_like(cell.alpha, generator("noise"))
    torch.testing.assert_close(mixture(cell.family, cell.alpha, noise), torch.softmax(cell.alpha, 1))


def test_a_path_keeps_two_edges_a_node_and_one_operation_an_edge():
    cell, draws = Cell(nodes=3), generator("noise")
    for _ in range(50):
        weights = path(cell.family, cell.alpha.detach(), noise_like(cell.alpha, draws))
        for edges in cell.family.incoming:
            rows = weights[list(edges)]
            assert ((rows != 0).sum(1) <= 1).all()
            assert (rows != 0).sum() == 2
            assert set(rows[rows != 0].tolist()) == {len(edges) / 2}


def test_paths_are_even_whatever_alpha():
    cell, draws = Cell(nodes=2, kind="dag"), generator("noise")
    alpha = 5 * torch.randn(cell.alpha.shape, generator=generator("alpha"))
    count = 3000
    used = sum((path(cell.family, alpha, noise_like(alpha, draws)) != 0).double() for _ in range(count)) / count
    expected = torch.full_like(used, 1 / 5)
    expected[list(cell.family.incoming[1])] *= 2 / 3  # two of three edges
    deviation = (expected * (1 - expected) / count).sqrt()
    assert ((used - expected).abs() < 4.5 * deviation).all()


def test_a_path_shows_the_video_of_the_policy_it_draws():
    """Translations by whole pixels, so that interpolating once or at each node makes no difference."""
    cell = Cell(nodes=3, frames=3, schedule="signed", magnitudes="grid")
    moves = [column for column, choice in enumerate(cell.candidates[0]) if choice.operation.startswith("translate")]
    draws, images = generator("noise"), torch.rand(2, 1, 50, 50, generator=generator("images"))
    for _ in range(5):
        noise = noise_like(cell.alpha, draws)
        others = [column for column in range(noise.shape[1]) if column not in moves]
        noise[:, others] = torch.inf
        weights = path(cell.family, cell.alpha.detach(), noise)
        policy = cell.policy_from(choice_in(weights))
        torch.testing.assert_close(cell(images, weights), ImageToVideo(policy)(images))


def test_gumbel_draws_by_softmax_of_alpha():
    cell, draws = Cell(kind="single"), generator("noise")
    alpha = torch.tensor([[0.0, 1.0, -1.0, 0.5, 2.0]])
    count = 4000
    drawn = sum(gumbel(cell.family, alpha, noise_like(alpha, draws)).round().double() for _ in range(count)) / count
    expected = alpha.double().softmax(1)
    assert ((drawn - expected).abs() < 4.5 * (expected * (1 - expected) / count).sqrt()).all()


def test_gumbel_passes_the_gradient_of_the_perturbed_softmax():
    cell = Cell(nodes=2)
    noise, target = (torch.rand(cell.alpha.shape, generator=generator(name)) for name in ("noise", "target"))
    (found,) = torch.autograd.grad((gumbel(cell.family, cell.alpha, noise) * target).sum(), cell.alpha)
    (soft,) = torch.autograd.grad(((cell.alpha - noise.log()).softmax(1) * target).sum(), cell.alpha)
    torch.testing.assert_close(found, soft)


def test_shares_of_kept_edges():
    mean, added = Cell(nodes=2).family, Cell(nodes=2, node_reduce="sum").family
    kept = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])  # node 0 reads edges 0 and 1, node 1 edges 2 to 4
    assert edge_shares(mean, kept).tolist() == [1, 1, 1.5, 0, 1.5]
    assert edge_shares(added, kept).tolist() == [1, 1, 1, 0, 1]
