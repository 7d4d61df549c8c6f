"""Published numbers beside ours, each with its source and with what differs between the protocols."""

import math
from pathlib import Path

import pandas as pd

from das.analysis import results
from das.analysis.statistics import estimate
from das.study.published import FOLDER, Row, of_study
from das.study.runs import of_method
from das.study.schema import Study

#: What the sources' short names stand for, where a table quotes a row that is of no method of the study.
NAMES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet": "ImageNet",
    "autoaugment": "AutoAugment",
    "fast_autoaugment": "Fast AutoAugment",
    "dada": "DADA",
}


def published_table(study: Study, folder: Path = FOLDER) -> pd.DataFrame:
    """One row per published accuracy (top-1, percent) of a data set, backbone and method of the grid, ours beside it.

    Columns: dataset, backbone, method (titles); seeds, accuracy, accuracy_ci95 (ours, NaN where not run), epochs;
    published, published_epochs; difference (ours - published); protocol (what differs), source.
    """
    columns = ["dataset", "backbone", "method", "seeds", "accuracy", "accuracy_ci95", "epochs", "published",
               "published_epochs", "difference", "protocol", "source"]  # fmt: skip
    everything = results.numbers(study).groupby(["dataset", "backbone", "method"], sort=False)
    rows = []
    for cell, found in of_study(study, folder).items():
        dataset, backbone, method = cell
        group = everything.get_group(cell)
        ours = estimate(100 * group[group.made].accuracy.astype(float))
        epochs = of_method(study, dataset, backbone, method, study.study.seeds[0]).epochs
        for theirs in found:
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


def _differences(study: Study, dataset: str, epochs: int, theirs: Row) -> str:
    """What is known to differ between our protocol and that of a published row."""
    ours, unknown = study.datasets[dataset], math.isnan(theirs.epochs)
    return "; ".join(
        text
        for text, holds in (
            (f"{theirs.epochs:.0f} epochs, ours {epochs}", not unknown and theirs.epochs != epochs),
            ("epochs not given", unknown),
            ("median of the last epochs, ours the last", "median" in theirs.source),
            ("backbone not named", not theirs.backbone),
            ("ours on part of the training set", ours.options.get("train_per_class") is not None),
        )
        if holds
    )
