import pytest

from das.errors import DasError
from das.video.schedule import strengths


@pytest.mark.parametrize(
    ("schedule", "frames", "expected"),
    [
        ("mirrored", 8, (4, 3, 2, 1, 0, 1, 2, 3)),
        ("mirrored", 5, (2, 1, 0, 1, 2)),
        ("signed", 4, (-2, -1, 0, 1)),
        ("signed", 3, (-1, 0, 1)),
        ("mirrored", 1, (0,)),
        ("signed", 1, (0,)),
    ],
)
def test_strengths(schedule, frames, expected):
    assert strengths(schedule, frames) == expected


@pytest.mark.parametrize("frames", [0, -1, 2.0, True, "4"])
def test_wrong_frames_are_refused(frames):
    with pytest.raises(DasError, match=r"frames: .* at least 1"):
        strengths("mirrored", frames)


def test_unknown_schedule_is_refused():
    with pytest.raises(DasError, match=r"schedule: 'ramp' is unknown; should be one of mirrored, signed"):
        strengths("ramp", 4)
