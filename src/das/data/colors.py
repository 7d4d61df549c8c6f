"""Colors of classes, in which label maps are written and drawn: red, green and blue, 0 to 255."""

Color = tuple[int, int, int]


def voc(count: int) -> tuple[Color, ...]:
    """The first ``count`` colors of Pascal VOC (its development kit, VOClabelcolormap), up to 256: the bits of a
    label, three at a time from the lowest, are the highest bits of red, green and blue."""
    return tuple(
        tuple(sum((label >> 3 * bit + channel & 1) << 7 - bit for bit in range(8)) for channel in range(3))
        for label in range(count)
    )  # type: ignore[misc]


def distinct(count: int) -> tuple[Color, ...]:
    """Colors for classes that have none of their own: VOC's without the black that it gives to the background."""
    return voc(count + 1)[1:]
