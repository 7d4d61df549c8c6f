"""Segmentation networks that read videos: a dilated backbone, a head, and an auxiliary head on the stage before.

PSPNet is ours; DeepLabv3's and LR-ASPP's heads are torchvision's.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.errors import DasError
from das.models.backbones import build_backbone
from das.models.places import insert_fusion
from das.models.video import FrameNetwork
from das.study import registry

PYRAMID = (1, 2, 3, 6)  # cells a side: Zhao et al. 2017, section 3.2
LRASPP_CHANNELS = 128  # Howard et al. 2019, section 6.4
LOW_STRIDE = 8  # of the finer features that LR-ASPP adds


class Segmenter(FrameNetwork):
    """Videos (B, T, C, H, W) -> logits of each frame (B, T, K, h, w) at the head's resolution.

    In training a second tensor of this kind comes from the auxiliary head. How frames become one prediction of the
    image's size is the matter of `das.video.registration`.
    """

    def forward(self, videos: Tensor, frames: int | None = None) -> tuple[Tensor, ...]:
        """One tensor in evaluation, two in training; ``frames`` and errors as `das.models.video.VideoModel.forward`."""
        frames = self.frames if frames is None else frames
        return tuple(output.unflatten(0, (-1, frames)) for output in self.read(videos, frames))


class DenseNetwork(nn.Module):
    """The ``body``'s features through ``head``; in training the last but one stage's through ``auxiliary`` too."""

    def __init__(self, body: "Body", head: nn.Module, auxiliary: nn.Module):
        super().__init__()
        self.body, self.head, self.auxiliary = body, head, auxiliary

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        low, before, last = self.body(x)
        logits = self.head(low, last) if isinstance(self.head, LowAndHigh) else self.head(last)
        return (logits, self.auxiliary(before)) if self.training else (logits,)


class Body(nn.Module):
    """A classification network without its end: images to features at stride 8, of the last stage but one, and the
    last.

    A stage is what shares a stride; the stages that would go beyond ``output_stride`` are dilated instead (Chen et al.
    2017), as torchvision's ``replace_stride_with_dilation``, or ``evenly``: a stage's first convolution, too, reads as
    far apart as the others (hszhao/semseg, model/pspnet.py). DasError for networks that are no chain of modules.
    """

    def __init__(self, network: nn.Module, in_channels: int, output_stride: int, evenly: bool = False):
        super().__init__()
        chain = _chain(network)
        strides, widths = _strides(chain, in_channels)
        kept = [stride for stride in dict.fromkeys(strides) if stride > 1] or [1]
        current = 1
        for module, before, after in zip(chain.values(), [1, *strides], strides, strict=False):
            if after > output_stride:
                current = _dilate(module, current, after // before, evenly)
        for name, module in chain.items():
            self.add_module(name, module)
        final = {stride: max(place for place, other in enumerate(strides) if other == stride) for stride in kept}
        last = len(strides) - 1
        before = final[kept[-2]] if len(kept) > 1 else last
        low = max((place for stride, place in final.items() if stride <= LOW_STRIDE), default=before)
        self.ends = (low, before, last)
        self.low_channels, self.auxiliary_channels, self.channels = (widths[place] for place in self.ends)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs = []
        for module in self.children():
            x = module(x)
            outputs.append(x)
        return tuple(outputs[place] for place in self.ends)


def _chain(network: nn.Module) -> dict[str, nn.Module]:
    """The modules that make features one after the other, by name: those of `features`, or all before the pooling."""
    if isinstance(getattr(network, "features", None), nn.Sequential):
        return dict(network.features.named_children())
    children = dict(network.named_children())
    if "layer1" not in children:
        raise DasError(f"head: {type(network).__name__} has no chain of stages; use a ResNet or one with `features`")
    return {name: module for name, module in children.items() if name not in ("avgpool", "fc")}


@torch.no_grad()
def _strides(chain: Mapping[str, nn.Module], in_channels: int) -> tuple[list[int], list[int]]:
    """After each module, how many pixels of the image a step makes, and the number of channels."""
    side, strides, widths = 256, [], []
    x = torch.zeros(1, in_channels, side, side)
    for module in chain.values():
        training = module.training
        x = module.eval()(x)
        module.train(training)
        strides.append(side // x.shape[-1])
        widths.append(x.shape[1])
    return strides, widths


def _dilate(stage: nn.Module, dilation: int, factor: int, evenly: bool) -> int:
    """Take a stage's stride away; what follows it (``evenly``: the whole stage) reads that much farther apart. Returns
    the dilation after it."""
    if evenly:
        dilation, factor = dilation * factor, 1
    for conv in (module for module in stage.modules() if isinstance(module, nn.Conv2d)):
        strided, spatial = conv.stride != (1, 1), conv.kernel_size != (1, 1)
        conv.stride = (1, 1)
        if spatial:
            conv.dilation = (dilation, dilation)
            conv.padding = tuple(dilation * (side - 1) // 2 for side in conv.kernel_size)
        if strided and spatial:
            dilation *= factor
            factor = 1
    return dilation


class FCN(nn.Sequential):
    """3x3 convolution to a quarter of the channels, then the classes (Long et al. 2015, as torchvision's FCNHead);
    ``whole_channels``: dropout takes channels, not values."""

    def __init__(self, channels: int, num_classes: int, dropout: float, whole_channels: bool = False):
        drop = nn.Dropout2d(dropout) if whole_channels else nn.Dropout(dropout)
        super().__init__(*_convolution(channels, channels // 4, 3), drop, _classes(channels // 4, num_classes))


class PSPNet(nn.Module):
    """Pyramid pooling (Zhao et al. 2017, section 3.2): means over 1, 2, 3 and 6 cells a side, beside the features.

    The authors' code (hszhao/semseg, model/pspnet.py) has ``align_corners`` where the means are spread, and dropout of
    ``whole_channels``.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        dropout: float,
        align_corners: bool = False,
        whole_channels: bool = False,
    ):
        super().__init__()
        self.align_corners = align_corners
        quarter = channels // 4
        self.levels = nn.ModuleList(nn.Sequential(*_convolution(channels, quarter, 1)) for _ in PYRAMID)
        self.bottleneck = nn.Sequential(*_convolution(channels + len(PYRAMID) * quarter, quarter, 3))
        drop = nn.Dropout2d(dropout) if whole_channels else nn.Dropout(dropout)
        self.classifier = nn.Sequential(drop, _classes(quarter, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        means = [level(pooled(x, cells)) for level, cells in zip(self.levels, PYRAMID, strict=True)]
        spread = [F.interpolate(mean, size, mode="bilinear", align_corners=self.align_corners) for mean in means]
        return self.classifier(self.bottleneck(torch.cat([x, *spread], 1)))


def pooled(x: Tensor, cells: int) -> Tensor:
    """Means over cells x cells parts, as `torch.nn.functional.adaptive_avg_pool2d`, deterministic on CUDA too."""
    rows, columns = (_shares(side, cells).to(x) for side in x.shape[-2:])
    return rows @ x @ columns.t()


@cache
def _shares(side: int, cells: int) -> Tensor:
    """(cells, side): what each position counts in the mean of each cell."""
    shares = torch.zeros(cells, side)
    for cell in range(cells):
        first, end = cell * side // cells, -(-(cell + 1) * side // cells)
        shares[cell, first:end] = 1 / (end - first)
    return shares


class LowAndHigh(nn.Module):
    """torchvision's LR-ASPP head (Howard et al. 2019): coarse features, attended to, and finer ones."""

    def __init__(self, low_channels: int, channels: int, num_classes: int):
        super().__init__()
        from torchvision.models.segmentation.lraspp import LRASPPHead

        self.head = LRASPPHead(low_channels, channels, num_classes, LRASPP_CHANNELS)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        return self.head({"low": low, "high": high})


# -- the heads that studies name ------------------------------------------------------------------------------------


def pspnet(body: Body, num_classes: int, dropout: float, **options: bool) -> nn.Module:
    return PSPNet(body.channels, num_classes, dropout, **options)


def fcn(body: Body, num_classes: int, dropout: float) -> nn.Module:
    return FCN(body.channels, num_classes, dropout)


def lraspp(body: Body, num_classes: int, dropout: float) -> nn.Module:
    """Its classes follow a plain convolution: no dropout, as published."""
    return LowAndHigh(body.low_channels, body.channels, num_classes)


def deeplabv3(body: Body, num_classes: int, dropout: float) -> nn.Module:
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead

    head = DeepLabHead(body.channels, num_classes)
    for module in head.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return head


def _convolution(in_channels: int, channels: int, kernel: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU()]


def _classes(channels: int, num_classes: int) -> nn.Module:
    return nn.Conv2d(channels, num_classes, 1)


def segmenter(
    name: str,
    head: str,
    num_classes: int,
    frames: int,
    *,
    fusion: str = "none",
    fusion_options: Mapping | None = None,
    in_channels: int = 3,
    pretrained: bool = False,
    output_stride: int = 8,
    dilation: str = "after_first",
    dropout: float = 0.1,
    backbone_options: Mapping | None = None,
    head_options: Mapping | None = None,
    places: Sequence[str] | None = None,
) -> Segmenter:
    """Make a segmentation network: ``head`` (`das.models.components`) on the backbone ``name``, with temporal fusion.

    Weights are drawn from torch's global generator; ``pretrained`` takes ImageNet's for the backbone. ``dropout`` is
    the only one, before the classes; ``dilation`` `even` is `Body`'s ``evenly``. DasError for unknown names, options
    that nothing takes, networks without a place for the fusion, and networks whose features a head cannot read.
    """
    network = build_backbone(name, in_channels, pretrained=pretrained, options=backbone_options or {})
    body = Body(network, in_channels, output_stride, evenly=dilation == "even")
    places = insert_fusion(body, fusion, frames, fusion_options or {}, places)
    if body.channels < 4 or body.auxiliary_channels < 4:
        raise DasError(f"head: {name} has {body.channels} channels; a head needs at least 4")
    top = registry.lookup("head", head).make(body, num_classes, dropout, **(head_options or {}))
    whole_channels = bool((head_options or {}).get("whole_channels"))
    network = DenseNetwork(body, top, FCN(body.auxiliary_channels, num_classes, dropout, whole_channels))
    model = Segmenter(network, frames, in_channels, places)
    return model.to(memory_format=torch.channels_last)
