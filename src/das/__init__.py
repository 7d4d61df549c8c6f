"""Differentiable Augmentation Search: an image becomes a short video of its own transformed copies.

The names here are for use from Python (docs/guides/python.md) and stay as they are; each is imported when it is first
asked for, so that ``import das`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from das.analysis.frame import results
    from das.engine.arrays import fit, predict, save
    from das.engine.checkpoint import load_model as load
    from das.errors import DasError
    from das.models.video import video_model
    from das.search.arrays import search
    from das.video.policy import Policy
    from das.video.transform import ImageToVideo

_WHERE = {
    "DasError": "das.errors:DasError",
    "ImageToVideo": "das.video.transform:ImageToVideo",
    "Policy": "das.video.policy:Policy",
    "fit": "das.engine.arrays:fit",
    "load": "das.engine.checkpoint:load_model",
    "predict": "das.engine.arrays:predict",
    "results": "das.analysis.frame:results",
    "save": "das.engine.arrays:save",
    "video_model": "das.models.video:video_model",
}
__all__ = [
    "DasError",
    "ImageToVideo",
    "Policy",
    "fit",
    "load",
    "predict",
    "results",
    "save",
    "search",
    "video_model",
]


def __getattr__(name: str):
    if name == "search":  # a package that can be called
        return import_module("das.search")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    module, attribute = _WHERE[name].split(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
