"""A study in a few small files that DVC shows and compares: scores, losses, how decided alpha is. Means over seeds."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from das.analysis import results
from das.files import publish
from das.study import products
from das.study.schema import Study


def write_summary(study: Study, folder: Path) -> None:
    """Write into ``folder`` and take away what an earlier summary left there.

    ``metrics/DATASET/BACKBONE/METHOD.json`` holds the task's score after the last epoch in [0, 1], its lowest and
    highest over seeds, and how many seeds were made; ``score.csv`` the same as one table. ``losses/….csv`` holds the
    training and test loss by epoch, ``alpha/….csv`` the entropy of softmax(alpha) by epoch of a search, as a share of
    the largest (1: undecided). What was not run, or cannot stand, is not there.
    """
    contents = _scores(study) | _losses(study) | _alpha(study)
    for name in products.files_of("summary", folder):
        if name not in contents:
            (folder / name).unlink()
    for name, content in contents.items():
        publish(folder / name, content)


def _scores(study: Study) -> dict[str, str]:
    found, rows = {}, []
    numbers = results.numbers(study)
    for names, group in numbers[numbers.made].groupby(["dataset", "backbone", "method"], sort=False):
        scores = group.accuracy.astype(float)
        score = {"score": scores.mean(), "lowest": scores.min(), "highest": scores.max(), "seeds": len(scores)}
        place = "/".join(map(str, names))
        found[f"metrics/{place}.json"] = json.dumps(score, indent=1) + "\n"
        rows.append({"method": place, **score})
    return found | {
        "score.csv": pd.DataFrame(rows, columns=["method", "score", "lowest", "highest", "seeds"]).to_csv(index=False)
    }


def _losses(study: Study) -> dict[str, str]:
    """Of a training that is tested every few epochs, only the epochs with a test."""
    seeds = defaultdict(list)
    for training in results.trainings(study):
        place = f"losses/{training['dataset']}.{training['backbone']}.{training['method']}.csv"
        curves = training["curves"]
        tested = [epoch - 1 for epoch in curves["test_epoch"]]
        seeds[place].append(pd.DataFrame({
            "epoch": curves["test_epoch"],
            "train_loss": np.asarray(curves["train_loss"])[tested],
            "test_loss": curves["test_loss"],
        }))  # fmt: skip
    return {place: _mean(frames) for place, frames in seeds.items()}


def _alpha(study: Study) -> dict[str, str]:
    seeds = defaultdict(list)
    for search in results.searches(study):
        place = f"alpha/{search['dataset']}.{search['backbone']}.{search['policy']}.csv"
        entropy = search["history"]["entropy"]
        seeds[place].append(pd.DataFrame({"epoch": range(len(entropy)), "entropy": entropy}))
    return {place: _mean(frames) for place, frames in seeds.items()}


def _mean(seeds: list[pd.DataFrame]) -> str:
    """The mean by epoch, as CSV with every digit."""
    return pd.concat(seeds).groupby("epoch").mean().to_csv()
