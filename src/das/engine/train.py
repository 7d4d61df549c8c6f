"""Training of one run, from scratch, on the full training set."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from das import augment, tasks
from das.augment.base import SearchedAugmentation
from das.data import splits
from das.data.batches import Batches
from das.data.sets import Dataset, FileSet, ImageSet
from das.engine.augmentation_search import search
from das.engine.checkpoint import checkpoint, weights_digest
from das.engine.curves import Curves, of_training
from das.engine.device import arithmetic, prepare
from das.engine.evaluate import evaluate
from das.engine.holdout import held_out
from das.engine.lr_schedules import learning_rate
from das.engine.progress import Epochs
from das.engine.provenance import Meter
from das.engine.record import number
from das.engine.resume import ResumeState, random_state, set_random_state
from das.errors import DasError
from das.seeding import derive, generator
from das.study import registry, results
from das.study.runs import TrainingRun
from das.tasks.classification import DasModel
from das.video.policy import Policy


class Diverged(DasError):
    """A training whose loss is no longer finite."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, its curves, all scores of its last test, the frames that passed a network in training, its
    costs. Curves have one value an epoch; those of tests one a test, at `test_epoch`."""

    model: DasModel
    curves: dict[str, list[float]]
    tested: dict[str, Any]
    train_frames: int
    record: dict[str, Any]


def train(run: TrainingRun, dataset: Dataset, policy: Policy | None) -> None:
    """Train ``run`` on ``dataset`` through ``policy`` and publish its checkpoint, number and run record.

    An interrupted run continues after its last whole epoch and ends in the same bytes. Raises Diverged when the loss
    is no longer finite.
    """
    with results.alone(run):
        made_from = results.inputs(run)
        resume = resume_state(run, results.key(run, made_from))
        fitted = fit(run, dataset, policy, resume, shown=Curves(run))
        content = number(
            run,
            fitted.model,
            dataset,
            curves=fitted.curves,
            tested=fitted.tested,
            train_frames=fitted.train_frames,
            weights=weights_digest(fitted.model),
        )
        contents: dict[str, bytes | str] = {"checkpoint": checkpoint(fitted.model), "number": content}
        results.publish(run, contents, made_from, fitted.record)


def resume_state(run: TrainingRun, depends_on: str) -> ResumeState:
    """Where an interrupted training is kept: it belongs to the digest of all that the training depends on."""
    return ResumeState(run.kind, run.study, *run.place.split("/"), digest=depends_on)


def fit(
    run: TrainingRun,
    dataset: Dataset,
    policy: Policy | None,
    resume: ResumeState,
    stop: int | None = None,
    shown: Curves | None = None,
) -> Fitted:
    """Train on ``dataset.train`` and test on ``dataset.test`` every `test_every` epochs; continue from ``resume``, and
    stop after epoch ``stop``, by default the last one. ``shown`` gets the curves as they grow. Raises Diverged.

    With the recipe's `validation`, that share of the training images is held out and takes the tests; the weights that
    do best there (of equals the latest) are then tested once on ``dataset.test``.

    Initial weights, batches, crops and flips come from data set, backbone and seed: methods are compared in pairs that
    start alike and see the same images in the same order. What a method draws beyond that is its own.
    """
    recipe, how = run.recipe, run.how
    device = prepare(run.compute)
    paired = (run.dataset, run.backbone, run.seed)

    torch.manual_seed(derive(*paired, "weights"))
    model = tasks.model(run.architecture, policy, dataset.classes, *dataset.mean_std)
    model.know(dataset)
    criterion = model.criterion(recipe.label_smoothing)
    objective = augment.build_objective(how.augment)(model, criterion, partial(arithmetic, run.compute)).to(device)
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimizer = registry.lookup("optimizer", recipe.optimizer).load()(parameters, recipe, model.learning_rates())
    steps = augment.build([*run.data.augment, *how.augment], len(dataset.classes))
    modules = nn.ModuleList(step.to(device) for step in steps if isinstance(step, nn.Module))
    training, judge, judged = dataset.train, "test", dataset.test
    if how.held_out:
        training = training.subset(held_out(run, dataset)[0])
    if recipe.validation:
        kept, held = splits.holdout(training.strata, recipe.validation, *paired, "validation")
        if not len(held):
            raise DasError(
                f"recipes.{run.data.recipe}.validation: {recipe.validation} of {len(training)} training images is none"
            )
        training, judge, judged = training.subset(kept), "validation", training.subset(held)
    train_batches = Batches(training, recipe.batch_size, steps, device=device, drop_last=True, copies=how.copies)
    if not len(train_batches):
        raise DasError(
            f"recipes.{run.data.recipe}.batch_size: is {recipe.batch_size}, but {run.dataset} has "
            f"{len(training)} training images; use at most that many"
        )

    curves: dict[str, list[float]] = {"train_loss": []}
    tested: dict[str, Any] = {}
    best: dict[str, Any] = {}  # the epoch that did best in validation, and the network's weights after it
    start, spent, test_device_s, searches = 0, None, 0.0, []
    if state := resume.load():
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        set_random_state(state["random"])
        modules.load_state_dict(state["augmentations"])
        curves, tested, start, spent = state["curves"], state["tested"], state["epoch"], state["meter"]
        test_device_s, searches, best = state["test_device_s"], state["searches"], state.get("best", {})
    meter = Meter(device, spent)

    def test(images: ImageSet | FileSet) -> tuple[dict[str, Any], float]:
        """The model's scores, and the seconds that they took on the device."""
        objective.before_test()
        before = meter.state()["device_s"]
        scores = evaluate(model, images, run.compute, batch_size=4 * recipe.batch_size)
        return scores, meter.state()["device_s"] - before

    def note(part: str, epoch: int, scores: dict[str, Any]) -> None:
        """Add a test of the set's ``part`` after ``epoch`` epochs to the curves."""
        for name, value in {"epoch": epoch, "loss": scores["loss"], model.metric: scores[model.metric]}.items():
            curves.setdefault(f"{part}_{name}", []).append(value)

    if not state:
        searches = [search(step, run, dataset, device) for step in modules if isinstance(step, SearchedAugmentation)]

    for epoch in (epochs := Epochs(run.title, run.epochs, start, stop)):
        objective.train()
        total = torch.zeros((), device=device)
        draws = run.generator("method", epoch)
        augment.start_epoch(steps, draws, (epoch + 1) / run.epochs)
        objective.start_epoch(draws)
        batches = train_batches.epoch(generator(*paired, "epoch", epoch))
        for step, (images, labels) in enumerate(epochs.batches(batches, len(train_batches))):
            done, share = epoch + step / len(train_batches), 1 / len(train_batches)
            optimizer.lr = learning_rate(recipe, run.epochs, done, share)
            optimizer.zero_grad()
            for loss in objective.losses(images, labels, draws):
                loss.backward()
                total += loss.detach()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
            optimizer.step()
            objective.after_step(done / run.epochs)
        mean_loss = float(total) / len(train_batches)
        if not math.isfinite(mean_loss):
            raise Diverged(f"{run.title}: the loss is {mean_loss} in epoch {epoch + 1}; lower recipes.*.lr")
        curves["train_loss"].append(mean_loss)
        said = f"loss {mean_loss:.4f}"
        if len(judged) and ((epoch + 1) % recipe.test_every == 0 or epoch + 1 == run.epochs):
            tested, test_device_s = test(judged)
            note(judge, epoch + 1, tested)
            said += f", {judge} {model.metric} {tested[model.metric]:.2%}"
            scores = curves[f"{judge}_{model.metric}"]
            if recipe.validation and scores[-1] == max(scores):
                weights = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
                best = {"epoch": epoch + 1, "weights": weights}
        epochs.report(said)
        if shown:
            shown.write(of_training(curves))
        resume.save({
            "objective": objective.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": random_state(),
            "curves": curves,
            "tested": tested,
            "epoch": epoch + 1,
            "meter": meter.state(),
            "augmentations": modules.state_dict(),
            "searches": searches,
            "test_device_s": test_device_s,
            "best": best,
        })  # fmt: skip

    if best:
        model.network.load_state_dict(best["weights"])
    if best and len(dataset.test):
        tested, test_device_s = test(dataset.test)
        note("test", best["epoch"], tested)
    if shown:
        shown.write(of_training(curves))
    objective.before_test()
    images_read = run.epochs * len(train_batches) * recipe.batch_size * how.copies
    train_frames = images_read * model.policy.frames * objective.passes
    record = meter.record()
    record["cost"]["test_device_s"] = round(test_device_s, 3)
    return Fitted(model, curves, tested, train_frames, record | ({"augmentation_search": searches} if searches else {}))
