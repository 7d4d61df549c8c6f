"""The readers that data sets name.

Facts: ``task``; ``classes``, their number, and ``size``, the native side in pixels, None where an option or the files
decide; ``channels`` of an image; ``root``, where the files lie by default, None where the study must say; ``prepared``,
whether archives must be unpacked first (das.data.prepared); ``login``, whether the publisher asks for one.
"""

from typing import Literal

from das.study.registry import Entry, Option
from das.study.values import Count, NonNegativeInt, Part, Size

_PER_CLASS = {
    f"{split}_per_class": Option(Count | None, None, f"{split} images to use of each class; null: all")
    for split in ("train", "test")
} | {
    "split": Option(
        NonNegativeInt | None,
        None,
        "which train_per_class images of a class: 0 the first in the order of the files, 1 the next; null: by chance",
    )
}
_DAMAGED = {"damaged": Option(Literal["refuse", "skip"], "refuse", "what to do with images that cannot be decoded")}
_TEST_FRACTION = {"test_fraction": Option(Part, 0.2, "held out for testing, where there are no test images")}


def _size(default: int) -> dict[str, Option]:
    return {"size": Option(Size, default, "that images are scaled to: their side, or [height, width], pixels")}


def _reader(name: str, module: str, meaning: str, options: dict[str, Option], **facts) -> Entry:
    common = {"task": "classification", "classes": None, "size": None, "channels": 3, "root": None}
    common |= {"prepared": False, "login": False}
    return Entry("reader", name, f"das.data.readers.{module}:read", meaning, options, common | facts)


_FASHION = {"classes": 10, "size": 28, "channels": 1}

COMPONENTS = [
    _reader(
        "fashion_mnist_embedded",
        "fashion_mnist",
        "Fashion-MNIST, in this repository",
        _PER_CLASS,
        root="data/embedded/fashion_mnist",
        **_FASHION,
    ),
    _reader("fashion_mnist", "fashion_mnist", "Fashion-MNIST", _PER_CLASS, root="data/raw/fashion_mnist", **_FASHION),
    _reader("cifar10", "cifar", "CIFAR-10", _PER_CLASS, classes=10, size=32, root="data/raw/cifar10"),
    _reader("cifar100", "cifar", "CIFAR-100", _PER_CLASS, classes=100, size=32, root="data/raw/cifar100"),
    _reader(
        "tiny_imagenet",
        "tiny_imagenet",
        "Tiny ImageNet",
        _PER_CLASS,
        classes=200,
        size=64,
        root="data/raw/tiny_imagenet",
        prepared=True,
    ),
    _reader(
        "imagenet",
        "imagenet",
        "ImageNet (ILSVRC 2012)",
        _PER_CLASS | _DAMAGED | _size(224),
        classes=1000,
        root="data/raw/imagenet",
        prepared=True,
        login=True,
    ),
    _reader(
        "voc2012",
        "voc2012",
        "Pascal VOC 2012",
        _DAMAGED | _size(380) | {"augmented": Option(bool, False, "train on the 10,582 images with SBD's masks")},
        task="segmentation",
        classes=21,
        root="data/raw/voc2012",
        prepared=True,
    ),
    _reader(
        "cityscapes",
        "cityscapes",
        "Cityscapes",
        _DAMAGED | _size(768),
        task="segmentation",
        classes=19,
        root="data/raw/cityscapes",
        prepared=True,
        login=True,
    ),
    _reader(
        "land_cover_embedded",
        "land_cover",
        "land cover tiles, in this repository",
        {
            f"{split}_tiles": Option(Count | None, None, f"{split} tiles to use; null: all")
            for split in ("train", "test")
        },
        task="segmentation",
        classes=6,
        size=64,
        root="data/embedded/land_cover",
    ),
    _reader(
        "folder",
        "folder",
        "your own images: a folder a class, or labels in a CSV",
        _PER_CLASS
        | _DAMAGED
        | _size(64)
        | _TEST_FRACTION
        | {
            "labels": Option(str | None, None, "a CSV of file,label[,split]; null: labels.csv, where there is one"),
            "stream": Option(bool, False, "leave images in their files until they are needed"),
        },
    ),
    _reader("arrays", "arrays", "your own arrays in an .npz file", _PER_CLASS),
    _reader(
        "pairs",
        "pairs",
        "your own images and masks",
        _DAMAGED
        | _size(256)
        | _TEST_FRACTION
        | {
            "mask_ending": Option(str, "", "of masks' names, after their image's: `_mask` pairs a.jpg with a_mask.png"),
            "values": Option(
                dict[int, str] | dict[str, str] | None,
                None,
                'value or color ("#rrggbb") in the masks: class; null: the class\'s place in classes.txt',
            ),
            "ignore": Option(
                list[int] | list[str] | None,
                None,
                "values or colors that count for nothing; null: 255, unless `values` names it",
            ),
        },
        task="segmentation",
    ),
]
