import numpy as np
import pytest
import torch

from das.errors import DasError
from das.study.registry import names
from das.video.cell import Cell
from das.video.compiled import CompiledPolicy
from das.video.family import Family
from das.video.operations import operation_named
from das.video.policy import Choice, Edge, Policy
from das.video.schedule import strengths


def images(*shape, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(
    "settings",
    [dict(space="affine7", seed=1), dict(space="compound", seed=4, schedule="signed"), dict(seed=2, node_reduce="sum")],
    ids=str,
)
def test_compiled_policy_is_its_definition(slow, settings, padding):
    policy = Family(frames=4, padding=padding, **settings).random(1)
    x = images(1, 2, 6, 9)
    expected = slow.video(x, policy, strengths(policy.schedule, 4), slow.frame_along_paths)
    torch.testing.assert_close(CompiledPolicy(policy, 6, 9, dtype=torch.float64)(x), expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(CompiledPolicy(policy, 6, 9)(x.float()).double(), expected, atol=1e-5, rtol=0)


def test_uniform_mixtures_are_compiled_node_by_node(slow):
    policy = Family(frames=2, nodes=4, seed=1).uniform()
    x = images(1, 1, 4, 5)
    cell = Cell(frames=2, nodes=4, seed=1)
    expected = slow.video(x, policy, (1, 0), slow.frame_step_by_step)
    torch.testing.assert_close(cell(x, torch.full_like(cell.alpha, 0.2).double()), expected, atol=1e-6, rtol=0)
    got = CompiledPolicy(policy, 4, 5, dtype=torch.float64)(x)
    assert (got - expected).abs().max() < 0.25  # two first nodes are read along paths, the rest step by step
    assert torch.equal(got[:, 1], x)


@pytest.mark.parametrize("operation", [name for name in names("operation") if name != "identity"])
def test_one_operation_is_exactly_the_cell_at_a_one_hot_alpha(operation):
    space = "compound" if "+" in operation else "full"
    cell = Cell(space, kind="single", frames=4, schedule="signed", seed=1)
    column = [choice.operation for choice in cell.candidates[0]].index(operation)
    weights = torch.nn.functional.one_hot(torch.tensor([column]), len(cell.candidates[0])).double()
    x = images(2, 3, 9, 12)
    compiled = CompiledPolicy(cell.policy(weights), 9, 12, dtype=torch.float64)
    torch.testing.assert_close(compiled(x), cell(x, weights), atol=1e-9, rtol=0)


def analytic_errors(slow, side, seed):
    """Largest distance to the exactly transformed analytic image: of the compiled policy, and of the cell's steps.

    Measured where no path comes within two pixels of the border: what is cut off there is cut between steps.
    """
    cell = Cell("affine7", frames=3, seed=seed, schedule="signed")
    policy = cell.policy_from(dict(enumerate(cell.alpha.argmax(-1).tolist())))
    row, column = np.meshgrid(*[np.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    inside = np.ones((side, side), dtype=bool)

    def exact(node, strength, points):
        inside[:] &= (abs(points[:2]) < side / 2 - 2).all(0)
        if node == "image":
            return slow.smooth(side, side, points[0], points[1])
        parts = []
        for edge in policy.nodes[node]:
            (step,) = edge.mixture
            inverse = np.eye(3)
            if step.operation != "identity":
                inverse = np.linalg.inv(slow.forward_map(step.operation, step.magnitudes, strength, side, side))
            parts.append(exact(edge.source, strength, np.einsum("ij,jab->iab", inverse, points)))
        return sum(parts) / len(parts)

    points = np.stack([column, row, np.ones_like(row)])
    truth = torch.from_numpy(np.stack([exact(3, strength, points) for strength in (-1, 0, 1)]))
    assert inside.mean() > 0.2
    x = torch.from_numpy(slow.smooth(side, side))[None, None]
    weights = torch.nn.functional.one_hot(cell.alpha.argmax(-1), cell.alpha.shape[1]).double()
    compiled = CompiledPolicy(policy, side, side, dtype=torch.float64)(x)
    return [(video[0, :, 0] - truth)[:, inside].abs().max().item() for video in (compiled, cell(x, weights))]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_interpolation_is_closer_to_the_truth_than_one_per_step(slow, seed):
    compiled, steps = analytic_errors(slow, 64, seed)
    assert compiled < steps < 0.003


def test_compiled_and_cell_agree_up_to_interpolation_which_falls_with_the_square_of_the_side(slow):
    coarse, fine = analytic_errors(slow, 32, 1), analytic_errors(slow, 128, 1)
    assert fine[0] < coarse[0] / 10
    assert fine[1] < coarse[1] / 10


def colorful():
    """brightness, then rotate; and rotate, then invert, then translate: photometric steps between affine runs."""
    return Policy(
        3,
        (
            (Edge("image", (Choice("brightness", (1.2,)),)),),
            (Edge("image", (Choice("rotate", (10,)),)),),
            (Edge(1, (Choice("invert", (0.2,)),)), Edge(0, (Choice("rotate", (8,)),))),
            (Edge(2, (Choice("translate_x", (0.1,)),)), Edge("image", (Choice("posterize", (2,)),))),
        ),
        schedule="signed",
    )


def test_photometric_steps_stand_between_affine_runs():
    policy, x = colorful(), images(2, 3, 8, 10)
    video = CompiledPolicy(policy, 8, 10, dtype=torch.float64)(x)

    def run(operation, magnitude, batch, strength):
        if operation_named(operation).recolor:
            return operation_named(operation).recolor(batch, magnitude, strength)
        single = Policy.single(operation, magnitude, 3, schedule="signed")
        return CompiledPolicy(single, 8, 10, dtype=torch.float64)(batch)[:, {-1: 0, 1: 2}[strength]]

    for frame, strength in ((0, -1), (2, 1)):
        turned = run("rotate", 8, run("brightness", 1.2, x, strength), strength)
        inverted = run("invert", 0.2, run("rotate", 10, x, strength), strength)
        first = run("translate_x", 0.1, inverted, strength)
        # The turned branch goes on to the translation as one map: its last reading is exact up to interpolation.
        both = (run("translate_x", 0.1, turned, strength) + first) / 2
        expected = (both + run("posterize", 2, x, strength)) / 2
        assert (video[:, frame] - expected).abs().mean() < 0.03
    assert torch.equal(video[:, 1], x)


def test_gradients_reach_the_images():
    policy = Family(frames=3, seed=1).random(2)
    compiled = CompiledPolicy(policy, 5, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(compiled, (images(1, 2, 5, 6).requires_grad_(),))


@pytest.mark.parametrize("policy", [Policy.replicate(4), Policy.single("rotate", 9, 1)])
def test_policies_that_move_nothing(policy):
    x = images(2, 3, 5, 7)
    assert torch.equal(CompiledPolicy(policy, 5, 7)(x), x[:, None].expand(-1, policy.frames, -1, -1, -1))


def test_identical_paths_are_merged():
    (edge,) = Policy.single("rotate", 10, 4).nodes[0]
    twice = CompiledPolicy(Policy(4, ((edge, edge),)), 8, 8, dtype=torch.float64)
    x = images(1, 1, 8, 8)
    assert torch.equal(twice(x), CompiledPolicy(Policy(4, ((edge,),)), 8, 8, dtype=torch.float64)(x))


def test_canvas_and_scrambled_layout():
    x = images(2, 3, 5, 8)
    policy = Policy.single("translate_x", 0.25, 3, schedule="signed", canvas=12)
    video = CompiledPolicy(policy, 5, 8)(x)
    assert video.shape == (2, 3, 3, 12, 12)
    centered = torch.nn.functional.pad(x, [2, 2, 3, 4])
    assert torch.equal(video[:, 1], centered)
    assert torch.equal(video[:, 2, :, :, 3:], centered[..., :-3])  # a quarter of the canvas is 3 pixels
    frames = CompiledPolicy(Policy.single("rotate", 9, 4), 5, 8)(x)
    scrambled = CompiledPolicy(Policy.single("rotate", 9, 4, frame_layout="scrambled"), 5, 8)(x)
    assert torch.equal(scrambled, frames.transpose(1, 2).contiguous().view_as(scrambled))


def test_other_sizes_are_refused():
    compiled = CompiledPolicy(Policy.replicate(2), 8, 8)
    with pytest.raises(DasError, match=r"images: shape \(1, 3, 8, 9\) is not \(B, C, 8, 8\)"):
        compiled(images(1, 3, 8, 9))
    with pytest.raises(DasError, match=r"images: 20 x 8 pixels do not fit on a canvas of side 16"):
        CompiledPolicy(Policy.replicate(2, canvas=16), 20, 8)


def test_one_and_two_threads_agree_to_the_bit():
    policy, x, before = (
        Family(frames=4, seed=1).random(1),
        images(16, 3, 32, 32, dtype=torch.float32),
        torch.get_num_threads(),
    )
    videos = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            videos.append(CompiledPolicy(policy, 32, 32)(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*videos)
