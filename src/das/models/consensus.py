"""How the frames' predictions become one: (B, T, K) logits -> (B, K) logits, whose softmax is the prediction."""

import math

import torch
from torch import Tensor, nn

from das.errors import DasError
from das.study import registry


class Consensus(nn.Module):
    """Made for ``frames`` T; logits (B, T, K) -> (B, K)."""

    def __init__(self, frames: int):
        super().__init__()


class MeanLogits(Consensus):
    """Mean of the frames' logits."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.mean(dim=1)


class MeanProbabilities(Consensus):
    """Logarithm of the mean of the frames' probabilities."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.log_softmax(dim=-1).logsumexp(dim=1) - math.log(logits.shape[1])


class MiddleFrame(Consensus):
    """Logits of frame T//2, the untouched one."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits[:, logits.shape[1] // 2]


class LearnedWeights(Consensus):
    """Weighted mean of the frames' logits; the weights are a softmax of T parameters that start equal."""

    def __init__(self, frames: int):
        super().__init__(frames)
        self.scores = nn.Parameter(torch.zeros(frames))

    def forward(self, logits: Tensor) -> Tensor:
        if logits.shape[1] != len(self.scores):
            raise DasError(
                f"consensus learned_weights: {len(self.scores)} frame weights cannot fuse {logits.shape[1]} frames"
            )
        return torch.einsum("t,btk->bk", self.scores.softmax(dim=0), logits)


def build_consensus(name: str, frames: int) -> nn.Module:
    """The consensus called ``name``; DasError lists the known ones."""
    return registry.lookup("consensus", name).make(frames)
