"""How the frames' predictions become one: (B, T, K) logits -> (B, K) logits, whose softmax is the prediction."""

import math

import torch
from torch import Tensor, nn

from das.errors import DasError
from das.models.names import known_consensus


class MeanLogits(nn.Module):
    """Mean of the frames' logits."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.mean(dim=1)


class MeanProbabilities(nn.Module):
    """Logarithm of the mean of the frames' probabilities."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.log_softmax(dim=-1).logsumexp(dim=1) - math.log(logits.shape[1])


class MiddleFrame(nn.Module):
    """Logits of frame T//2, the untouched one."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits[:, logits.shape[1] // 2]


class LearnedWeights(nn.Module):
    """Weighted mean of the frames' logits; the weights are a softmax of T parameters that start equal."""

    def __init__(self, frames: int):
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(frames))

    def forward(self, logits: Tensor) -> Tensor:
        if logits.shape[1] != len(self.scores):
            raise DasError(
                f"consensus learned_weights: {len(self.scores)} frame weights cannot fuse {logits.shape[1]} frames"
            )
        return torch.einsum("t,btk->bk", self.scores.softmax(dim=0), logits)


def build_consensus(name: str, frames: int) -> nn.Module:
    """The consensus called ``name``; DasError lists the known ones."""
    if name == "mean_logits":
        return MeanLogits()
    if name == "mean_probabilities":
        return MeanProbabilities()
    if name == "middle_frame":
        return MiddleFrame()
    if name == "learned_weights":
        return LearnedWeights(frames)
    raise DasError(f"consensus: {name!r} is unknown; known: {', '.join(known_consensus())}")
