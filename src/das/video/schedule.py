"""How strongly each frame is transformed: a whole number of steps per frame, zero at frame T//2."""

from das.errors import DasError

SCHEDULES = ("mirrored", "signed")


def strengths(schedule: str, frames: int) -> tuple[int, ...]:
    """Return the strength of each of ``frames`` frames, in steps.

    ``mirrored`` is |t - T//2| (casarinsof/TRAS: 4, 3, 2, 1, 0, 1, 2, 3 for T = 8) and ``signed`` is t - T//2.
    Frame T//2 has strength 0 in both: it is the untouched image.

    Raises:
        DasError: for an unknown schedule, or a number of frames that is not a whole number of at least 1.
    """
    if schedule not in SCHEDULES:
        raise DasError(f"schedule: {schedule!r} is unknown; choose one of {', '.join(SCHEDULES)}")
    if type(frames) is not int or frames < 1:
        raise DasError(f"frames: {frames!r} is not a whole number of at least 1")
    steps = (t - frames // 2 for t in range(frames))
    return tuple(abs(step) for step in steps) if schedule == "mirrored" else tuple(steps)
