"""The end of a classification network: pooling and the last linear layer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.errors import DasError

Pool = Callable[[Tensor], Tensor]


class SpatialPyramidPooling(nn.Module):
    """Maxima over 1x1, 2x2 and 4x4 cells (He et al. 2014): (N, C, H, W) of any size -> (N, 21 C, 1, 1)."""

    sides = (1, 2, 4)
    cells = 1 + 4 + 16

    def forward(self, x: Tensor) -> Tensor:
        levels = [F.adaptive_max_pool2d(x, side).flatten(1) for side in self.sides]
        return torch.cat(levels, dim=1)[..., None, None]


def insert_spp(network: nn.Module) -> None:
    """Replace ``network``'s global average pooling by spatial pyramid pooling, in place.

    DasError unless the network ends in a module ``avgpool`` and one linear layer.
    """
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not isinstance(getattr(network, "avgpool", None), nn.AdaptiveAvgPool2d) or len(linear) != 1:
        raise DasError(
            f"backbone_options pooling: {type(network).__name__} does not end in global average pooling and one linear "
            "layer, which spp needs"
        )
    network.avgpool = SpatialPyramidPooling()
    last = network.get_submodule(linear[0])
    last.in_features *= SpatialPyramidPooling.cells


class Classifier(nn.Linear):
    """Dropout with probability ``dropout``, then a linear layer; its state is the linear layer's.

    With ``pool``, (B, T, F) -> (B, F), it reads one of the features of each video's ``frames`` T, which follow each
    other in the batch, and gives every frame the same logits.
    """

    def __init__(self, in_features: int, num_classes: int, dropout: float, pool: Pool | None = None):
        super().__init__(in_features, num_classes)
        self.dropout, self.pool, self.frames = dropout, pool, 1

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = self.pool(x.unflatten(0, (-1, self.frames)))
        logits = super().forward(F.dropout(x, self.dropout, self.training))
        return logits if self.pool is None else logits.repeat_interleave(self.frames, 0)


def replace_classifier(network: nn.Module, num_classes: int, dropout: float, pool: Pool | None = None) -> None:
    """Give ``network`` a new last linear layer, which reads what ``pool`` makes of a video's features (`Classifier`).
    ``dropout`` is the only dropout before it: the network's own is off.

    DasError for a network without a linear layer."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    linear = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise DasError(f"network: {type(network).__name__} has no linear layer whose outputs could be the classes")
    name, last = linear[-1]
    network.set_submodule(name, Classifier(last.in_features, num_classes, dropout, pool))
