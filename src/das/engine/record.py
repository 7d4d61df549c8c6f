"""The JSON of a number: what must repeat to the byte, and, beside it, what varies from run to run."""

from typing import Any

from das.config import Number, digest
from das.data.sets import Dataset
from das.engine.model import DasModel
from das.files import publish_json


def publish_number(
    number: Number,
    model: DasModel,
    dataset: Dataset,
    *,
    curves: dict[str, list[float]],
    tested: dict[str, Any],
    train_frames: int,
    weights: str,
    run: dict[str, Any],
) -> None:
    """Write ``seed{seed}.run.json`` and then ``seed{seed}.json``, whose existence says that all is there.

    Args:
        curves: one value an epoch; scores in [0, 1].
        tested: all scores of the last epoch's test.
        train_frames: how many frames passed the network in training.
        weights: digest of the trained weights.
        run: the run record (das.engine.provenance.Meter.record).
    """
    settings, metric = number.settings(), model.metric
    values = curves[f"test_{metric}"]
    best = max(range(len(values)), key=values.__getitem__)
    publish_json(number.run_path(), run)
    publish_json(
        number.number_path(),
        {
            "number": number.identity,
            "metric": metric,
            metric: values[-1],
            "last": {"epoch": len(values), **tested},
            "best": {"epoch": best + 1, metric: values[best], "loss": curves["test_loss"][best]},
            "cost": {
                "frames": model.policy.frames,
                "train_frames": train_frames,
                "parameters": sum(p.numel() for p in model.network.parameters()),
            },
            "curves": curves,
            "digests": {
                "settings": digest(settings),
                "data": dataset.digest,
                "policy": model.policy.digest(),
                "weights": weights,
            },
            "settings": settings,
        },
    )
