"""Settings of methods chosen on held-out training images, with the same number of trials for each method.

The test set is not read: a trial trains on a part of the training set and is scored, after its last epoch, on the rest.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
import yaml

from das import augment
from das.data import splits
from das.data.sets import Dataset
from das.engine.resume import ResumeState
from das.engine.train import fit, resume_state
from das.errors import DasError
from das.files import publish, read_json
from das.seeding import generator
from das.study import results
from das.study.runs import RESULTS, TrainingRun, TuningRun, digest, of_tuning
from das.study.schema import Study
from das.video.policy import Policy

Settings = dict[str, Any]


def trials(run: TuningRun) -> list[Settings]:
    """The settings {augmentation.parameter: value} that are tried: as many as the study's tuning says, drawn without
    repetition from the method's grid, in the grid's order. DasError for a method without a grid."""
    if run.name not in run.tuning.grids:
        raise DasError(f"tuning.grids.{run.name}: is missing; list the values to try for method {run.name!r}")
    grid = run.tuning.grids[run.name]
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    draws = generator("tuning", run.name, run.tuning.seed)
    chosen = torch.randperm(len(points), generator=draws)[: run.tuning.trials].sort().values
    return [points[i] for i in chosen.tolist()]


def with_settings(run: TrainingRun, settings: Settings) -> TrainingRun:
    """The run whose method's augmentations have ``settings``."""
    return replace(run, how=run.how.model_copy(update={"augment": augmentations(run, settings)}))


def augmentations(run: TrainingRun, settings: Settings) -> list[dict[str, dict[str, Any]]]:
    """The method's `augment` list with ``settings`` in it."""
    entries = []
    for entry, options in map(augment.read, run.how.augment):
        own = {path.split(".")[1]: value for path, value in settings.items() if path.split(".")[0] == entry.name}
        entries.append({entry.name: options | own})
    return entries


def tune(run: TuningRun, images: Dataset, policy: Policy | None) -> None:
    """Try the method's settings on ``images.train`` and publish the record of every trial, and both parts' indices.

    An interrupted tuning continues within its last trial.
    """
    with results.alone(run):
        made_from = results.inputs(run)
        identity = (run.dataset, "tuning", run.tuning.seed)
        kept, held = splits.holdout(images.train.strata, run.tuning.fraction, *identity)
        parts = {"train": images.train.subset(kept), "test": images.train.subset(held)}
        split = Dataset(images.name, parts.__getitem__, images.classes)
        tried, scores = trials(run), []
        for place, settings in enumerate(tried, start=1):
            print(
                f"{run.title}: trial {place}/{len(tried)}: {settings}, tested on held-out training images", flush=True
            )
            trial = with_settings(run.trial, settings)
            fitted = fit(trial, split, policy, trial_state(run, settings, made_from))
            scores.append({"settings": settings, "score": fitted.tested[fitted.model.metric]})
        indices = {"trained_on": kept, "scored_on": held}
        sizes = {"trained_on": len(kept), "scored_on": len(held)}
        content = {**sizes, "metric": fitted.model.metric, "trials": scores}
        text = splits.text(indices, digest=images.train.digest, identity=identity)
        contents = {"split": text, "trials": json.dumps(content, indent=1) + "\n"}
        results.publish(run, contents, made_from, fitted.record)
        for settings in tried:
            trial_state(run, settings, made_from).discard()


def trial_state(run: TuningRun, settings: Settings, made_from: Mapping[str, str]) -> ResumeState:
    """Where an interrupted trial is kept."""
    depends_on = digest([results.key(run, made_from), settings], full=True)
    return resume_state(with_settings(run.trial, settings), depends_on)


def write_chosen(study: Study) -> Path:
    """Write the study file that gives every tuned method its best settings, to be layered over the study.

    The best settings have the highest mean score over the grid's data sets and backbones; of equals, the first.
    Raises DasError for a tuning that was not run, or cannot stand.
    """
    methods = {}
    for method in study.tuning.grids if study.tuning else ():
        runs = [of_tuning(study, d, b, method) for d in study.study.datasets for b in study.study.backbones]
        for run in runs:
            results.require(run)
        scores = [[trial["score"] for trial in read_json(run.main)["trials"]] for run in runs]
        means = [sum(column) for column in zip(*scores, strict=True)]
        best = max(range(len(means)), key=means.__getitem__)
        methods[method] = {"augment": augmentations(runs[0].trial, trials(runs[0])[best])}
    path = RESULTS / "tuning" / f"{study.name}.yaml"
    publish(path, yaml.safe_dump({"methods": methods}, sort_keys=False))
    return path
