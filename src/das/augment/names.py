"""Augmentations a study may name, and what each may be told. Importing this costs no torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from das.errors import DasError


@dataclass(frozen=True)
class Parameter:
    """A test that a value must pass, worded for the error message. Defaults stand in the augmentation itself."""

    allowed: str
    test: Callable[[Any], bool]
    required: bool = False


@dataclass(frozen=True)
class Augmentation:
    """Where an augmentation is defined and where it may stand.

    ``kind``: an `image` augmentation changes each image by itself and no label; a `mix` makes new images of two and
    turns labels into probabilities; an `objective` changes what a training step minimises (das.augment.objective).
    ``masks``: whether label maps (segmentation) move with their images. ``classes``: whether it must know how many
    classes there are. ``search``: whether it is found by a search before the training.
    """

    module: str
    attribute: str
    kind: Literal["image", "mix", "objective"] = "image"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    masks: bool = False
    classes: bool = False
    search: bool = False


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _range(allowed: str, test: Callable[[float, float], bool]) -> Parameter:
    def holds(value):
        pair = isinstance(value, list | tuple) and len(value) == 2 and all(map(_number, value))
        return pair and test(*value)

    return Parameter(allowed, holds)


def _count(required: bool = False, least: int = 1) -> Parameter:
    return Parameter(
        f"a whole number of at least {least}", lambda v: type(v) is int and v >= least, required
    )  # fmt: skip


POSITIVE = Parameter("a number above 0", lambda v: _number(v) and 0 < v < float("inf"))
NON_NEGATIVE = Parameter("a number of at least 0", lambda v: _number(v) and 0 <= v < float("inf"))
SHARE = Parameter("a number from 0 to 1", lambda v: _number(v) and 0 <= v <= 1)
AREA = _range("two numbers, 0 < low <= high <= 1", lambda low, high: 0 < low <= high <= 1)
ASPECT = _range("two numbers, 0 < low <= high", lambda low, high: 0 < low <= high)
ZOOM = ASPECT
MOMENTA = _range("two numbers, 0 <= first <= last < 1", lambda first, last: 0 <= first <= last < 1)
GRID = _count(least=2)
MODULES = Parameter(
    "a list of the network's stages, or 'input'",
    lambda v: isinstance(v, list) and bool(v) and all(isinstance(name, str) for name in v),
)
ENTRIES = Parameter("a list of augmentations that change no label", lambda v: isinstance(v, list) and bool(v), True)

_PATCHMIX = {"grid": GRID, "alpha": POSITIVE, "patch_weight": NON_NEGATIVE}

NAMES: dict[str, Augmentation] = {
    # the standard recipes
    "random_crop": Augmentation(
        "standard", "RandomCrop", parameters={"padding": _count(True, least=0)}, masks=True
    ),
    "random_flip": Augmentation("standard", "RandomFlip", parameters={"probability": SHARE}, masks=True),
    "random_resized_crop": Augmentation(
        "standard", "RandomResizedCrop", parameters={"size": _count(True), "scale": AREA, "ratio": ASPECT}
    ),
    "random_scale_crop": Augmentation(
        "joint",
        "RandomScaleCrop",
        parameters={"size": _count(True), "base": _count(True), "scale": ZOOM},
        masks=True,
    ),
    # each image by itself
    "cutout": Augmentation("cutout", "Cutout", parameters={"size": _count(True)}),
    "random_erasing": Augmentation(
        "random_erasing", "RandomErasing", parameters={"probability": SHARE, "area": AREA, "aspect": ASPECT}
    ),
    "autoaugment": Augmentation(
        "autoaugment",
        "AutoAugment",
        parameters={"policy": Parameter("cifar10, imagenet or svhn", lambda v: v in ("cifar10", "imagenet", "svhn"))},
    ),
    "randaugment": Augmentation(
        "randaugment",
        "RandAugment",
        parameters={
            "operations": _count(),
            "magnitude": Parameter("a whole number from 0 to 30", lambda v: type(v) is int and 0 <= v <= 30),
        },
    ),
    "trivialaugment_wide": Augmentation("trivialaugment", "TrivialAugmentWide"),
    "faster_autoaugment": Augmentation(
        "faster_autoaugment",
        "FasterAutoAugment",
        search=True,
        parameters={
            "epochs": _count(),
            "sub_policies": _count(),
            "operations": _count(),
            "batch_size": _count(least=2),
            "lr": POSITIVE,
            "temperature": POSITIVE,
            "penalty": NON_NEGATIVE,
            "class_weight": NON_NEGATIVE,
        },
    ),
    "yoco": Augmentation("yoco", "YOCO", parameters={"augment": ENTRIES}),
    "temporal_resolution_decrement": Augmentation(
        "resolution", "TemporalResolutionDecrement", parameters={"fraction": SHARE}
    ),
    # two images into one
    "mixup": Augmentation("mixup", "Mixup", "mix", {"alpha": POSITIVE}, classes=True),
    "cutmix": Augmentation("cutmix", "CutMix", "mix", {"alpha": POSITIVE, "probability": SHARE}, classes=True),
    # more than images and labels
    "manifold_mixup": Augmentation(
        "manifold_mixup", "ManifoldMixup", "objective", {"alpha": POSITIVE, "places": MODULES}
    ),
    "patchmix": Augmentation("patchmix", "PatchMix", "objective", _PATCHMIX),
    "patchmix_evolved": Augmentation(
        "patchmix_evolved", "PatchMixEvolved", "objective", {**_PATCHMIX, "population": _count(least=4)}
    ),
    "automix": Augmentation(
        "automix",
        "AutoMix",
        "objective",
        {
            "alpha": POSITIVE,
            "stage": Parameter("one of the network's stages, such as layer3", lambda v: isinstance(v, str)),
            "momentum": MOMENTA,
            "margin": SHARE,
            "mask_weight": NON_NEGATIVE,
        },
    ),
}  # fmt: skip

Entry = str | Mapping[str, Mapping[str, Any]]


def read(entry: Entry) -> tuple[str, dict[str, Any]]:
    """Return the name and the parameters of one entry of a study's `augment` list: a name, or {name: {...}}.

    Raises DasError for unknown names and parameters, values that are not allowed, and parameters that are missing.
    """
    if isinstance(entry, str):
        name, given = entry, {}
    elif isinstance(entry, Mapping) and len(entry) == 1:
        (name, given), = entry.items()  # fmt: skip
    else:
        raise DasError(f"{entry!r} should be the name of an augmentation, or one name with its parameters")
    if name not in NAMES:
        raise DasError(f"{name!r} is unknown; should be one of {', '.join(NAMES)}")
    if not isinstance(given, Mapping):
        raise DasError(f"{name}: is {given!r}; should be a mapping of parameters")
    allowed = NAMES[name].parameters
    for key, value in given.items():
        if key not in allowed:
            raise DasError(f"{name}.{key}: unknown parameter; allowed here: {', '.join(allowed) or 'none'}")
        if not allowed[key].test(value):
            raise DasError(f"{name}.{key}: is {value!r}; should be {allowed[key].allowed}")
        if allowed[key] is ENTRIES:
            for inner in value:
                inner_name, _ = read(inner)
                if NAMES[inner_name].kind != "image" or NAMES[inner_name].search or inner_name == name:
                    raise DasError(f"{name}.{key}: has no place for {inner_name}; should be {ENTRIES.allowed}")
    for key, parameter in allowed.items():
        if parameter.required and key not in given:
            raise DasError(f"{name}.{key}: is missing; should be {parameter.allowed}")
    return name, dict(given)


def check_dataset(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield what is wrong with the augmentations of a data set, which searches use too: they leave labels alone."""
    for name, _ in _readable(entries, (problems := [])):
        if NAMES[name].kind != "image" or NAMES[name].search:
            yield f"{name} changes more than single images, so its place is a method's augment, not a data set's"
    yield from problems


def check_method(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield what is wrong with the augmentations of a method: at most one mixes images, after all others."""
    known = list(_readable(entries, (problems := [])))
    yield from problems
    mixing = [name for name, _ in known if NAMES[name].kind != "image"]
    if len(mixing) > 1:
        yield f"{' and '.join(mixing)} both mix images; one method should mix once"
    elif mixing and known[-1][0] != mixing[0]:
        yield f"{mixing[0]} stands before {known[-1][0]}; what mixes images should come last"


def check_together(entries: Sequence[Entry], *, task: str, size: int | None) -> Iterator[str]:
    """Yield why a method's augmentations cannot work on a data set of this task and image side (None: not known)."""
    for name, given in _readable(entries, []):
        if task == "segmentation" and not NAMES[name].masks:
            yield f"{name} cannot move label maps, which {task} needs"
        if "grid" in given and size and size % given["grid"]:
            yield f"{name}.grid: is {given['grid']}, which does not divide the image's side of {size} pixels"


def _readable(entries: Sequence[Entry], problems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in entries:
        try:
            yield read(entry)
        except DasError as problem:
            problems.append(str(problem))
