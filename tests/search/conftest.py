from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def settings():
    """A study small enough for seconds: 80 training images, one search of every kind."""
    search = {
        "epochs": 2,
        "batch_size": 10,
        "alpha": {"lr": 0.03, "betas": [0.5, 0.999], "weight_decay": 1e-3},
        "weights": {"lr": 0.05, "lr_min": 0.001, "momentum": 0.9, "weight_decay": 3e-4, "clip_norm": 5.0},
    }
    cell = {"space": "affine5", "kind": "dag", "nodes": 2, "frames": 3, "schedule": "signed"}
    return {
        "study": {
            "name": "tiny",
            "datasets": ["tiny"],
            "backbones": ["tiny"],
            "methods": ["das"],
            "seeds": [0],
            "reference": "das",
        },
        "datasets": {
            "tiny": {
                "title": "Tiny",
                "reader": "fashion_mnist_embedded",
                "root": str(ROOT / "data/embedded/fashion_mnist"),
                "options": {"train_per_class": 8, "test_per_class": 4},
                "recipe": "tiny",
                "augment": [{"random_crop": {"padding": 2}}, "random_flip"],
            }
        },
        "backbones": {
            "tiny": {"title": "Tiny", "network": "resnet8", "options": {"width": 8, "stem_stride": 2}, "dropout": 0.1}
        },
        "recipes": {"tiny": {"epochs": 2, "batch_size": 20, "lr": 0.05}},
        "cells": {"drawn": cell, "learnable": cell | {"magnitudes": "learnable"}, "single": cell | {"kind": "single"}},
        "searches": {
            "mixture": search,
            "second": search | {"order": "second", "warmup_epochs": 1},
            "gumbel": search | {"relaxation": "gumbel"},
            "perturbation": search | {"selection": "perturbation", "tune_epochs": 1},
            "tournament": search | {"relaxation": "path", "selection": "tournament", "tune_epochs": 1, "entrants": 3},
        },
        "policies": {
            name: {"source": "search", "cell": "drawn", "search": name}
            for name in ("mixture", "second", "gumbel", "perturbation", "tournament")
        }
        | {"learnable": {"source": "search", "cell": "learnable", "search": "gumbel"}},
        "methods": {"das": {"title": "DAS", "policy": "mixture", "fusion": "tsm"}},
    }
