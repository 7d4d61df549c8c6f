"""What a finished search thinks of any policy: the scores by which the policy benchmark compares searches."""

import statistics

from das.search.bilevel import BilevelSearch
from das.video.family import Family
from das.video.policy import IMAGE, Policy
from das.video.transform import ImageToVideo


def score(search: BilevelSearch, policy: Policy) -> float | None:
    """How good ``search``, which has run, finds ``policy``; higher is better. None for a policy outside its family.

    By selection: `argmax` the mean log weight of the policy's operations; `perturbation` the mean share of held-out
    accuracy that the removal of each operation cost, against the mean over that edge's operations; `tournament` the
    negative held-out loss after one round's training from the shared weights. Only edges that reach the video count.
    """
    rule = search.settings.selection
    choice = choice_of(search.cell.family, policy)
    if choice is None:
        return None
    if rule == "tournament":
        return _by_tuning(search, policy)
    values = _log_weights(search) if rule == "argmax" else _removal_costs(search)
    return statistics.fmean(values[edge][column] for edge, column in choice.items())


def _log_weights(search: BilevelSearch) -> list[list[float]]:
    return search.cell.alpha.detach().log_softmax(-1).tolist()


def _removal_costs(search: BilevelSearch) -> dict[int, list[float]]:
    costs = {}
    for edge, accuracies, _ in search.history["selection"]["operations"]:
        costs[edge] = [statistics.fmean(accuracies) - accuracy for accuracy in accuracies]
    return costs


def _by_tuning(search: BilevelSearch, policy: Policy) -> float:
    shared = {name: tensor.clone() for name, tensor in search.network.state_dict().items()}
    to_video = ImageToVideo(policy)
    search.tune(to_video, "round", 0)
    loss, _ = search.held_out(to_video)
    search.network.load_state_dict(shared)
    return -loss


def choice_of(family: Family, policy: Policy) -> dict[int, int] | None:
    """The edges of ``family`` that reach the policy's video, each with its candidate; None if it is no member.

    A single operation is a member of a DAG family: twice, on the last node's edges from the image.
    """
    moves = any(choice.operation != "identity" for node in policy.nodes for edge in node for choice in edge.mixture)
    settings = ("frames", "padding", "node_reduce", "frame_layout", "canvas", *(["schedule"] if moves else []))
    if any(getattr(family, key) != getattr(policy, key) for key in settings):
        return None
    nodes = list(policy.nodes)
    if family.kind == "dag" and len(nodes) == len(nodes[0]) == 1:
        nodes = [()] * (len(family.incoming) - 1) + [nodes[0] * 2]
    if len(nodes) != len(family.incoming):
        return None
    choice, waiting = {}, [len(nodes) - 1]
    while waiting:
        node = waiting.pop()
        free = list(family.incoming[node])
        for edge in nodes[node]:
            place = next((e for e in free if _source(family, e) == edge.source), None)
            column = place is not None and _column(family, place, edge.mixture)
            if place is None or column is None:
                return None
            free.remove(place)
            choice[place] = column
            if isinstance(edge.source, int):
                waiting.append(edge.source)
    return choice


def _source(family: Family, edge: int) -> str | int:
    source = family.edges[edge][0]
    return IMAGE if source < family.inputs else source - family.inputs


def _column(family: Family, edge: int, mixture) -> int | None:
    if len(mixture) > 1:
        return None
    wanted = (mixture[0].operation, mixture[0].magnitudes)
    candidates = [(choice.operation, choice.magnitudes) for choice in family.candidates[edge]]
    return candidates.index(wanted) if wanted in candidates else None
