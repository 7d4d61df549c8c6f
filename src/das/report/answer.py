"""What a study found, in words: from the rows of its first table, with nothing computed again."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from das.analysis.statistics import LEVEL
from das.study import registry
from das.study.runs import RESULTS
from das.study.schema import Study


@dataclass(frozen=True)
class Answer:
    """For one data set and backbone (``place``): a ``headline``, and sentences that say how sure it is and at what
    cost."""

    place: str
    headline: str
    sentences: list[str]


def question(study: Study) -> str:
    """The study's own question, or what its grid asks."""
    grid = study.study
    if grid.question:
        return grid.question
    reference = study.methods[grid.reference].title
    others = [name for name in grid.methods if name != grid.reference]
    if not others:
        return f"How well does “{reference}” do?"
    if len(others) == 1:
        return f"Does “{study.methods[others[0]].title}” do better than “{reference}”?"
    return f"Which of {len(grid.methods)} methods does best, and does any do better than “{reference}”?"


def table(study: Study) -> pd.DataFrame | None:
    """The study's first table, with every digit and the score in columns called `accuracy`; None where it was not
    made."""
    path = RESULTS / "tables" / study.name / f"{registry.lookup('task', study.task).facts['tables'][0]}.csv"
    if not path.exists():
        return None
    return pd.read_csv(path).rename(columns=lambda column: column.replace("miou", "accuracy"))


def answers(study: Study, rows: pd.DataFrame) -> Iterator[Answer]:
    """An answer for each data set and backbone of ``rows`` (`table`)."""
    score = registry.lookup("task", study.task).facts["score"]
    for (dataset, backbone), group in rows.groupby(["dataset", "backbone"], sort=False):
        yield _answer(f"{dataset}, {backbone}", list(group.itertuples()), study.study.reference, score)


def _answer(place: str, rows: list, reference: str, score: str) -> Answer:
    made = [row for row in rows if row.seeds]
    unmade = list(_not_made(rows))
    if not made:
        planned = f"{_count(len(rows), 'method')} with {_count(rows[0].seeds_planned, 'seed')} each are planned."
        return Answer(place, "Nothing of this was run yet.", [planned, *unmade])
    best = max(made, key=lambda row: row.accuracy)
    against = next((row for row in made if row.name == reference), None)
    others = [row for row in made if row.name != reference]
    highest = f"{_named(best)} has the highest mean test {score}, {_scored(best)}"
    if against is None:
        headline = f"{highest}. The reference was not run, so no difference is known."
        return Answer(place, headline, [_cost(best), *unmade])
    if not others:
        headline = f"Only the reference, {_named(against)}, was run: {_scored(against)}."
        return Answer(place, headline, ["There is nothing to compare it with.", _cost(against), *unmade])
    if best is against:
        best = max(others, key=lambda row: row.accuracy)
        next_is = "The next is" if len(others) > 1 else "The other is"
        headline = (
            f"No method has a higher mean test {score} than the reference, {_named(against)}: {_scored(against)}. "
            f"{next_is} {_named(best)}, {_difference(best)}."
        )
    else:
        verdict = "The difference is decided" if is_decided(best) else "The difference is not decided"
        headline = f"{highest}: {_difference(best)} against the reference, {_named(against)}. {verdict}."
    sentences = [*_how_sure(best, len(others)), *_noise(best), *_all(others), _cost(best, against), *unmade]
    return Answer(place, headline, sentences)


def _named(row) -> str:
    return f"“{row.method}”"


def _scored(row) -> str:
    if row.accuracy_ci95 == row.accuracy_ci95:
        return f"{row.accuracy:.2f} ± {row.accuracy_ci95:.2f} % ({_count(row.seeds, 'seed')})"
    return f"{row.accuracy:.2f} % (one seed)"


def _count(number: float, what: str) -> str:
    return f"{number:.0f} {what}{'' if number == 1 else 's'}"


def _difference(row) -> str:
    if row.difference != row.difference:
        return "with no seed in common"
    return f"{row.difference:+.2f} percentage points"


def is_decided(row) -> bool:
    """Whether the row's difference to the reference is more than chance, after correction for all comparisons."""
    return bool(row.p_holm == row.p_holm and row.p_holm < LEVEL)


def _how_sure(row, compared: int) -> Iterator[str]:
    if row.difference != row.difference:
        yield "They have no seed in common: nothing tells how sure the difference is."
        return
    if row.difference_ci95 != row.difference_ci95:
        yield "One pair of runs has no interval and no test: it takes a second seed to tell a difference from chance."
        return
    low, high = row.difference - row.difference_ci95, row.difference + row.difference_ci95
    interval = f"The 95 % interval of the difference, paired by seed, is {low:+.2f} to {high:+.2f}"
    if row.p_holm != row.p_holm:
        yield f"{interval}; all pairs differ by the same, too few to test."
        return
    p = "p < 0.001" if row.p_holm < 0.001 else f"p = {row.p_holm:.3f}"
    yield f"{interval}; {p}, corrected for the number of comparisons (Holm)."
    if compared > 1 and row.difference > 0:
        yield f"It is the best of {compared}, picked after looking, which flatters it."


def _noise(row) -> Iterator[str]:
    if row.noise == row.noise and row.difference == row.difference:
        side = "more" if abs(row.difference) > row.noise else "no more"
        yield (
            f"Seeds alone make differences of up to {row.noise:.2f} points in 95 of 100 cases; this one is {side} "
            "than that."
        )


def _all(others: list) -> Iterator[str]:
    """Which differences are decided, of several."""
    better = [_named(row) for row in others if is_decided(row) and row.difference > 0]
    worse = [_named(row) for row in others if is_decided(row) and row.difference < 0]
    if len(others) > 1 and not better + worse:
        yield f"Of {len(others)} methods none differs decidedly from the reference."
    elif len(others) > 1:
        parts = [f"{side}: {', '.join(names)}" for side, names in (("better", better), ("worse", worse)) if names]
        yield f"Of {len(others)} methods, decidedly {'; '.join(parts)}."


def _cost(row, reference=None) -> str:
    costs = ((row.search_s, "search"), (row.train_s, "training"), (row.test_s, "a test"))
    seconds = [f"{value:,.3g} s of {what}" for value, what in costs if value > 0]
    if not seconds:
        return f"No cost of {_named(row)} is recorded."
    cost = f"A run of {_named(row)} took {_listed(seconds)} on the device"
    if reference is None:
        return f"{cost}."
    pairs = (
        (row.search_s + row.train_s, reference.search_s + reference.train_s, "seconds of search and training"),
        (row.train_frames, 1.0, "training frames"),
        (row.test_s, reference.test_s, "seconds of a test"),
    )
    times = [f"{ours / theirs:.2g} times the {what}" for ours, theirs, what in pairs if ours >= 0 and theirs > 0]
    return f"{cost}: {_listed(times)} of the reference." if times else f"{cost}."


def _listed(parts: list[str]) -> str:
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def _not_made(rows: list) -> Iterator[str]:
    missing = [row for row in rows if not row.seeds]
    part = [row for row in rows if 0 < row.seeds < row.seeds_planned]
    if 0 < len(missing) < len(rows):
        yield f"Not run: {', '.join(map(_named, missing))}."
    if part:
        yield f"Run in part: {', '.join(f'{_named(row)} ({row.seeds} of {row.seeds_planned} seeds)' for row in part)}."
    if refused := sum(row.refused for row in rows):
        yield f"{_count(refused, 'result')} cannot stand and {'is' if refused == 1 else 'are'} not used: see remarks."
