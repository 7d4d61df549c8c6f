"""Published numbers, as the files of data/published hold them, and which of them are of a study's methods.

`published_numbers.csv` holds what others published; `das_paper.csv`, of the same columns, is the place for the DAS
paper's own values, to be filled in by readers who have it (`method` is then a method's name in the study).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from das.errors import DasError
from das.study.augmentations import read
from das.study.schema import Method, Study

FOLDER = Path("data/published")
PAPER = "das_paper.csv"
COLUMNS = ["dataset", "backbone", "method", "epochs", "metric", "value", "unit", "source"]
ACCURACY, SEARCH_COST = "top1", "search_cost"


@dataclass(frozen=True)
class Row:
    """One published value in its ``unit``, and where it stands; ``epochs`` is NaN where the source gives none."""

    dataset: str
    backbone: str
    method: str
    epochs: float
    metric: str
    value: float
    unit: str
    source: str
    file: str


def rows(folder: Path = FOLDER) -> list[Row]:
    """All published rows. DasError for a file that is missing or malformed."""
    return [row for name in ("published_numbers.csv", PAPER) for row in _rows(folder / name)]


def _rows(path: Path) -> Iterator[Row]:
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DasError(f"{path}: cannot be read ({error}); it should have the columns {', '.join(COLUMNS)}") from None
    if not lines or lines[0] != COLUMNS:
        there = ", ".join(lines[0]) if lines else "none"
        raise DasError(f"{path}: has the columns {there}; should be {', '.join(COLUMNS)}")
    for number, line in enumerate(filter(None, lines[1:]), 2):
        if len(line) != len(COLUMNS):
            raise DasError(f"{path}: row {number} has {len(line)} values; should be {len(COLUMNS)}")
        cells = dict(zip(COLUMNS, line, strict=True))
        value = _number(cells.pop("value"), f"{path}: value")
        epochs = _number(cells.pop("epochs") or "nan", f"{path}: epochs")
        yield Row(**cells, value=value, epochs=epochs, file=path.name)


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DasError(f"{where} {text!r} is not a number") from None


def known_as(method: Method) -> str | None:
    """What the published tables call a method: `baseline`, or its one augmentation; None for anything else."""
    if len(method.augment) > 1 or method != Method(title=method.title, augment=method.augment):
        return None
    if not method.augment:
        return "baseline"
    entry, options = read(method.augment[0])
    if entry.name == "temporal_resolution_decrement":
        return f"{entry.name}_{round(100 * options.get('fraction', 0.5))}"
    return entry.name


def of_study(study: Study, folder: Path = FOLDER) -> dict[tuple[str, str, str], list[Row]]:
    """{(dataset, backbone, method): the published accuracies (top-1, percent) of that cell of the grid}, where there
    are any."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    published = [row for row in rows(folder) if row.metric == ACCURACY]
    grid = study.study
    for dataset in grid.datasets:
        of_dataset = [row for row in published if row.dataset == study.datasets[dataset].reader]
        for backbone in grid.backbones if of_dataset else ():
            networks = (study.backbones[backbone].network.removesuffix("_cifar"), "")
            for method in grid.methods:
                names = {PAPER: method}
                known = known_as(study.methods[method])
                own = [r for r in of_dataset if r.backbone in networks and r.method == names.get(r.file, known)]
                if own:
                    found[dataset, backbone, method] = own
    return found
