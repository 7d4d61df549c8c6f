"""The study's results as data frames, read from what the workflow made. What was not run is there, and says so."""

from pathlib import Path
from statistics import median

import pandas as pd

from das.config import Number, Study, digest
from das.files import read_json

LAST = 10  # epochs whose median is shown beside the last one


def numbers(study: Study) -> pd.DataFrame:
    """One row per number of the study's grid, in its order; `made` is False and values are NaN where it was not run.

    Columns: dataset, backbone, method, seed, made; accuracy (last epoch), best_accuracy, median_accuracy (last ten
    epochs); epochs (of training and test curves), frames, train_frames; seconds on the device, NaN without a run
    record: search_s (of the policy, or of an augmentation), train_s (of the weights, a test after each epoch
    included), test_s (of one pass over the test set); code (fingerprint of the code that made it), current (its
    settings are those the study has now).
    """
    return pd.DataFrame([_row(number) for number in study.numbers()])


def _row(number: Number) -> dict:
    row = number.identity | {"made": Path(number.number_path()).exists()}
    if row["made"]:
        content = read_json(number.number_path())
        metric = content["metric"]
        row |= {
            "accuracy": content["last"][metric],
            "best_accuracy": content["best"][metric],
            "median_accuracy": median(content["curves"][f"test_{metric}"][-LAST:]),
            "epochs": content["last"]["epoch"],
            "frames": content["cost"]["frames"],
            "train_frames": content["cost"]["train_frames"],
            "current": content["digests"]["settings"] == digest(number.settings()),
        }
        if Path(number.run_path()).exists():
            row |= _costs(number) | {"code": read_json(number.run_path())["code"]["fingerprint"]}
    columns = ("accuracy", "best_accuracy", "median_accuracy", "epochs", "frames", "train_frames")
    costs = ("search_s", "train_s", "test_s", "code", "current")
    return {column: None for column in columns + costs} | row


def _costs(number: Number) -> dict[str, float]:
    """Device seconds of what a number needs: its policy's search, its weights' training, its test."""
    own = read_json(number.run_path())
    trained = number.trained_by
    training = own if trained is number else _run(trained.run_path())
    policies = {path for path in (number.policy_path(), trained.policy_path()) if path}
    of_policies = sum(_seconds(_run(Path(path).with_suffix(".run.json")), 0.0) for path in sorted(policies))
    of_augmentation = sum(search["device_s"] for search in training.get("augmentation_search", []))
    return {
        "search_s": of_policies + of_augmentation,
        "train_s": _seconds(training, float("nan")) - of_augmentation,
        "test_s": own["cost"].get("test_device_s", own["cost"]["device_s"]),
    }


def _run(path: str | Path) -> dict:
    return read_json(path) if Path(path).exists() else {}


def _seconds(run: dict, otherwise: float) -> float:
    return run["cost"]["device_s"] if run else otherwise


def augmentation_searches(study: Study) -> list[dict]:
    """One entry per search of an augmentation that was part of a number's method (das.engine.policy_search).

    Keys: dataset, backbone, method, seed, device (its name), and what the search left in the run record: device_s,
    wall_s, space_size, chosen.
    """
    found = []
    for number in study.numbers():
        run = _run(number.run_path())
        for search in run.get("augmentation_search", []):
            found.append(number.identity | {"device": run["machine"]["device"]} | search)
    return found


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
