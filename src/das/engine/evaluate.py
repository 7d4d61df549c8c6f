"""Test of a trained model on untouched images."""

from typing import Any

import torch

from das.config import Compute, Number
from das.data.sets import Dataset, FileSet, ImageSet
from das.engine.device import arithmetic, prepare
from das.engine.model import DasModel, load_model, weights_digest
from das.engine.provenance import Meter
from das.engine.record import publish_number
from das.video.policy import Policy


@torch.no_grad()
def evaluate(model: DasModel, images: ImageSet | FileSet, compute: Compute, batch_size: int) -> dict[str, Any]:
    """Return the model's scores (`das.engine.model.Accuracy` or `das.engine.segment_scores.DenseScore`) and `loss` over
    ``images``, in order, not augmented, as the model's ``batches`` read them. Memory does not grow with the set."""
    device = torch.device(compute.device)
    training = model.training
    model.eval()
    score = model.score(device)
    for batch, labels in model.batches(images, batch_size, device).epoch():
        with arithmetic(compute):
            logits = model.predict(batch)
        score.add(logits, labels)
    model.train(training)
    return score.result()


def evaluate_number(number: Number, dataset: Dataset, policy: Policy | None) -> None:
    """Test the checkpoint that ``number`` names through ``policy`` and publish the number and its run record.

    Raises DasError for a checkpoint that is missing or damaged.
    """
    compute = number.study.compute
    device = prepare(compute)
    meter = Meter(device)
    model = load_model(number.trained_by.checkpoint_path(), policy or Policy.replicate(1), number.consensus).to(device)
    recipe = number.study.recipes[number.study.datasets[number.dataset].recipe]
    tested = evaluate(model, dataset.test, compute, batch_size=4 * recipe.batch_size)
    curves = {"test_loss": [tested["loss"]], f"test_{model.metric}": [tested[model.metric]]}
    weights, run = weights_digest(model), meter.record()
    publish_number(number, model, dataset, curves=curves, tested=tested, train_frames=0, weights=weights, run=run)
