"""What a policy does, in words that a person reads; `Policy.describe` has the formula."""

import re

from das.analysis.paths import paths
from das.errors import DasError
from das.video.operations import Operation, Range, operation_named
from das.video.policy import Choice, Policy
from das.video.schedule import strengths

NAMED = 4  # parts that are named, the largest first
NAMES = {
    "translate_x": "horizontal shift",
    "translate_y": "vertical shift",
    "rotate": "rotation",
    "shear_x": "horizontal shear",
    "shear_y": "vertical shear",
}
UNTOUCHED = "untouched"
TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"


def named(text: str) -> str:
    """``text`` with operations called as people call them."""
    return re.sub("|".join(NAMES), lambda match: NAMES[match[0]], text)


def in_words(policy: Policy, most: int = NAMED) -> str:
    """One line, as ``rotation 8° a frame, signed`` or ``50 % untouched + 50 % zoom ×0.85 a frame, mirrored``."""
    parts = _parts(policy)
    if parts is None:
        return f"a mixture of thousands of parts, {policy.schedule}"
    if list(parts) == [()]:
        return f"{policy.frames} identical frames"
    summed = "" if policy.node_reduce == "mean" else ", summed"
    return f"{' + '.join(_listed(parts, 1, most))} a frame, {policy.schedule}{summed}"


def frame_words(policy: Policy, most: int = 3) -> list[str]:
    """What each frame shows, a line for each part, the largest first."""
    parts = _parts(policy)
    if parts is None:
        return [UNTOUCHED if step == 0 else f"strength {step}" for step in strengths(policy.schedule, policy.frames)]
    return [
        UNTOUCHED if step == 0 or list(parts) == [()] else "\n".join(_listed(parts, step, most))
        for step in strengths(policy.schedule, policy.frames)
    ]


def _parts(policy: Policy) -> dict[tuple[Choice, ...], float] | None:
    """{what moves the image, one after the other: share}, the largest first; None where they are thousands."""

    def longer(path: tuple[Choice, ...], choice: Choice) -> tuple[Choice, ...]:
        return path if choice.operation == "identity" else (*path, Choice(choice.operation, choice.magnitudes))

    try:
        found = paths(policy, (), longer)
    except DasError:
        return None
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _listed(parts: dict[tuple[Choice, ...], float], step: int, most: int) -> list[str]:
    shown = list(parts.items())
    shown = shown if len(shown) <= most else shown[: most - 1]
    lines = []
    for path, share in shown:
        text = ", ".join(_moved(choice, step) for choice in path) or UNTOUCHED
        lines.append(text if share > 1 - 1e-9 else f"{100 * share:.3g} % {text}")
    if len(shown) < len(parts):
        lines.append(f"{len(parts) - len(shown)} more parts")
    return lines


def _moved(choice: Choice, step: int) -> str:
    """An operation with what it amounts to at a strength of ``step`` steps."""
    operation = operation_named(choice.operation)
    if ":" in choice.operation:  # of one's own: only it knows what steps mean
        values = " ".join(f"{magnitude:g}" for magnitude in choice.magnitudes)
        return f"{choice.operation.rpartition(':')[2]} {values}".strip() + ("" if step == 1 else f", {step} steps")
    names = choice.operation.split("+") if len(choice.magnitudes) > 1 else [choice.operation]
    amounts = zip(names, choice.magnitudes, operation.ranges, strict=True) if operation.ranges else ()
    moved = [f"{_name(name)} {_amount(operation, values, m, step)}" for name, m, values in amounts]
    return " and ".join(moved) or _name(choice.operation)


def _name(operation: str) -> str:
    return NAMES.get(operation, operation.replace("_", " "))


def _amount(operation: Operation, values: Range, magnitude: float, step: int) -> str:
    """Factors are raised to the step, affine magnitudes multiplied by it, photometric ones by its size."""
    if values.unit == "times":
        return f"{TIMES}{magnitude**step:.3g}"
    amount = magnitude * (step if operation.inverse else abs(step))
    if values.unit == "degrees":
        return f"{amount:.3g}°".replace("-", MINUS)
    if values.unit == "bits":
        return f"{amount:.2g} bits"
    return f"{100 * amount:.2g} %".replace("-", MINUS)
