"""A small study, and results of it that were published without being made: no torch, milliseconds."""

import json

from das.study import check, results
from das.video.policy import Policy

STUDY = {
    "study": {"name": "made", "datasets": ["own"], "backbones": ["small"], "methods": ["plain", "video", "tested"],
              "seeds": [0, 1], "reference": "plain"},
    "datasets": {"own": {"title": "own", "reader": "arrays", "root": "images.npz", "recipe": "short"}},
    "backbones": {"small": {"title": "small", "network": "resnet8", "options": {"width": 8}}},
    "recipes": {"short": {"epochs": 3, "batch_size": 10, "lr": 0.1}},
    "cells": {"cell": {"frames": 3, "kind": "single"}},
    "searches": {"quick": {"epochs": 2, "batch_size": 10, "alpha": {"lr": 0.01},
                           "weights": {"lr": 0.05, "lr_min": 0.001}}},
    "policies": {"found": {"source": "search", "cell": "cell", "search": "quick", "fusion": "tsm"}},
    "methods": {
        "plain": {"title": "plain"},
        "video": {"title": "video", "policy": "found", "fusion": "tsm"},
        "tested": {"title": "tested", "policy": "found", "weights_of": "plain"},
    },
    "tuning": {"trials": 1, "grids": {"plain": {}}},
}  # fmt: skip
HISTORY = {
    "alpha": [[[0.0, 0.0]], [[0.0, 1.0]]],
    "entropy": [1.0, 0.8],
    "val_accuracy": [0.5],
    "space_size": 17,
    "candidates": ["identity", "zoom"],
    "selection": {"rule": "argmax"},
}
FACTS = {"cost": {"device_s": 2.0, "wall_s": 2.0, "peak_memory_bytes": 1}, "machine": {"device": "CPU"}}


def study_of(**changes):
    """The study, with sections layered over it one level deep."""
    content = {key: STUDY[key] | changes.get(key, {}) for key in STUDY if key != "tuning"}
    return check(content, "made")


def number(run) -> dict:
    accuracy = 0.25 + run.seed / 8 + len(run.method) / 100
    return {
        "number": run.identity,
        "metric": "accuracy",
        "accuracy": accuracy,
        "last": {"epoch": 3, "accuracy": accuracy, "loss": 1.0},
        "best": {"epoch": 3, "accuracy": accuracy, "loss": 1.0},
        "cost": {"frames": 3, "train_frames": 90, "parameters": 1000},
        "curves": {"test_epoch": [3], "test_loss": [1.0], "test_accuracy": [accuracy]},
        "digests": {"settings": run.digest, "weights": "0"},
        "settings": run.settings,
    }


def leave(run) -> None:
    """Publish what a run of this kind leaves, with content that only its identity and settings decide."""
    contents = {
        "halves": f"halves of {run.identity} {run.digest}",
        "history": json.dumps(HISTORY | {"of": [*run.identity.values(), run.digest]}),
        "policy": Policy.single("zoom", 1.05, 3, provenance={"of": [*run.identity.values(), run.digest]}).dumps(),
        "checkpoint": f"weights of {run.identity} {run.digest}",
    }
    if "number" in run.files:
        contents["number"] = json.dumps(number(run), indent=1)
    results.publish(run, {role: contents[role] for role in run.files}, results.inputs(run), FACTS)
