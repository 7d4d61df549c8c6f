"""Where cells of the page's tables lead: a method's to its runs further down on the page, a search's to its files.

Rows are known by titles, as tables have them; a row whose titles mean several leads nowhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from das.study.runs import Run, of_study, searches_of
from das.study.schema import Study

#: {table of methods: the column whose cells lead to the runs that they tell of}
METHODS = {"accuracy": "Seeds", "segmentation": "Seeds", "published": "Ours, %"}
#: {column of the table of searches: the file of the search that its cells lead to}
SEARCHES = {"Policy": "policy", "Device seconds": "record", "Alpha entropy (1: undecided)": "history"}

Row = Mapping[str, str]


def to_runs(study: Study, table: str, rows: Sequence[Row]) -> dict[tuple[int, str], Run]:
    """{(row, column): the first of the runs that the cell tells of} of a table of methods, whose CSV has ``rows``;
    nothing of any other table."""
    if table not in METHODS:
        return {}
    first = (run for run in of_study(study) if run.seed == study.study.seeds[0])
    known = (((*_place(study, run), study.methods[run.method].title), run) for run in first)
    return {(at, METHODS[table]): run for at, run in _found(known, rows, "method")}


def to_files(study: Study, table: str, rows: Sequence[Row]) -> dict[tuple[int, str], Path]:
    """{(row, column): the file that the cell leads to, if it exists} of the table of searches, whose CSV has ``rows``;
    nothing of any other table."""
    if table != "search":
        return {}
    known = (((*_place(study, run), run.policy, str(run.seed)), run) for run in searches_of(study))
    return {
        (at, column): path
        for at, run in _found(known, rows, "policy", "seed")
        for column, role in SEARCHES.items()
        if (path := {"record": run.record, **run.files}[role]).exists()
    }


def _place(study: Study, run: Run) -> tuple[str, ...]:
    return study.datasets[run.dataset].title, study.backbones[run.backbone].title


def _found(known: Iterable[tuple[tuple[str, ...], Run]], rows: Sequence[Row], *names: str) -> Iterator[tuple[int, Run]]:
    """Each row that is of one run, by its place and ``names``, with the run."""
    runs = defaultdict(list)
    for key, run in known:
        runs[key].append(run)
    for at, row in enumerate(rows):
        match runs.get(tuple(row.get(name, "") for name in ("dataset", "backbone", *names))):
            case [run]:
                yield at, run
