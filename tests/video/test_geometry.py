import numpy as np
import pytest
import torch

from das.errors import DasError
from das.video.family import Family
from das.video.geometry import MaskToVideo
from das.video.policy import Choice, Edge, Policy


def test_masks_follow_their_image():
    labels = torch.randint(0, 20, (2, 8, 12), generator=torch.Generator().manual_seed(0))
    policy = Policy.single("translate_x", 0.25, 3, schedule="signed")
    videos = MaskToVideo(policy, 8, 12)(labels)
    assert torch.equal(videos[:, 1], labels)
    assert torch.equal(videos[:, 2, :, 3:], labels[..., :-3])
    assert videos[:, 2, :, :3].eq(255).all()
    assert torch.equal(videos[:, 0, :, :-3], labels[..., 3:])
    turned = MaskToVideo(Policy.single("rotate", 90, 2), 8, 8)(labels[..., :8].to(torch.uint8))
    assert turned.dtype == torch.uint8
    np.testing.assert_array_equal(turned[0, 0].numpy(), np.rot90(labels[0, :, :8].numpy()))


def test_masks_ignore_what_paths_disagree_on():
    labels = torch.arange(8).expand(1, 8, 8).clone()
    labels[0, :4] = 7
    shifted = Edge("image", (Choice("translate_x", (0.125,)),))
    policy = Policy(2, ((shifted, Edge("image", (Choice("identity"),))),))
    video = MaskToVideo(policy, 8, 8)(labels)[0, 0]
    assert video[:4, 1:].eq(7).all()
    assert video[4:].eq(255).all()
    assert video[:, 0].eq(255).all()
    border = Policy(2, ((shifted,),), padding="border")
    assert torch.equal(MaskToVideo(border, 8, 8)(labels)[0, 0, :, 0], labels[0, :, 0])


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
        MaskToVideo(policy, 8, 8)(masks)
