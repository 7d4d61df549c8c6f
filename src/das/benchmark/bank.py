"""The bank: policies by name, each retrained from scratch on a part of the training images, scored on the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from das.data import splits
from das.data.sets import Dataset
from das.engine.train import train
from das.files import publish, read_json
from das.search.make import control_policy
from das.seeding import derive
from das.study import results
from das.study.runs import RESULTS, TrainingRun, of_method
from das.study.schema import Method, PolicyBenchmark, PolicySource, Study
from das.video.family import Family
from das.video.policy import IMAGE, Policy

FOLDER = RESULTS / "policy_benchmark"


@dataclass(frozen=True, eq=False)
class BankRun(TrainingRun):
    """A training on a part of the training images, tested on the rest."""

    fraction: float

    command = "benchmark retrain"

    @cached_property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"held_out": self.fraction}


def folder(study: Study, dataset: str, backbone: str) -> Path:
    """Where the benchmark's tables of a data set and backbone lie."""
    return FOLDER / study.name / dataset / backbone


def bank(study: Study) -> dict[str, Policy]:
    """The policies by name: identical frames, the uniform mixture, single operations at the grid's magnitudes on both
    schedules, and random policies."""
    settings = study.policy_benchmark
    cell = study.cells[settings.cell]
    family = Family(**cell.model_dump())
    policies = {"identical": Policy.replicate(cell.frames), "uniform": family.uniform()}
    for schedule in ("signed", "mirrored"):
        for choice in family.candidates[0]:
            if choice.magnitudes:
                single = Policy.single(choice.operation, *choice.magnitudes, cell.frames, schedule=schedule)
                policies[f"{choice.describe()} {schedule}"] = single
    for index in range(settings.random):
        policies[f"random {index}"] = family.random(derive("policy benchmark", index))
    return policies


def pruned(policy: Policy) -> Policy:
    """The policy without the nodes that do not reach its last one: the same video, in fewer words."""
    wanted = policy.reaching()
    place = {node: position for position, node in enumerate(wanted)} | {IMAGE: IMAGE}
    nodes = tuple(tuple(replace(edge, source=place[edge.source]) for edge in policy.nodes[node]) for node in wanted)
    return replace(policy, nodes=nodes)


def divided(images: Dataset, settings: PolicyBenchmark) -> Dataset:
    """The training images in two: what searches and trainings see, and what the bank is scored on in place of a test
    set. The same two whatever the study."""
    kept, held = splits.holdout(images.train.strata, settings.held_out, images.name, "policy benchmark")
    parts = {"train": images.train.subset(kept), "test": images.train.subset(held)}
    return Dataset(images.name, parts.__getitem__, images.classes)


def run_of(study: Study, dataset: str, backbone: str, policy: Policy, seed: int) -> BankRun:
    """The training of a pruned policy, named by its digest: equal policies share it. Writes the policy's file."""
    name, settings = f"bank_{policy.digest()[:12]}", study.policy_benchmark
    path, text = FOLDER / "bank" / f"{name}.yaml", replace(policy, space=None, provenance={}).dumps()
    if not path.exists() or path.read_bytes() != text.encode():
        publish(path, text)
    source = PolicySource(source="file", path=str(path), fusion=settings.fusion)
    method = Method(title=policy.describe(), policy=name, fusion=settings.fusion)
    extended = study.model_copy(update={"policies": {name: source}, "methods": {name: method}})
    trained = of_method(extended, dataset, backbone, name, seed)
    return BankRun(
        **{field.name: getattr(trained, field.name) for field in fields(trained)}, fraction=settings.held_out
    )


def retrain(study: Study, dataset: str, backbone: str, images: Dataset, chosen: Mapping[str, Policy]) -> None:
    """Train the bank and the searches' ``chosen`` policies with every training seed; write the table `policies.csv`.

    What was done with the same settings is taken from where it lies, or from the store.
    """
    part = divided(images, study.policy_benchmark)
    for seed in study.policy_benchmark.training_seeds:
        for policy in map(pruned, (bank(study) | chosen).values()):
            run = run_of(study, dataset, backbone, policy, seed)
            if not results.take(run.made_by):
                control_policy(run.made_by)
            if not results.take(run):
                train(run, part, policy)
    table = accuracies(study, dataset, backbone, chosen)
    publish(folder(study, dataset, backbone) / "policies.csv", table.to_csv(index=False))


def accuracies(study: Study, dataset: str, backbone: str, chosen: Mapping[str, Policy]) -> pd.DataFrame:
    """One row a policy of the bank and of ``chosen``: policy (its name), digest, frames (what it does), and its
    accuracy in [0, 1] with each training seed. Raises DasError for a training that is missing or cannot stand."""
    rows = []
    for name, policy in (bank(study) | chosen).items():
        short = pruned(policy)
        row = {"policy": name, "digest": short.digest()[:12], "frames": short.describe()}
        for seed in study.policy_benchmark.training_seeds:
            run = run_of(study, dataset, backbone, short, seed)
            results.require(run)
            number = read_json(run.number)
            row[f"seed{seed}"] = number[number["metric"]]
        rows.append(row)
    return pd.DataFrame(rows)
