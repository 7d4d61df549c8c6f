"""Results as the workflow leaves them, without the work: files and the record that vouches for them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from das.files import publish
from das.seals import sealed
from das.study import check, of_study
from das.study.runs import searches_of
from das.study.sources import fingerprint
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]


def publish_with_record(run, main: str, contents: dict[str, str], **facts) -> None:
    """Write the files of a run, and a record that vouches for them."""
    record = {
        "run": {"kind": run.kind, "study": run.study, **run.identity},
        "digests": {"settings": run.digest, "files": fingerprint(run.data)},
        "files": {role: hashlib.sha256(text.encode()).hexdigest() for role, text in contents.items()},
        "code": "x",
        "machine": {"device": "GPU"},
        "cost": {"device_s": 1.0},
    }
    publish(run.record, sealed(record | facts))
    for role, text in contents.items():
        publish(run.number if role == main == "number" else run.files[role], text)


@pytest.fixture
def leave():
    def leave(run, content: dict, **facts) -> None:
        publish_with_record(run, "number", {"number": json.dumps(content)}, **facts)

    return leave


@pytest.fixture
def invented(tmp_path, monkeypatch):
    """A function that makes up a study and all its results: accuracies by method and seed, and searches that chose
    ``policy``. Methods are `baseline` (one frame) and `das`, `das2`, … (searched)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")

    def make(accuracies: dict[str, list[float]], seeds: int, title: str = "DAS", policy: Policy | None = None):
        searched = {name: {"title": f"{title} {name}", "policy": "searched", "fusion": "tsm"}
                    for name in accuracies if name != "baseline"}  # fmt: skip
        study = check(
            {
                "study": {"name": "made", "datasets": ["pictures"], "backbones": ["small"], "methods": [*accuracies],
                          "seeds": list(range(seeds)), "reference": next(iter(accuracies))},
                "datasets": {"pictures": {"title": f"Pictures {title}", "reader": "fashion_mnist_embedded",
                                          "recipe": "short"}},
                "backbones": {"small": {"title": f"Small {title}", "network": "resnet8"}},
                "recipes": {"short": {"epochs": 3, "batch_size": 10, "lr": 0.1}},
                "cells": {"four": {"frames": 4}},
                "searches": {"short": {"epochs": 3, "batch_size": 10}},
                "policies": {"searched": {"source": "search", "cell": "four", "search": "short"}},
                "methods": {"baseline": {"title": f"Single frame {title}"}, **searched},
            },
            "made",
        )  # fmt: skip
        chosen = policy or Policy.single("rotate", 8, 4)
        for run in searches_of(study):
            leave_search(run, chosen)
        for run in of_study(study):
            values = accuracies[run.method]
            if run.seed < len(values):
                leave_number(run, values[run.seed])
        return study

    return make


def leave_search(run, policy: Policy) -> None:
    operations = ["identity", "zoom", "rotate"]
    alpha = np.linspace(0, 1, 4)[:, None, None] * np.arange(3) * np.ones((4, 14, 3))
    history = {"candidates": operations, "alpha": alpha.tolist(), "selection": {"rule": "argmax"}, "space_size": 9,
               "entropy": [1.0, 0.9], "val_accuracy": [0.5, 0.6]}  # fmt: skip
    contents = {"halves": "{}", "history": json.dumps(history), "policy": policy.dumps()}
    cost = {"device_s": 36.0, "wall_s": 40.0, "peak_memory_bytes": 2**20}
    publish_with_record(run, "policy", contents, cost=cost)


def leave_number(run, accuracy: float) -> None:
    curve = [accuracy / 2, accuracy / 1.5, accuracy]
    policy = run.made_by.main.read_text() if run.made_by else None
    content = {
        "number": run.identity,
        "metric": "accuracy",
        "last": {"epoch": 3, "accuracy": accuracy, "loss": 1.0},
        "best": {"epoch": 3, "accuracy": accuracy, "loss": 1.0},
        "cost": {"frames": 4 if policy else 1, "train_frames": 12000 if policy else 3000, "parameters": 5},
        "curves": {"train_loss": [2.0, 1.0, 0.5], "test_epoch": [1, 2, 3], "test_accuracy": curve,
                   "test_loss": [1.0] * 3},
        "digests": {"settings": run.digest},
    }  # fmt: skip
    digests = {"settings": run.digest, "files": fingerprint(run.data)}
    if policy:
        digests["policy"] = hashlib.sha256(policy.encode()).hexdigest()
    cost = {"device_s": 40.0 if policy else 10.0, "test_device_s": 1.0}
    publish_with_record(run, "number", {"number": json.dumps(content)}, digests=digests, cost=cost)
