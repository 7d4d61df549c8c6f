"""Larger receptive fields by other means than frames: dilated stages, larger kernels.

Both are for the blocks that a network really has, in place; the weights that change shape are drawn anew from torch's
global generator.
"""

from torch import nn

from das.errors import DasError
from das.models.places import residual_branches
from das.models.resnet import initialize


def dilate(network: nn.Module) -> None:
    """Take the stride out of the last two stages; their convolutions read 2 and 4 pixels apart (DRN-A: Yu et al. 2017,
    arXiv 1705.09914). DasError for a network with less than two stages of residual blocks."""
    stages = list(dict.fromkeys(branch.stage for branch in residual_branches(network)))
    if len(stages) < 2:
        raise _unfit(network, "dilated", "two stages of residual blocks")
    for stage, dilation in zip(stages[-2:], (2, 4), strict=True):
        for conv in network.get_submodule(stage).modules():
            if isinstance(conv, nn.Conv2d):
                conv.stride = (1, 1)
                if conv.kernel_size != (1, 1):
                    conv.dilation = (dilation, dilation)
                    conv.padding = tuple(dilation * (side - 1) // 2 for side in conv.kernel_size)


def enlarge_kernels(network: nn.Module) -> None:
    """Make every 3x3 convolution of a residual branch 5x5. DasError for a network that has none."""
    names = [name for branch in residual_branches(network) for name in branch.convs]
    small = [(name, conv) for name in names if (conv := network.get_submodule(name)).kernel_size == (3, 3)]
    if not small:
        raise _unfit(network, "large_kernels", "3x3 convolutions in residual blocks")
    for name, conv in small:
        assert isinstance(conv, nn.Conv2d)
        larger = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            5,
            conv.stride,
            padding=2 * conv.dilation[0],
            dilation=conv.dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
        )
        initialize(larger)
        network.set_submodule(name, larger)


def _unfit(network: nn.Module, option: str, needed: str) -> DasError:
    return DasError(f"backbone_options receptive_field: {type(network).__name__} has no {needed}, which {option} needs")
