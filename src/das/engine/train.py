"""Training of one number, from scratch, on the full training set."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from das import augment
from das.config import Number, Recipe, digest
from das.data.batches import Batches
from das.data.sets import Dataset
from das.engine.device import arithmetic, prepare
from das.engine.evaluate import evaluate
from das.engine.model import DasModel, make_model, save_checkpoint, weights_digest
from das.engine.optimiser import SGD
from das.engine.policy_search import search
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


@dataclass(frozen=True)
class Fitted:
    """A trained model, its curves (one value an epoch), all scores of its last test, the frames that passed a network
    in training, its costs."""

    model: DasModel
    curves: dict[str, list[float]]
    tested: dict[str, Any]
    train_frames: int
    run: dict[str, Any]


def train(number: Number, dataset: Dataset, policy: Policy | None) -> None:
    """Train ``number`` on ``dataset`` through ``policy`` and publish its checkpoint, number and run record.

    An interrupted run continues after its last whole epoch and ends in the same bytes. Raises DasError when the loss
    is no longer finite.
    """
    settings = number.settings()
    resume = resume_state(number, dataset, policy)
    fitted = fit(number, dataset, policy, resume)
    save_checkpoint(number.checkpoint_path(), fitted.model, settings)
    publish_number(
        number,
        fitted.model,
        dataset,
        curves=fitted.curves,
        tested=fitted.tested,
        train_frames=fitted.train_frames,
        weights=weights_digest(fitted.model),
        run=fitted.run,
    )
    resume.discard()


def resume_state(number: Number, dataset: Dataset, policy: Policy | None) -> ResumeState:
    """Where an interrupted training of ``number`` is kept: it belongs to all that the training depends on."""
    inputs = {"data": dataset.digest, "policy": policy.digest() if policy else None}
    return ResumeState(*map(str, number.identity.values()), digest=digest(number.settings() | inputs))


def fit(number: Number, dataset: Dataset, policy: Policy | None, resume: ResumeState) -> Fitted:
    """Train on ``dataset.train`` and test on ``dataset.test`` after every epoch; continue from ``resume``.

    Initial weights, batches, crops and flips come from data set, backbone and seed: methods are compared in pairs that
    start alike and see the same images in the same order. What a method draws beyond that is its own.
    """
    study, settings = number.study, number.settings()
    recipe, method = study.recipes[study.datasets[number.dataset].recipe], study.methods[number.method]
    device = prepare(study.compute)
    paired, own = (number.dataset, number.backbone, number.seed), tuple(number.identity.values())

    torch.manual_seed(derive(*paired, "weights"))
    model = make_model(settings, policy, dataset.classes, *dataset.mean_std)
    criterion = model.criterion(settings["recipe"])
    make_objective = augment.build_objective(method.augment)
    objective = make_objective(model, criterion, partial(arithmetic, study.compute)).to(device)
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    factors = model.learning_rates(settings["recipe"])
    optimiser = SGD(parameters, recipe.lr, recipe.momentum, recipe.weight_decay, factors)
    steps = augment.build([*study.datasets[number.dataset].augment, *method.augment], len(dataset.classes))
    learned = nn.ModuleList(step.to(device) for step in steps if isinstance(step, nn.Module))
    train_batches = Batches(dataset.train, recipe.batch_size, steps, device=device, drop_last=True)

    curves: dict[str, list[float]] = {"train_loss": [], "test_loss": [], f"test_{model.metric}": []}
    tested: dict[str, Any] = {}
    start, spent, test_device_s, searches = 0, None, 0.0, []
    if state := resume.load():
        objective.load_state_dict(state["objective"])
        optimiser.load_state_dict(state["optimiser"])
        set_random_state(state["random"])
        learned.load_state_dict(state["learned"])
        curves, tested, start, spent = state["curves"], state["tested"], state["epoch"], state["meter"]
        test_device_s, searches = state["test_device_s"], state["searches"]
    meter = Meter(device, spent)
    if not state:
        searches = [search(step, number, dataset, device) for step in learned]

    for epoch in (epochs := Epochs(number.number_path(), number.epochs, start)):
        objective.train()
        total = torch.zeros((), device=device)
        draws = generator(*own, "method", epoch)
        augment.start_epoch([*steps, objective], draws)
        batches = train_batches.epoch(generator(*paired, "epoch", epoch))
        for step, (images, labels) in enumerate(epochs.batches(batches, len(train_batches)), start=1):
            progress = epoch + step / len(train_batches)
            optimiser.lr = learning_rate(recipe, number.epochs, progress)
            optimiser.zero_grad()
            for loss in objective.losses(images, labels, draws):
                loss.backward()
                total += loss.detach()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
            optimiser.step()
            objective.after_step(progress / number.epochs)
        mean_loss = float(total) / len(train_batches)
        if not math.isfinite(mean_loss):
            raise DasError(f"{number.number_path()}: the loss is {mean_loss} in epoch {epoch + 1}; lower recipes.*.lr")
        before = meter.state()["device_s"]
        tested = evaluate(model, dataset.test, study.compute, batch_size=4 * recipe.batch_size)
        test_device_s = meter.state()["device_s"] - before
        curves["train_loss"].append(mean_loss)
        curves["test_loss"].append(tested["loss"])
        curves[f"test_{model.metric}"].append(tested[model.metric])
        epochs.report(f"loss {mean_loss:.4f}, test {model.metric} {tested[model.metric]:.2%}")
        resume.save({
            "objective": objective.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": random_state(),
            "curves": curves,
            "tested": tested,
            "epoch": epoch + 1,
            "meter": meter.state(),
            "learned": learned.state_dict(),
            "searches": searches,
            "test_device_s": test_device_s,
        })  # fmt: skip

    train_frames = number.epochs * len(train_batches) * recipe.batch_size * model.policy.frames * objective.passes
    run = meter.record()
    run["cost"]["test_device_s"] = round(test_device_s, 3)
    return Fitted(model, curves, tested, train_frames, run | ({"augmentation_search": searches} if searches else {}))
