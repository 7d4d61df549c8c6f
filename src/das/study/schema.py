"""The sections of a study: every key that params.yaml and the files layered over it may hold, and its limits.

Sections are frozen. Fields that say where something lies or how it is called (`LABELS`) do not change what is computed
and are no part of a run's settings. Fields that came later (`LATER`) are part of them only where they ask for
something, so that what was finished before them still stands.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from das.study import registry
from das.study.values import (
    AtLeast2,
    Below1,
    Count,
    FilePath,
    Finite,
    Fraction,
    Name,
    NonNegative,
    NonNegativeInt,
    Part,
    Positive,
    Size,
    Url,
)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    LABELS: ClassVar[frozenset[str]] = frozenset()
    LATER: ClassVar[frozenset[str]] = frozenset()

    def settings(self) -> dict[str, Any]:
        """What of this section a result depends on."""
        neutral = {key for key in self.LATER if getattr(self, key) == type(self).model_fields[key].default}
        return self.model_dump(exclude={*self.LABELS, *neutral})


class Grid(Section):
    """What is run: every combination of these names; the definitions stand in the sections below it."""

    name: Name = Field(description="of the study; results stand in folders of this name")
    datasets: list[Name] = Field(min_length=1, description="names from `datasets`")
    backbones: list[Name] = Field(min_length=1, description="names from `backbones`")
    methods: list[Name] = Field(min_length=1, description="names from `methods`")
    seeds: list[NonNegativeInt] = Field(min_length=1, description="one run each; everything random derives from them")
    reference: Name = Field(description="the method that paired differences are taken against")
    title: str | None = Field(None, description="as the report calls the study; null: its name")
    question: str | None = Field(None, description="as the report puts it; null: what the grid asks")


class Compute(Section):
    """How runs are computed. All that can change the last bits of a result is in every run."""

    LABELS = frozenset({"tensorboard"})

    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks run")
    threads: Count = Field(1, description="CPU threads of one job; Snakemake runs jobs side by side")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the network; bfloat16 by autocast")
    tensorboard: bool = Field(False, description="write curves while a run is made, to results/tensorboard")


Augmentations = Annotated[
    list[str | dict[str, dict[str, Any]]], Field(description="names, or {name: {option: value}}, in order")
]


class Planted(Section):
    """A nuisance whose answer is known: every image of a data set, training and test alike, transformed once by chance.

    Image number i of a split draws evenly from ``range``, in the operation's unit (zooms by their logarithm), from the
    reader's name, the split and i alone: whatever the strength and whichever images are used, the draws are the same.
    """

    operation: Literal["rotate", "translate_x", "translate_y", "zoom"] = Field(description="as in policies")
    range: Positive | Annotated[tuple[float, float], Field(strict=False)] = Field(
        description="lowest and highest: degrees, shares of the planted image's side, or factors; or one number r for "
        "[-r, r], of zooms for [1 / r, r]",
    )
    canvas: Count | None = Field(None, description="side of the black canvas the image is centered on first, pixels")

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest magnitude."""
        if isinstance(self.range, tuple):
            return self.range
        return (1 / self.range, self.range) if self.operation == "zoom" else (-self.range, self.range)

    def problems(self, side: int | None) -> Iterator[tuple[str, str]]:
        """(key, what is wrong) for images of ``side`` pixels (None: not known). Corners that turn out do not count."""
        low, high = self.bounds
        found = f"is [{low:g}, {high:g}]"
        if not low < high or (self.operation == "zoom" and low <= 0):
            above = "two numbers above 0" if self.operation == "zoom" else "two numbers"
            yield "range", f"{found}; should be {above}, the lower one first"
        elif self.operation == "rotate" and max(-low, high) > 180:
            yield "range", f"{found} degrees; should stay within -180 and 180"
        elif side is not None and (canvas := self.canvas or side) < side:
            yield "canvas", f"is {canvas} pixels; should be at least the image's side of {side}"
        elif side is not None and self.operation != "rotate":
            zooms = self.operation == "zoom"
            reached, most = (high, canvas / side) if zooms else (max(-low, high), (canvas - side) / 2 / canvas)
            if reached > most:
                leaves = f"an image of {side} pixels leaves its canvas of {canvas}"
                yield "range", f"{found}; {leaves} beyond {most:.3g}, so make canvas larger or range smaller"


class SourceFile(Section):
    """Where a data set's file comes from and what tells that it is the right one; null: not known."""

    url: Url | None = Field(None, description="http://, https:// or file://")
    size: Count | None = Field(None, description="bytes")
    md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = Field(None, description="32 hex digits")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(None, description="64 hex digits")
    optional: bool = Field(False, description="fetched only where an option of the reader asks for it")


class Dataset(Section):
    """A data set: where its images come from and how networks are trained on them."""

    LABELS = frozenset({"title", "root", "sources", "recipe", "splits"})
    LATER = frozenset({"planted"})

    title: str = Field(description="as tables and figures call it")
    reader: str = Field(description="a reader of the package or one of your own")
    root: FilePath | None = Field(None, description="where the files lie, if not in the reader's own place")
    sources: dict[str, SourceFile] = Field({}, description="files from elsewhere than data/sources.yaml says")
    options: dict[str, Any] = Field({}, description="of the reader")
    splits: AtLeast2 | None = Field(
        None, description="cuts of train_per_class images that seeds take turns in: seed s reads split s mod splits"
    )
    recipe: Name = Field(description="a name from `recipes`")
    augment: Augmentations = Field([], description="of training images only, before the video")
    planted: Planted | None = Field(None, description="a known nuisance put into training and test images alike")

    @property
    def folder(self) -> str | None:
        """Where the files lie; None where the reader has no place of its own and the study names none."""
        return self.root or self.entry.facts.get("root")

    @property
    def entry(self) -> registry.Entry:
        return registry.lookup("reader", self.reader)

    @property
    def task(self) -> str:
        """A name of the registry's tasks."""
        return self.entry.facts.get("task", "classification")

    @property
    def size(self) -> int | list[int] | None:
        """The side, or height and width, that images have; None where only the files tell."""
        if self.planted and self.planted.canvas:
            return self.planted.canvas
        return self.read_size

    @property
    def read_size(self) -> int | list[int] | None:
        """The side, or height and width, that images are read at; None where only the files tell."""
        size = self.options.get("size", self.entry.facts.get("size"))
        if size is None and "size" in self.entry.options:
            size = self.entry.options["size"].default
        return size if isinstance(size, int | list) else None


class Head(Section):
    """What makes a backbone a segmentation network: a head, on features at 1 / ``output_stride`` of the image."""

    network: str = Field(description="a head of the package or one of your own")
    output_stride: Literal[4, 8, 16, 32] = Field(8, description="pixels of the image to a step of the features")
    dilation: Literal["after_first", "even"] = Field(
        "after_first",
        description="of stages without stride: torchvision's, or of their first convolution too (PSPNet's)",
    )
    options: dict[str, Any] = Field({}, description="of the head")


class Backbone(Section):
    """A 2D network that reads the frames."""

    LABELS = frozenset({"title"})

    title: str = Field(description="as tables and figures call it")
    network: str = Field(description="a network of the package, timm:NAME, or one of your own")
    options: dict[str, Any] = Field({}, description="of the network")
    dropout: Below1 = Field(0.0, description="before the last linear layer; the network's own is off")
    pretrained: bool = Field(False, description="start from ImageNet weights, where the network has some")
    places: list[str] | None = Field(None, description="convolutions that get the fusion; null: found by structure")
    head: Head | None = Field(None, description="for segmentation only")


class DenseEvaluation(Section):
    """How label maps are predicted in a test: on the whole image, or over windows of side ``window``, at every scale
    and, with ``flip``, mirrored as well, probabilities averaged."""

    size: Literal["training", "native"] = Field(
        "training", description="scale 1: `training` scales whole images as training does, `native` leaves their size"
    )
    window: Count | None = Field(None, description="side of sliding windows, pixels; null: the whole image at once")
    scales: list[Positive] = Field([1.0], min_length=1, description="of the image, averaged over")
    flip: bool = Field(False, description="average over the mirrored image, too")


class SegmentationRecipe(Section):
    """How a segmentation network is trained, besides its recipe, and how it is tested."""

    auxiliary_weight: NonNegative = Field(0.4, description="of the auxiliary head's loss")
    head_lr: Positive = Field(1.0, description="times the learning rate, for both heads")
    batch_norm: Literal["train", "frozen"] = Field("train", description="frozen: running statistics stay as they are")
    class_weights: dict[str, Positive] = Field(
        {}, exclude_if=lambda weights: not weights, description="class: weight of its pixels in the loss; others 1"
    )
    evaluation: DenseEvaluation = Field(DenseEvaluation(), description="how a test predicts")


class Recipe(Section):
    """How a network is trained. ``schedule`` is followed step by step after a linear warm-up."""

    epochs: Count = Field(description="passes over the training set")
    batch_size: AtLeast2 = Field(description="images in a step")
    optimizer: str = Field("sgd", description="an optimizer of the package or one of your own")
    lr: Positive = Field(description="the highest learning rate")
    momentum: Below1 = Field(0.9, description="of SGD; the first beta of AdamW")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty of SGD; decoupled in AdamW")
    schedule: str = Field("cosine", description="how the learning rate falls after the warm-up")
    warmup_epochs: NonNegative = Field(0, description="in which the learning rate rises, linearly")
    step_epochs: Count = Field(30, description="between the drops of schedule `step`")
    step_factor: Positive = Field(0.2, description="of one drop of schedule `step`")
    poly_power: Positive = Field(0.9, description="of schedule `poly`")
    label_smoothing: Below1 = Field(0.0, description="share of the label spread over all classes")
    clip_norm: Positive | None = Field(None, description="of the gradient; null: not clipped")
    test_every: Count = Field(1, description="epochs between tests; the last epoch is always tested")
    validation: Part | None = Field(
        None, description="share of the training images that is held out to choose the epoch; null: the last epoch"
    )
    segmentation: SegmentationRecipe = Field(SegmentationRecipe(), description="for segmentation only")

    def settings(self) -> dict[str, Any]:
        found = super().settings()
        if self.validation is None:  # what was made before there was a choice stands
            del found["validation"]
        return found


class Cell(Section):
    """The search space: the DAG of mixed operations that turns an image into a video (docs/video.md)."""

    space: str | list[str] = Field("affine5", description="a search space's name, or a list of operations")
    kind: Literal["dag", "single"] = Field("dag", description="the DARTS cell, or a single edge")
    nodes: Count = Field(4, description="of a dag; with 4, 14 edges")
    frames: Count = Field(8, description="T, of the video")
    schedule: str = Field("mirrored", description="how strongly each frame is transformed")
    magnitudes: Literal["drawn", "grid", "learnable"] = Field(
        "drawn", description="one per edge and operation, drawn or learned; or four fixed ones as candidates"
    )
    padding: Literal["zeros", "border", "reflection"] = Field("zeros", description="what lies outside the image")
    node_reduce: Literal["mean", "sum"] = Field("mean", description="how a node takes its edges together")
    frame_layout: Literal["frames", "scrambled"] = Field("frames", description="scrambled: the author's view of axes")
    canvas: Count | None = Field(None, description="side of a larger black canvas, pixels; null: none")


class AlphaOptimizer(Section):
    """Adam on the architecture parameters."""

    lr: Positive = Field(3e-4, description="learning rate of alpha")
    betas: tuple[Fraction, Fraction] = Field((0.5, 0.999), strict=False, description="of Adam")
    weight_decay: NonNegative = Field(1e-3, description="draws alpha to an even mixture")


class WeightOptimizer(Section):
    """SGD on the network's weights, cosine from lr to lr_min."""

    lr: Positive = Field(0.025, description="learning rate at the start")
    lr_min: NonNegative = Field(0.001, description="learning rate at the end")
    momentum: Below1 = Field(0.9, description="of SGD")
    weight_decay: NonNegative = Field(3e-4, description="L2 penalty")
    clip_norm: Positive = Field(5.0, description="of the gradient")


class Smoothing(Section):
    """SmoothDARTS (Chen & Hsieh 2020, arXiv 2002.05283): before each weight step the candidates' weights are moved
    within a cube around softmax(alpha), which grows linearly over the epochs; then each edge's are made to sum to 1."""

    kind: Literal["random", "adversarial"] = Field(description="by chance, or to where the training loss is higher")
    radius: tuple[NonNegative, NonNegative] = Field(
        (0.03, 0.3), strict=False, description="half the cube's side in the first and the last epoch"
    )
    steps: Count = Field(7, description="of projected gradient ascent, each of 2 radius / steps; of kind `adversarial`")


class Search(Section):
    """How a policy is searched, on two halves of the training set: weights are trained on one, all else on the other.

    ``relaxation`` is what the network sees of the cell in a step: the weighted ``mixture`` of all candidates (DARTS);
    a policy drawn by ``gumbel`` noise around alpha, with a straight-through gradient (GDAS); or a ``path``, a policy
    drawn evenly, which trains weights alone. ``selection`` reads the policy off alpha (``argmax``), off what the
    removal of each operation costs (``perturbation``, darts-pt), or off held-out losses (``tournament``).
    """

    LATER = frozenset({"smooth"})

    epochs: NonNegativeInt = Field(description="passes over the halves")
    batch_size: AtLeast2 = Field(description="images of each half in a step")
    relaxation: str = Field("mixture", description="what a step sees of the cell")
    alpha: AlphaOptimizer = Field(AlphaOptimizer(), description="Adam on alpha")
    weights: WeightOptimizer = Field(WeightOptimizer(), description="SGD on the network's weights")
    order: Literal["first", "second"] = Field("first", description="of the gradient of alpha (DARTS)")
    smooth: Smoothing | None = Field(None, description="move the candidates' weights before each weight step")
    warmup_epochs: NonNegativeInt = Field(0, description="first epochs, in which alpha stays as it is")
    selection: str = Field("argmax", description="how the policy is read off the search")
    tune_epochs: Count | None = Field(None, description="after each decision of perturbation, each tournament round")
    entrants: AtLeast2 | None = Field(None, description="policies that a tournament begins with")


class PolicySource(Section):
    """Where a policy comes from. `search` needs the names of a search and of the fusion its network uses."""

    LABELS = frozenset({"cell", "search"})

    source: Literal["search", "random", "replicate", "uniform", "single", "file"] = Field(
        description="searched; drawn by chance; untouched copies; the even mixture; one operation; a file"
    )
    cell: Name | None = Field(None, description="a name from `cells`")
    search: Name | None = Field(None, description="a name from `searches`")
    fusion: str = Field("tsm", description="of the network in a search")
    fusion_options: dict[str, Any] = Field({}, description="of that fusion")
    operation: str | None = Field(None, description="of source `single`")
    magnitude: Finite | None = Field(None, description="of source `single`, per step")
    path: FilePath | None = Field(None, description="of source `file`")


class PolicyBenchmark(Section):
    """The bank of policies that searches are measured on (das.benchmark): each one is retrained from scratch with every
    training seed. Single operations and random policies are those of ``cell``, a grid."""

    cell: Name = Field(description="a name from `cells`, with magnitudes `grid`")
    fusion: str = Field("tsm", description="of the retrained networks")
    random: Count = Field(description="policies drawn by chance")
    held_out: Part = Field(0.5, description="of the training images; the bank is scored on it, no search sees it")
    training_seeds: list[NonNegativeInt] = Field(min_length=2, description="two tell retraining noise")


class Ensemble(Section):
    """Networks that differ in seed, their probabilities averaged: those of ``method`` with the seeds s, s + 1000,
    s + 2000, ... for seed s. So the first one is the run that the method's own row has, and no two share a member."""

    method: Name = Field(description="whose networks; each looks through its own policy")
    members: AtLeast2 = Field(description="networks; M of them cost M times the training and the test of one")


class Averaging(Section):
    """Learned test-time averaging (Shanmugam et al. 2021, arXiv 2011.11156): one weight for each frame of the policy,
    or one for each frame and class, whichever has the higher accuracy on images that neither was learned on.

    Both are learned by SGD from equal weights, kept at 0 or above, on the logits of one half of the images that
    ``learned_on`` held out from its training, and compared on the other half.
    """

    learned_on: Name = Field(description="a method with `held_out`, whose network makes the logits to learn from")
    lr: Positive = Field(0.01, description="of SGD")
    momentum: Below1 = Field(0.9, description="of SGD")
    weight_decay: NonNegative = Field(1e-4, description="of SGD")
    batch_size: Count = Field(32, description="images in a step")
    epochs: tuple[Count, Count] = Field(
        (20, 30), strict=False, description="of the weights for frames, and of those for frames and classes"
    )

    def settings(self) -> dict[str, Any]:
        return self.model_dump(exclude={"learned_on"})


class Method(Section):
    """What is trained and tested: a policy (none: one untouched frame), a fusion, a consensus, augmentations."""

    LABELS = frozenset(
        {"title", "policy", "weights_of", "equal_compute_to", "tuned"}
        | {"backbone", "epochs_share", "ensemble_of", "averaging"}
    )
    LATER = frozenset({"copies", "held_out"})

    title: str = Field(description="as tables and figures call it")
    policy: Name | None = Field(None, description="a name from `policies`; null: one untouched frame")
    fusion: str = Field("none", description="how information crosses frames")
    fusion_options: dict[str, Any] = Field({}, description="of the fusion")
    consensus: str | None = Field(None, description="how frames' predictions become one; null: the task's own")
    augment: Augmentations = Field([], description="after the data set's own, before the video")
    weights_of: Name | None = Field(None, description="test that method's weights on this policy's frames; no training")
    equal_compute_to: Name | None = Field(None, description="train as many frames as that method does")
    backbone: Name | None = Field(None, description="a name from `backbones`, in place of the grid's")
    copies: Count = Field(
        1, description="of each image in a batch, each augmented by itself (batch augmentation, Hoffer et al. 2020)"
    )
    epochs_share: Positive = Field(1.0, description="times the recipe's epochs")
    held_out: Part | None = Field(None, description="share of the training images, of every class, not trained on")
    averaging: Averaging | None = Field(None, description="learn how a test averages the policy's frames")
    ensemble_of: Ensemble | None = Field(None, description="average several networks' probabilities; no training")

    tuned: dict[Name, dict[Name, dict[str, Any]]] = Field(
        {}, description="data set: {backbone: {path: value}}, as tuning chose it; paths as in `tuning.grids`"
    )

    @property
    def trains(self) -> bool:
        """Whether the method has weights of its own."""
        return self.weights_of is None and self.ensemble_of is None


class Range(Section):
    """A range that a setting is drawn from, evenly in its logarithm."""

    low: Positive = Field(description="its lower end")
    high: Positive = Field(description="its upper end")


class Halving(Section):
    """Successive halving (Jamieson and Talwalkar 2016): all trials run for ``1 / factor ** (rungs - 1)`` of their
    epochs; at the end of each rung but the last the best ``1 / factor`` of them go on, ``factor`` times as long."""

    factor: AtLeast2 = Field(3, description="by which trials become fewer and epochs more")
    rungs: AtLeast2 = Field(description="the last one trains for all epochs")


class Tuning(Section):
    """How settings are chosen (das.engine.tune): by training on part of the training set and scoring on the rest, with
    the same number of trials for every method, never on the test set."""

    LATER = frozenset({"recipe", "halving", "tests", "test_every"})

    trials: Count = Field(description="of each method; all of its grid where that alone is asked for and has fewer")
    fraction: Part = Field(0.2, description="of the training set that is held out; of splits, each class's last images")
    seed: NonNegativeInt = Field(0, description="of the held-out part and of the trials")
    recipe: dict[str, list[Any] | Range] = Field(
        {}, description="key of the recipe: [values] or a range; tried with every method that trains"
    )
    grids: dict[Name, dict[str, list[Any]]] = Field(
        {}, description="method: {AUGMENTATION.OPTION or recipe.KEY: [values]}"
    )
    halving: Halving | None = Field(None, description="null: every trial trains for all its epochs")
    tests: Count = Field(1, description="a trial's score is the mean of so many tests, its last ones")
    test_every: Count | None = Field(None, description="epochs between a trial's tests; null: the recipe's")


class Study(Section):
    """Everything params.yaml may hold. See the annotated params.yaml for examples of each key."""

    study: Grid = Field(description="what is run")
    compute: Compute = Field(Compute(), description="how it is computed")
    datasets: dict[Name, Dataset] = Field(description="data sets by name")
    backbones: dict[Name, Backbone] = Field(description="2D networks by name")
    recipes: dict[Name, Recipe] = Field(description="trainings by name")
    cells: dict[Name, Cell] = Field({}, description="search spaces by name")
    searches: dict[Name, Search] = Field({}, description="searches by name")
    policies: dict[Name, PolicySource] = Field({}, description="policies by name")
    methods: dict[Name, Method] = Field(description="methods by name")
    tuning: Tuning | None = Field(None, description="settings chosen on held-out training images")
    policy_benchmark: PolicyBenchmark | None = Field(None, description="the bank that searches are measured on")

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def task(self) -> str:
        """What the grid's data sets ask for; all of them the same."""
        return self.datasets[self.study.datasets[0]].task


class Architecture(Section):
    """A resolved model: what `das.tasks.model` builds, and what a checkpoint keeps to build it again."""

    network: str
    task: str = "classification"
    network_options: dict[str, Any] = {}
    dropout: float = 0.0
    pretrained: bool = False
    places: list[str] | None = None
    head: Head | None = None
    fusion: str = "none"
    fusion_options: dict[str, Any] = {}
    consensus: str = "mean_logits"
    segmentation: SegmentationRecipe | None = None
    image_size: Size | None = None
    views: list[list[float]] | None = None  # in place of the policy's frames: coefficients of das.video.affine
