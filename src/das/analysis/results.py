"""The study's results as data frames, read from what the workflow made. What was not run is there, and says so."""

from pathlib import Path

import pandas as pd

from das.config import Number, Study, digest
from das.files import read_json


def numbers(study: Study) -> pd.DataFrame:
    """One row per number of the study's grid, in its order; `made` is False and values are NaN where it was not run.

    Columns: dataset, backbone, method, seed, made, accuracy, best_accuracy, epochs (of training and test curves),
    frames, train_frames, device_s (training and test; NaN without a run record), code (fingerprint of the code that
    made it), current (its settings are those the study has now).
    """
    return pd.DataFrame([_row(number) for number in study.numbers()])


def _row(number: Number) -> dict:
    row = number.identity | {"made": Path(number.number_path()).exists()}
    if row["made"]:
        content = read_json(number.number_path())
        row |= {
            "accuracy": content["last"]["accuracy"],
            "best_accuracy": content["best"]["accuracy"],
            "epochs": content["last"]["epoch"],
            "frames": content["cost"]["frames"],
            "train_frames": content["cost"]["train_frames"],
            "current": content["digests"]["settings"] == digest(number.settings()),
        }
        if Path(number.run_path()).exists():
            run = read_json(number.run_path())
            row |= {"device_s": run["cost"]["device_s"], "code": run["code"]["fingerprint"]}
    columns = ("accuracy", "best_accuracy", "epochs", "frames", "train_frames", "device_s", "code", "current")
    return {column: None for column in columns} | row


def searches(study: Study) -> list[dict]:
    """One entry per searched policy and seed of the study's grid that was made, in its order.

    Keys: dataset, backbone, policy, seed, path, history (das.search.bilevel), run (the run record).
    """
    found = []
    for dataset in study.study.datasets:
        for backbone in study.study.backbones:
            for policy in study.searched_policies():
                for seed in study.study.seeds:
                    path = Path(f"results/policies/{dataset}/{backbone}/{policy}/seed{seed}.yaml")
                    if path.exists():
                        found.append({
                            "dataset": dataset,
                            "backbone": backbone,
                            "policy": policy,
                            "seed": seed,
                            "path": path,
                            "history": read_json(path.with_suffix(".history.json")),
                            "run": read_json(path.with_suffix(".run.json")),
                        })  # fmt: skip
    return found
