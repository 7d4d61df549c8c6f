"""Names a study may use for networks, temporal fusion and consensus. Importing this costs no torch."""

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")

#: Built here: resnet.py, wide_resnet.py, ghostnet.py.
OWN = ("resnet8", "resnet20", "wide_resnet40_2", "wide_resnet28_10", "ghostnet")

#: torchvision's networks with a 3x3 stem and no pooling after it, for images of 28 to 64 pixels.
CIFAR = tuple(f"{name}_cifar" for name in RESNETS)

#: torchvision's classification networks that have places for temporal fusion (places.py).
TORCHVISION = (
    *RESNETS,
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *(f"efficientnet_b{n}" for n in range(8)),
    *("efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"),
    *(f"regnet_{xy}_{size}" for xy in "xy" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
)

FUSIONS = ("none", "tsm", "gsm", "gsf", "gst")

CONSENSUS = ("mean_logits", "mean_probabilities", "middle_frame", "learned_weights")

#: Heads that make a backbone a segmentation network (segmentation.py).
HEADS = ("pspnet", "deeplabv3", "fcn", "lraspp")

#: How frames' predictions of a label per pixel become one (das.video.registration); the first is the default.
DENSE_CONSENSUS = ("aligned_mean", "mean_logits", "middle_frame")


def known_backbones() -> tuple[str, ...]:
    """Names that ``video_model`` takes as a backbone."""
    return (*OWN, *CIFAR, *TORCHVISION)


def known_fusions() -> tuple[str, ...]:
    """Names that ``video_model`` takes as ``fusion``."""
    return FUSIONS


def known_consensus() -> tuple[str, ...]:
    """Names that ``video_model`` takes as ``consensus``."""
    return CONSENSUS
