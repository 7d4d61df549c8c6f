"""GhostNet (Han et al. 2020): half of the feature maps by convolution, the other half by cheap depthwise operations."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.models.resnet import initialize

#: Table 1 of the paper: kernel, expansion, output channels, squeeze-excitation, stride.
LAYERS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)


def _conv(in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = False):
    parts = OrderedDict(
        conv=nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm=nn.BatchNorm2d(channels),
    )
    if relu:
        parts["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


class GhostModule(nn.Module):
    """C-Ghost module: a 1x1 convolution gives half of the channels, a 3x3 depthwise one of those the other half."""

    def __init__(self, in_channels: int, channels: int, relu: bool):
        super().__init__()
        half = -(-channels // 2)
        self.primary = _conv(in_channels, half, 1, relu=relu)
        self.cheap = _conv(half, half, 3, groups=half, relu=relu)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], dim=1)[:, : self.channels]


class SqueezeExcitation(nn.Module):
    """Channels scaled by a hard sigmoid of two 1x1 convolutions of their means (Hu et al. 2018), reduction 4."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = -(-channels // 4 // 4) * 4
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class GhostBottleneck(nn.Module):
    """Ghost module to ``expansion`` channels, depthwise convolution if strided, squeeze-excitation, ghost module."""

    def __init__(self, in_channels: int, kernel: int, expansion: int, channels: int, squeeze: bool, stride: int):
        super().__init__()
        branch = OrderedDict(expand=GhostModule(in_channels, expansion, relu=True))
        if stride > 1:
            branch["depthwise"] = _conv(expansion, expansion, kernel, stride, groups=expansion)
        if squeeze:
            branch["squeeze"] = SqueezeExcitation(expansion)
        branch["project"] = GhostModule(expansion, channels, relu=False)
        self.branch = nn.Sequential(branch)
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                _conv(in_channels, in_channels, kernel, stride, groups=in_channels), _conv(in_channels, channels, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.shortcut(x)


class GhostNet(nn.Module):
    """GhostNet 1.0x; images (N, in_channels, H, W) -> (N, 1000)."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.stem = _conv(in_channels, 16, 3, 2, relu=True)
        blocks, channels = [], 16
        for kernel, expansion, out, squeeze, stride in LAYERS:
            blocks.append(GhostBottleneck(channels, kernel, expansion, out, squeeze, stride))
            channels = out
        self.blocks = nn.Sequential(*blocks)
        self.last = _conv(channels, 960, 1, relu=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.expand = nn.Linear(960, 1280)
        self.fc = nn.Linear(1280, 1000)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.last(self.blocks(self.stem(x)))).flatten(1)
        return self.fc(F.relu(self.expand(x)))
