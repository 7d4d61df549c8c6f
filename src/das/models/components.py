"""The networks, heads, temporal fusions and consensus functions that studies name.

Facts of a network: ``member``, its name in the library that builds it; ``pretrained``, whether ImageNet weights exist;
``requires``, a package that must be installed. Facts of a fusion: ``place``, the convolution of a residual branch that
it goes to: `first`, `last`, or `last_3x3`; ``sparse``, whether it goes to every second block of deep networks.
"""

from typing import Annotated, Literal

from pydantic import Field

from das.study.registry import Entry, Option
from das.study.values import AtLeast2, Count

_COMMON = {
    "attention": Option(Literal["cbam"] | None, None, "cbam: after the last norm of every residual block"),
    "pooling": Option(Literal["spp"] | None, None, "spp: spatial pyramid pooling for global average pooling"),
}
_SMALL = {"width": Option(Count, 16, "channels of the first stage")}


def _stem(stride: int) -> dict[str, Option]:
    return {"stem_stride": Option(Count, stride, "stride of the first convolution")}


_STEM = {
    "stem": Option(Literal["plain", "deep"], "plain", "deep: three 3x3 convolutions for the 7x7 one (PSPNet's)"),
}

_BOTTLENECKS = ("resnet50", "resnet101", "resnet152")
_RESNETS = ("resnet18", "resnet34", *_BOTTLENECKS)

#: torchvision's classification networks that have places for temporal fusion (places.py).
_TORCHVISION = (
    *_RESNETS,
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *(f"efficientnet_b{n}" for n in range(8)),
    *("efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"),
    *(f"regnet_{xy}_{size}" for xy in "xy" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
)


def _network(name: str, target: str, meaning: str, options: dict[str, Option] | None = None, **facts) -> Entry:
    return Entry("network", name, f"das.models.backbones:{target}", meaning, (options or {}) | _COMMON, facts)


def _head(name: str, meaning: str, options: dict[str, Option] | None = None) -> Entry:
    return Entry("head", name, f"das.models.segmentation:{name}", meaning, options or {})


def _fusion(name: str, meaning: str, options: dict[str, Option] | None = None, **facts) -> Entry:
    return Entry("fusion", name, f"das.models.fusion:with_{name}", meaning, options or {}, facts)


def _consensus(name: str, target: str, meaning: str) -> Entry:
    return Entry("consensus", name, f"das.models.consensus:{target}", meaning)


def _dense(name: str, meaning: str) -> Entry:
    return Entry("dense_consensus", name, f"das.video.registration:{name}", meaning)


COMPONENTS = [
    _network("resnet8", "resnet8", "3 residual blocks, for small images", _SMALL | _stem(2)),
    _network("resnet20", "resnet20", "9 residual blocks (He et al. 2016, section 4.2)", _SMALL | _stem(1)),
    _network("wide_resnet40_2", "wide_resnet40_2", "Wide ResNet (Zagoruyko & Komodakis 2016)"),
    _network("wide_resnet28_10", "wide_resnet28_10", "Wide ResNet (Zagoruyko & Komodakis 2016)"),
    _network("ghostnet", "ghostnet", "GhostNet (Han et al. 2020)"),
    *(
        _network(f"{name}_cifar", "cifar", f"{name} with a 3x3 stem and no pooling after it", member=name)
        for name in _RESNETS
    ),
    *(
        _network(
            name, "torchvision", "torchvision's", _STEM if name in _BOTTLENECKS else {}, member=name, pretrained=True
        )
        for name in _TORCHVISION
    ),
    Entry(
        "network",
        "timm:*",
        "das.models.backbones:timm",
        "any convolutional classification network of the package timm",
        _COMMON,
        {"pretrained": True, "requires": "timm"},
    ),
    _head(
        "pspnet",
        "pyramid pooling (Zhao et al. 2017)",
        {
            "align_corners": Option(bool, False, "where the pyramid's means are spread, as in its authors' code"),
            "whole_channels": Option(bool, False, "dropout takes whole channels, as in its authors' code"),
        },
    ),
    _head("deeplabv3", "atrous spatial pyramid pooling (Chen et al. 2017), torchvision's"),
    _head("fcn", "a convolution (Long et al. 2015)"),
    _head("lraspp", "attended coarse features and finer ones (Howard et al. 2019), torchvision's"),
    Entry("fusion", "none", "das.models.fusion:without", "frames stay apart"),
    _fusion(
        "tsm",
        "temporal shift (Lin et al. 2019)",
        {"fold_div": Option(AtLeast2, 8, "one of so many channels moves each way")},
        place="first",
        sparse=True,
    ),
    _fusion("gsm", "gate-shift (Sudhakaran et al. 2020)", place="last"),
    _fusion(
        "gsf",
        "gate-shift-fuse (Sudhakaran et al. 2023)",
        {"ratio": Option(Annotated[float, Field(gt=0, le=1)], 0.25, "of the channels that are gated")},
        place="last",
    ),
    _fusion(
        "gst",
        "grouped spatial-temporal aggregation (Luo & Yuille 2019)",
        {
            "alpha": Option(AtLeast2, 4, "one of so many outputs is temporal"),
            "beta": Option(Literal[1, 2], 2, "2: spatial and temporal outputs read half of the inputs each"),
        },
        place="last_3x3",
    ),
    _consensus("mean_logits", "MeanLogits", "mean of the frames' logits"),
    _consensus("mean_probabilities", "MeanProbabilities", "mean of the frames' probabilities"),
    _consensus("middle_frame", "MiddleFrame", "the untouched frame alone"),
    _consensus("learned_weights", "LearnedWeights", "mean of the logits with learned weights"),
    _dense("aligned_mean", "frames brought back into register with the image, and averaged"),
    _dense("mean_logits", "mean of the frames' logits as they come (casarinsof/TRAS)"),
    _dense("middle_frame", "the untouched frame alone"),
]
