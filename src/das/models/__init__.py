"""2D networks that read videos: backbones, temporal fusion, consensus. The names alone cost no torch import."""

from das.models.names import known_backbones, known_consensus, known_fusions

__all__ = ["VideoModel", "known_backbones", "known_consensus", "known_fusions", "video_model"]


def __getattr__(name: str):
    if name in ("VideoModel", "video_model"):
        from das.models import video

        return getattr(video, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
