import numpy as np
import pytest
import torch

from das.errors import DasError
from das.video.compiled import CompiledPolicy
from das.video.family import Family
from das.video.geometry import Geometry
from das.video.policy import Choice, Edge, Policy


def chain(*choices, frames=4, **settings):
    nodes = [(Edge("image" if i == 0 else i - 1, (Choice(*choice),)),) for i, choice in enumerate(choices)]
    return Policy(frames, tuple(nodes), **settings)


@pytest.mark.parametrize(
    "policy",
    [
        chain(("rotate", (12,)), ("zoom", (1.2,)), ("translate_x", (0.05,)), schedule="signed"),
        chain(("shear_x", (0.1,)), ("sharpness", (1,)), ("translate_y", (-0.04,))),
        chain(("zoom", (0.8,)), padding="border"),
    ],
    ids=Policy.describe,
)
@pytest.mark.parametrize("size", [(96, 96), (80, 112)])
def test_alignment_brings_an_analytic_image_back(slow, policy, size):
    geometry = Geometry(policy, *size)
    assert geometry.invertible == (True,) * 4
    image = torch.from_numpy(slow.smooth(*size))[None, None]
    frames = CompiledPolicy(policy, *size, dtype=torch.float64)(image)
    aligned, seen = geometry.align(frames)
    assert seen.shape == (4, *size)
    for frame in range(4):
        assert seen[frame].float().mean() > 0.4
        assert (aligned[0, frame, 0] - image[0, 0])[seen[frame]].abs().max() < 0.01
    assert torch.equal(aligned[:, 2], image)
    assert seen[2].all()


def test_what_left_the_image_is_not_seen():
    """A shift by a quarter and back: the columns that left on the way are lost, though the map is the identity."""
    policy = chain(("translate_x", (0.25,)), ("translate_x", (-0.25,)), frames=3, schedule="signed")
    geometry = Geometry(policy, 8, 8)
    assert geometry.invertible == (True, True, True)
    seen = geometry.align(torch.rand(1, 3, 1, 8, 8))[1]
    assert seen[0, :, :2].logical_not().all()
    assert seen[0, :, 2:].all()
    assert seen[2, :, 6:].logical_not().all()
    assert seen[2, :, :6].all()


def test_superposed_maps_are_not_invertible():
    turned = Choice("rotate", (10,))
    different = Policy(3, ((Edge("image", (turned,)), Edge("image", (Choice("zoom", (1.1,)),))),))
    assert Geometry(different, 8, 8).invertible == (False, True, False)
    aligned, seen = Geometry(different, 8, 8).align(torch.rand(2, 3, 5, 8, 8))
    assert aligned[:, 0].eq(0).all()
    assert not seen[0].any()
    assert seen[1].all()
    unused = Policy(3, (different.nodes[0], (Edge("image", (turned,)),)))  # the node of two maps is on no path
    assert Geometry(unused, 8, 8).invertible == (True, True, True)
    bright = Policy(3, ((Edge("image", (turned,)), Edge("image", (Choice("brightness", (1.1,)),))),))
    assert Geometry(bright, 8, 8).invertible == (False, True, False)
    assert Geometry(Family(frames=3, seed=1).uniform(), 8, 8).invertible == (False, True, False)


def test_maps_that_agree_are_one():
    five, ten = (Choice("rotate", (angle,)) for angle in (5, 10))
    policy = Policy(3, ((Edge("image", (five,)),), (Edge(0, (five,)), Edge("image", (ten,)))))
    assert Geometry(policy, 8, 8).invertible == (True, True, True)


def test_scrambled_frames_are_not_invertible():
    scrambled = Geometry(Policy.single("rotate", 9, 3, frame_layout="scrambled"), 8, 8)
    assert scrambled.invertible == (False, False, False)


def test_alignment_on_a_canvas_returns_to_the_image():
    image = torch.rand(2, 3, 5, 8, dtype=torch.float64)
    policy = Policy.single("translate_x", 0.25, 3, schedule="signed", canvas=16)
    frames = CompiledPolicy(policy, 5, 8, dtype=torch.float64)(image)
    aligned, seen = Geometry(policy, 5, 8).align(frames)
    assert seen.all()
    torch.testing.assert_close(aligned, image[:, None].expand_as(aligned))


def test_alignment_is_differentiable():
    geometry = Geometry(Policy.single("rotate", 9, 2), 5, 4)
    logits = torch.rand(1, 2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: geometry.align(x)[0], (logits,))


def test_masks_follow_their_image():
    labels = torch.randint(0, 20, (2, 8, 12), generator=torch.Generator().manual_seed(0))
    policy = Policy.single("translate_x", 0.25, 3, schedule="signed")
    videos = Geometry(policy, 8, 12).masks(labels)
    assert torch.equal(videos[:, 1], labels)
    assert torch.equal(videos[:, 2, :, 3:], labels[..., :-3])
    assert videos[:, 2, :, :3].eq(255).all()
    assert torch.equal(videos[:, 0, :, :-3], labels[..., 3:])
    turned = Geometry(Policy.single("rotate", 90, 2), 8, 8).masks(labels[..., :8].to(torch.uint8))
    assert turned.dtype == torch.uint8
    np.testing.assert_array_equal(turned[0, 0].numpy(), np.rot90(labels[0, :, :8].numpy()))


def test_masks_ignore_what_paths_disagree_on():
    labels = torch.arange(8).expand(1, 8, 8).clone()
    labels[0, :4] = 7
    shifted = Edge("image", (Choice("translate_x", (0.125,)),))
    policy = Policy(2, ((shifted, Edge("image", (Choice("identity"),))),))
    video = Geometry(policy, 8, 8).masks(labels)[0, 0]
    assert video[:4, 1:].eq(7).all()
    assert video[4:].eq(255).all()
    assert video[:, 0].eq(255).all()
    border = Policy(2, ((shifted,),), padding="border")
    assert torch.equal(Geometry(border, 8, 8).masks(labels)[0, 0, :, 0], labels[0, :, 0])


@pytest.mark.parametrize(
    ("policy", "masks", "message"),
    [
        (Policy.replicate(2), torch.zeros(1, 8, 9).long(), r"masks: shape \(1, 8, 9\), torch.int64 is not \(B, 8, 8\)"),
        (Policy.replicate(2), torch.zeros(1, 8, 8), "torch.float32 is not"),
        (Policy.replicate(2, frame_layout="scrambled"), torch.zeros(1, 8, 8).long(), "labels need frame_layout frames"),
        (Family(seed=1).uniform(), torch.zeros(1, 8, 8).long(), "superposes more than 64 paths"),
    ],
)
def test_masks_that_cannot_work_are_refused(policy, masks, message):
    with pytest.raises(DasError, match=message):
        Geometry(policy, 8, 8).masks(masks)


def test_frames_that_cannot_work_are_refused():
    with pytest.raises(DasError, match=r"frames: shape \(1, 3, 2, 8, 8\) is not .* T, H, W = \(2, 8, 8\)"):
        Geometry(Policy.replicate(2), 8, 8).align(torch.zeros(1, 3, 2, 8, 8))
