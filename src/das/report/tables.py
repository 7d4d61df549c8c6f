"""The page's tables: those that the workflow wrote, every run, and accuracy by class."""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from das.analysis.results import standing
from das.analysis.statistics import estimate
from das.errors import DasError
from das.files import read_json
from das.report import captions, leads
from das.seals import read_sealed
from das.study.results import card_path
from das.study.runs import RESULTS, of_study
from das.study.schema import Study
from das.study.sources import Look

FOLDER = RESULTS / "report"
TITLES = {
    "accuracy": "Accuracy of methods",
    "segmentation": "mIoU of methods",
    "class_iou": "IoU by class",
    "search": "Searches",
    "search_cost": "Cost of searches",
    "cost": "Cost of methods",
    "published": "Published numbers beside ours",
    "planted": "Planted nuisances",
}
#: A cell that is aligned as a number: with what may follow it, as an interval, a unit, or what it is one of.
NUMBER = re.compile(r"<? ?[+-]?[\d,]*\.?\d+(e[+-]?\d+)?( ?[x%]| ± .*| \(.*\)| of \d+| to [\d.]+)?", re.IGNORECASE)

LONG = 60  # characters
PERCENT = "{:.2f}"  # of a share
MEASURED = {
    "Last epoch, %": ("accuracy", PERCENT),
    "Best epoch, %": ("best_accuracy", PERCENT),
    "Epochs": ("epochs", "{:.0f}"),
    "Search, s": ("search_s", "{:.1f}"),
    "Training, s": ("train_s", "{:.1f}"),
    "Test, s": ("test_s", "{:.3g}"),
}


@dataclass(frozen=True)
class Table:
    """What is shown in rows: ``about`` what all rows have in common, ``links`` a file for each row, ``leads`` where a
    cell leads to, by row and column, ``ids`` the rows' own, which cells of other tables lead to."""

    name: str
    title: str
    caption: str
    columns: list[str]
    rows: list[list[str]]
    about: str = ""
    source: Path | None = None
    links: list[str] | None = None
    leads: Mapping[tuple[int, str], str] = field(default_factory=dict)
    ids: list[str] | None = None

    @property
    def looks(self) -> list[str]:
        """How each column is set: `n`, aligned as numbers, where most cells are; `long`, of text that needs room."""
        columns = [[row[at] for row in self.rows if row[at]] for at in range(len(self.columns))]
        return [
            "n" if column and sum(bool(NUMBER.fullmatch(cell)) for cell in column) > len(column) / 2
            else "long" if max(map(len, column), default=0) > LONG else ""
            for column in columns
        ]  # fmt: skip


def link(path: Path) -> str:
    """``path`` as the page's links name it."""
    return Path(os.path.relpath(path, FOLDER)).as_posix()


def written(study: Study) -> Iterator[Table]:
    """The study's tables that are there, those of known titles first."""
    folder = RESULTS / "tables" / study.name
    names = sorted(path.stem for path in folder.glob("*.csv"))
    for name in sorted(names, key=lambda name: list(TITLES).index(name) if name in TITLES else len(TITLES)):
        source = folder / f"{name}.csv"
        about, columns, rows, exact = _read(source)
        if rows:
            title = TITLES.get(name, name.replace("_", " ").capitalize())
            caption, to = captions.text("table", name), _leads(study, name, exact) if len(exact) == len(rows) else {}
            yield Table(name, title, caption, columns, rows, about, source, leads=to)


def _read(source: Path) -> tuple[str, list[str], list[list[str]], list[dict[str, str]]]:
    """What a table says to people: heading, columns, rows; of one without Markdown, its CSV. Last the CSV's rows."""
    readable = source.with_suffix(".md")
    try:
        with source.open(newline="") as file:
            columns, *rows = list(csv.reader(file)) or [[]]
        exact = [dict(zip(columns, row, strict=True)) for row in rows]
        return *(markdown(readable.read_text()) if readable.exists() else ("", columns, rows)), exact
    except (OSError, ValueError) as error:
        raise DasError(f"{source}: cannot be read as a table ({error}); make it again with `das tables`") from None


def _leads(study: Study, name: str, exact: list[dict[str, str]]) -> dict[tuple[int, str], str]:
    runs = {cell: f"#{run.place}" for cell, run in leads.to_runs(study, name, exact).items()}
    return runs | {cell: link(path) for cell, path in leads.to_files(study, name, exact).items()}


def markdown(text: str) -> tuple[str, list[str], list[list[str]]]:
    """Heading, columns and rows of a Markdown table as tabulate writes it, padded to equal widths."""
    heading, _, table = text.partition("|")
    head, rule, *body = f"|{table}".splitlines()
    bars = [at for at, character in enumerate(rule) if character == "|"]
    lines = [_cells(line, bars) for line in (head, *body) if line.startswith("|")]
    return heading.strip(), lines[0], lines[1:]


def _cells(line: str, bars: list[int]) -> list[str]:
    """A line's cells; where a cell holds a bar of its own, by the places of the rule's."""
    cells = line.strip().removeprefix("|").removesuffix("|").split("|")
    if len(cells) != len(bars) - 1:
        cells = [line[start + 1 : end] for start, end in pairwise(bars)]
    return [cell.strip() for cell in cells]


def runs(study: Study, numbers: pd.DataFrame) -> Table:
    """Every run of the grid (`das.analysis.results.numbers`), with its number's file where it was made."""
    grid = study.study
    titles = {name: data.title for name, data in study.datasets.items()}
    networks = {name: backbone.title for name, backbone in study.backbones.items()}
    places = {"Data set": titles} if len(grid.datasets) > 1 else {}
    places |= {"Backbone": networks} if len(grid.backbones) > 1 else {}
    rows, links, ids = [], [], []
    for run, row in zip(of_study(study), numbers.to_dict("records"), strict=True):
        place = {"Data set": run.dataset, "Backbone": run.backbone}
        measured = [_shown(row[key], how) for key, how in MEASURED.values()]
        named = [*(named[place[column]] for column, named in places.items()), study.methods[run.method].title]
        rows.append([*named, str(run.seed), _state(row), *measured])
        links.append(link(run.number) if row["made"] else "")
        ids.append(run.place)
    columns = [*places, "Method", "Seed", "State", *MEASURED]
    return Table("runs", "Every run", captions.text("table", "runs"), columns, rows, links=links, ids=ids)


def _state(row: Mapping[Any, Any]) -> str:
    if row["fault"]:
        return f"not used: {row['fault']}"
    return ("recorded" if row["recorded"] else "made") if row["made"] else "not run"


def _shown(value: float | None, how: str) -> str:
    return "" if value is None or value != value else how.format(100 * value if how == PERCENT else value)


def class_accuracy(study: Study) -> Iterator[Table]:
    """Accuracy by class, a table for each data set whose numbers hold it: a row a class, a column a method."""
    with Look(RESULTS / study.name) as look:
        made = [run for run in of_study(study) if standing(run, look)[0]]
    for dataset in study.study.datasets:
        found: dict[tuple[str, str], list[list[float]]] = {}
        for run in made:
            by_class = read_json(run.number)["last"].get("class_accuracy") if run.dataset == dataset else None
            if by_class:
                found.setdefault((run.backbone, run.method), []).append(by_class)
        if not found:
            continue
        several = len(study.study.backbones) > 1
        columns = [
            study.methods[method].title + (f" ({study.backbones[backbone].title})" if several else "")
            for backbone, method in found
        ]
        count = len(next(iter(found.values()))[0])
        rows = [
            [name, *(_mean([seed[index] for seed in seeds]) for seeds in found.values())]
            for index, name in enumerate(_classes(study, dataset, count))
        ]
        title = f"Accuracy by class: {study.datasets[dataset].title}"
        yield Table("class_accuracy", title, captions.text("table", "class_accuracy"), ["Class", *columns], rows)


def _mean(values: list[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    return f"{estimate(known).mean:.1f}" if known else "-"


def _classes(study: Study, dataset: str, count: int) -> list[str]:
    """Names of the data set's classes, from its card; numbers where there is none."""
    try:
        names = read_sealed(card_path(study, dataset, study.study.seeds[0]))["classes"]
    except (DasError, KeyError):
        names = []
    return list(map(str, names)) if len(names) == count else [f"class {index}" for index in range(count)]
