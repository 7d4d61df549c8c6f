"""CBAM: channel attention, then spatial attention, at the end of a residual branch."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from das.errors import DasError


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al. 2018; Jongchan/attention-module): x (N, C, H, W) scaled per channel,
    then per place.

    Channels: sigmoid of a shared two-layer perceptron (hidden C / reduction) on the spatial mean plus the same on the
    spatial maximum. Places: sigmoid of a 7x7 convolution of the mean and the maximum over channels, batch-normalized
    (momentum 0.01; its weight starts at 0, so that every place starts with 0.5).
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.channel = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.spatial = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01))
        nn.init.zeros_(self.spatial[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x * (self.channel(x.mean((2, 3))) + self.channel(x.amax((2, 3)))).sigmoid()[..., None, None]
        return x * self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)).sigmoid()


def insert_cbam(network: nn.Module) -> None:
    """Put a CBAM after the last norm of every residual block, in place; DasError if ``network`` has no such block.

    A norm keeps its state under ``NORM.norm``; the attention's is under ``NORM.cbam``.
    """
    norms = [name for name, block in network.named_modules() if hasattr(block, "downsample") and hasattr(block, "bn1")]
    norms = [f"{name}.{_branch_end(network.get_submodule(name))}" for name in norms]
    if not norms or not all(isinstance(network.get_submodule(name), nn.BatchNorm2d) for name in norms):
        raise DasError(
            f"backbone_options attention: {type(network).__name__} has no residual blocks that end in a norm (as "
            "torchvision's ResNet has), which cbam needs"
        )
    for name in norms:
        norm = network.get_submodule(name)
        network.set_submodule(name, nn.Sequential(OrderedDict(norm=norm, cbam=CBAM(norm.num_features))))


def _branch_end(block: nn.Module) -> str:
    return [name for name, _ in block.named_children() if name.startswith(("conv", "bn"))][-1]
