"""Policies in words, held against the videos that they make."""

import re

import pytest
import torch

from das.analysis.words import MINUS, TIMES, frame_words, in_words
from das.video.policy import IMAGE, Choice, Edge, Policy
from das.video.transform import ImageToVideo

CELL = Policy(
    4,
    (
        (Edge(IMAGE, (Choice("identity"),)), Edge(IMAGE, (Choice("rotate", (10,)),))),
        (Edge(IMAGE, (Choice("zoom", (0.8,)),)), Edge(0, (Choice("identity"),))),
    ),
)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy.single("rotate", 8, 4, schedule="signed"), "rotation 8° a frame, signed"),
        (Policy.single("translate_x", -0.032, 4), f"horizontal shift {MINUS}3.2 % a frame, mirrored"),
        (Policy.single("zoom", 1.15, 4, schedule="signed"), f"zoom {TIMES}1.15 a frame, signed"),
        (Policy.single("translate_x+rotate", (0.1, 8), 4), "horizontal shift 10 % and rotation 8° a frame, mirrored"),
        (Policy.single("posterize", 2, 4), "posterize 2 bits a frame, mirrored"),
        (Policy.replicate(3), "3 identical frames"),
        (CELL, f"50 % zoom {TIMES}0.8 + 25 % untouched + 25 % rotation 10° a frame, mirrored"),
    ],
)
def test_a_policy_is_what_a_person_would_say(policy, words):
    assert in_words(policy) == words


def test_a_node_that_nothing_reads_is_not_spoken_of():
    idle = Policy(2, ((Edge(IMAGE, (Choice("rotate", (9,)),)),), (Edge(IMAGE, (Choice("zoom", (1.1,)),)),)))
    assert in_words(idle) == f"zoom {TIMES}1.1 a frame, mirrored"


def test_many_parts_are_counted_and_thousands_named_so():
    mixture = tuple(Choice("rotate", (degrees,), 0.1) for degrees in range(1, 11))
    assert in_words(Policy(2, ((Edge(IMAGE, mixture),),))).endswith(" + 7 more parts a frame, mirrored")
    chain = [(Edge(IMAGE, mixture),), *((Edge(node, mixture),) for node in range(3))]
    assert in_words(Policy(2, tuple(chain))) == "a mixture of thousands of parts, mirrored"


def test_a_frame_is_the_mixture_that_its_words_say():
    """Each part's words, made into a policy of its own that moves one frame by one step, and mixed by its share."""
    images = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    video = ImageToVideo(CELL)(images)[0]
    for frame, words in zip(video, frame_words(CELL), strict=True):
        expected = torch.zeros_like(frame)
        for line in words.splitlines():
            share, what = re.fullmatch(r"(?:([\d.]+) % )?(.*)", line).groups()
            expected += float(share or 100) / 100 * moved(images, what)
        assert torch.allclose(frame, expected, atol=1e-9)


def moved(images, what):
    if what == "untouched":
        return images[0]
    name, amount = what.split()
    operation, magnitude = {"zoom": ("zoom", amount.strip(TIMES)), "rotation": ("rotate", amount.strip("°"))}[name]
    return ImageToVideo(Policy.single(operation, float(magnitude), 3))(images)[0, 2]  # one step from the middle


def test_signed_schedules_turn_back_and_factors_become_their_inverse():
    assert frame_words(Policy.single("rotate", 8, 4, schedule="signed")) == [
        f"rotation {MINUS}16°", f"rotation {MINUS}8°", "untouched", "rotation 8°"
    ]  # fmt: skip
    assert frame_words(Policy.single("zoom", 1.25, 3, schedule="signed"))[0] == f"zoom {TIMES}0.8"
    assert frame_words(Policy.single("solarize", 0.1, 3, schedule="signed"))[0] == "solarize 10 %"
