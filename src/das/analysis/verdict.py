"""Did a search decide anything?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from das.video.policy import Policy

#: A probability of the mixture must have changed by this much somewhere for alpha to count as moved.
MOVED = 0.05


def verdict(policy: Policy, history: Mapping[str, Any]) -> str:
    """`undecided` where alpha hardly left its start, `collapsed` where one operation stands everywhere, else `decided`.

    Args:
        history: of the search; its `alpha` is one (edges, operations) array per epoch, from the start on.
    """
    start, end = (softmax(np.asarray(history["alpha"][epoch]), axis=-1) for epoch in (0, -1))
    if np.abs(end - start).max() < MOVED:
        return "undecided: alpha never left its start"
    operations = {choice.operation for node in policy.nodes for edge in node for choice in edge.mixture}
    if len(operations) == 1:
        return f"collapsed: {operations.pop()} everywhere"
    return "decided"
