"""2D classification networks by name. torchvision is imported only when a network of its own is asked for."""

import inspect
from collections.abc import Callable, Mapping

from torch import nn

from das.errors import DasError
from das.models.attention import insert_cbam
from das.models.ghostnet import GhostNet
from das.models.heads import insert_spp
from das.models.names import CIFAR, TORCHVISION, known_backbones
from das.models.resnet import SmallResNet
from das.models.wide_resnet import WideResNet


def resnet8(in_channels: int, width: int = 16, stem_stride: int = 2) -> nn.Module:
    return SmallResNet(1, in_channels, width, stem_stride)


def resnet20(in_channels: int, width: int = 16, stem_stride: int = 1) -> nn.Module:
    return SmallResNet(3, in_channels, width, stem_stride)


def wide_resnet40_2(in_channels: int) -> nn.Module:
    return WideResNet(40, 2, in_channels)


def wide_resnet28_10(in_channels: int) -> nn.Module:
    return WideResNet(28, 10, in_channels)


OWN: dict[str, Callable[..., nn.Module]] = {
    "resnet8": resnet8,
    "resnet20": resnet20,
    "wide_resnet40_2": wide_resnet40_2,
    "wide_resnet28_10": wide_resnet28_10,
    "ghostnet": GhostNet,
}


def build_backbone(name: str, in_channels: int, *, pretrained: bool, options: Mapping) -> nn.Module:
    """Make the network called ``name``: images (N, in_channels, H, W) -> logits of its own number of classes.

    ``options``: ``attention: cbam`` and ``pooling: spp`` for any network they fit, ``width`` and ``stem_stride`` for
    resnet8 and resnet20. ``pretrained`` takes ImageNet weights through torchvision's weights API. DasError for unknown
    names and options, and for weights that do not exist or cannot be fetched.
    """
    options = dict(options)
    attention, pooling = options.pop("attention", None), options.pop("pooling", None)
    if attention not in (None, "cbam"):
        raise DasError(f"backbone_options attention: {attention!r} is unknown; known: cbam")
    if pooling not in (None, "spp"):
        raise DasError(f"backbone_options pooling: {pooling!r} is unknown; known: spp")

    if name in OWN:
        network = _own(name, in_channels, pretrained, options)
    elif name in (*CIFAR, *TORCHVISION):
        if options:
            raise DasError(f"backbone_options: {name} takes attention and pooling; found {options}")
        network = (
            _cifar(name, in_channels, pretrained) if name in CIFAR else _torchvision(name, in_channels, pretrained)
        )
    else:
        raise DasError(f"backbone: {name!r} is unknown; known: {', '.join(known_backbones())}")

    if attention:
        insert_cbam(network)
    if pooling:
        insert_spp(network)
    return network


def _own(name: str, in_channels: int, pretrained: bool, options: dict) -> nn.Module:
    if pretrained:
        raise DasError(f"pretrained: there are no weights for {name}; torchvision's networks have some")
    known = [parameter for parameter in inspect.signature(OWN[name]).parameters if parameter != "in_channels"]
    if unknown := options.keys() - set(known):
        raise DasError(f"backbone_options: {name} takes {', '.join([*known, 'attention', 'pooling'])}; found {unknown}")
    return OWN[name](in_channels, **options)


def _torchvision(name: str, in_channels: int, pretrained: bool) -> nn.Module:
    from torchvision.models import get_model

    if pretrained and in_channels != 3:
        raise DasError(f"pretrained: the weights of {name} read 3 channels; in_channels is {in_channels}")
    try:
        network = get_model(name, weights="DEFAULT" if pretrained else None)
    except OSError as error:
        raise DasError(f"pretrained: the ImageNet weights of {name} could not be fetched ({error})") from None
    if in_channels != 3:
        name, stem = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
        _replace_stem(network, name, in_channels, stem.kernel_size, stem.stride, stem.padding)
    return network


def _cifar(name: str, in_channels: int, pretrained: bool) -> nn.Module:
    if pretrained:
        raise DasError(f"pretrained: ImageNet weights do not fit the 3x3 stem of {name}")
    network = _torchvision(name.removesuffix("_cifar"), 3, pretrained=False)
    _replace_stem(network, "conv1", in_channels, kernel=3, stride=1, padding=1)
    network.maxpool = nn.Identity()
    return network


def _replace_stem(network: nn.Module, name: str, in_channels: int, kernel, stride, padding) -> None:
    channels = network.get_submodule(name).out_channels
    stem = nn.Conv2d(in_channels, channels, kernel, stride, padding, bias=False)
    network.set_submodule(name, stem)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
