"""Runs: what a study asks for, resolved once. A run knows all it depends on, its digest, its files and its seeds.

A `PolicyRun` makes a policy, a `TrainingRun` trains a network and tests it, an `EvaluationRun` tests another run's
weights, a `TuningRun` chooses a method's settings. Names stand in paths and seeds, values in settings and digests.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from das.errors import DasError
from das.seeding import derive, generator
from das.study import augmentations, registry, tuning
from das.study.schema import (
    Architecture,
    Backbone,
    Cell,
    Compute,
    Dataset,
    Method,
    PolicySource,
    Recipe,
    Search,
    Study,
    Tuning,
)  # fmt: skip

RESULTS = Path("results")
SEEDS = 1000  # a seed of SEEDS or more is a further draw on the images of its remainder


def digest(settings: Any, full: bool = False) -> str:
    """A hash of settings, of 16 hex digits or ``full`` 64: equal if and only if nothing in them differs."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[: None if full else 16]


@dataclass(frozen=True, eq=False)
class Run:
    """One piece of work of a study: a data set, a backbone and a seed, and what is done with them.

    Attributes: ``study``, ``dataset``, ``backbone`` names; ``data``, ``net`` the sections they name; ``compute``.
    """

    study: str
    dataset: str
    backbone: str
    seed: int
    data: Dataset
    net: Backbone
    recipe: Recipe
    compute: Compute

    kind: ClassVar[str]
    command: ClassVar[str]  # of `das`, which makes it

    @property
    def name(self) -> str:
        """Of the policy or method."""
        raise NotImplementedError

    @property
    def identity(self) -> dict[str, Any]:
        """What names the run within its study; everything random derives from it."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the run depends on besides its identity and its inputs, resolved."""
        raise NotImplementedError

    @property
    def files(self) -> dict[str, Path]:
        """What the run publishes, by role; the last one says by its existence that all is there."""
        raise NotImplementedError

    @property
    def components(self) -> Iterator[tuple[str, str]]:
        """(kind, name) of every component of the registry that the run uses."""
        raise NotImplementedError

    @property
    def reads(self) -> dict[str, "Run"]:
        """The runs whose files this one reads, by the role of the file."""
        return {}

    @property
    def uses_data(self) -> bool:
        return True

    @cached_property
    def digest(self) -> str:
        """The short hash of `settings` and of the source of components from outside the package."""
        return digest(self.settings | ({"sources": self.sources} if self.sources else {}))

    @cached_property
    def sources(self) -> dict[str, str]:
        """{target: SHA-256 of its module's source} of the components that are not the package's."""
        own = (entry for kind, name in self.components if (entry := registry.lookup(kind, name)).own)
        return {entry.target: entry.source_digest() for entry in own}

    @property
    def place(self) -> str:
        """Data set, backbone, name and seed as in paths, below the study's folder."""
        return f"{self.dataset}/{self.backbone}/{self.name}/seed{self.seed}"

    @property
    def title(self) -> str:
        """How logs and messages call the run."""
        return f"{self.kind} {self.study}/{self.place}"

    @property
    def main(self) -> Path:
        """The file by which the run is known."""
        return list(self.files.values())[-1]

    @property
    def record(self) -> Path:
        """The run record: what it was made from, by what code and machine, at what cost."""
        return self.main.with_suffix(".run.json")

    def seed_for(self, *purpose: str | int) -> int:
        """The seed of one of the run's purposes."""
        return derive(*self.identity.values(), *purpose)

    def generator(self, *purpose: str | int):
        """A torch.Generator for one of the run's purposes."""
        return generator(*self.identity.values(), *purpose)

    def _path(self, kind: str, suffix: str) -> Path:
        return RESULTS / kind / self.study / f"{self.place}{suffix}"

    def _architecture(self, fusion: str, options: Mapping[str, Any], consensus: str | None) -> Architecture:
        task = registry.lookup("task", self.data.task)
        dense = task.facts["dense"]
        reader = self.data.entry
        return Architecture(
            task=task.name,
            network=self.net.network,
            network_options=self.net.options,
            dropout=self.net.dropout,
            pretrained=self.net.pretrained,
            places=self.net.places,
            head=self.net.head if dense else None,
            fusion=fusion,
            fusion_options=dict(options),
            consensus=consensus or task.facts["consensus"],
            segmentation=self.recipe.segmentation if dense else None,
            image_size=reader.complete(self.data.options).get("size") if dense else None,
        )

    def _common_settings(self) -> dict[str, Any]:
        return {
            "dataset": self.data.settings(),
            "backbone": self._network_settings(),
            "compute": self.compute.settings(),
        }

    def _network_settings(self) -> dict[str, Any]:
        dense = registry.lookup("task", self.data.task).facts["dense"]
        return {key: value for key, value in self.net.settings().items() if dense or key != "head"}

    def _recipe_settings(self) -> dict[str, Any]:
        dense = registry.lookup("task", self.data.task).facts["dense"]
        return {key: value for key, value in self.recipe.settings().items() if dense or key != "segmentation"}

    def _common_components(self) -> Iterator[tuple[str, str]]:
        yield "reader", self.data.reader
        yield "network", self.net.network
        yield "task", self.data.task
        if self.net.head:
            yield "head", self.net.head.network
        yield from augmentations.components(self.data.augment)


@dataclass(frozen=True, eq=False)
class PolicyRun(Run):
    """A policy from whatever its source names: chance, copies, one operation, a file; or a search (`SearchRun`)."""

    policy: str
    source: PolicySource
    cell: Cell | None

    kind = "policy"
    command = "search"
    searches: ClassVar[bool] = False

    @property
    def uses_data(self) -> bool:
        return self.searches

    @property
    def name(self) -> str:
        return self.policy

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "backbone": self.backbone, "policy": self.policy, "seed": self.seed}

    @cached_property
    def own_settings(self) -> dict[str, Any]:
        """What the policy depends on besides data set and backbone."""
        resolved = self.source.model_dump(exclude={"cell", "search"}, exclude_none=True)
        if not self.source.fusion_options:
            del resolved["fusion_options"]
        if self.cell:
            resolved["cell"] = self.cell.settings()
        return resolved

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {"policy": self.own_settings}

    @property
    def files(self) -> dict[str, Path]:
        return {"policy": self._path("policies", ".yaml")}

    @property
    def components(self) -> Iterator[tuple[str, str]]:
        if self.cell:
            yield "schedule", self.cell.schedule
            if isinstance(self.cell.space, str):
                yield "space", self.cell.space
            else:
                yield from (("operation", name) for name in self.cell.space)
        if self.source.operation:
            yield "operation", self.source.operation


@dataclass(frozen=True, eq=False)
class SearchRun(PolicyRun):
    """A search of a policy, on the two halves of the training set."""

    cell: Cell
    search: Search

    kind = "search"
    searches = True

    @cached_property
    def own_settings(self) -> dict[str, Any]:
        return super().own_settings | {"search": self.search.settings()}

    @cached_property
    def settings(self) -> dict[str, Any]:
        recipe = {key: value for key, value in self._recipe_settings().items() if key == "segmentation"}
        return {"policy": self.own_settings} | self._common_settings() | ({"recipe": recipe} if recipe else {})

    @property
    def architecture(self) -> Architecture:
        """Of the network that the search trains."""
        return self._architecture(self.source.fusion, self.source.fusion_options, None)

    @property
    def files(self) -> dict[str, Path]:
        beside = {role: self._path("policies", f".{role}.json") for role in ("halves", "history")}
        return beside | super().files

    @property
    def components(self) -> Iterator[tuple[str, str]]:
        yield from super().components
        yield from self._common_components()
        yield "fusion", self.source.fusion
        yield "relaxation", self.search.relaxation
        yield "selection", self.search.selection


@dataclass(frozen=True, eq=False)
class MethodRun(Run):
    """A method, with a data set, a backbone and a seed: what gives a number of the tables.

    ``how`` is the method's section, ``made_by`` the run of its policy, ``consensus`` its own or the task's, ``epochs``
    those of its training.
    """

    method: str
    how: Method
    made_by: PolicyRun | None
    consensus: str
    epochs: int

    @property
    def name(self) -> str:
        return self.method

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "backbone": self.backbone, "method": self.method, "seed": self.seed}

    @cached_property
    def settings(self) -> dict[str, Any]:
        return self._common_settings() | {
            "recipe": self._recipe_settings() | {"epochs": self.epochs},
            "method": self.how.settings() | {"consensus": self.consensus},
            "policy": self.made_by.own_settings if self.made_by else None,
        }

    @property
    def architecture(self) -> Architecture:
        return self._architecture(self.how.fusion, self.how.fusion_options, self.consensus)

    @property
    def number(self) -> Path:
        return self._path("numbers", ".json")

    @property
    def reads(self) -> dict[str, Run]:
        return {"policy": self.made_by} if self.made_by else {}

    @property
    def trained(self) -> "TrainingRun":
        """The run whose weights are tested."""
        raise NotImplementedError

    @property
    def components(self) -> Iterator[tuple[str, str]]:
        yield from self._common_components()
        yield "fusion", self.how.fusion
        yield "dense_consensus" if self.net.head else "consensus", self.consensus
        yield from augmentations.components(self.how.augment)
        yield "optimizer", self.recipe.optimizer
        yield "lr_schedule", self.recipe.schedule
        if self.made_by:
            yield from self.made_by.components


@dataclass(frozen=True, eq=False)
class TrainingRun(MethodRun):
    """A network trained from scratch and tested."""

    kind = "training"
    command = "train"

    @property
    def files(self) -> dict[str, Path]:
        return {"checkpoint": self.checkpoint, "number": self.number}

    @property
    def checkpoint(self) -> Path:
        return self._path("checkpoints", ".pt")

    @property
    def trained(self) -> "TrainingRun":
        return self


@dataclass(frozen=True, eq=False)
class EvaluationRun(MethodRun):
    """A test of another run's weights through this one's policy."""

    weights: TrainingRun

    kind = "evaluation"
    command = "evaluate"

    @cached_property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"weights": self.weights.settings}

    @property
    def files(self) -> dict[str, Path]:
        return {"number": self.number}

    @property
    def trained(self) -> TrainingRun:
        return self.weights

    @property
    def reads(self) -> dict[str, Run]:
        return super().reads | {"checkpoint": self.weights}


@dataclass(frozen=True, eq=False)
class TuningRun(Run):
    """The trials of a method's settings on held-out training images."""

    trial: TrainingRun
    tuning: Tuning

    kind = "tuning"
    command = "tune"

    @property
    def name(self) -> str:
        return self.trial.method

    @cached_property
    def identity(self) -> dict[str, Any]:
        return self.trial.identity | {"seed": self.tuning.seed}

    @cached_property
    def settings(self) -> dict[str, Any]:
        asked = self.tuning.settings()
        return self.trial.settings | {"tuning": asked | {"grids": asked["grids"].get(self.name)}}

    @property
    def files(self) -> dict[str, Path]:
        place = RESULTS / "tuning" / self.study / self.dataset / self.backbone
        return {"split": place / f"{self.name}.split.json", "trials": place / f"{self.name}.json"}

    @property
    def reads(self) -> dict[str, Run]:
        return self.trial.reads

    @property
    def components(self) -> Iterator[tuple[str, str]]:
        return self.trial.components


# -- from a study to its runs --------------------------------------------------------------------------------------


def of_policy(study: Study, dataset: str, backbone: str, policy: str, seed: int) -> PolicyRun:
    """The run of a policy. Raises DasError for a name that the study does not define."""
    require(study, datasets=dataset, backbones=backbone, policies=policy)
    source, data = study.policies[policy], study.datasets[dataset]
    common = _common(study, dataset, backbone, seed) | {
        "recipe": study.recipes[data.recipe],
        "policy": policy,
        "source": source,
        "cell": study.cells[source.cell] if source.cell else None,
    }
    return SearchRun(**common, search=study.searches[source.search]) if source.search else PolicyRun(**common)


def of_method(
    study: Study, dataset: str, backbone: str, method: str, seed: int, tuned: bool = True
) -> TrainingRun | EvaluationRun:
    """The run of a method, with the settings that tuning chose for it, or without. Raises DasError for a name that the
    study does not define."""
    require(study, datasets=dataset, backbones=backbone, methods=method)
    recipe, how = _settings(study, dataset, backbone, method, tuned)
    common = _common(study, dataset, backbone, seed) | {
        "recipe": recipe,
        "method": method,
        "how": how,
        "made_by": of_policy(study, dataset, backbone, how.policy, seed) if how.policy else None,
        "consensus": how.consensus or registry.lookup("task", study.datasets[dataset].task).facts["consensus"],
        "epochs": _epochs(study, dataset, backbone, method, tuned),
    }
    if how.weights_of:
        weights = of_method(study, dataset, backbone, how.weights_of, seed, tuned).trained
        return EvaluationRun(**common | {"recipe": weights.recipe}, weights=weights)
    return TrainingRun(**common)


def of_tuning(study: Study, dataset: str, backbone: str, method: str) -> TuningRun:
    """The run that tunes a method. Raises DasError for a study without tuning, or a name it does not define."""
    if not study.tuning:
        raise DasError("tuning: is missing; the study lists no settings to try (see config/competitors.yaml)")
    trial = of_method(study, dataset, backbone, method, study.tuning.seed, tuned=False)
    common = _common(study, dataset, backbone, study.tuning.seed)
    return TuningRun(**common, recipe=trial.recipe, trial=trial.trained, tuning=study.tuning)


def of_study(study: Study) -> list[TrainingRun | EvaluationRun]:
    """The run of every method, data set, backbone and seed of the study's grid, in the grid's order."""
    grid = study.study
    return [
        of_method(study, dataset, backbone, method, seed)
        for dataset in grid.datasets
        for backbone in grid.backbones
        for method in grid.methods
        for seed in grid.seeds
    ]


def searches_of(study: Study) -> list[PolicyRun]:
    """The searches of the policies that the grid's methods use: by data set, backbone, policy and seed."""
    grid = study.study
    return [
        of_policy(study, dataset, backbone, policy, seed)
        for dataset in grid.datasets
        for backbone in grid.backbones
        for policy in searched_policies(study)
        for seed in grid.seeds
    ]


def searched_policies(study: Study) -> list[str]:
    """Names of the policies that the grid's methods use and a search makes, in the order of the methods."""
    used = [study.methods[method].policy for method in study.study.methods]
    return [p for p in dict.fromkeys(used) if p and study.policies[p].source == "search"]


def tunings_of(study: Study) -> list[TuningRun]:
    """The tuning of every method that is tuned: by method, data set and backbone."""
    grid = study.study
    return [
        of_tuning(study, dataset, backbone, method)
        for method in tuning.methods(study)
        for dataset in grid.datasets
        for backbone in grid.backbones
    ]


def data_of(study: Study, dataset: str, seed: int) -> Dataset:
    """The data set's section as a run with ``seed`` reads it: of ``splits``, the one that is the seed's turn."""
    data = study.datasets[dataset]
    if data.splits is None:
        return data
    return data.model_copy(update={"options": data.options | {"split": seed % SEEDS % data.splits}})


def require(study: Study, **names: str) -> None:
    """Raise DasError unless the sections named by the keys define the names given."""
    for section, name in names.items():
        defined = getattr(study, section)
        if name not in defined:
            raise DasError(f"the name asked of {section}: is {name!r}; {section} defines {', '.join(sorted(defined))}")


def _common(study: Study, dataset: str, backbone: str, seed: int) -> dict[str, Any]:
    return {
        "study": study.name,
        "dataset": dataset,
        "backbone": backbone,
        "seed": int(seed),
        "data": data_of(study, dataset, int(seed)),
        "net": study.backbones[backbone],
        "compute": study.compute,
    }


def _settings(study: Study, dataset: str, backbone: str, method: str, tuned: bool) -> tuple[Recipe, Method]:
    """The data set's recipe and the method, with what tuning chose for both of them together."""
    how, recipe = study.methods[method], study.recipes[study.datasets[dataset].recipe]
    return tuning.apply(how.tuned.get(dataset, {}).get(backbone, {}), recipe, how) if tuned else (recipe, how)


def _epochs(study: Study, dataset: str, backbone: str, method: str, tuned: bool) -> int:
    """The recipe's epochs, or as many as train the frames of the method named by equal_compute_to."""
    how = study.methods[method]
    recipe, _ = _settings(study, dataset, backbone, how.equal_compute_to or method, tuned)
    if how.equal_compute_to is None:
        return recipe.epochs
    theirs, ours = frames(study, study.methods[how.equal_compute_to].policy), frames(study, how.policy)
    if theirs is None or ours is None:
        raise DasError("equal_compute_to: needs policies whose number of frames the study states (not files)")
    return round(recipe.epochs * theirs / ours)


def frames(study: Study, policy: str | None) -> int | None:
    """Frames of a policy: 1 for none; None where only the policy file knows."""
    if policy is None:
        return 1
    source = study.policies[policy]
    return study.cells[source.cell].frames if source.cell else None
