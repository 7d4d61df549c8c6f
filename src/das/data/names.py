"""What can be read and what it takes. Free of torch: the study's validation imports it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from das.errors import DasError


@dataclass(frozen=True)
class Option:
    """One option of a reader: its default and the test a value must pass, worded for the error message."""

    default: Any
    allowed: str
    test: Any


def _count(default: int | None) -> Option:
    allowed = "a whole number of at least 1" + ("" if default else " (or null for all)")
    return Option(default, allowed, lambda v: v is default or (type(v) is int and v >= 1))


def _choice(default: str, *others: str) -> Option:
    return Option(default, "one of " + ", ".join((default, *others)), lambda v: v in (default, *others))


_FLAG = Option(False, "true or false", lambda v: type(v) is bool)
_FRACTION = Option(0.2, "a number between 0 and 1, both excluded", lambda v: type(v) is float and 0 < v < 1)
_PER_CLASS = {"train_per_class": _count(None), "test_per_class": _count(None)}
_DAMAGED = {"damaged": _choice("refuse", "skip")}


@dataclass(frozen=True)
class Reader:
    """A way to read one data set.

    ``module`` below das.data.readers; ``task`` classification or segmentation; ``classes`` their number, None where
    the files decide; ``size`` the native side in pixels, None where a ``size`` option or the files decide;
    ``channels`` of an image; ``root`` where the files lie by default, None where the user must say; ``prepared``
    whether the archives must be unpacked first (das.data.prepare); ``login`` whether the publisher asks for one.
    """

    module: str
    task: str
    classes: int | None
    size: int | None
    channels: int
    root: str | None
    prepared: bool = False
    login: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)


READERS: dict[str, Reader] = {
    "fashion_mnist_embedded": Reader(
        "fashion_mnist", "classification", 10, 28, 1, "data/embedded/fashion_mnist", options=_PER_CLASS
    ),
    "fashion_mnist": Reader("fashion_mnist", "classification", 10, 28, 1, "data/raw/fashion_mnist", options=_PER_CLASS),
    "cifar10": Reader("cifar", "classification", 10, 32, 3, "data/raw/cifar10", options=_PER_CLASS),
    "cifar100": Reader("cifar", "classification", 100, 32, 3, "data/raw/cifar100", options=_PER_CLASS),
    "tiny_imagenet": Reader(
        "tiny_imagenet", "classification", 200, 64, 3, "data/raw/tiny_imagenet", prepared=True, options=_PER_CLASS
    ),
    "imagenet": Reader(
        "imagenet",
        "classification",
        1000,
        None,
        3,
        "data/raw/imagenet",
        prepared=True,
        login=True,
        options={**_PER_CLASS, **_DAMAGED, "size": _count(224)},
    ),
    "voc2012": Reader(
        "voc2012",
        "segmentation",
        21,
        None,
        3,
        "data/raw/voc2012",
        prepared=True,
        options={**_DAMAGED, "size": _count(380), "augmented": _FLAG},
    ),
    "cityscapes": Reader(
        "cityscapes",
        "segmentation",
        19,
        None,
        3,
        "data/raw/cityscapes",
        prepared=True,
        login=True,
        options={**_DAMAGED, "size": _count(768)},
    ),
    "land_cover_embedded": Reader(
        "land_cover",
        "segmentation",
        6,
        64,
        3,
        "data/embedded/land_cover",
        options={"train_tiles": _count(None), "test_tiles": _count(None)},
    ),
    "folder": Reader(
        "folder",
        "classification",
        None,
        None,
        3,
        None,
        options={**_PER_CLASS, **_DAMAGED, "size": _count(64), "test_fraction": _FRACTION, "stream": _FLAG},
    ),
    "arrays": Reader("arrays", "classification", None, None, 3, None, options=_PER_CLASS),
    "pairs": Reader("pairs", "segmentation", None, None, 3, None, options={**_DAMAGED, "size": _count(256)}),
}

names: tuple[str, ...] = tuple(READERS)


def reader_named(reader: str) -> Reader:
    """Return the entry of ``reader``; DasError names the known ones."""
    if reader not in READERS:
        raise DasError(f"reader: {reader!r} is not known; use one of {', '.join(READERS)}")
    return READERS[reader]


def check_options(reader: str, options: Mapping) -> dict[str, Any]:
    """Return ``options`` completed by the reader's defaults; DasError names a wrong key or value."""
    known = reader_named(reader).options
    for key, value in options.items():
        if key not in known:
            raise DasError(f"options.{key}: reader {reader!r} has no such option; it allows {', '.join(known)}")
        if not known[key].test(value):
            raise DasError(f"options.{key}: {value!r} is not allowed; use {known[key].allowed}")
    return {key: options.get(key, option.default) for key, option in known.items()}
