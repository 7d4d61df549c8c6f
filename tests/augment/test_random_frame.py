"""One frame by chance: every image is a frame of a policy of the family, at the family's odds."""

import math

import pytest
import torch

from das import augment
from das.augment.random_frame import RandomFrame
from das.video.family import Family
from das.video.operations import operation_named
from das.video.policy import Policy
from das.video.schedule import strengths
from das.video.transform import ImageToVideo


@pytest.mark.parametrize("schedule", ["mirrored", "signed"])
def test_every_image_is_a_frame_of_a_policy_of_the_grid(schedule):
    draws = torch.Generator().manual_seed(0)
    image = torch.rand(1, 2, 9, 11, generator=draws)
    family = Family("affine5", 4, "single", schedule=schedule, magnitudes="grid")
    policies = [family.policy({0: column}) for column in range(len(family.candidates[0]))]
    frames = torch.cat([ImageToVideo(policy)(image)[0] for policy in policies])
    step = RandomFrame(frames=4, schedule=schedule, magnitudes="grid")
    found, _ = step(image.expand(400, -1, -1, -1), torch.zeros(400), draws)
    distance = (found[:, None] - frames[None]).abs().amax((2, 3, 4))
    assert distance.amin(1).max() < 1e-5
    untouched = (found - image).abs().amax((1, 2, 3)) < 1e-6
    expected = sum(bool((frame - image).abs().max() < 1e-6) for frame in frames) / len(frames)
    assert abs(float(untouched.double().mean()) - expected) < 5 * (expected * (1 - expected) / 400) ** 0.5


def test_drawn_magnitudes_cover_the_ranges():
    step = RandomFrame(space="affine7", frames=3)
    matrices = step.inverse_maps(6000, 10, 20, torch.Generator().manual_seed(0))
    moved = matrices[(matrices - torch.eye(3)).abs().amax((1, 2)) > 0]
    shifts = moved[(moved[:, :2, :2] - torch.eye(2)).abs().amax((1, 2)) == 0][:, :2, 2]
    across = shifts[shifts[:, 1] == 0, 0] / 20
    low, high = operation_named("translate_x").ranges[0].drawn
    assert across.min() == pytest.approx(low, abs=0.01) or across.min() > low
    assert (across.abs() <= high).all()
    assert across.abs().max() > 0.95 * high
    assert abs(float(across.mean())) < 5 * high / len(across) ** 0.5
    turned = moved[(moved[:, 0, 1] != 0) & (moved[:, 0, 1] == -moved[:, 1, 0])]
    degrees = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert torch.allclose(degrees, degrees.round(), atol=1e-6), "whole degrees, as a family draws them"
    assert degrees.abs().max() == pytest.approx(20)


def test_operations_in_a_row_are_one_map_in_their_order():
    step = RandomFrame(operations=2, frames=2, schedule="signed")
    draws, again = (torch.Generator().manual_seed(3) for _ in range(2))
    found = step.inverse_maps(200, 8, 8, draws)
    strength = torch.tensor(strengths("signed", 2))[torch.randint(2, (200,), generator=again)].double()
    expected = torch.eye(3, dtype=torch.float64).repeat(200, 1, 1)
    for _ in range(2):
        chosen = torch.randint(5, (200,), generator=again)
        draw = torch.rand(200, 1, generator=again, dtype=torch.float64)[:, 0]
        for place, (kind, share) in enumerate(zip(chosen.tolist(), draw.tolist(), strict=True)):
            operation = operation_named(("identity", "translate_x", "translate_y", "zoom", "rotate")[kind])
            values = []
            for bounds in operation.ranges:
                low, high = bounds.drawn
                span = high - low
                values.append(math.floor(low + (span + 1) * share) if bounds.whole else low + span * share)
            inverse = operation.inverse(torch.tensor(values).double(), strength[place : place + 1], 8, 8)[0]
            expected[place] = expected[place] @ inverse.double()
    assert torch.allclose(found, expected, atol=1e-5)


def test_it_is_an_augmentation_that_studies_can_name():
    (step,) = augment.build([{"random_frame": {"frames": 8, "operations": 3}}])
    images = torch.rand(5, 1, 28, 28)
    first, labels = step(images, torch.arange(5), torch.Generator().manual_seed(1))
    second, _ = step(images, torch.arange(5), torch.Generator().manual_seed(1))
    assert first.shape == images.shape
    assert torch.equal(first, second)
    assert labels.tolist() == list(range(5))
    assert Policy.replicate(8).frames == step.frames
