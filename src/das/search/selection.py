"""From a trained search to its policy. What a selection sees on the way it writes into the search's history."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from das.search.relaxation import edge_shares
from das.seeding import derive
from das.video.cell import Cell, Relaxed
from das.video.family import KEPT_EDGES, Family
from das.video.policy import Policy
from das.video.transform import ImageToVideo


def argmax(search, provenance: Mapping) -> Policy:
    """The strongest operation of each edge, and each node's two strongest edges (DARTS)."""
    return search.cell.policy(provenance=provenance)


def perturbation(search, provenance: Mapping) -> Policy:
    """Keep on each edge, in random order, the operation whose removal costs most held-out accuracy (of equals, the one
    that costs most held-out loss), then per node the two edges whose removal does; after each decision weights and
    alpha go on training, at a tenth of the rate (ruocwang/darts-pt, sota/cnn/projection.py, which breaks no ties, and
    trains once more after the last decision). All removals of a decision are measured on the same batches.

    `history.selection.operations` holds [edge, accuracy without each operation, loss without each] per decision, and
    `history.selection.edges` [node, edges, accuracy without each, loss without each].
    """
    family, record = search.cell.family, search.history["selection"]
    operations, edges = record.setdefault("operations", []), record.setdefault("edges", [])
    draws = search.run.generator("perturbation")
    edge_order = torch.randperm(len(family.edges), generator=draws).tolist()
    crowded = [node for node, incoming in enumerate(family.incoming) if len(incoming) > KEPT_EDGES]
    node_order = [crowded[index] for index in torch.randperm(len(crowded), generator=draws).tolist()]
    decisions = len(edge_order) + len(node_order)

    def costs(trials: Iterable[Tensor], *step) -> list[list[float]]:
        found = [search.removal(Relaxed(search.cell, weights), "removals", *step) for weights in trials]
        return [[accuracy for _, accuracy in found], [loss for loss, _ in found]]

    def tune(*step) -> None:
        done = len(operations) + len(edges)
        if done < decisions:
            chosen = _decisions(family, record)
            search.tune_both(lambda: projected(search.cell, *chosen), done - 1, decisions, "tune after", *step)
        search.save()

    for edge in edge_order[len(operations) :]:
        weights = projected(search.cell, *_decisions(family, record)).detach()
        trials = [weights.clone() for _ in range(weights.shape[1])]
        for column, without in enumerate(trials):
            without[edge, column] = 0
        operations.append([edge, *costs(trials, "edge", edge)])
        tune("edge", edge)
    for node in node_order[len(edges) :]:
        chosen, dropped = _decisions(family, record)
        incoming = list(family.incoming[node])
        trials = [projected(search.cell, chosen, dropped | {edge}).detach() for edge in incoming]
        edges.append([node, incoming, *costs(trials, "node", node)])
        tune("node", node)

    chosen, dropped = _decisions(family, record)
    return search.cell.policy_from({e: c for e, c in chosen.items() if e not in dropped}, provenance)


def _decisions(family: Family, record: Mapping) -> tuple[dict[int, int], set[int]]:
    """The operations chosen so far, by edge, and the edges dropped so far."""
    chosen = {edge: _costliest(accuracy, loss)[0] for edge, accuracy, loss in record["operations"]}
    dropped = set()
    for _, edges, accuracy, loss in record["edges"]:
        dropped |= {edges[place] for place in _costliest(accuracy, loss)[KEPT_EDGES:]}
    return chosen, dropped


def _costliest(accuracy: list[float], loss: list[float]) -> list[int]:
    """Positions, from the one whose removal leaves the lowest accuracy (of equals, the highest loss) on."""
    return sorted(range(len(accuracy)), key=lambda place: (accuracy[place], -loss[place]))


def projected(cell: Cell, chosen: Mapping[int, int], dropped: set[int]) -> Tensor:
    """softmax(alpha) with the ``chosen`` edges' operations alone on them, and without the ``dropped`` edges."""
    weights = cell.weights()
    for edge, column in chosen.items():
        alone = F.one_hot(torch.tensor(column, device=weights.device), weights.shape[1]).to(weights.dtype)
        weights = weights.index_copy(0, torch.tensor([edge], device=weights.device), alone[None])
    kept = torch.ones(len(weights), device=weights.device)
    kept[sorted(dropped)] = 0
    return weights * edge_shares(cell.family, kept)[:, None]


def tournament(search, provenance: Mapping) -> Policy:
    """Knock-out of `entrants` policies: each trains its own copy of the shared weights for `tune_epochs`, the half with
    the lower held-out loss goes on from where it stands, until one is left (successive halving: Jamieson & Talwalkar
    2016, arXiv 1502.07943, from shared weights). All see the same batches.

    `history.selection` holds the `entrants`, described, and per round a mapping from entrant to held-out loss.
    """
    entered = entrants(search.cell, search.settings.entrants, search.run.seed_for("entrants"))
    record = search.history["selection"]
    rounds = record.setdefault("rounds", [])
    record["entrants"] = [policy.describe() for policy in entered]
    shared = _weights(search.network)
    standing = search.contestants or dict.fromkeys(range(len(entered)), shared)
    while len(standing) > 1:
        losses, tuned = {}, {}
        for index, weights in standing.items():
            search.network.load_state_dict(weights)
            to_video = ImageToVideo(entered[index])
            search.tune(to_video, "round", len(rounds))
            losses[index], _ = search.held_out(to_video)
            tuned[index] = _weights(search.network)
        better = sorted(losses, key=losses.__getitem__)[: (len(losses) + 1) // 2]
        standing = search.contestants = {index: tuned[index] for index in better}
        rounds.append({str(index): loss for index, loss in losses.items()})
        search.network.load_state_dict(shared)
        search.save()
    (winner,) = standing
    return Policy(**{**vars(entered[winner]), "provenance": provenance})


def entrants(cell: Cell, count: int, seed: int) -> list[Policy]:
    """Up to ``count`` different policies of the cell's family, drawn evenly; all of them where there are no more."""
    found: dict[str, Policy] = {}
    for index in range(100 * count):
        policy = cell.family.random(derive("entrant", seed, index))
        found.setdefault(policy.digest(), policy)
        if len(found) == count:
            break
    return list(found.values())


def _weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
