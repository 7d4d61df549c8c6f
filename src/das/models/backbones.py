"""2D classification networks by name. torchvision and timm are imported only when one of theirs is asked for."""

from collections.abc import Mapping
from difflib import get_close_matches
from itertools import pairwise

from torch import nn

from das.errors import DasError
from das.models.attention import insert_cbam
from das.models.ghostnet import GhostNet
from das.models.heads import insert_spp
from das.models.reach import dilate, enlarge_kernels
from das.models.resnet import SmallResNet
from das.models.wide_resnet import WideResNet
from das.study import registry


def resnet8(in_channels: int, width: int = 16, stem_stride: int = 2) -> nn.Module:
    return SmallResNet(1, in_channels, width, stem_stride)


def resnet20(in_channels: int, width: int = 16, stem_stride: int = 1) -> nn.Module:
    return SmallResNet(3, in_channels, width, stem_stride)


def wide_resnet40_2(in_channels: int) -> nn.Module:
    return WideResNet(40, 2, in_channels)


def wide_resnet28_10(in_channels: int) -> nn.Module:
    return WideResNet(28, 10, in_channels)


def ghostnet(in_channels: int) -> nn.Module:
    return GhostNet(in_channels)


def torchvision(in_channels: int, member: str, pretrained: bool = False, stem: str = "plain") -> nn.Module:
    """torchvision's network ``member``; DasError for weights that cannot be fetched.

    The ``stem`` of a ResNet of bottlenecks may be `deep`: 3x3 convolutions to 64, 64 and 128 channels in place of the
    7x7 one (hszhao/semseg, model/resnet.py), for which torchvision has no weights.
    """
    from torchvision.models import get_model

    if stem == "deep":
        if pretrained:
            raise DasError(f"stem: is 'deep', but torchvision's weights of {member} are those of the plain stem")
        return _with_deep_stem(get_model(member), in_channels)
    if pretrained and in_channels != 3:
        raise DasError(f"pretrained: the weights of {member} read 3 channels; in_channels is {in_channels}")
    try:
        network = get_model(member, weights="DEFAULT" if pretrained else None)
    except OSError as error:
        raise DasError(f"pretrained: the ImageNet weights of {member} could not be fetched ({error})") from None
    if in_channels != 3:
        name, stem = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
        _replace_stem(network, name, in_channels, stem.kernel_size, stem.stride, stem.padding)
    return network


def cifar(in_channels: int, member: str) -> nn.Module:
    """torchvision's ResNet ``member`` with a 3x3 stem and no pooling after it, for images of 28 to 64 pixels."""
    network = torchvision(3, member)
    _replace_stem(network, "conv1", in_channels, kernel=3, stride=1, padding=1)
    network.maxpool = nn.Identity()
    return network


def timm(in_channels: int, member: str, pretrained: bool = False) -> nn.Module:
    """timm's network ``member``; DasError for an unknown one, and for weights that cannot be fetched."""
    from timm import create_model, list_models

    if member.partition(".")[0] not in list_models():
        near = get_close_matches(member, list_models(), 3)
        raise DasError(f"network: timm has no {member!r}; nearest are {', '.join(near) or 'none'}")
    try:
        return create_model(member, pretrained=pretrained, in_chans=in_channels)
    except (OSError, RuntimeError) as error:
        raise DasError(f"network: timm cannot make {member!r} ({' '.join(str(error).split())[:200]})") from None


def build_backbone(name: str, in_channels: int, *, pretrained: bool, options: Mapping) -> nn.Module:
    """Make the network called ``name``: images (N, in_channels, H, W) -> logits of its own number of classes.

    ``options``: ``attention: cbam``, ``pooling: spp`` and ``receptive_field: dilated`` or ``large_kernels`` for any
    network they fit, ``width`` and ``stem_stride`` for resnet8 and resnet20. ``pretrained`` takes ImageNet weights
    through the library's weights API; a network of one's own whose facts say ``pretrained`` is told. DasError for
    unknown names and options, and for weights that do not exist or cannot be fetched.
    """
    entry = registry.lookup("network", name)
    options = entry.check(options)
    common = ("attention", "pooling", "receptive_field")
    attention, pooling, field = (None, None, None) if entry.own else (options.pop(key, None) for key in common)
    facts = {key: entry.facts[key] for key in ("member",) if key in entry.facts}
    if pretrained and not entry.facts.get("pretrained"):
        raise DasError(f"pretrained: {name} has no ImageNet weights; those of torchvision and timm have some")
    network = entry.load()(in_channels, **facts, **options, **({"pretrained": True} if pretrained else {}))
    if field:
        dilate(network) if field == "dilated" else enlarge_kernels(network)
    if pooling:  # before attention, which has linear layers of its own
        insert_spp(network)
    if attention:
        insert_cbam(network)
    return network


def _with_deep_stem(network: nn.Module, in_channels: int) -> nn.Module:
    widths = (in_channels, 64, 64, 128)
    layers: list[nn.Module] = []
    for place, (before, after) in enumerate(pairwise(widths)):
        conv = nn.Conv2d(before, after, 3, stride=1 if place else 2, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    network.conv1, network.bn1 = nn.Sequential(*layers[:-2]), layers[-2]
    first = network.layer1[0]
    for name in ("conv1", "downsample.0"):
        conv = first.get_submodule(name)
        wider = nn.Conv2d(128, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
        first.set_submodule(name, wider)
    for module in (network.conv1, first):
        for conv in (m for m in module.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return network


def _replace_stem(network: nn.Module, name: str, in_channels: int, kernel, stride, padding) -> None:
    channels = network.get_submodule(name).out_channels
    stem = nn.Conv2d(in_channels, channels, kernel, stride, padding, bias=False)
    network.set_submodule(name, stem)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
