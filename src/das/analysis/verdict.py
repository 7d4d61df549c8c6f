"""Did a search decide anything?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from das.video.policy import Policy

#: A probability of the mixture must have changed by this share of an even one somewhere for alpha to count as moved.
MOVED = 0.25


def verdict(policy: Policy, history: Mapping[str, Any]) -> str:
    """`decided`, or why not: `undecided` where alpha hardly left its start or removals all cost the same, `collapsed`
    where all that reaches the video is one operation on several edges, or nothing but identity.

    Args:
        history: of the search (das.search.bilevel): its `selection.rule`; for argmax its `alpha`, one (edges,
            operations) array per epoch, from the start on; for perturbation its `selection.operations`.
    """
    selection = history["selection"]
    if selection["rule"] == "argmax" and not _moved(history["alpha"]):
        return "undecided: alpha never left its start"
    if selection["rule"] == "perturbation":
        ties = sum(len(set(accuracy)) == 1 for _, accuracy, _ in selection["operations"])
        if ties == len(selection["operations"]):
            return "undecided: no removal costs more than another"
    operations = _operations(policy)
    if set(operations) == {"identity"} or (len(operations) > 1 and len(set(operations)) == 1):
        return f"collapsed: {operations[0]} everywhere"
    return "decided"


def _moved(alpha: list) -> bool:
    start, end = (softmax(np.asarray(alpha[epoch]), axis=-1) for epoch in (0, -1))
    return np.abs(end - start).max() * start.shape[-1] >= MOVED


def _operations(policy: Policy) -> list[str]:
    """The operations on the edges that reach the video."""
    edges = (edge for node in policy.reaching() for edge in policy.nodes[node])
    return [choice.operation for edge in edges for choice in edge.mixture]
