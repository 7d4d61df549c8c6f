"""The searches that are measured: what each chose, what it cost, and its score of every policy of the bank."""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from das.analysis.verdict import verdict
from das.benchmark.bank import FOLDER, bank, divided
from das.data.sets import Dataset
from das.files import read_json
from das.search.bilevel import BilevelSearch
from das.search.score import score
from das.study import results
from das.study.runs import SearchRun, of_policy
from das.study.schema import Study
from das.video.policy import Policy


@dataclass(frozen=True, eq=False)
class MeasuredSearch(SearchRun):
    """A search on a part of the training images, with its scores of the bank's policies ({name: digest})."""

    fraction: float
    policies: dict[str, str]
    method: str

    kind = "measured search"
    command = "benchmark score"

    @cached_property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"held_out": self.fraction, "bank": self.policies}

    @property
    def files(self) -> dict[str, Path]:
        place = FOLDER / self.study / self.dataset / self.backbone / "searches"
        return {"scores": place / self.method / f"seed{self.seed}.json"}


def run_of(study: Study, dataset: str, backbone: str, method: str, seed: int) -> MeasuredSearch:
    """The measured search of a method's policy."""
    searched = of_policy(study, dataset, backbone, study.methods[method].policy, seed)
    return MeasuredSearch(
        **{field.name: getattr(searched, field.name) for field in fields(searched)},
        fraction=study.policy_benchmark.held_out,
        policies={name: policy.digest() for name, policy in bank(study).items()},
        method=method,
    )


def runs_of(study: Study, dataset: str, backbone: str) -> dict[tuple[str, int], MeasuredSearch]:
    """The measured searches: every method of the study's grid, with every seed."""
    grid = study.study
    pairs = ((method, seed) for method in grid.methods for seed in grid.seeds)
    return {(method, seed): run_of(study, dataset, backbone, method, seed) for method, seed in pairs}


def measure(study: Study, run: MeasuredSearch, images: Dataset) -> None:
    """Run the search and publish what it chose, what it cost, and its score of every policy of the bank."""
    with results.alone(run):
        made_from = results.inputs(run)
        part = divided(images, study.policy_benchmark)
        search = BilevelSearch(run, part, results.key(run, made_from))
        policy, history, record = search.find()
        content = {
            "policy": policy.dumps(),
            "verdict": verdict(policy, history),
            "scores": {name: score(search, candidate) for name, candidate in bank(study).items()},
        }
        results.publish(run, {"scores": json.dumps(content, indent=1) + "\n"}, made_from, record)


def chosen(study: Study, dataset: str, backbone: str) -> dict[str, Policy]:
    """{`METHOD, seed SEED`: the policy that the search chose}. Raises DasError where a search is missing or cannot
    stand."""
    runs = runs_of(study, dataset, backbone).items()
    for _, run in runs:
        results.require(run)
    return {f"{method}, seed {seed}": Policy.loads(read_json(run.main)["policy"]) for (method, seed), run in runs}
