"""Settings of methods chosen on held-out training images, with the same number of trials for each method.

The test set is not read: a trial trains on a part of the training set and is scored on the rest. With halving, trials
that are behind stop early (das.study.schema.Halving); one that goes on continues where it stopped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from torch import Tensor

from das.data import splits
from das.data.sets import Dataset
from das.engine.resume import ResumeState
from das.engine.train import Diverged, fit, resume_state
from das.errors import DasError
from das.files import publish, read_json
from das.seeding import generator
from das.study import results
from das.study import tuning as settled
from das.study.runs import RESULTS, TrainingRun, TuningRun, digest, tunings_of
from das.study.schema import Range, Study
from das.video.policy import Policy

Settings = dict[str, Any]
DIGITS = 3  # significant ones of a value drawn from a range


@dataclass
class Trial:
    """One point of the space: its settings, its score at the end of every rung it reached (None: the loss was no longer
    finite), its costs."""

    settings: Settings
    scores: list[float | None]
    epochs: int = 0
    record: dict[str, Any] | None = None


def trials(run: TuningRun) -> list[Settings]:
    """The settings {path: value} that are tried, as many as the study's tuning says (das.study.tuning).

    Those of a method's augmentations alone are drawn without repetition from its grid, in the grid's order. Those of
    the recipe are drawn by chance, the same ones for every method, each beside one point of the method's grid, if it
    has one. Raises DasError for a method without anything to try.
    """
    asked = run.tuning
    grid = asked.grids.get(run.name, {})
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    draws = generator("tuning", run.name, asked.seed)
    if not asked.recipe:
        if not grid:
            raise DasError(f"tuning.grids.{run.name}: is missing; list the values to try for method {run.name!r}")
        chosen = torch.randperm(len(points), generator=draws)[: asked.trials].sort().values
        return [points[i] for i in chosen.tolist()]
    own = torch.randint(len(points), (asked.trials,), generator=draws).tolist()
    return [recipe | points[i] for recipe, i in zip(_recipes(run), own, strict=True)]


def _recipes(run: TuningRun) -> list[Settings]:
    """The draws of recipe settings; epochs are not the method's own where they follow another one's."""
    draws = generator("tuning", "recipe", run.tuning.seed)
    columns = {}
    for key, space in run.tuning.recipe.items():
        uniform = torch.rand(run.tuning.trials, generator=draws, dtype=torch.float64).tolist()
        if isinstance(space, Range):
            columns[key] = [_rounded(space.low * (space.high / space.low) ** u) for u in uniform]
        else:
            columns[key] = [space[int(u * len(space))] for u in uniform]
    if run.trial.how.equal_compute_to:
        columns.pop("epochs", None)
    names = [f"{settled.RECIPE}.{key}" for key in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def with_settings(run: TuningRun, settings: Settings) -> TrainingRun:
    """The training of a trial."""
    recipe, how = settled.apply(settings, run.trial.recipe, run.trial.how)
    epochs = round(run.trial.epochs * recipe.epochs / run.trial.recipe.epochs)
    if run.tuning.test_every:
        recipe = recipe.model_copy(update={"test_every": run.tuning.test_every})
    return replace(run.trial, recipe=recipe, how=how, epochs=epochs)


def held_out(run: TuningRun, images: Dataset) -> tuple[Tensor, Tensor]:
    """(kept, held): indices of ``images.train`` that trials are trained and scored on; of one of several splits, held
    are each class's last images, else some by chance. Raises DasError where none of a class would be kept."""
    strata, fraction = images.train.strata, run.tuning.fraction
    if run.data.splits is None:
        kept, held = splits.holdout(strata, fraction, run.dataset, "tuning", run.tuning.seed)
    else:
        kept, held = splits.last_held(strata, fraction)
    there, left = (torch.bincount(part.cpu(), minlength=len(images.classes)) for part in (strata, strata[kept]))
    if len(gone := ((there > 0) & (left == 0)).nonzero()):
        name, count = images.classes[int(gone[0])], int(there[gone[0]])
        raise DasError(
            f"tuning.fraction: {fraction:g} takes the last image of class {name!r} of {run.dataset}, which has "
            f"{count}; use a smaller one, or more images a class"
        )
    if not len(held):
        raise DasError(f"tuning.fraction: {fraction:g} of {len(strata)} images holds none out; use a larger one")
    return kept, held


def halve(
    points: Sequence[Settings], rungs: Sequence[tuple[int, float]], score: Callable[[Trial, float], None]
) -> list[Trial]:
    """Take ``points`` through the rungs (das.study.tuning.rungs): ``score(trial, share)`` trains a trial for that share
    of its epochs and appends to its scores. Of each rung the best go on; of equals, the first."""
    found = [Trial(settings, []) for settings in points]
    standing = found
    for place, (count, share) in enumerate(rungs):
        if place:
            finite = [trial for trial in standing if trial.scores[-1] is not None]
            ranked = sorted(finite, key=lambda trial: trial.scores[-1] or 0.0, reverse=True)[:count]
            standing = [trial for trial in standing if any(trial is one for one in ranked)]
        for trial in standing:
            score(trial, share)
    return found


def tune(run: TuningRun, images: Dataset, policy: Policy | None) -> None:
    """Try the method's settings on ``images.train`` and publish the record of every trial, and both parts' indices.

    An interrupted tuning continues within its last trial and ends in the same bytes. Raises DasError as `held_out`, and
    where no trial keeps a finite loss.
    """
    with results.alone(run):
        made_from = results.inputs(run)
        kept, held = held_out(run, images)
        parts = {"train": images.train.subset(kept), "test": images.train.subset(held)}
        split = Dataset(images.name, parts.__getitem__, images.classes)
        tried = trials(run)
        metric = ""

        def score(trial: Trial, share: float) -> None:
            nonlocal metric
            training = with_settings(run, trial.settings)
            trial.epochs = settled.stop(training.epochs, share)
            place = 1 + next(i for i, settings in enumerate(tried) if settings is trial.settings)
            said = f"{run.title}: trial {place}/{len(tried)}: {trial.settings}, epochs 1 to {trial.epochs}"
            print(f"{said} of {training.epochs}, tested on held-out training images", flush=True)
            try:
                fitted = fit(training, split, policy, trial_state(run, trial.settings, made_from), stop=trial.epochs)
            except Diverged as error:
                print(error, flush=True)
                trial.scores.append(None)
                return
            metric, trial.record = fitted.model.metric, fitted.record
            trial.scores.append(_score(fitted.curves, metric, trial.epochs, run.tuning.tests))

        found = halve(tried, settled.rungs(run.tuning, len(tried)), score)
        if not (costs := [trial.record for trial in found if trial.record]):
            raise DasError(f"tuning: no trial of {run.title} kept a finite loss; lower the learning rates in tuning")
        cost = {key: round(sum(one["cost"][key] for one in costs), 3) for key in ("wall_s", "device_s")}
        facts = costs[-1] | {"cost": costs[-1]["cost"] | cost}
        content = {
            **{"trained_on": len(kept), "scored_on": len(held), "metric": metric},
            "trials": [{"settings": t.settings, "epochs": t.epochs, "scores": t.scores} for t in found],
        }
        identity = (run.dataset, "tuning", run.tuning.seed)
        text = splits.text({"trained_on": kept, "scored_on": held}, digest=images.train.digest, identity=identity)
        contents = {"split": text, "trials": json.dumps(content, indent=1) + "\n"}
        results.publish(run, contents, made_from, facts)
        for settings in tried:
            trial_state(run, settings, made_from).discard()


def trial_state(run: TuningRun, settings: Settings, made_from: Mapping[str, str]) -> ResumeState:
    """Where an interrupted trial is kept."""
    depends_on = digest([results.key(run, made_from), settings], full=True)
    return resume_state(with_settings(run, settings), depends_on)


def _score(curves: dict[str, list[float]], metric: str, epochs: int, tests: int) -> float:
    """The mean of the last ``tests`` tests up to ``epochs``; of all, where there were fewer."""
    pairs = zip(curves["test_epoch"], curves[f"test_{metric}"], strict=True)
    return fmean([value for epoch, value in pairs if epoch <= epochs][-tests:])


def chosen(run: TuningRun) -> Settings:
    """The settings with the highest score of those that reached the last rung; of equals, the first. Raises DasError
    for a tuning that was not run or cannot stand, or where none reached it."""
    results.require(run)
    made = read_json(run.main)["trials"]
    last = max(len(trial["scores"]) for trial in made)
    finite = [trial for trial in made if len(trial["scores"]) == last and trial["scores"][-1] is not None]
    if not finite:
        raise DasError(f"{run.main}: no trial of the last rung kept a finite loss; lower the learning rates in tuning")
    return max(finite, key=lambda trial: trial["scores"][-1])["settings"]


def write_chosen(study: Study) -> Path:
    """Write the study file that gives every tuned method its best settings on each data set and backbone, to be layered
    over the study. Raises DasError as `chosen`."""
    methods: dict[str, Any] = {}
    for run in tunings_of(study):
        tuned = methods.setdefault(run.name, {"tuned": {}})["tuned"]
        tuned.setdefault(run.dataset, {})[run.backbone] = chosen(run)
    path = RESULTS / "tuning" / f"{study.name}.yaml"
    publish(path, yaml.safe_dump({"methods": methods}, sort_keys=False))
    return path
