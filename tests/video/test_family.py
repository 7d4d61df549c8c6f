from itertools import combinations, product

import pytest

from das.errors import DasError
from das.video.family import Family
from das.video.policy import Policy


def test_edges_are_those_of_the_published_cell():
    family = Family(nodes=4)
    assert len(family.edges) == 14
    assert family.edges[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert Family(kind="single").edges == ((0, 1),)


@pytest.mark.parametrize("settings", [dict(nodes=1), dict(nodes=2), dict(kind="single", space="affine7")])
def test_size_counts_every_choice(settings):
    family = Family(**settings)
    per_node = []
    for edges in family.incoming:
        kept = list(combinations(edges, min(2, len(edges))))
        per_node.append(
            [
                tuple(zip(edges, chosen, strict=True))
                for edges in kept
                for chosen in product(range(len(family.candidates[0])), repeat=len(edges))
            ]
        )
    assert family.size() == len(set(product(*per_node)))


def test_magnitudes_come_from_the_seed():
    assert Family(seed=1).candidates == Family(seed=1).candidates != Family(seed=2).candidates
    first, second = Family(seed=1).candidates[:2]
    assert first != second


def test_grid_candidates_are_the_same_on_every_edge():
    rows = Family(magnitudes="grid", seed=1).candidates
    assert len(rows[0]) == 1 + 4 * 4
    assert len(set(rows)) == 1


def test_policy_keeps_what_is_chosen():
    family = Family(nodes=2, seed=1)
    policy = family.policy({0: 1, 1: 2, 2: 0, 4: 4})
    kept = [[(edge.source, edge.mixture) for edge in edges] for edges in policy.nodes]
    rows = family.candidates
    assert kept == [
        [("image", (rows[0][1],)), ("image", (rows[1][2],))],
        [("image", (rows[2][0],)), (0, (rows[4][4],))],
    ]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({9: 0}, "edge 9 does not exist"),
        ({0: 5}, "edge 0 has candidates 0 to 4, not 5"),
        ({0: 0}, r"nodes\[1\]\.edges"),
    ],
)
def test_impossible_choices_are_refused(choice, message):
    with pytest.raises(DasError, match=message):
        Family(nodes=2).policy(choice)


def test_random_policies_are_seeded_and_vary():
    family = Family(seed=1)
    assert family.random(4) == family.random(4)
    assert len({family.random(seed).digest() for seed in range(20)}) == 20
    assert all(len(edges) == 2 for seed in range(20) for edges in family.random(seed).nodes)


def test_uniform_holds_all_candidates_evenly():
    policy = Family(seed=1).uniform({"control": "uniform"})
    assert [len(edges) for edges in policy.nodes] == [2, 3, 4, 5]
    assert {choice.weight for edges in policy.nodes for edge in edges for choice in edge.mixture} == {0.2}
    assert Policy.loads(policy.dumps()) == policy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(space="affine"), "space: 'affine' is unknown"),
        (dict(space=None), "space: 'None' is unknown"),
        (dict(kind="tree"), "kind: 'tree' is unknown; choose one of dag, single"),
        (dict(magnitudes="learned"), "magnitudes: 'learned' is unknown"),
        (dict(nodes=0), "nodes: 0 is not"),
        (dict(frames=0), "frames: 0 is not"),
        (dict(seed=1.5), "seed: 1.5 is not"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(DasError, match=message):
        Family(**settings)
