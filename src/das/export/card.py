"""The model card: what an exported model is, in Markdown with the front matter that model hubs read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from das.analysis.results import standing
from das.analysis.statistics import estimate
from das.errors import DasError
from das.files import read_json
from das.study.runs import TrainingRun, of_method
from das.study.schema import Study
from das.tasks.classification import DasModel

TEMPLATE = Path(__file__).with_name("card.md.j2")
NOT_MEASURED = "Not measured."


@dataclass(frozen=True)
class Origin:
    """Where a checkpoint comes from: the run of a study that trained it."""

    study: Study
    run: TrainingRun
    test_images: int

    @property
    def score(self) -> float | None:
        """The run's score in [0, 1]; None where its number is not there, or cannot stand for it."""
        return _score(self.run)

    def accuracy(self) -> list[str]:
        """What was measured, in sentences."""
        if self.score is None:
            return [NOT_MEASURED]
        metric = read_json(self.run.number)["metric"]
        said = f"{self.score:.1%} {metric} on {self.test_images:,} test images"
        if metric == "accuracy":
            correct = stats.binomtest(round(self.score * self.test_images), self.test_images)
            low, high = correct.proportion_ci(0.95, "wilson")
            said += f"; 95 % interval {low:.1%} to {high:.1%} (Wilson)"
        seeds = [
            of_method(self.study, self.run.dataset, self.run.backbone, self.run.method, s)
            for s in self.study.study.seeds
        ]
        over = estimate([score for run in seeds if (score := _score(run)) is not None])
        if over.count < 2:
            return [f"{said}."]
        return [
            f"{said}. Networks trained with {over.count} seeds: {over.mean:.1%} ± {over.half_width:.1%} "
            "(95 % interval, Student's t)."
        ]


def _score(run: Any) -> float | None:
    if not standing(run)[0]:
        return None
    content = read_json(run.number)
    return content["last"][content["metric"]]


def card(
    model: DasModel,
    title: str,
    size: tuple[int, int],
    files: Mapping[str, float],
    checked: int,
    strip: str,
    shown: int,
    origin: Origin | None = None,
) -> str:
    """The text of a card.

    Args:
        size: height and width of the images that the files read.
        files: the names of the exported files beside the card, and the greatest difference of their logits.
        checked: on how many images they were compared.
        strip: the name of the film strip beside it, and how many images it has (``shown``).
        origin: the run that trained the model, where it is known.

    Raises DasError where huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import EvalResult, ModelCard, ModelCardData
    except ImportError:
        raise DasError("the model card: needs huggingface_hub; install the extra `export`") from None
    dense = model.architecture.head is not None
    task = "image-segmentation" if dense else "image-classification"
    data = origin.run.data.title if origin else "not recorded"
    results = None
    if origin and origin.score is not None:
        results = [
            EvalResult(
                task_type=task,
                dataset_type=origin.run.dataset,
                dataset_name=data,
                metric_type="mean_iou" if dense else "accuracy",
                metric_value=round(origin.score, 4),
            )
        ]
    front = ModelCardData(
        model_name=title,
        license="other",
        license_name="see-below",
        pipeline_tag=task,
        tags=["das", "image-to-video", *sorted({name.rpartition(".")[2] for name in files})],
        eval_results=results,
    )
    return str(
        ModelCard.from_template(
            front,
            template_path=str(TEMPLATE),
            title=title,
            what="A network that labels pixels" if dense else "A classifier of images",
            facts=_facts(model, data, origin),
            policy=model.policy.describe(),
            strip=strip,
            shown=shown,
            accuracy=origin.accuracy() if origin else [NOT_MEASURED],
            files=dict(files),
            checked=checked,
            loading=[_loading(name, model, size) for name in files],
            height=size[0],
            width=size[1],
            channels=len(model.mean),
            classes=model.classes,
        )
    )


def _facts(model: DasModel, data: str, origin: Origin | None) -> dict[str, str]:
    architecture = model.architecture
    network = f"{architecture.network}, {sum(p.numel() for p in model.network.parameters()):,} parameters"
    facts = {
        "classes": ", ".join(model.classes),
        "network": network + (f", head {architecture.head.network}" if architecture.head else ""),
        "across frames": f"fusion {architecture.fusion}, consensus {architecture.consensus}",
        "trained on": data,
    }
    if origin:
        run = origin.run
        recipe = run.recipe
        facts["recipe"] = (
            f"{recipe.optimizer}, {run.epochs} epochs, batches of {recipe.batch_size}, learning rate {recipe.lr:g} "
            f"({recipe.schedule}), weight decay {recipe.weight_decay:g}, seed {run.seed}"
        )
        facts["augmentations"] = ", ".join(map(_named, [*run.data.augment, *run.how.augment])) or "none"
        facts["settings"] = f"`{run.digest}`"
    return facts


def _named(augmentation: str | dict) -> str:
    return augmentation if isinstance(augmentation, str) else next(iter(augmentation))


def _loading(name: str, model: DasModel, size: tuple[int, int]) -> str:
    """Code that reads a picture and the exported file ``name``, without this package."""
    if name.endswith(".safetensors"):
        return (
            f'from safetensors import safe_open\n\nwith safe_open("{name}", "pt") as file:\n    print(file.metadata())'
        )
    height, width = size
    gray = len(model.mean) == 1
    picture = [
        "import json",
        "",
        "import numpy as np",
        "import onnxruntime" if name.endswith(".onnx") else "import torch",
        "from PIL import Image, ImageOps",
        "",
        'picture = ImageOps.exif_transpose(Image.open("photo.jpg"))  # upright, as its camera says',
        f'picture = picture.convert("{"L" if gray else "RGB"}")',
        f"picture = ImageOps.fit(picture, ({width}, {height}), Image.Resampling.BILINEAR)  # its middle, scaled",
        "pixels = np.asarray(picture, np.float32) / 255",
        "images = pixels[None, None]" if gray else "images = pixels.transpose(2, 0, 1)[None].copy()",
    ]
    if name.endswith(".onnx"):
        run = [
            f'session = onnxruntime.InferenceSession("{name}")',
            'classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])',
            'logits = session.run(None, {"images": images})[0]',
        ]
    else:
        run = [
            'about = {"classes": ""}',
            f'program = torch.export.load("{name}", extra_files=about)',
            'classes = json.loads(about["classes"])',
            "logits = program.module()(torch.from_numpy(images)).numpy()",
        ]
    shown = (
        ["print(sorted({classes[label] for label in logits[0].argmax(0).flat}))"]
        if model.architecture.head
        else ["print(classes[logits[0].argmax()])"]
    )
    return "\n".join([*picture, *run, *shown])
