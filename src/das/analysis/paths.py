"""The ways from image to video through a policy: what a node's mean or sum is made of."""

from collections.abc import Callable, Hashable
from typing import TypeVar

from das.errors import DasError
from das.video.policy import IMAGE, Choice, Policy

MOST = 4096
P = TypeVar("P", bound=Hashable)


def paths(policy: Policy, start: P, joined: Callable[[P, Choice], P]) -> dict[P, float]:
    """{path: share}, the shares summing to 1; paths that are equal are one.

    Args:
        start: the path that does nothing.
        joined: a path with one more operation at its end.

    Raises DasError for a policy with thousands of paths, as even mixtures have.
    """
    nodes: dict = {IMAGE: {start: 1.0}}
    for node in policy.reaching():
        edges = policy.nodes[node]
        merged: dict[P, float] = {}
        for edge in edges:
            for choice in edge.mixture:
                for path, share in nodes[edge.source].items():
                    key = joined(path, choice)
                    merged[key] = merged.get(key, 0.0) + share * choice.weight / len(edges)
        if len(merged) > MOST:
            raise DasError(f"policy: has more than {MOST} paths; what it moves has no one answer")
        nodes[node] = merged
    return nodes[len(policy.nodes) - 1]
