"""Published numbers beside ours, each with its source and with what differs between the protocols.

`data/published/published_numbers.csv` holds what others published; `das_paper.csv`, of the same columns, is the place
for the DAS paper's own values, to be filled in by readers who have it (`method` is then a method's name in the study).
"""

from pathlib import Path

import pandas as pd

from das.analysis import results
from das.analysis.statistics import estimate
from das.errors import DasError
from das.study.augmentations import read
from das.study.runs import of_method
from das.study.schema import Method, Study

FOLDER = Path("data/published")
PAPER = "das_paper.csv"
COLUMNS = ["dataset", "backbone", "method", "epochs", "metric", "value", "unit", "source"]
ACCURACY, SEARCH_COST = "top1", "search_cost"


def read_published(folder: Path = FOLDER) -> pd.DataFrame:
    """All published rows; epochs and values are numbers. DasError for a file that is missing or malformed."""
    tables = []
    for name in ("published_numbers.csv", PAPER):
        path = folder / name
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise DasError(
                f"{path}: cannot be read ({error}); it should have the columns {', '.join(COLUMNS)}"
            ) from None
        if list(table.columns) != COLUMNS:
            raise DasError(f"{path}: has the columns {', '.join(table.columns)}; should be {', '.join(COLUMNS)}")
        numbers = pd.to_numeric(table.value, errors="coerce")
        if numbers.isna().any():
            raise DasError(f"{path}: value {table.value[numbers.isna()].iloc[0]!r} is not a number")
        tables.append(table.assign(value=numbers, epochs=pd.to_numeric(table.epochs, errors="coerce"), file=name))
    return pd.concat(tables, ignore_index=True)


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


def published_table(study: Study, folder: Path = FOLDER) -> pd.DataFrame:
    """One row per published accuracy (top-1, percent) of a data set, backbone and method of the grid, ours beside it.

    Columns: dataset, backbone, method (titles); seeds, accuracy, accuracy_ci95 (ours, NaN where not run), epochs;
    published, published_epochs; difference (ours - published); protocol (what differs), source.
    """
    columns = ["dataset", "backbone", "method", "seeds", "accuracy", "accuracy_ci95", "epochs", "published",
               "published_epochs", "difference", "protocol", "source"]  # fmt: skip
    everything, published = results.numbers(study), read_published(folder)
    published = published[published.metric == ACCURACY]
    rows = []
    for (dataset, backbone, method), group in everything.groupby(["dataset", "backbone", "method"], sort=False):
        network = study.backbones[backbone].network.removesuffix("_cifar")
        names = ((published.file != PAPER) & (published.method == known_as(study.methods[method]))) | (
            (published.file == PAPER) & (published.method == method)
        )
        found = published[
            names & (published.dataset == study.datasets[dataset].reader) & published.backbone.isin([network, ""])
        ]
        ours = estimate(100 * group[group.made].accuracy.astype(float))
        epochs = of_method(study, dataset, backbone, method, study.study.seeds[0]).epochs
        for theirs in found.itertuples():
            rows.append({
                "dataset": study.datasets[dataset].title,
                "backbone": study.backbones[backbone].title,
                "method": study.methods[method].title,
                "seeds": ours.count,
                "accuracy": ours.mean,
                "accuracy_ci95": ours.half_width,
                "epochs": epochs,
                "published": theirs.value,
                "published_epochs": theirs.epochs,
                "difference": ours.mean - theirs.value,
                "protocol": _differences(study, dataset, epochs, theirs),
                "source": theirs.source,
            })  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _differences(study: Study, dataset: str, epochs: int, theirs) -> str:
    """What is known to differ between our protocol and that of a published row."""
    ours = study.datasets[dataset]
    return "; ".join(
        text
        for text, holds in (
            (f"{theirs.epochs:.0f} epochs, ours {epochs}", theirs.epochs == theirs.epochs and theirs.epochs != epochs),
            ("epochs not given", theirs.epochs != theirs.epochs),
            ("median of the last epochs, ours the last", "median" in theirs.source),
            ("backbone not named", not theirs.backbone),
            ("ours on part of the training set", ours.options.get("train_per_class") is not None),
        )
        if holds
    )
