"""The operations, search spaces and schedules that studies and policies name."""

from das.study.registry import Entry
from das.video.spaces import COLORS, COMPOUNDS, MOVES, SHEARS


def _operation(name: str) -> Entry:
    return Entry("operation", name, f"das.video.operations:{name}")


def _space(name: str, meaning: str) -> Entry:
    return Entry("space", name, f"das.video.spaces:{name.upper()}", meaning)


COMPONENTS = [
    *map(_operation, ("identity", *MOVES, *SHEARS, *COMPOUNDS, *COLORS)),
    _space("affine5", "identity, translations, zoom, rotation (casarinsof/TRAS)"),
    _space("affine7", "affine5 and both shears"),
    _space("compound", "translations, zoom, rotation, and two or three of them at once"),
    _space("full", "affine7 and nine photometric operations"),
    Entry("schedule", "mirrored", "das.video.schedule:mirrored", "|t - T//2| steps (casarinsof/TRAS)"),
    Entry("schedule", "signed", "das.video.schedule:signed", "t - T//2 steps"),
]
