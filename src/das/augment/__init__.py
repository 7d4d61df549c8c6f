"""Training augmentations by name.

An augmentation is a callable (images, labels, generator) -> (images, labels): images float (B, C, H, W) in [0, 1] on
any device, labels int64 (B,) or whatever a mixing augmentation makes of them, generator on the CPU.
"""

from collections.abc import Callable, Mapping, Sequence

from das.errors import DasError

NAMES: dict[str, tuple[str, str]] = {
    "random_crop": ("das.augment.standard", "RandomCrop"),
    "random_flip": ("das.augment.standard", "RandomFlip"),
    "random_resized_crop": ("das.augment.standard", "RandomResizedCrop"),
    "random_scale_crop": ("das.augment.standard", "RandomScaleCrop"),
}


def build(settings: Sequence[str | Mapping]) -> list[Callable]:
    """Return the augmentations that ``settings`` lists, in order: a name, or {name: {parameter: value}}.

    >>> build(["random_flip", {"random_crop": {"padding": 4}}])
    [RandomFlip(probability=0.5), RandomCrop(padding=4)]
    """
    return [_one(entry) for entry in settings]


def _one(entry: str | Mapping) -> Callable:
    from importlib import import_module

    name, parameters = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    if name not in NAMES:
        raise DasError(f"augment: {name!r} is not known; use some of {', '.join(NAMES)}")
    module, attribute = NAMES[name]
    try:
        return getattr(import_module(module), attribute)(**parameters)
    except TypeError as error:
        raise DasError(f"augment.{name}: wrong parameters {dict(parameters)!r} ({error})") from error
