import numpy as np
import pytest

from das.analysis.verdict import verdict
from das.video.family import Family

FAMILY = Family(nodes=2, frames=3, magnitudes="grid")
# Candidates: identity, then four magnitudes each of translate_x (1 to 4), translate_y, zoom and rotate.
MIXED = FAMILY.policy({0: 1, 1: 5, 2: 9, 4: 13})
START = np.zeros((5, 17))


def by_alpha(end):
    return {"selection": {"rule": "argmax"}, "alpha": [START.tolist(), np.asarray(end).tolist()]}


def moved(amount):
    end = START.copy()
    end[3, 2] = amount
    return end


def test_alpha_that_hardly_moved_decided_nothing():
    """One of 17 even shares grown by 12 % is noise; grown by 5/3 it is a preference."""
    assert verdict(MIXED, by_alpha(moved(0.12))).startswith("undecided")
    assert verdict(MIXED, by_alpha(moved(1.0))) == "decided"


def test_alpha_that_came_back_in_the_end_decided_nothing():
    history = by_alpha(moved(0.0))
    history["alpha"].insert(1, moved(3.0).tolist())
    assert verdict(MIXED, history).startswith("undecided")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({0: 0, 1: 0, 2: 0, 4: 0}, "collapsed: identity everywhere"),
        ({0: 13, 1: 14, 2: 15, 4: 16}, "collapsed: rotate everywhere"),
        ({0: 1, 1: 5, 2: 0, 3: 0}, "collapsed: identity everywhere"),  # node 0 moves, but nothing reads it
        ({0: 1, 1: 5, 2: 0, 4: 0}, "decided"),
    ],
)
def test_collapse_is_judged_by_what_reaches_the_video(choice, expected):
    assert verdict(FAMILY.policy(choice), by_alpha(moved(1.0))) == expected


def test_a_single_edge_collapses_only_onto_identity():
    single = Family(kind="single", frames=3, magnitudes="grid")
    assert verdict(single.policy({0: 13}), by_alpha(moved(1.0))) == "decided"
    assert verdict(single.policy({0: 0}), by_alpha(moved(1.0))) == "collapsed: identity everywhere"


def test_perturbation_without_differences_decided_nothing():
    """alpha plays no part in it."""
    history = by_alpha(START) | {"selection": {"rule": "perturbation", "operations": [[0, [0.4] * 17, [2.0] * 17]]}}
    assert verdict(MIXED, history).startswith("undecided")
    history["selection"]["operations"].append([1, [0.4] * 16 + [0.3], [2.0] * 17])
    assert verdict(MIXED, history) == "decided"


def test_a_tournament_has_a_winner_whatever_alpha():
    history = {"selection": {"rule": "tournament"}, "alpha": [START.tolist(), START.tolist()]}
    assert verdict(MIXED, history) == "decided"
