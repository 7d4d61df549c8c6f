"""Test of a trained model on untouched images."""

import torch
from torch.nn import functional as F

from das.config import Compute, Number
from das.data.batches import Batches
from das.data.sets import Dataset, ImageSet
from das.engine.device import arithmetic, prepare
from das.engine.model import DasModel, load_model, weights_digest
from das.engine.provenance import Meter
from das.engine.record import publish_number
from das.video.policy import Policy


@torch.no_grad()
def evaluate(model: DasModel, images: ImageSet, compute: Compute, batch_size: int) -> dict[str, float]:
    """Return `accuracy` in [0, 1] and mean cross-entropy `loss` over ``images``, in order, not augmented."""
    device = torch.device(compute.device)
    batches = Batches(images, batch_size, device=device)
    training = model.training
    model.eval()
    correct, loss = torch.zeros((), dtype=torch.int64, device=device), torch.zeros((), device=device)
    for batch, labels in batches.epoch():
        with arithmetic(compute):
            logits = model(batch)
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
    model.train(training)
    return {"accuracy": int(correct) / len(images), "loss": float(loss) / len(images)}


def evaluate_number(number: Number, dataset: Dataset, policy: Policy | None) -> None:
    """Test the checkpoint that ``number`` names through ``policy`` and publish the number and its run record.

    Raises DasError for a checkpoint that is missing or damaged.
    """
    compute = number.study.compute
    device = prepare(compute)
    meter = Meter(device)
    consensus = number.study.methods[number.method].consensus
    model = load_model(number.trained_by.checkpoint_path(), policy or Policy.replicate(1), consensus).to(device)
    recipe = number.study.recipes[number.study.datasets[number.dataset].recipe]
    tested = evaluate(model, dataset.test, compute, batch_size=4 * recipe.batch_size)
    curves = {"test_loss": [tested["loss"]], "test_accuracy": [tested["accuracy"]]}
    publish_number(
        number, model, dataset, curves=curves, train_frames=0, weights=weights_digest(model), run=meter.record()
    )
