"""Test of a trained model on untouched images."""

from typing import Any

import torch

from das.data.sets import Dataset, FileSet, ImageSet
from das.engine.checkpoint import load_model, weights_digest
from das.engine.device import arithmetic, prepare
from das.engine.provenance import Meter
from das.engine.record import number
from das.errors import DasError
from das.files import read_json
from das.study import results
from das.study.runs import EvaluationRun
from das.study.schema import Compute
from das.tasks.classification import DasModel
from das.video.policy import Policy


@torch.no_grad()
def evaluate(model: DasModel, images: ImageSet | FileSet, compute: Compute, batch_size: int) -> dict[str, Any]:
    """Return the model's scores (`das.tasks.classification.Accuracy` or a task's own) and `loss` over ``images``, in
    order, not augmented, as the model's ``batches`` read them. Memory does not grow with the set."""
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


def evaluate_run(run: EvaluationRun, dataset: Dataset, policy: Policy | None) -> None:
    """Test the checkpoint that ``run`` names through ``policy`` and publish the number and its run record.

    Raises DasError for a checkpoint that is missing, damaged, or not the one that its run record names.
    """
    with results.alone(run):
        made_from = results.inputs(run)
        device = prepare(run.compute)
        meter = Meter(device)
        model = load_model(run.trained.checkpoint, policy or Policy.replicate(1), run.consensus).to(device)
        weights = weights_digest(model)
        if weights != read_json(run.trained.number)["digests"]["weights"]:
            raise DasError(f"{run.trained.checkpoint}: its weights are not those that {run.trained.number} tells of")
        tested = evaluate(model, dataset.test, run.compute, batch_size=4 * run.recipe.batch_size)
        curves = {"test_epoch": [run.trained.epochs], "test_loss": [tested["loss"]]}
        curves[f"test_{model.metric}"] = [tested[model.metric]]
        record = meter.record()
        content = number(run, model, dataset, curves=curves, tested=tested, train_frames=0, weights=weights)
        results.publish(run, {"number": content}, made_from, record)
