"""The consensus of dense predictions against its definition, step by step and in torch's own warps."""

import pytest
import torch
from torch.nn import functional as F

from das.errors import DasError
from das.search.relaxation import path
from das.video.cell import Cell, Relaxed
from das.video.family import Family
from das.video.policy import IMAGE, Choice, Edge, Policy
from das.video.registration import DenseConsensus, mean_maps, visible
from das.video.schedule import strengths
from das.video.transform import ImageToVideo

SIDE = 32


def read_at(plane, positions):
    """Bilinear reading of (1, K, h, w) at positions (N, 2) in pixels about the center, edge values outside."""
    sides = torch.tensor([plane.shape[3], plane.shape[2]], dtype=positions.dtype)
    grid = (positions / (sides / 2)).view(1, 1, -1, 2)
    return F.grid_sample(plane, grid, padding_mode="border", align_corners=False)[0, :, 0]


def pixels(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x - (width - 1) / 2, y - (height - 1) / 2], -1).reshape(-1, 2).double()


@pytest.mark.parametrize(
    ("operation", "magnitude"), [("translate_x", 0.125), ("translate_y", 0.125), ("zoom", 1.25), ("rotate", 9)]
)
def test_the_mean_map_of_one_operation_is_its_map(operation, magnitude):
    """An image whose values are coordinates shows where each position of a frame looks."""
    policy = Policy.single(operation, magnitude, 3, schedule="signed")
    places = pixels(SIDE, SIDE)
    image = places.t().reshape(1, 2, SIDE, SIDE) / 100 + 0.5
    video = (ImageToVideo(policy)(image)[0].flatten(2).transpose(1, 2) - 0.5) * 100
    inside = (places.abs() < 8).all(1)
    for frame, moved in enumerate(mean_maps(policy, SIDE, SIDE)):
        shown = places @ moved[:2, :2].t() + moved[:2, 2]
        torch.testing.assert_close(video[frame][inside], shown[inside], atol=1e-6, rtol=0)


def test_the_mean_map_of_superposed_paths_is_where_a_position_looks_on_average():
    policy = Family(frames=3, seed=4).random(7)
    places = pixels(SIDE, SIDE)
    image = places.t().reshape(1, 2, SIDE, SIDE) / 100 + 0.5
    video = (ImageToVideo(policy)(image)[0].flatten(2).transpose(1, 2) - 0.5) * 100
    # Linear images stay linear under every path that reads inside the image.
    inside = (visible(policy, SIDE, SIDE).flatten(1) > 1 - 1e-9) & (places.abs() < SIDE / 2 - 1).all(1)
    assert inside.sum(1).min() > 20
    for frame, moved in enumerate(mean_maps(policy, SIDE, SIDE)):
        shown = places @ moved[:2, :2].t() + moved[:2, 2]
        torch.testing.assert_close(video[frame][inside[frame]], shown[inside[frame]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(
    "policy",
    [
        Policy.single("rotate", 9, 4),
        Policy.single("zoom", 0.8, 4, padding="border"),
        Policy.single("translate_x", 0.2, 4, schedule="signed"),
        Policy.single("rotate", 9, 3, canvas=48),
        Family(frames=4, seed=2).random(3),
        Family(frames=4, seed=2).uniform(),
    ],
    ids=["rotate", "zoom", "translate", "canvas", "superposed", "uniform"],
)
def test_aligned_mean_is_the_masked_mean_of_the_frames_read_where_they_show_each_pixel(policy, stride):
    side = policy.canvas or SIDE
    logits = torch.rand(2, policy.frames, 5, side // stride, side // stride, dtype=torch.float64)
    fused = DenseConsensus("aligned_mean", policy)(logits, SIDE, SIDE)
    image = pixels(SIDE, SIDE)
    shown = visible(policy, SIDE, SIDE)
    for b in range(2):
        total, count = torch.zeros(5, SIDE * SIDE).double(), torch.zeros(SIDE * SIDE).double()
        for t, moved in enumerate(mean_maps(policy, side, side)):
            back = torch.linalg.inv(moved)
            positions = image @ back[:2, :2].t() + back[:2, 2]
            inside = (positions.abs() <= (side - 1) / 2 + 1e-6).all(1)
            counts = inside & (read_at(shown[None, t : t + 1], positions)[0] > 0.5 - 1e-6)
            total += counts * read_at(logits[b, t][None], positions / stride)
            count += counts
        assert count.min() >= 1
        torch.testing.assert_close(fused[b].flatten(1), total / count, atol=1e-9, rtol=0)


def test_predictions_that_moved_with_their_frames_come_back():
    """Logits that are a smooth function of the place in the image, seen through the frames, fuse to that function."""
    y, x = torch.linspace(-1, 1, SIDE).double()[:, None], torch.linspace(-1, 1, SIDE).double()
    smooth = torch.stack([torch.sin(3 * x + y), torch.cos(2 * y) * x, x * y])[None]
    for policy in (
        Policy.single("rotate", 12, 5),
        Policy.single("translate_x", 0.05, 5),
        Policy.single("zoom", 1.1, 5),
    ):
        video = ImageToVideo(policy)(smooth)
        aligned = DenseConsensus("aligned_mean", policy)(video, SIDE, SIDE)
        as_they_come = DenseConsensus("mean_logits", policy)(video, SIDE, SIDE)
        inner = (..., slice(2, -2), slice(2, -2))
        assert (aligned - smooth)[inner].abs().max() < 0.02
        assert (as_they_come - smooth)[inner].abs().max() > 0.1


def chain(*choices, **settings):
    nodes = [(Edge(IMAGE if i == 0 else i - 1, (Choice(*choice),)),) for i, choice in enumerate(choices)]
    return Policy(4, tuple(nodes), **settings)


@pytest.mark.parametrize(
    "policy",
    [
        chain(("rotate", (12,)), ("zoom", (1.2,)), ("translate_x", (0.05,)), schedule="signed"),
        chain(("shear_x", (0.1,)), ("sharpness", (1,)), ("translate_y", (-0.04,))),
        chain(("zoom", (0.8,)), padding="border"),
        chain(("translate_x", (0.1,)), ("rotate", (5,)), canvas=128),
    ],
    ids=Policy.describe,
)
@pytest.mark.parametrize("size", [(96, 96), (80, 112)])
def test_every_frame_of_an_analytic_image_comes_back_wherever_it_counts(slow, policy, size):
    """One frame's video read alone, beside the share of it in the mean of all: what does not count is zero in both."""
    image = torch.from_numpy(slow.smooth(*size))[None, None]
    video = ImageToVideo(policy)(image)
    fuse = DenseConsensus("aligned_mean", policy)
    for frame in range(4):
        alone, ones = torch.zeros_like(video), torch.zeros_like(video)
        alone[:, frame], ones[:, frame] = video[:, frame], 1
        share = fuse(ones, *size)
        counts = share > 0
        assert counts.float().mean() > 0.4
        inner = -F.max_pool2d(-counts.double(), 5, 1, 2) > 0  # at its border a frame mixes with what is outside
        assert (fuse(alone, *size) / share - image)[inner].abs().max() < 0.01
        assert counts.all() or frame != 2


def test_mean_logits_and_middle_frame_are_interpolations():
    policy = Family(frames=4, seed=2).random(3)
    logits = torch.rand(2, 4, 5, 8, 8, dtype=torch.float64)
    large = F.interpolate(logits.flatten(0, 1), (SIDE, SIDE), mode="bilinear", align_corners=False).view(
        2, 4, 5, SIDE, SIDE
    )
    torch.testing.assert_close(DenseConsensus("mean_logits", policy)(logits, SIDE, SIDE), large.mean(1))
    torch.testing.assert_close(DenseConsensus("middle_frame", policy)(logits, SIDE, SIDE), large[:, 2])


def test_what_fell_out_of_the_frame_on_the_way_does_not_count():
    """Out by half of the image and back again: the identity as a map, but half of the frame is black."""
    there, back = Choice("translate_x", (0.5,)), Choice("translate_x", (-0.5,))
    policy = Policy(2, ((Edge(IMAGE, (there,)),), (Edge(0, (back,)),)))
    assert strengths(policy.schedule, 2) == (1, 0)
    logits = torch.stack([torch.ones(1, 1, SIDE, SIDE), torch.zeros(1, 1, SIDE, SIDE)], 1)
    fused = DenseConsensus("aligned_mean", policy)(logits, SIDE, SIDE)[0, 0]
    assert sorted(fused.unique().tolist()) == [0.0, 0.5]
    black = ImageToVideo(policy)(torch.ones(1, 1, SIDE, SIDE))[0, 0, 0] == 0
    assert torch.equal(fused == 0, black)


def test_a_map_that_cannot_be_undone_leaves_the_untouched_frame():
    """A quarter turn one way and a quarter turn the other look, on average, at a single point."""
    turns = [Choice("rotate", (side * 45.0,), 0.5) for side in (1, -1)]
    policy = Policy(5, ((Edge(IMAGE, tuple(turns)),),))
    assert strengths(policy.schedule, 5) == (2, 1, 0, 1, 2)
    logits = torch.zeros(1, 5, 1, SIDE, SIDE)
    logits[:, [0, 4]] = 1
    assert DenseConsensus("aligned_mean", policy)(logits, SIDE, SIDE).eq(0).all()


def test_scrambled_frames_are_taken_as_they_come():
    policy = Policy.single("rotate", 9, 4, frame_layout="scrambled")
    logits = torch.rand(1, 4, 3, SIDE, SIDE)
    torch.testing.assert_close(DenseConsensus("aligned_mean", policy)(logits, SIDE, SIDE), logits.mean(1))


def test_gradients_are_the_transposed_map():
    policy = Family(frames=3, seed=2).random(3)
    logits = torch.rand(1, 3, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: DenseConsensus("aligned_mean", policy)(x, 8, 8), logits)


def test_refuses_unknown_names_and_other_numbers_of_frames():
    with pytest.raises(DasError, match=r"'median' is unknown; should be one of aligned_mean"):
        DenseConsensus("median", Policy.replicate(2))
    with pytest.raises(DasError, match=r"3 frames; the policy makes 2"):
        DenseConsensus("aligned_mean", Policy.replicate(2))(torch.rand(1, 3, 2, 4, 4), 8, 8)


def test_a_relaxed_cell_says_which_policy_it_is():
    """On an image whose values are coordinates, which any number of interpolations leaves as it is."""
    cell = Cell(frames=3, nodes=3, seed=5)
    image = (pixels(SIDE, SIDE).t().reshape(1, 2, SIDE, SIDE) / 100 + 0.5).float()
    inner = (..., slice(12, 20), slice(12, 20))
    draws = torch.Generator().manual_seed(1)
    even = torch.rand(cell.alpha.shape, generator=draws).softmax(-1)
    sampled = path(cell.family, cell.alpha.detach(), torch.rand(cell.alpha.shape, generator=draws))
    for weights in (None, even, sampled):
        step = Relaxed(cell, weights)
        expected, found = step(image).detach(), ImageToVideo(step.policy)(image)
        assert (expected - image[:, None]).abs()[inner].max() > 0.002
        torch.testing.assert_close(found[inner], expected[inner], atol=1e-5, rtol=0)
