"""SmoothDARTS (Chen & Hsieh 2020, arXiv 2002.05283): weights that hold around softmax(alpha), not at one point."""

from collections.abc import Callable

import torch
from torch import Tensor

from das.study.schema import Smoothing

Loss = Callable[[Tensor], Tensor]


def radius(smoothing: Smoothing, epoch: int, epochs: int) -> float:
    """Half the cube's side in an epoch (from 0 on): linear from the first epoch to the last."""
    first, last = smoothing.radius
    return first + (last - first) * epoch / max(epochs - 1, 1)


def smoothed(weights: Tensor, loss: Loss, smoothing: Smoothing, size: float, draws: torch.Generator) -> Tensor:
    """``weights`` (edges, candidates) moved by up to ``size`` each, within [0, 1], then made to sum to 1 on every edge.

    Kind `random`: evenly by chance. `adversarial`: from there, ``steps`` of projected gradient ascent by 2 size / steps
    on ``loss`` of weights; where that ends at a lower loss than it is at ``weights``, these stay.
    """
    noise = torch.rand(weights.shape, generator=draws).to(weights)
    place = _inside(weights + size * (2 * noise - 1), weights, size)
    if smoothing.kind == "random":
        return _summing_to_one(place)
    for _ in range(smoothing.steps):
        place = place.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(_summing_to_one(place)), place)
        place = _inside(place.detach() + 2 * size / smoothing.steps * gradient.sign(), weights, size)
    found = _summing_to_one(place)
    with torch.no_grad():
        return found if loss(found) > loss(weights) else weights


def _inside(place: Tensor, center: Tensor, size: float) -> Tensor:
    return place.clamp(center - size, center + size).clamp(0, 1)


def _summing_to_one(place: Tensor) -> Tensor:
    return place / place.sum(-1, keepdim=True).clamp_min(1e-12)
