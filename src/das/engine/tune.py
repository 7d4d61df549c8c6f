"""Settings of methods chosen on held-out training images, with the same number of trials for each method.

The test set is not read: a trial trains on a part of the training set and is scored, after its last epoch, on the rest.
"""

from itertools import product
from pathlib import Path
from typing import Any

import torch
import yaml

from das.augment.names import read
from das.config import Study, check
from das.data import splits
from das.data.sets import Dataset
from das.engine.train import fit, resume_state
from das.errors import DasError
from das.files import publish, publish_json, read_json
from das.seeding import generator
from das.video.policy import Policy

Settings = dict[str, Any]


def trials(study: Study, method: str) -> list[Settings]:
    """The settings {augmentation.parameter: value} that are tried for ``method``: as many as the study's tuning says,
    drawn without repetition from the method's grid, in the grid's order. DasError for a method without a grid."""
    if not study.tuning or method not in study.tuning.grids:
        raise DasError(f"tuning.grids.{method}: is missing; list the values to try for method {method!r}")
    grid = study.tuning.grids[method]
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    draws = generator("tuning", method, study.tuning.seed)
    chosen = torch.randperm(len(points), generator=draws)[: study.tuning.trials].sort().values
    return [points[i] for i in chosen.tolist()]


def with_settings(study: Study, method: str, settings: Settings) -> Study:
    """The study in which ``method``'s augmentations have ``settings``."""
    content = study.model_dump()
    content["methods"][method]["augment"] = augmentations(study, method, settings)
    return check(content, where=f"tuning of {method}")


def augmentations(study: Study, method: str, settings: Settings) -> list[dict[str, dict[str, Any]]]:
    """The method's `augment` list with ``settings`` in it."""
    entries = []
    for name, parameters in map(read, study.methods[method].augment):
        own = {path.split(".")[1]: value for path, value in settings.items() if path.split(".")[0] == name}
        entries.append({name: parameters | own})
    return entries


def tune(study: Study, dataset: str, backbone: str, method: str, images: Dataset, policy: Policy | None) -> Path:
    """Try the method's settings on ``images.train`` and return the path of the record of every trial.

    The indices of both parts stand beside it (`.split.json`). An interrupted tuning continues within its last trial.
    """
    identity = (dataset, "tuning", study.tuning.seed)
    kept, held = splits.holdout(images.train.strata, study.tuning.fraction, *identity)
    parts = {"train": images.train.subset(kept), "test": images.train.subset(held)}
    split = Dataset(images.name, parts.__getitem__, images.classes)
    record, states = [], []
    tried = trials(study, method)
    for place, settings in enumerate(tried, start=1):
        print(f"{method}: trial {place}/{len(tried)}: {settings}, tested on held-out training images", flush=True)
        number = with_settings(study, method, settings).number(dataset, backbone, method, study.tuning.seed)
        states.append(resume_state(number, split, policy))
        fitted = fit(number, split, policy, states[-1])
        record.append({"settings": settings, "score": fitted.tested[fitted.model.metric]})
    path = _record_path(study, dataset, backbone, method)
    indices = {"trained_on": kept, "scored_on": held}
    splits.write(path.with_suffix(".split.json"), indices, digest=images.train.digest, identity=identity)
    sizes = {"trained_on": len(kept), "scored_on": len(held)}
    publish_json(path, sizes | {"metric": fitted.model.metric, "trials": record})
    for state in states:
        state.discard()
    return path


def write_chosen(study: Study) -> Path:
    """Write the study file that gives every tuned method its best settings, to be layered over the study.

    The best settings have the highest mean score over the grid's data sets and backbones; of equals, the first.
    Raises DasError for a tuning that was not run.
    """
    methods = {}
    for method in study.tuning.grids:
        scores = [
            [trial["score"] for trial in read_json(_record_path(study, dataset, backbone, method))["trials"]]
            for dataset in study.study.datasets
            for backbone in study.study.backbones
        ]
        means = [sum(column) for column in zip(*scores, strict=True)]
        best = max(range(len(means)), key=means.__getitem__)
        methods[method] = {"augment": augmentations(study, method, trials(study, method)[best])}
    path = Path("results/tuning") / f"{study.study.name}.yaml"
    publish(path, yaml.safe_dump({"methods": methods}, sort_keys=False))
    return path


def _record_path(study: Study, dataset: str, backbone: str, method: str) -> Path:
    return Path("results/tuning") / study.study.name / dataset / backbone / f"{method}.json"
