"""What a policy gets right of a planted nuisance."""

import math

import pytest

from das.analysis.planted import answer, kinds
from das.study.schema import Planted
from das.video.policy import IMAGE, Choice, Edge, Policy

ROTATED = Planted(operation="rotate", range=20.0)


def two_paths(first, second):
    return Policy(4, ((Edge(IMAGE, (first,)), Edge(IMAGE, (second,))),), schedule="signed")


def test_a_single_operation_is_its_kind_with_its_farthest_frame():
    found = kinds(Policy.single("rotate", -7, 4, schedule="signed"))  # frames at 14, 7, 0 and -7 degrees
    assert set(found) == {"rotate"}
    assert found["rotate"].farthest == pytest.approx(14)
    assert (found["rotate"].share, found["rotate"].upper) == (1, pytest.approx(2 / 3))


def test_zooms_are_logarithms_and_operations_in_a_row_add_up():
    policy = Policy(
        3,
        ((Edge(IMAGE, (Choice("zoom", (1.2,)),)),), (Edge(0, (Choice("zoom", (1.1,)),)),)),
        schedule="mirrored",
    )
    assert kinds(policy)["zoom"].farthest == pytest.approx(math.log(1.2 * 1.1))
    undone = Policy(3, ((Edge(IMAGE, (Choice("rotate", (5,)),)),), (Edge(0, (Choice("rotate", (-5,)),)),)))
    assert kinds(undone) == {}
    assert kinds(Policy.replicate(4)) == {}


def test_compounds_and_mixtures_share_their_weight():
    mixture = (Choice("translate_x+rotate", (0.1, 4), 0.25), Choice("identity", (), 0.75))
    found = kinds(Policy(2, ((Edge(IMAGE, mixture),),)))
    assert {name: kind.share for name, kind in found.items()} == {"translate_x": 0.25, "rotate": 0.25}
    assert found["rotate"].farthest == pytest.approx(4)


@pytest.mark.parametrize(
    ("policy", "planted", "kind", "side", "size"),
    [
        (Policy.single("rotate", 10, 4), ROTATED, True, True, True),  # two steps: 20 degrees
        (Policy.single("rotate", -10, 4), ROTATED, True, True, True),  # both sides are planted
        (Policy.single("rotate", 4, 4), ROTATED, True, True, False),  # 8 degrees of 20
        (Policy.single("rotate", 21, 4), ROTATED, True, True, False),
        (Policy.single("zoom", 1.1, 4), ROTATED, False, False, False),
        (Policy.replicate(4), ROTATED, False, False, False),
        (Policy.single("rotate", -10, 4), Planted(operation="rotate", range=(0.0, 20.0)), True, False, True),
        (Policy.single("rotate", 10, 4), Planted(operation="rotate", range=(0.0, 20.0)), True, True, True),
        (Policy.single("zoom", 0.9, 4), Planted(operation="zoom", range=(0.8, 1.0)), True, True, True),
        (Policy.single("zoom", 1.1, 4), Planted(operation="zoom", range=(0.8, 1.0)), True, False, True),
        (two_paths(Choice("rotate", (10,)), Choice("zoom", (1.1,))), ROTATED, True, True, True),  # as much as any
        (two_paths(Choice("identity"), Choice("zoom", (1.1,))), ROTATED, False, False, False),
    ],
)
def test_answers(policy, planted, kind, side, size):
    found = answer(policy, planted)
    assert (found.kind, found.side, found.size) == (kind, side, size)
    assert found.all == (kind and side and size)


def test_another_kind_on_more_paths_wins():
    policy = Policy(
        4,
        (
            (
                Edge(IMAGE, (Choice("rotate", (10,)),)),
                Edge(IMAGE, (Choice("zoom", (1.1,)),)),
                Edge(IMAGE, (Choice("zoom", (0.9,)),)),
            ),
        ),
    )
    found = answer(policy, ROTATED)
    assert not found.kind
    assert found.share == pytest.approx(1 / 3)
