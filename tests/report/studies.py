"""Studies whose results are made up: files and records as the workflow leaves them, in the folder of now."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

from das.files import publish
from das.seals import sealed
from das.study import check, code, load_study, results
from das.study.results import everything
from das.study.runs import EvaluationRun, MethodRun, SearchRun
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]
CLASSES = 10
CANDIDATES = ["identity", "translate_x", "translate_y", "zoom", "rotate"]
POLICY = Policy.single("rotate", 8.0, 4)


def study(**changes):
    """The quickstart of four methods and three seeds on 80 images, with ``changes`` of sections."""
    settings = load_study([ROOT / "params.yaml"]).model_dump()
    settings["study"] |= {"name": "made", "methods": ["baseline", "random", "das", "baseline_tta"], "seeds": [0, 1, 2]}
    settings["datasets"]["fashion_mnist"] |= {
        "title": "Few images",
        "root": str(ROOT / "data/embedded/fashion_mnist"),
        "options": {"train_per_class": 8, "test_per_class": 4},
    }
    for section, values in changes.items():
        settings[section] = settings[section] | values
    return check(settings, "a test")


def make(made, score: Callable[[MethodRun], float | None]) -> None:
    """Leave the results of every run of ``made``: of a method's the accuracy that ``score`` gives it, none of None."""
    for run in everything(made):
        if isinstance(run, MethodRun):
            accuracy = score(run)
            if accuracy is not None:
                leave(run, number=json.dumps(number(run, accuracy)))
        elif isinstance(run, SearchRun):
            leave(run, halves="{}", history=json.dumps(history(run)), policy=POLICY.dumps())
        else:
            leave(run, policy=POLICY.dumps())


def leave(run, **contents: str) -> None:
    """The run's files and the record that vouches for them."""
    for role, content in contents.items():
        publish(run.files[role], content)
    record = {
        "run": {"kind": run.kind, "study": run.study, **run.identity},
        "digests": {"settings": run.digest} | results._inputs_now(run, _Look()),
        "files": {role: hashlib.sha256(content.encode()).hexdigest() for role, content in contents.items()},
        "code": code.fingerprint(run.kind),
        "made": "2026-01-02T03:04:05+00:00",
        "machine": {"device": "a processor", "python": "3.12"},
        "packages": {"torch": "2.11"},
        "cost": {"device_s": 10.0, "wall_s": 12.0, "peak_memory_bytes": 2**28, "test_device_s": 0.5},
    }
    publish(run.record, sealed(record))


class _Look:
    """Hashes of files that are small and few."""

    def hash(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def fingerprint(self, data):
        return results.fingerprint(data)


def number(run: MethodRun, accuracy: float) -> dict:
    epochs = 1 if isinstance(run, EvaluationRun) else 3
    last = {"epoch": 3, "accuracy": accuracy, "loss": 1.0, "class_accuracy": [accuracy] * CLASSES}
    curves = {"train_loss": [2.0, 1.5, 1.0][:epochs], "test_epoch": [1, 2, 3][-epochs:], "test_loss": [1.0] * epochs}
    return {
        "metric": "accuracy",
        "accuracy": accuracy,
        "last": last,
        "best": {"epoch": 3, "accuracy": accuracy, "loss": 1.0},
        "cost": {"frames": 4 if run.how.policy else 1, "train_frames": 100 * epochs, "parameters": 1000},
        "curves": curves | {"test_accuracy": [accuracy / 2, accuracy, accuracy][-epochs:]},
        "digests": {"weights": "none"},
    }


def history(run: SearchRun) -> dict:
    draws = random.Random(run.seed)
    edges, epochs = 14, 3
    alpha = [[[draws.gauss(0, epoch) for _ in CANDIDATES] for _ in range(edges)] for epoch in range(epochs + 1)]
    return {
        "alpha": alpha,
        "entropy": [1 - epoch / 10 for epoch in range(epochs + 1)],
        **{key: [1.0, 0.9, 0.8] for key in ("train_loss", "val_loss")},
        "val_accuracy": [0.3, 0.4, 0.5],
        "candidates": CANDIDATES,
        "space_size": 1000,
        "selection": {"rule": "argmax"},
    }
