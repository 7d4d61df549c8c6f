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
    train_frames: int,
    weights: str,
    run: dict[str, Any],
) -> None:
    """Write ``seed{seed}.run.json`` and then ``seed{seed}.json``, whose existence says that all is there.

    Args:
        curves: one value an epoch; accuracies in [0, 1].
        train_frames: how many frames passed the network in training.
        weights: digest of the trained weights.
        run: the run record (das.engine.provenance.Meter.record).
    """
    settings, accuracy = number.settings(), curves["test_accuracy"]
    best = max(range(len(accuracy)), key=accuracy.__getitem__)
    publish_json(number.run_path(), run)
    publish_json(
        number.number_path(),
        {
            "number": number.identity,
            "accuracy": accuracy[-1],
            "last": {"epoch": len(accuracy), "accuracy": accuracy[-1], "loss": curves["test_loss"][-1]},
            "best": {"epoch": best + 1, "accuracy": accuracy[best], "loss": curves["test_loss"][best]},
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
