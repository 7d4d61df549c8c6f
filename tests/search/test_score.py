from types import SimpleNamespace

import pytest
import torch

from das.search.score import choice_of, score
from das.video.cell import Cell
from das.video.family import Family
from das.video.policy import Policy

DAG = Family(nodes=3, frames=3, schedule="signed", magnitudes="grid")
# Edges: node 0 reads 0, 1 (images); node 1 reads 2, 3 (images), 4 (node 0); node 2 reads 5, 6, 7 (node 0), 8 (node 1).


def test_a_members_choice_is_found_again_without_what_does_not_reach_the_video():
    choice = {0: 3, 1: 0, 2: 5, 4: 16, 5: 2, 7: 9}  # node 2 does not read node 1
    assert choice_of(DAG, DAG.policy(choice)) == {0: 3, 1: 0, 5: 2, 7: 9}
    choice = {0: 3, 1: 0, 2: 5, 4: 16, 5: 2, 8: 9}
    assert choice_of(DAG, DAG.policy(choice)) == choice


def test_the_second_image_edge_counts_where_it_alone_is_kept():
    """Both inputs are the image: a policy cannot tell which it reads, so the first free edge stands for either."""
    policy = DAG.policy({0: 1, 1: 2, 3: 4, 4: 6, 6: 1, 8: 1})
    assert choice_of(DAG, policy) == {0: 1, 1: 2, 2: 4, 4: 6, 5: 1, 8: 1}


def test_a_single_operation_is_a_member_twice_over():
    place = [choice.describe() for choice in DAG.candidates[0]].index("rotate 20")
    single = Policy.single("rotate", 20, 3, schedule="signed")
    assert choice_of(DAG, single) == {5: place, 6: place}
    assert choice_of(Family(kind="single", frames=3, schedule="signed", magnitudes="grid"), single) == {0: place}


def test_identical_frames_are_a_member_on_any_schedule():
    assert choice_of(DAG, Policy.replicate(3)) == {5: 0, 6: 0}


@pytest.mark.parametrize(
    "policy",
    [
        Policy.single("rotate", 20, 3, schedule="mirrored"),
        Policy.single("rotate", 19, 3, schedule="signed"),
        Policy.single("shear_x", 0.1, 3, schedule="signed"),
        Policy.replicate(4),
        DAG.uniform(),
        Family(nodes=2, frames=3, schedule="signed", magnitudes="grid").random(0),
    ],
)
def test_no_members(policy):
    assert choice_of(DAG, policy) is None


def finished(rule, **parts):
    return SimpleNamespace(settings=SimpleNamespace(selection=rule), **parts)


def test_argmax_scores_by_the_mean_log_weight():
    cell = Cell(nodes=1, frames=3, schedule="signed", magnitudes="grid")
    with torch.no_grad():
        cell.alpha.zero_()
        cell.alpha[0, 1], cell.alpha[1, 1] = 2.0, -1.0
    policy = Policy.single(*_named(cell, 1), 3, schedule="signed")
    logs = torch.log_softmax(cell.alpha.detach(), 1)
    assert score(finished("argmax", cell=cell), policy) == pytest.approx(float(logs[0, 1] + logs[1, 1]) / 2)
    assert score(finished("argmax", cell=cell), Policy.replicate(4)) is None


def test_perturbation_scores_by_the_cost_of_removal():
    cell = Cell(nodes=1, frames=3, schedule="signed", magnitudes="grid")
    accuracies = [[0.5] * 17, [0.5] * 17]
    accuracies[0][1], accuracies[1][1] = 0.33, 0.5
    history = {"selection": {"operations": [[e, a, [1.0] * 17] for e, a in enumerate(accuracies)]}}
    policy = Policy.single(*_named(cell, 1), 3, schedule="signed")
    assert score(finished("perturbation", cell=cell, history=history), policy) == pytest.approx((0.49 - 0.33) / 2)


def _named(cell, column):
    choice = cell.candidates[0][column]
    return choice.operation, *choice.magnitudes
