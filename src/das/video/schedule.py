"""How strongly each frame is transformed: a whole number of steps per frame, zero at frame T//2."""

from das.errors import DasError
from das.study import registry


def mirrored(frame: int, middle: int) -> int:
    """|t - T//2| (casarinsof/TRAS: 4, 3, 2, 1, 0, 1, 2, 3 for T = 8)."""
    return abs(frame - middle)


def signed(frame: int, middle: int) -> int:
    """t - T//2."""
    return frame - middle


def strengths(schedule: str, frames: int) -> tuple[int, ...]:
    """Return the strength of each of ``frames`` frames, in steps; frame T//2 has strength 0: it is the untouched image.

    Raises:
        DasError: for an unknown schedule, one of your own that gives something else, or a number of frames that is not
            a whole number of at least 1.
    """
    try:
        strength = registry.lookup("schedule", schedule).load()
    except DasError as problem:
        raise DasError(f"schedule: {problem}") from None
    if type(frames) is not int or frames < 1:
        raise DasError(f"frames: {frames!r} is not a whole number of at least 1")
    found = tuple(strength(frame, frames // 2) for frame in range(frames))
    if any(type(step) is not int for step in found) or found[frames // 2] != 0:
        raise DasError(f"schedule: {schedule!r} gives {found}; should be whole numbers, 0 at frame {frames // 2}")
    return found
