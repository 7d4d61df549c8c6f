"""A study in a few small files that DVC shows and compares: scores, losses, how decided alpha is. Means over seeds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from das.analysis import results
from das.files import publish
from das.study import products, registry
from das.study.schema import Study


def write_summary(study: Study, folder: Path) -> None:
    """Write into ``folder`` and take away what an earlier summary left there.

    ``metrics/DATASET/BACKBONE/METHOD.json`` holds the task's score after the last epoch in [0, 1] and how many seeds
    were made; ``scores.csv`` the same as one table, with the lowest and highest. ``losses.csv`` holds the training and
    test loss of each method by epoch, ``alpha.csv`` the entropy of softmax(alpha) by epoch of each search, as a share
    of the largest (1: undecided). What was not run, or cannot stand, is not there.
    """
    contents = _scores(study) | {"losses.csv": _losses(study), "alpha.csv": _alpha(study)}
    for name in products.files_of("summary", folder):
        if name not in contents:
            (folder / name).unlink()
    for name, content in contents.items():
        publish(folder / name, content)


def _scores(study: Study) -> dict[str, str]:
    numbers, metric = results.numbers(study), registry.lookup("task", study.task).facts["metric"]
    found, rows = {}, []
    for names, group in numbers[numbers.made].groupby(["dataset", "backbone", "method"], sort=False):
        scores, place = group.accuracy.astype(float), "/".join(map(str, names))
        mean, seeds = scores.mean(), len(scores)
        found[f"metrics/{place}.json"] = json.dumps({metric: mean, "seeds": seeds}, indent=1) + "\n"
        rows.append([place, mean, scores.min(), scores.max(), seeds])
    columns = ["name", "score", "lowest", "highest", "seeds"]
    return found | {"scores.csv": pd.DataFrame(rows, columns=columns).to_csv(index=False)}


def _losses(study: Study) -> str:
    """Of a training that is tested every few epochs, the epochs with a test."""
    seeds = []
    for training in results.trainings(study):
        curves = training["curves"]
        seeds.append(pd.DataFrame({
            "name": f"{training['dataset']}/{training['backbone']}/{training['method']}",
            "epoch": curves["test_epoch"],
            "train_loss": np.asarray(curves["train_loss"])[np.asarray(curves["test_epoch"]) - 1],
            "test_loss": curves["test_loss"],
        }))  # fmt: skip
    return _mean(seeds, ["train_loss", "test_loss"])


def _alpha(study: Study) -> str:
    seeds = []
    for search in results.searches(study):
        entropy = search["history"]["entropy"]
        name = f"{search['dataset']}/{search['backbone']}/{search['policy']}"
        seeds.append(pd.DataFrame({"name": name, "epoch": range(len(entropy)), "entropy": entropy}))
    return _mean(seeds, ["entropy"])


def _mean(seeds: list[pd.DataFrame], measures: list[str]) -> str:
    """The mean by name and epoch, as CSV with every digit."""
    found = pd.concat(seeds or [pd.DataFrame(columns=["name", "epoch", *measures])])
    return found.groupby(["name", "epoch"], sort=False)[measures].mean().to_csv()
