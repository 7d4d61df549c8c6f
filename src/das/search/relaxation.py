"""What the network sees of the cell in one step: how the candidates' weights come from alpha."""

import torch
from torch import Tensor
from torch.nn import functional as F

from das.video.family import KEPT_EDGES, Family


def noise_like(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """One step's noise, exponential with mean 1, from a CPU generator so that every device sees the same draws."""
    return torch.empty(alpha.shape).exponential_(generator=generator).to(alpha.device)


def mixture(family: Family, alpha: Tensor, noise: Tensor) -> Tensor:
    """Every edge is the softmax(alpha)-weighted sum of all candidates (DARTS). The noise is not used."""
    return alpha.softmax(-1)


def path(family: Family, alpha: Tensor, noise: Tensor) -> Tensor:
    """A policy drawn evenly, whatever alpha (single-path one-shot: Guo et al. 2020, arXiv 1904.00420)."""
    return _strongest(family, -noise.log())


def gumbel(family: Family, alpha: Tensor, noise: Tensor) -> Tensor:
    """A policy drawn around alpha; the gradient passes as if the softmax of the perturbed alpha had been used
    (straight-through Gumbel-softmax at temperature 1; as a search: GDAS, Dong & Yang 2019, arXiv 1910.04465)."""
    perturbed = alpha - noise.log()
    soft = perturbed.softmax(-1)
    return _strongest(family, perturbed.detach()) + (soft - soft.detach())


def _strongest(family: Family, logits: Tensor) -> Tensor:
    """The weights (edges, candidates) of the policy that ``logits`` of that shape choose by argmax."""
    best, column = logits.max(-1)
    chosen = F.one_hot(column, logits.shape[-1]).to(logits.dtype)
    kept = torch.zeros_like(best)
    for edges in family.incoming:
        among = torch.tensor(edges, device=logits.device)
        kept[among[best[among].topk(min(KEPT_EDGES, len(edges))).indices]] = 1
    return chosen * edge_shares(family, kept)[:, None]


def edge_shares(family: Family, kept: Tensor) -> Tensor:
    """Factors (edges,) with which a cell's nodes reduce the ``kept`` edges (1; dropped ones 0) as a policy's do."""
    shares = kept.clone()
    if family.node_reduce == "mean":
        for edges in map(list, family.incoming):
            shares[edges] = kept[edges] * len(edges) / kept[edges].sum()
    return shares
