"""The study as one page of HTML: question, answer, tables, figures, policies in motion, settings, versions, time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml
from torch import Tensor

from das.analysis import results
from das.files import publish
from das.report import answer, checklist, figures, made, tables
from das.report.figures import Drawing
from das.report.films import Film, films
from das.report.tables import Table
from das.study import products
from das.study.results import everything
from das.study.schema import Study

HERE = Path(__file__).parent
#: Which part of the page a table, or a figure whose name begins so, belongs into; any other into the first.
PARTS = {
    "results": ("Methods", ()),
    "searches": ("Searches and policies", ("search", "alpha", "tournaments", "film_strip", "planted")),
    "classes": ("By class", ("class", "predictions")),
    "costs": ("Cost", ("cost", "compute", "search_cost")),
    "runs": ("Every run", ("runs",)),
    "made": ("Versions and time", ("time", "versions")),
    "checklist": ("Reproducibility checklist", ("checklist",)),
}


@dataclass
class Part:
    """A part of the page."""

    id: str
    heading: str
    tables: list[Table] = field(default_factory=list)
    figures: list[Drawing] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)

    @property
    def strips(self) -> list[Drawing]:
        """The figures that show what films show, standing still."""
        return [drawing for drawing in self.figures if drawing.name.startswith("film_strip")]


def page_path(study: Study) -> Path:
    return tables.FOLDER / f"{study.name}.html"


def write_page(study: Study, pictures: Mapping[str, Tensor]) -> Path:
    """Write the study's page and return its path.

    Args:
        pictures: for each data set a few images (N, C, H, W) in [0, 1] to show policies on; for those that are not
            here none.
    """
    path = page_path(study)
    publish(path, render(study, pictures))
    return path


def render(study: Study, pictures: Mapping[str, Tensor]) -> str:
    """The page's HTML (`write_page`). It names nothing that a browser would have to fetch."""
    records = made.records(everything(study))
    rows = answer.table(study)
    grid = study.study
    parts = _parts(study, records, pictures)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        study=study,
        title=grid.title or study.name,
        question=answer.question(study),
        asked=_asked(study),
        span=made.span(records),
        notes=[f"The {kind} are of other results than those that are there now; `das {kind}` makes them again."
               for kind in sorted({path.parent.parent.name for path in products.stale(study)})],
        parts=[("answer", "Answer"), *((part.id, part.heading) for part in parts), ("settings", "Settings")],
        answers=[] if rows is None else list(answer.answers(study, rows)),
        sections=parts,
        settings={
            name: yaml.safe_dump(section, sort_keys=False, allow_unicode=True)
            for name, section in study.model_dump(mode="json").items()
        },
        link=tables.link,
        css=(HERE / "page.css").read_text(),
        script=(HERE / "page.js").read_text(),
    )  # fmt: skip


def _parts(study: Study, records: list, pictures: Mapping[str, Tensor]) -> list[Part]:
    """The parts that have something to show."""
    parts = {id: Part(id, heading) for id, (heading, _) in PARTS.items()}
    shown = [*tables.written(study), *tables.class_accuracy(study), tables.runs(study, results.numbers(study))]
    if records:
        shown += [made.time(records), made.versions(records)]
    shown.append(checklist.table(study))
    for table in shown:
        parts[_part(table.name)].tables.append(table)
    for drawing in figures.drawn(study):
        parts[_part(drawing.name)].figures.append(drawing)
    parts["searches"].films = list(films(study, pictures))
    return [part for part in parts.values() if part.tables or part.figures or part.films]


def _part(name: str) -> str:
    """The part with the longest beginning of ``name``."""
    fits = [(len(begins), id) for id, (_, names) in PARTS.items() for begins in names if name.startswith(begins)]
    return max(fits)[1] if fits else "results"


def _asked(study: Study) -> dict[str, list[Any]]:
    grid = study.study
    return {
        "Data sets": [study.datasets[name].title for name in grid.datasets],
        "Networks": [study.backbones[name].title for name in grid.backbones],
        "Methods": [study.methods[name].title + " (reference)" * (name == grid.reference) for name in grid.methods],
        "Seeds": [", ".join(map(str, grid.seeds))],
    }
