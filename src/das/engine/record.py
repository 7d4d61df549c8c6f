"""The JSON of a number: what must repeat to the byte. What varies from run to run is in the run record beside it."""

import json
from collections.abc import Mapping
from typing import Any

from das.data.sets import Dataset
from das.study.runs import MethodRun
from das.tasks.classification import DasModel
from das.tasks.ensemble import Ensemble


def number(
    run: MethodRun,
    model: DasModel | Ensemble,
    dataset: Dataset,
    *,
    curves: dict[str, list[float]],
    tested: dict[str, Any],
    train_frames: int,
    weights: str,
    also: Mapping[str, Any] | None = None,
) -> str:
    """The text of ``seed{seed}.json``.

    Args:
        curves: one value an epoch or, of tests, one a test; scores in [0, 1].
        tested: all scores of the last epoch's test.
        train_frames: how many frames passed the network in training.
        weights: digest of the trained weights.
        also: what else the number says.
    """
    metric = model.metric
    values = curves[f"test_{metric}"]
    best = max(range(len(values)), key=values.__getitem__)
    content = {
        "number": run.identity,
        "metric": metric,
        metric: values[-1],
        "last": {"epoch": curves["test_epoch"][-1], **tested},
        "best": {"epoch": curves["test_epoch"][best], metric: values[best], "loss": curves["test_loss"][best]},
        "cost": {
            "frames": model.frames,
            "train_frames": train_frames,
            "parameters": sum(p.numel() for p in model.network.parameters()),
        },
        "curves": curves,
        "digests": {
            "settings": run.digest,
            "data": dataset.digest,
            "policy": model.policy.digest(),
            "weights": weights,
        },
        "settings": run.settings,
        **(also or {}),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
