"""Training of one number, from scratch, on the full training set."""

import math

import torch
from torch import nn

from das import augment
from das.config import Number, Recipe, digest
from das.data.batches import Batches
from das.data.sets import Dataset
from das.data.statistics import mean_std
from das.engine.device import arithmetic, prepare
from das.engine.evaluate import evaluate
from das.engine.model import DasModel, save_checkpoint, weights_digest
from das.engine.optimiser import SGD
from das.engine.progress import Epochs
from das.engine.provenance import Meter
from das.engine.record import publish_number
from das.engine.resume import ResumeState, random_state, set_random_state
from das.errors import DasError
from das.seeding import derive, generator
from das.video.policy import Policy


def learning_rate(recipe: Recipe, epochs: int, epoch: float) -> float:
    """The learning rate after ``epoch`` of ``epochs`` epochs (fractions count batches).

    Warm-up is linear from 0; then `cosine` falls to 0, `poly` is (1 - progress) ** poly_power, `step` multiplies by
    step_factor every step_epochs epochs. For the longer training of an equal-compute control, `step` stretches along.
    """
    if epoch < recipe.warmup_epochs:
        return recipe.lr * epoch / recipe.warmup_epochs
    progress = (epoch - recipe.warmup_epochs) / max(epochs - recipe.warmup_epochs, 1e-9)
    match recipe.schedule:
        case "cosine":
            return recipe.lr * (1 + math.cos(math.pi * progress)) / 2
        case "poly":
            return recipe.lr * (1 - progress) ** recipe.poly_power
        case "step":
            return recipe.lr * recipe.step_factor ** int(epoch * recipe.epochs / epochs / recipe.step_epochs)
        case "constant":
            return recipe.lr


def train(number: Number, dataset: Dataset, policy: Policy | None) -> None:
    """Train ``number`` on ``dataset`` through ``policy`` and publish its checkpoint, number and run record.

    Initial weights, batches, crops and flips come from data set, backbone and seed: methods are compared in pairs that
    start alike and see the same images in the same order. An interrupted run continues after its last whole epoch and
    ends in the same bytes. Raises DasError when the loss is no longer finite.
    """
    study, settings = number.study, number.settings()
    recipe = study.recipes[study.datasets[number.dataset].recipe]
    device = prepare(study.compute)
    paired = (number.dataset, number.backbone, number.seed)
    inputs = {"data": dataset.digest, "policy": policy.digest() if policy else None}
    resume = ResumeState(*map(str, number.identity.values()), digest=digest(settings | inputs))

    torch.manual_seed(derive(*paired, "weights"))
    mean, std = mean_std(dataset.train)
    model = DasModel(settings, policy, dataset.classes, mean, std).to(device)
    optimiser = SGD(model.parameters(), recipe.lr, recipe.momentum, recipe.weight_decay)
    steps = augment.build([*study.datasets[number.dataset].augment, *study.methods[number.method].augment])
    train_batches = Batches(dataset.train, recipe.batch_size, steps, device=device, drop_last=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)

    curves: dict[str, list[float]] = {"train_loss": [], "test_loss": [], "test_accuracy": []}
    start, meter_state = 0, None
    if state := resume.load():
        model.network.load_state_dict(state["weights"])
        optimiser.load_state_dict(state["optimiser"])
        set_random_state(state["random"])
        curves, start, meter_state = state["curves"], state["epoch"], state["meter"]
    meter = Meter(device, meter_state)

    for epoch in (epochs := Epochs(number.number_path(), number.epochs, start)):
        model.train()
        total = torch.zeros((), device=device)
        batches = train_batches.epoch(generator(*paired, "epoch", epoch))
        for step, (images, labels) in enumerate(epochs.batches(batches, len(train_batches)), start=1):
            progress = epoch + step / len(train_batches)
            optimiser.lr = learning_rate(recipe, number.epochs, progress)
            with arithmetic(study.compute):
                loss = criterion(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimiser.step()
            total += loss.detach()
        mean_loss = float(total) / len(train_batches)
        if not math.isfinite(mean_loss):
            raise DasError(f"{number.number_path()}: the loss is {mean_loss} in epoch {epoch + 1}; lower recipes.*.lr")
        tested = evaluate(model, dataset.test, study.compute, batch_size=4 * recipe.batch_size)
        curves["train_loss"].append(mean_loss)
        curves["test_loss"].append(tested["loss"])
        curves["test_accuracy"].append(tested["accuracy"])
        epochs.report(f"loss {mean_loss:.4f}, test accuracy {tested['accuracy']:.2%}")
        resume.save({
            "weights": model.network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": random_state(),
            "curves": curves,
            "epoch": epoch + 1,
            "meter": meter.state(),
        })  # fmt: skip

    save_checkpoint(number.checkpoint_path(), model, settings)
    trained_images = number.epochs * len(train_batches) * recipe.batch_size
    publish_number(
        number,
        model,
        dataset,
        curves=curves,
        train_frames=trained_images * model.policy.frames,
        weights=weights_digest(model),
        run=meter.record(),
    )
    resume.discard()
