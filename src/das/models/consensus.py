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


class MostConfident(Consensus):
    """Logits of the frame whose highest probability is the highest; of equals, the first."""

    def forward(self, logits: Tensor) -> Tensor:
        chosen = logits.softmax(dim=-1).amax(dim=-1).argmax(dim=1)
        return logits[torch.arange(len(logits), device=logits.device), chosen]


class PooledFeatures(MiddleFrame):
    """One of the video's features (B, T, F) -> (B, F), by ``pool``, before the classifier: its logits are every
    frame's."""

    def pool(self, features: Tensor) -> Tensor:
        raise NotImplementedError


class MaxFeatures(PooledFeatures):
    """Element-wise maximum of the frames' features: TI-pooling (Laptev et al. 2016, arXiv 1604.06318)."""

    def pool(self, features: Tensor) -> Tensor:
        return features.amax(dim=1)


class MeanFeatures(PooledFeatures):
    """Mean of the frames' features."""

    def pool(self, features: Tensor) -> Tensor:
        return features.mean(dim=1)


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
