"""The augmentations and objectives that studies name; facts as in `das.study.augmentations`."""

from typing import Annotated, Literal

from pydantic import Field

from das.study.registry import Entry, Option
from das.study.values import (
    Area,
    AtLeast2,
    Count,
    Fraction,
    Momenta,
    NonNegative,
    NonNegativeInt,
    Positive,
    Ratio,
    Size,
)

_MASKS = {"masks": True}
_MIX = {"mix": True}
_SIZE = Option(Size, meaning="of the result: its side, or [height, width], pixels")
_ALPHA = Option(Positive, 1.0, "of the Beta distribution of the mixing ratio")
_PATCHMIX = {
    "grid": Option(AtLeast2, 4, "patches a side"),
    "alpha": _ALPHA,
    "patch_weight": Option(NonNegative, 1.0, "of the patches' contrastive loss"),
}

COMPONENTS = [
    # the standard recipes
    Entry(
        "augmentation",
        "random_crop",
        "das.augment.standard:RandomCrop",
        "a window of the image's size, from the image padded with black",
        {"padding": Option(NonNegativeInt, meaning="pixels on every side")},
        _MASKS,
    ),
    Entry(
        "augmentation",
        "random_flip",
        "das.augment.standard:RandomFlip",
        "mirror left and right",
        {"probability": Option(Fraction, 0.5, "of each image")},
        _MASKS,
    ),
    Entry(
        "augmentation",
        "random_resized_crop",
        "das.augment.standard:RandomResizedCrop",
        "a random box, resized (Inception's scheme)",
        {
            "size": _SIZE,
            "scale": Option(Area, (0.08, 1.0), "share of the image's area"),
            "ratio": Option(Ratio, (3 / 4, 4 / 3), "width to height"),
        },
        {"frames": True},
    ),
    Entry(
        "augmentation",
        "random_scale_crop",
        "das.augment.joint:RandomScaleCrop",
        "scale by chance, then cut a window",
        {
            "size": _SIZE,
            "base": Option(Count, meaning="pixels of the side that is scaled, at scale 1"),
            "scale": Option(Ratio, (0.5, 2.0), "times base"),
            "side": Option(Literal["shorter", "longer"], "shorter", "of the image, which is scaled"),
        },
        _MASKS | {"frames": True},
    ),
    Entry(
        "augmentation",
        "random_rotation",
        "das.augment.joint:RandomRotation",
        "turn about the center, by whole degrees",
        {"degrees": Option(Annotated[int, Field(ge=1, le=180)], meaning="at most, either way")},
        _MASKS,
    ),
    Entry(
        "augmentation",
        "random_blur",
        "das.augment.blur:RandomBlur",
        "Gaussian blur",
        {"sigma": Option(Positive, 1.0, "pixels, at most")},
        _MASKS,
    ),
    # each image by itself
    Entry(
        "augmentation",
        "cutout",
        "das.augment.cutout:Cutout",
        "a black square (DeVries & Taylor 2017)",
        {"size": Option(Count, meaning="side of the square, pixels")},
    ),
    Entry(
        "augmentation",
        "random_erasing",
        "das.augment.random_erasing:RandomErasing",
        "a box of one color (Zhong et al. 2020)",
        {
            "probability": Option(Fraction, 0.5, "of each image"),
            "area": Option(Area, (0.02, 0.4), "share of the image's area"),
            "aspect": Option(Ratio, (0.3, 1 / 0.3), "height to width"),
            "aspect_draw": Option(Literal["uniform", "log_uniform"], "uniform", "log_uniform: torchvision's"),
            "fill": Option(Literal["mean", "black"], "mean", "mean: of the batch, by channel; black: torchvision's"),
        },
    ),
    Entry(
        "augmentation",
        "autoaugment",
        "das.augment.autoaugment:AutoAugment",
        "the published policies (Cubuk et al. 2019)",
        {"policy": Option(Literal["cifar10", "imagenet", "svhn"], "cifar10", "which published policy")},
    ),
    Entry(
        "augmentation",
        "randaugment",
        "das.augment.randaugment:RandAugment",
        "operations by chance, one magnitude (Cubuk et al. 2020)",
        {
            "operations": Option(Count, 2, "in a row"),
            "magnitude": Option(Annotated[int, Field(ge=0, le=30)], 9, "of 30"),
        },
    ),
    Entry(
        "augmentation",
        "trivialaugment_wide",
        "das.augment.trivialaugment:TrivialAugmentWide",
        "one operation by chance (Müller & Hutter 2021)",
    ),
    Entry(
        "augmentation",
        "faster_autoaugment",
        "das.augment.faster_autoaugment:FasterAutoAugment",
        "a policy found by gradient descent (Hataya et al. 2020)",
        {
            "epochs": Option(Count, 20, "of the search"),
            "sub_policies": Option(Count, 10, "one by chance for each image"),
            "operations": Option(Count, 2, "of a sub-policy, in a row"),
            "images": Option(Count, 4000, "training images that the search sees, by chance; all of a smaller set"),
            "batch_size": Option(AtLeast2, 128, "of the search"),
            "lr": Option(Positive, 1e-3, "of the search"),
            "temperature": Option(Positive, 0.05, "of the softmax over operations"),
            "penalty": Option(NonNegative, 10.0, "weight of the gradient penalty"),
            "class_weight": Option(NonNegative, 0.1, "of the classification, in the critic's loss and the policy's"),
        },
        {"search": True},
    ),
    Entry(
        "augmentation",
        "yoco",
        "das.augment.yoco:YOCO",
        "the halves of an image augmented by themselves (Han et al. 2022)",
        {"augment": Option(Annotated[list, Field(min_length=1)], meaning="augmentations that change no label")},
    ),
    Entry(
        "augmentation",
        "temporal_resolution_decrement",
        "das.augment.resolution:TemporalResolutionDecrement",
        "epochs at half the resolution, by chance (arXiv 2112.00954)",
        {
            "fraction": Option(Fraction, 0.5, "of the epochs within `within`"),
            "within": Option(Fraction, 0.9, "of the training, from its start"),
        },
    ),
    # two images into one
    Entry(
        "augmentation",
        "mixup",
        "das.augment.mixup:Mixup",
        "a weighted mean of two images (Zhang et al. 2018)",
        {"alpha": _ALPHA},
        _MIX,
    ),
    Entry(
        "augmentation",
        "cutmix",
        "das.augment.cutmix:CutMix",
        "a box of another image (Yun et al. 2019)",
        {"alpha": _ALPHA, "probability": Option(Fraction, 1.0, "of a batch")},
        _MIX,
    ),
    # more than images and labels
    Entry(
        "objective",
        "manifold_mixup",
        "das.augment.manifold_mixup:ManifoldMixup",
        "mixup of features (Verma et al. 2019)",
        {
            "alpha": _ALPHA,
            "places": Option(Annotated[list[str], Field(min_length=1)] | None, None, "stages of the network, or input"),
            "loss": Option(
                Literal["cross_entropy", "binary"],
                "cross_entropy",
                "binary: cross-entropy of every class by itself, of the softmax (the authors' code)",
            ),
        },
    ),
    Entry("objective", "patchmix", "das.augment.patchmix:PatchMix", "patches of two images", _PATCHMIX),
    Entry(
        "objective",
        "patchmix_evolved",
        "das.augment.patchmix_evolved:PatchMixEvolved",
        "patches of two images, chosen by a genetic search",
        _PATCHMIX | {"population": Option(Annotated[int, Field(ge=4)], 64, "of pairs of classes with masks")},
    ),
    Entry(
        "objective",
        "automix",
        "das.augment.automix:AutoMix",
        "a learned mask between two images (Liu et al. 2022)",
        {
            "alpha": Option(Positive, 2.0, "of the Beta distribution of the mixing ratio"),
            "stage": Option(str | None, None, "of the network, whose features make the mask; null: the last but one"),
            "momentum": Option(Momenta, (0.999, 0.999999), "of the teacher, from the first to the second"),
            "constant": Option(Fraction, 0.1, "of the training, from its start, in which the momentum is the first"),
            "lambda_channel": Option(bool, False, "the ratio as a channel of the features: the authors' ImageNet form"),
            "margin": Option(Fraction, 0.08, "nearer to 0 or 1, plain mixup is used"),
            "mask_weight": Option(NonNegative, 0.1, "of the mask's own loss"),
        },
    ),
]
