"""2D networks that read videos: backbones, temporal fusion, consensus. Importing the package costs no torch."""

from importlib import import_module

_WHERE = {"VideoModel": "video", "video_model": "video", "Normalize": "normalize"}
__all__ = list(_WHERE)


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(import_module(f"das.models.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
