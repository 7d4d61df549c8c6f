"""The typed study: what params.yaml and the files layered over it may say.

One loader serves Snakemake, DVC, the command line and Python. It costs no torch import: the names it checks against
come from the packages' own torch-free name tables. Whatever is misspelt,
unknown, impossible or contradictory stops here, with one line per problem: the key's path, the value found, and what
is allowed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from das.augment.names import check_dataset, check_method, check_together, read
from das.data.names import READERS, check_options
from das.errors import DasError
from das.models.names import DENSE_CONSENSUS, HEADS, known_backbones, known_consensus, known_fusions

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Grid(Section):
    """What is run: every combination of these names; the definitions stand in the sections below it."""

    name: Name
    datasets: list[Name] = Field(min_length=1)
    backbones: list[Name] = Field(min_length=1)
    methods: list[Name] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    reference: Name = Field(description="the method that paired differences are taken against")


class Compute(Section):
    """How numbers are computed. All of it can change the last bits of a result, so all of it is in every number."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: Count = Field(1, description="CPU threads of one job; Snakemake runs jobs side by side")
    precision: Literal["float32", "bfloat16"] = "float32"


Augmentations = list[Name | dict[Name, dict[str, Any]]]


class Dataset(Section):
    title: str
    reader: Name
    root: str | None = Field(None, description="where the files lie, if not in the reader's own place")
    sources: dict[str, dict[str, Any]] = Field({}, description="files from elsewhere than data/sources.yaml says")
    options: dict[str, Any] = {}
    recipe: Name
    augment: Augmentations = Field([], description="of training images only, before the video")

    @property
    def folder(self) -> str | None:
        """Where the files lie; None where the reader has no place of its own and the study names none."""
        return self.root or READERS[self.reader].root


class Head(Section):
    """What makes a backbone a segmentation network: a head, on features at 1 / ``output_stride`` of the image."""

    network: Name
    output_stride: Literal[4, 8, 16, 32] = 8


class Backbone(Section):
    title: str
    network: str
    options: dict[str, Any] = {}
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pretrained: bool = False
    head: Head | None = Field(None, description="for segmentation only")


class DenseEvaluation(Section):
    """How label maps are predicted in a test: on the whole image, or over windows of side ``window``, at every scale
    and, with ``flip``, mirrored as well, probabilities averaged."""

    window: Count | None = None
    scales: list[Positive] = Field([1.0], min_length=1)
    flip: bool = False


class SegmentationRecipe(Section):
    """How a segmentation network is trained, besides its recipe, and how it is tested."""

    auxiliary_weight: NonNegative = Field(0.4, description="of the auxiliary head's loss")
    head_lr: Positive = Field(1.0, description="times the learning rate, for both heads")
    batch_norm: Literal["train", "frozen"] = "train"
    evaluation: DenseEvaluation = DenseEvaluation()


class Recipe(Section):
    """SGD with Nesterov off, as in das.md; `schedule` is followed per step after a linear warm-up."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 0.0
    schedule: Literal["cosine", "step", "poly", "constant"] = "cosine"
    warmup_epochs: NonNegative = 0
    step_epochs: Count = 30
    step_factor: Positive = 0.2
    poly_power: Positive = 0.9
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: Positive | None = None
    segmentation: SegmentationRecipe = SegmentationRecipe()


class Cell(Section):
    """The search space: the DAG of mixed operations that turns an image into a video (das.md, "Known")."""

    space: Literal["affine5", "affine7", "compound", "full"] = "affine5"
    kind: Literal["dag", "single"] = "dag"
    nodes: Count = 4
    frames: Count = 8
    schedule: Literal["mirrored", "signed"] = "mirrored"
    magnitudes: Literal["drawn", "grid", "learnable"] = "drawn"
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    node_reduce: Literal["mean", "sum"] = "mean"
    frame_layout: Literal["frames", "scrambled"] = "frames"
    canvas: Count | None = None


class AlphaOptimiser(Section):
    """Adam on the architecture parameters."""

    lr: Positive = 3e-4
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    weight_decay: NonNegative = 1e-3

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class WeightOptimiser(Section):
    """SGD on the network's weights, cosine from lr to lr_min."""

    lr: Positive = 0.025
    lr_min: NonNegative = 0.001
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 3e-4
    clip_norm: Positive = 5.0


class Search(Section):
    """How a policy is searched, on two halves of the training set: weights are trained on one, all else on the other.

    ``relaxation`` is what the network sees of the cell in a step: the weighted ``mixture`` of all candidates (DARTS);
    a policy drawn by ``gumbel`` noise around alpha, with a straight-through gradient (GDAS); or a ``path``, a policy
    drawn evenly, which trains weights alone. ``selection`` reads the policy off alpha (``argmax``), off what the
    removal of each operation costs (``perturbation``, darts-pt), or off held-out losses (``tournament``).
    """

    epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    relaxation: Literal["mixture", "gumbel", "path"] = "mixture"
    alpha: AlphaOptimiser = AlphaOptimiser()
    weights: WeightOptimiser = WeightOptimiser()
    order: Literal["first", "second"] = "first"
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(0, description="first epochs, in which alpha stays as it is")
    selection: Literal["argmax", "perturbation", "tournament"] = "argmax"
    tune_epochs: Count | None = Field(None, description="after each decision of perturbation, each tournament round")
    entrants: Annotated[int, Field(ge=2)] | None = Field(None, description="policies that a tournament begins with")


class PolicySource(Section):
    """Where a policy comes from. `search` needs the names of a search and of the fusion its network uses."""

    source: Literal["search", "random", "replicate", "uniform", "single", "file"]
    cell: Name | None = None
    search: Name | None = None
    fusion: Name = "tsm"
    operation: Name | None = None
    magnitude: float | None = None
    path: str | None = None


class PolicyBenchmark(Section):
    """The bank of policies that searches are measured on (das.analysis.policy_benchmark): each one is retrained from
    scratch with every training seed. Single operations and random policies are those of ``cell``, a grid."""

    cell: Name
    fusion: Name = "tsm"
    random: Count
    training_seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=2, description="two tell retraining noise")


class Method(Section):
    """What is trained and tested: a policy (none: one untouched frame), a fusion, a consensus, augmentations."""

    title: str
    policy: Name | None = None
    fusion: Name = "none"
    fusion_options: dict[str, Any] = {}
    consensus: Name | None = Field(None, description="mean_logits; of label maps aligned_mean")
    augment: Augmentations = Field([], description="after the data set's own, before the video")
    weights_of: Name | None = Field(None, description="test that method's weights on this policy's frames; no training")
    equal_compute_to: Name | None = Field(None, description="train as many frames as that method does")


class Tuning(Section):
    """How settings of methods' augmentations are chosen (das.engine.tune): by training on part of the training set and
    scoring on the rest, with the same number of trials for every method, never on the test set."""

    trials: Count = Field(description="of each method, drawn from its grid; all of the grid where that has fewer")
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="of the training set that is held out")
    seed: Annotated[int, Field(ge=0)] = 0
    grids: dict[Name, dict[str, list[Any]]] = Field(description="method: {augmentation.parameter: [values]}")


class Study(Section):
    """Everything params.yaml may hold. See the annotated params.yaml for the meaning of each key."""

    study: Grid
    compute: Compute = Compute()
    datasets: dict[Name, Dataset]
    backbones: dict[Name, Backbone]
    recipes: dict[Name, Recipe]
    cells: dict[Name, Cell] = {}
    searches: dict[Name, Search] = {}
    policies: dict[Name, PolicySource] = {}
    methods: dict[Name, Method]
    tuning: Tuning | None = None
    policy_benchmark: PolicyBenchmark | None = None

    # -- what the study consists of ------------------------------------------------------------------------------

    def numbers(self) -> list["Number"]:
        """Every number of the study's grid, in the grid's order."""
        grid = self.study
        return [
            self.number(dataset, backbone, method, seed)
            for dataset in grid.datasets
            for backbone in grid.backbones
            for method in grid.methods
            for seed in grid.seeds
        ]

    def number(self, dataset: str, backbone: str, method: str, seed: int) -> "Number":
        """One number with everything it depends on. Raises DasError for a name the study does not define."""
        self.require(datasets=dataset, backbones=backbone, methods=method)
        return Number(self, dataset, backbone, method, int(seed))

    def require(self, **names: str) -> None:
        """Raise DasError unless the sections named by the keys define the names given."""
        for section, name in names.items():
            _known(self, section, name, asked_by=f"the name asked of {section}")

    @property
    def task(self) -> str:
        """classification or segmentation: what the grid's data sets ask for."""
        return READERS[self.datasets[self.study.datasets[0]].reader].task

    @property
    def score(self) -> str:
        """What a test's headline is called in the task."""
        return {"classification": "accuracy", "segmentation": "mIoU"}[self.task]

    def searched_policies(self) -> list[str]:
        """Names of the policies that the grid's methods use and a search makes, in the order of the methods."""
        used = [self.methods[method].policy for method in self.study.methods]
        return [p for p in dict.fromkeys(used) if p and self.policies[p].source == "search"]

    def frames(self, policy: str | None) -> int | None:
        """Frames of a policy: 1 for none; None where only the policy file knows."""
        if policy is None:
            return 1
        source = self.policies[policy]
        return self.cells[source.cell].frames if source.cell else None


class Number:
    """One dataset, backbone, method and seed of a study; its paths are the project's contract."""

    def __init__(self, study: Study, dataset: str, backbone: str, method: str, seed: int):
        self.study, self.seed = study, seed
        self.dataset, self.backbone, self.method = dataset, backbone, method

    @property
    def identity(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "backbone": self.backbone, "method": self.method, "seed": self.seed}

    @property
    def trained_by(self) -> "Number":
        """The number whose checkpoint is tested: itself, or that of the method named by `weights_of`."""
        other = self.study.methods[self.method].weights_of
        return Number(self.study, self.dataset, self.backbone, other, self.seed) if other else self

    @property
    def consensus(self) -> str:
        """How the frames' predictions become one: the method's, or the task's own."""
        own = default_consensus(self.study.datasets[self.dataset].reader)
        return self.study.methods[self.method].consensus or own

    @property
    def epochs(self) -> int:
        """Training epochs: the recipe's, or as many as train the frames of the method named by equal_compute_to."""
        method = self.study.methods[self.method]
        epochs = self.study.recipes[self.study.datasets[self.dataset].recipe].epochs
        if method.equal_compute_to is None:
            return epochs
        ours = self.study.frames(method.policy)
        theirs = self.study.frames(self.study.methods[method.equal_compute_to].policy)
        return round(epochs * theirs / ours)

    def settings(self) -> dict[str, Any]:
        """Everything that this number's training and test depend on, resolved; names of definitions left out."""
        study, method = self.study, self.study.methods[self.method]
        dataset, backbone = study.datasets[self.dataset], study.backbones[self.backbone]
        other_task = {"head", "segmentation"} if READERS[dataset.reader].task == "classification" else set()
        resolved = {
            "dataset": dataset.model_dump(exclude={"recipe", "title", "sources", "root"}),
            "backbone": backbone.model_dump(exclude={"title", *other_task}),
            "recipe": study.recipes[dataset.recipe].model_dump(exclude=other_task) | {"epochs": self.epochs},
            "method": method.model_dump(exclude={"title", "policy", "weights_of", "equal_compute_to"})
            | {"consensus": self.consensus},
            "policy": policy_settings(study, method.policy) if method.policy else None,
            "compute": study.compute.model_dump(),
        }
        if method.weights_of:
            resolved["weights"] = self.trained_by.settings()
        return resolved

    def policy_path(self) -> str | None:
        policy = self.study.methods[self.method].policy
        return policy and f"results/policies/{self.dataset}/{self.backbone}/{policy}/seed{self.seed}.yaml"

    def _path(self, kind: str, suffix: str) -> str:
        return f"results/{kind}/{self.dataset}/{self.backbone}/{self.method}/seed{self.seed}{suffix}"

    def checkpoint_path(self) -> str:
        return self._path("checkpoints", ".pt")

    def number_path(self) -> str:
        return self._path("numbers", ".json")

    def run_path(self) -> str:
        return self._path("numbers", ".run.json")


def default_consensus(reader: str) -> str:
    """How frames' predictions become one where the study does not say: by the task of the reader."""
    return (DENSE_CONSENSUS if READERS[reader].task == "segmentation" else known_consensus())[0]


def policy_settings(study: Study, policy: str) -> dict[str, Any]:
    """Everything that a policy depends on besides data set, backbone and seed, resolved."""
    source = study.policies[policy]
    resolved = source.model_dump(exclude={"cell", "search"}, exclude_none=True)
    if source.cell:
        resolved["cell"] = study.cells[source.cell].model_dump()
    if source.search:
        resolved["search"] = study.searches[source.search].model_dump()
    return resolved


def digest(settings: Mapping[str, Any]) -> str:
    """A short hash of settings: two runs share it if and only if nothing they depend on differs."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# -- loading -----------------------------------------------------------------------------------------------------


def load_study(files: Iterable[str | Path] = ("params.yaml",)) -> Study:
    """Read the study from ``files``; later files are layered over earlier ones, mapping by mapping.

    Raises DasError: a file that is missing or no YAML mapping, and everything that `check` refuses.
    """
    merged: dict[str, Any] = {}
    files = [Path(file) for file in files]
    for file in files:
        merged = _layer(merged, _read(file))
    return check(merged, where=" + ".join(str(file) for file in files))


def check(settings: Mapping[str, Any], where: str) -> Study:
    """Return the typed study of ``settings``; DasError lists every problem, one line each, led by ``where``."""
    try:
        study = Study.model_validate(settings)
    except ValidationError as error:
        raise DasError("\n".join(f"{where}: {_sentence(problem)}" for problem in error.errors())) from None
    problems = list(_contradictions(study))
    if problems:
        raise DasError("\n".join(f"{where}: {problem}" for problem in problems))
    return study


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(), Loader=_UniqueKeys)
    except OSError as error:
        raise DasError(f"{file}: cannot be read ({error.strerror}); a study is a YAML file like params.yaml") from None
    except yaml.YAMLError as error:
        raise DasError(f"{file}: is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise DasError(f"{file}: holds {type(content).__name__}, not a mapping of sections like params.yaml")
    return content


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key written twice in one mapping, which YAML readers otherwise let the last one win, and reads
    numbers such as 3e-4, which YAML 1.1 takes for text."""

    def construct_mapping(self, node, deep=False):
        merge = "tag:yaml.org,2002:merge"
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != merge]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _add_exponent_floats():
    import re

    pattern = re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
    _UniqueKeys.add_implicit_resolver("tag:yaml.org,2002:float", pattern, list("-+0123456789."))


_add_exponent_floats()


def _layer(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _layer(merged[key], value) if both else value
    return merged


def _sentence(problem: Mapping[str, Any]) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    key, value = ".".join(location) or "the study", problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: is missing"
    wanted = problem["msg"].replace("Input should be", "should be").replace("String should", "should")
    return f"{key}: is {value!r}; {wanted[0].lower()}{wanted[1:]}"


def _allowed_keys(location: tuple) -> list[str]:
    """The keys of the section at ``location``, found by walking the model's annotations."""
    model: Any = Study
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _section_of(model.model_fields[part].annotation)
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _section_of(part))), None)


def _known(study: Study, section: str, name: str, asked_by: str) -> None:
    defined = getattr(study, section)
    if name not in defined:
        raise DasError(f"{asked_by}: is {name!r}; {section} defines {', '.join(sorted(defined)) or 'nothing'}")


def _contradictions(study: Study) -> Iterable[str]:
    """What each section allows by itself but the whole does not."""
    references = [("study." + s, s, getattr(study.study, s)) for s in ("datasets", "backbones", "methods")]
    references.append(("study.reference", "methods", [study.study.reference]))
    for name, dataset in study.datasets.items():
        references.append((f"datasets.{name}.recipe", "recipes", [dataset.recipe]))
    for name, source in study.policies.items():
        references.append((f"policies.{name}.cell", "cells", [source.cell] if source.cell else []))
        references.append((f"policies.{name}.search", "searches", [source.search] if source.search else []))
    for name, method in study.methods.items():
        references.append((f"methods.{name}.policy", "policies", [method.policy] if method.policy else []))
        for key in ("weights_of", "equal_compute_to"):
            other = getattr(method, key)
            references.append((f"methods.{name}.{key}", "methods", [other] if other else []))
    if study.policy_benchmark:
        references.append(("policy_benchmark.cell", "cells", [study.policy_benchmark.cell]))
    unknown = []
    for key, section, names in references:
        for name in names:
            try:
                _known(study, section, name, asked_by=key)
            except DasError as error:
                unknown.append(str(error))
    if unknown:
        yield from unknown
        return
    for key in ("datasets", "backbones", "methods", "seeds"):
        names = getattr(study.study, key)
        if len(set(names)) < len(names):
            yield f"study.{key}: is {names}; each should be named once"
    if study.study.reference not in study.study.methods:
        yield f"study.reference: is {study.study.reference!r}; should be one of study.methods"
    unknown = list(_unknown_to_the_package(study))
    if unknown:
        yield from unknown
        return
    yield from _unfit_for_the_task(study)
    impossible = list(_impossible_augmentations(study))
    yield from impossible or _impossible_tuning(study)
    yield from _contradictory_searches(study)
    yield from _contradictory_policies(study)
    yield from _contradictory_methods(study)


def _unknown_to_the_package(study: Study) -> Iterable[str]:
    """Names and options that no reader, network, fusion or consensus of the package answers to."""
    for name, dataset in study.datasets.items():
        try:
            check_options(dataset.reader, dataset.options)
        except DasError as error:
            yield f"datasets.{name}.{error}"
        else:
            if dataset.folder is None:
                yield f"datasets.{name}.root: is missing; reader {dataset.reader!r} reads files of your own"
    choices = [(f"backbones.{name}.network", b.network, known_backbones()) for name, b in study.backbones.items()]
    heads = {name: backbone.head for name, backbone in study.backbones.items() if backbone.head}
    choices += [(f"backbones.{name}.head.network", head.network, HEADS) for name, head in heads.items()]
    choices += [(f"policies.{name}.fusion", policy.fusion, known_fusions()) for name, policy in study.policies.items()]
    consensus = tuple(dict.fromkeys((*known_consensus(), *DENSE_CONSENSUS)))
    for name, method in study.methods.items():
        choices.append((f"methods.{name}.fusion", method.fusion, known_fusions()))
        choices.append((f"methods.{name}.consensus", method.consensus or consensus[0], consensus))
    for key, value, allowed in choices:
        if value not in allowed:
            yield f"{key}: is {value!r}; should be one of {', '.join(allowed)}"


def _unfit_for_the_task(study: Study) -> Iterable[str]:
    """What of the grid can classify images but not segment them, or the other way round."""
    for dataset in study.study.datasets:
        task = READERS[study.datasets[dataset].reader].task
        segments = task == "segmentation"
        allowed = DENSE_CONSENSUS if segments else known_consensus()
        for name in study.study.backbones:
            if (study.backbones[name].head is not None) != segments:
                found = "is missing" if segments else "makes a segmentation network"
                yield f"backbones.{name}.head: {found}; the task of data set {dataset!r} is {task}"
        for name in study.study.methods:
            consensus = study.methods[name].consensus
            if consensus and consensus not in allowed:
                yield f"methods.{name}.consensus: is {consensus!r}; for {task} one of {', '.join(allowed)}"
        for problem in check_together(study.datasets[dataset].augment, task=task, size=None):
            yield f"datasets.{dataset}.augment: {problem}"


def _impossible_augmentations(study: Study) -> Iterable[str]:
    """Augmentations that are unknown, in the wrong place, or cannot work on a data set of the grid."""
    for name, dataset in study.datasets.items():
        yield from (f"datasets.{name}.augment: {problem}" for problem in check_dataset(dataset.augment))
    for name, method in study.methods.items():
        yield from (f"methods.{name}.augment: {problem}" for problem in check_method(method.augment))
        for dataset in map(study.datasets.get, study.study.datasets if name in study.study.methods else ()):
            reader = READERS[dataset.reader]
            size = _training_size(dataset)
            for problem in check_together(method.augment, task=reader.task, size=size):
                yield f"methods.{name}.augment: {problem} (data set {dataset.title!r})"


def _impossible_tuning(study: Study) -> Iterable[str]:
    """Grids of methods, augmentations or parameters that are not there, and values that are not allowed."""
    for method, grid in (study.tuning.grids if study.tuning else {}).items():
        if method not in study.methods:
            yield f"tuning.grids.{method}: is no method; methods defines {', '.join(sorted(study.methods))}"
            continue
        used = [name for name, _ in map(read, study.methods[method].augment)]
        for path, values in grid.items():
            key = f"tuning.grids.{method}.{path}"
            name, _, parameter = path.partition(".")
            if name not in used:
                yield f"{key}: method {method!r} has no such augmentation; it has {', '.join(used) or 'none'}"
            elif not values:
                yield f"{key}: is empty; should list values"
            else:
                required = dict(map(read, study.methods[method].augment))[name]
                for value in values:
                    try:
                        read({name: required | {parameter: value}})
                    except DasError as problem:
                        yield f"tuning.grids.{method}: {problem}"


def _training_size(dataset: Dataset) -> int | None:
    """The side of the data set's training images, None where only the files tell."""
    for entry in dataset.augment:
        if isinstance(entry, dict):
            for parameters in entry.values():
                if "size" in parameters and type(parameters["size"]) is int:
                    return parameters["size"]
    size = dataset.options.get("size", READERS[dataset.reader].size)
    return size if type(size) is int else None


def _contradictory_searches(study: Study) -> Iterable[str]:
    needs = {"argmax": set(), "perturbation": {"tune_epochs"}, "tournament": {"tune_epochs", "entrants"}}
    for name, search in study.searches.items():
        key, given = f"searches.{name}", {k for k in ("tune_epochs", "entrants") if getattr(search, k) is not None}
        for missing in sorted(needs[search.selection] - given):
            yield f"{key}.{missing}: is missing; selection {search.selection!r} needs it"
        for unused in sorted(given - needs[search.selection]):
            yield f"{key}.{unused}: is {getattr(search, unused)}; selection {search.selection!r} does not use it"
        if (search.relaxation == "path") != (search.selection == "tournament"):
            yield f"{key}.selection: is {search.selection!r}; 'tournament' and relaxation 'path' go together"
        if search.relaxation == "path" and (search.order == "second" or search.warmup_epochs):
            yield f"{key}.relaxation: is 'path', which learns no alpha: order and warmup_epochs have no place in it"
        if search.relaxation != "mixture" and search.selection == "perturbation":
            yield f"{key}.selection: is 'perturbation'; it removes operations from a mixture, not {search.relaxation!r}"
        if search.relaxation != "path" and search.warmup_epochs >= search.epochs:
            yield f"{key}.warmup_epochs: is {search.warmup_epochs} of {search.epochs} epochs; alpha would never move"
    if study.policy_benchmark and study.cells[study.policy_benchmark.cell].magnitudes != "grid":
        yield "policy_benchmark.cell: should have magnitudes 'grid', alike on every edge and for every seed"


def _contradictory_policies(study: Study) -> Iterable[str]:
    needs = {
        "search": {"cell", "search"},
        "random": {"cell"},
        "replicate": {"cell"},
        "uniform": {"cell"},
        "single": {"cell", "operation", "magnitude"},
        "file": {"path"},
    }
    optional = {"cell", "search", "operation", "magnitude", "path"}
    for name, source in study.policies.items():
        given = {key for key in optional if getattr(source, key) is not None}
        for key in sorted(needs[source.source] - given):
            yield f"policies.{name}.{key}: is missing; a policy with source {source.source!r} needs it"
        for key in sorted(given - needs[source.source]):
            yield f"policies.{name}.{key}: is {getattr(source, key)!r}; source {source.source!r} does not use it"
        if source.source == "search" and not needs["search"] - given:
            learnable = study.cells[source.cell].magnitudes == "learnable"
            if learnable and study.searches[source.search].relaxation == "path":
                yield f"policies.{name}.cell: has magnitudes 'learnable'; relaxation 'path' learns none"


def _contradictory_methods(study: Study) -> Iterable[str]:
    for name, method in study.methods.items():
        key, frames = f"methods.{name}", study.frames(method.policy)
        if method.policy is None and method.fusion != "none":
            yield f"{key}.fusion: is {method.fusion!r}; without a policy there is one frame, so it should be 'none'"
        if method.weights_of:
            trained = study.methods[method.weights_of]
            if trained.weights_of:
                yield f"{key}.weights_of: is {method.weights_of!r}, which has no weights of its own"
            if (trained.fusion, trained.fusion_options) != (method.fusion, method.fusion_options):
                yield f"{key}.fusion: is {method.fusion!r}; should be {trained.fusion!r} as in {method.weights_of!r}"
            if method.augment or method.equal_compute_to:
                yield f"{key}: trains nothing (weights_of), so augment and equal_compute_to have no place in it"
        if method.equal_compute_to:
            other = study.methods[method.equal_compute_to]
            if frames is None or study.frames(other.policy) is None:
                yield f"{key}.equal_compute_to: needs policies whose number of frames the study states (not files)"
