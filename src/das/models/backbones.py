"""2D classification networks by name."""

from collections.abc import Mapping

from torch import nn

from das.errors import DasError
from das.models.names import known_backbones


def build_backbone(
    name: str, in_channels: int = 3, *, pretrained: bool = False, options: Mapping | None = None
) -> nn.Module:
    options = dict(options or {})
    if name == "resnet8":
        from das.models.resnet import SmallResNet

        return SmallResNet(1, in_channels, **{"stem_stride": 2, **options})
    if name == "resnet20":
        from das.models.resnet import SmallResNet

        return SmallResNet(3, in_channels, **options)
    raise DasError(f"backbone: {name!r} is unknown; known: {', '.join(known_backbones())}")
