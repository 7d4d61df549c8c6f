"""Segmentation's table, and pictures of what a network predicts from each frame."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor
from torch.nn import functional as F

from das.analysis.figures import STYLE, save_figure
from das.analysis.results import standing
from das.analysis.searches import readable_searches, search_table
from das.analysis.statistics import estimate
from das.analysis.tables import NOT_RUN, accuracy_table, readable_accuracy, write
from das.data.batches import Batches
from das.data.crops import IGNORE
from das.data.sets import Dataset
from das.engine.checkpoint import load_model
from das.files import read_json
from das.study.runs import MethodRun, of_method
from das.study.schema import Study
from das.tasks.segmentation import SegmentationModel
from das.video.policy import Policy
from das.video.registration import DenseConsensus

EXTRAS = ("pixel_accuracy", "boundary_iou", "boundary_iou_published")
PICTURES = 3
IGNORED_COLOUR = "white"


def segmentation_table(study: Study) -> pd.DataFrame:
    """`das.analysis.tables.accuracy_table` with mIoU as what counts, and more scores of the last epoch, in percent.

    `consensus` says how frames were fused; `pixel_accuracy`, `boundary_iou` and `iou_CLASS` are means over seeds, with
    `..._ci95` half-widths; a seed in which a class has no IoU has no part in that class's.
    """
    table = accuracy_table(study)
    table.columns = [column.replace("accuracy", "miou") for column in table.columns]
    scores = [_scores(study, dataset, backbone, row) for dataset, backbone, row in _cells(study)]
    table.insert(table.columns.get_loc("name") + 1, "consensus", [score.pop("consensus") for score in scores])
    return pd.concat([table, pd.DataFrame(scores)], axis=1)


def _cells(study: Study):
    grid = study.study
    return [(d, b, m) for d in grid.datasets for b in grid.backbones for m in grid.methods]


def _scores(study: Study, dataset: str, backbone: str, method: str) -> dict:
    runs = [of_method(study, dataset, backbone, method, seed) for seed in study.study.seeds]
    tests = [read_json(run.number)["last"] for run in runs if standing(run)[0]]
    found: dict[str, list] = {name: [test.get(name) for test in tests] for name in EXTRAS}
    for test in tests:
        for label, value in test["class_iou"].items():
            found.setdefault(f"iou_{label}", []).append(value)
    row = {"consensus": runs[0].consensus}
    for name, values in found.items():
        score = estimate([100 * value for value in values if value is not None])
        row |= {name: score.mean, f"{name}_ci95": score.half_width}
    return row


def readable_segmentation(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The segmentation table as people read it: intervals beside means, what was not run named."""
    main = table.rename(columns=lambda column: column.replace("miou", "accuracy"))
    readable = readable_accuracy(study, main).rename(columns={"Accuracy, %": "mIoU, %"})
    readable.insert(3, "Consensus", table.consensus.where(table.frames != 1, ""))
    at = readable.columns.get_loc("Frames")
    labels = [c for c in table.columns if c.startswith("iou_") and not c.endswith("_ci95")]
    named = ("Pixel accuracy, %", "Boundary IoU, %", "Boundary IoU, published order, %")
    titles = dict(zip(EXTRAS, named, strict=True))
    for name in [*EXTRAS, *labels]:
        values = [f"{value:.2f}" if value == value else NOT_RUN for value in table[name]]
        readable.insert(at, titles.get(name, f"IoU {name.removeprefix('iou_')}, %"), values)
        at += 1
    return readable


def write_tables(study: Study, folder: Path) -> None:
    """Write `segmentation` and `search`, each as .csv, .md and .tex, into ``folder``."""
    table, search = segmentation_table(study), search_table(study)
    write(folder / "segmentation", table, readable_segmentation(study, table))
    write(folder / "search", search, readable_searches(search))


@torch.no_grad()
def frame_predictions(model: SegmentationModel, images: Tensor) -> dict[str, Tensor]:
    """What ``model`` (in evaluation) makes of images (B, C, H, W) in [0, 1], all with labels int64 0 to K - 1.

    `videos` (B, T, C, H, W); `frames` (B, T, H, W), each frame's labels where it sees them; `aligned` (B, T, H, W), the
    same brought back onto the image, 255 where the frame does not count; `as_they_come` and `fused` (B, H, W), of the
    mean of all frames and of the mean of those brought back.
    """
    videos = model.video(images)
    (logits,) = model.network(model.normalize(videos), videos.shape[1])
    size = images.shape[2:]
    aligned = DenseConsensus("aligned_mean", model.policy)
    each = []
    for frame in range(logits.shape[1]):
        alone = torch.zeros_like(logits)
        alone[:, frame] = logits[:, frame]
        part = aligned(alone, *size)  # a positive multiple of the frame's logits, 0 where the frame does not count
        each.append(torch.where((part == 0).all(1), IGNORE, part.argmax(1)))
    large = F.interpolate(logits.flatten(0, 1), videos.shape[3:], mode="bilinear", align_corners=False)
    return {
        "videos": videos,
        "frames": large.argmax(1).unflatten(0, logits.shape[:2]),
        "aligned": torch.stack(each, 1),
        "as_they_come": DenseConsensus("mean_logits", model.policy)(logits, *size).argmax(1),
        "fused": aligned(logits, *size).argmax(1),
    }


def predictions_figure(
    model: SegmentationModel, images: Tensor, masks: Tensor | None = None, title: str | None = None
) -> Figure:
    """Three rows for each image: its frames, the labels predicted for them, and these brought back onto the image."""
    found = {name: tensor.numpy() for name, tensor in frame_predictions(model, images).items()}
    count, frames = found["videos"].shape[:2]
    tones = [tuple(value / 255 for value in color) for color in model.palette]
    colors = ListedColormap(tones).with_extremes(over=IGNORED_COLOUR)
    style = {"cmap": colors, "vmin": -0.5, "vmax": len(model.classes) - 0.5, "interpolation": "nearest"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.3 * (frames + 2), 1.3 * 3 * count + 0.9), layout="compressed")
        axes = figure.subplots(3 * count, frames + 2, squeeze=False)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for index in range(count):
            rows = axes[3 * index : 3 * index + 3]
            rows[0, 0].imshow(_picture(images[index].numpy()))
            if masks is not None:
                rows[1, 0].imshow(masks[index].numpy(), **style)
                rows[1, 0].set_title("mask")
            for frame in range(frames):
                rows[0, frame + 1].imshow(_picture(found["videos"][index, frame]))
                rows[1, frame + 1].imshow(found["frames"][index, frame], **style)
                rows[2, frame + 1].imshow(found["aligned"][index, frame], **style)
            rows[1, -1].imshow(found["as_they_come"][index], **style)
            rows[2, -1].imshow(found["fused"][index], **style)
            for row, text in zip(rows, ("frames", "labels", "brought back"), strict=True):
                row[1].set_ylabel(text)
            rows[0, 0].set_title("image")
            rows[1, -1].set_title("mean, as they come", fontsize=7)
            rows[2, -1].set_title("mean, brought back", fontsize=7)
        patches = [Patch(color=tone, label=name) for tone, name in zip(tones, model.classes, strict=True)]
        patches.append(Patch(facecolor=IGNORED_COLOUR, edgecolor="0.6", label="does not count"))
        figure.legend(handles=patches, loc="outside lower center", ncols=min(4, len(patches)))
        if title:
            figure.suptitle(title)
    return figure


def _picture(pixels: np.ndarray) -> np.ndarray:
    return pixels.clip(0, 1).transpose(1, 2, 0).squeeze()


def write_predictions(run: MethodRun, dataset: Dataset, policy: Policy | None) -> Path:
    """Draw `predictions_figure` for three test images, evenly taken, and return the path of the .png.

    Raises DasError for a checkpoint that is missing or damaged.
    """
    model = load_model(run.trained.checkpoint, policy or Policy.replicate(1), run.consensus)
    chosen = torch.arange(PICTURES) * len(dataset.test) // PICTURES
    images, masks = next(Batches(dataset.test.subset(chosen), PICTURES).epoch())
    title = f"{run.how.title} ({run.consensus}), seed {run.seed}"
    name = f"predictions_{run.dataset}_{run.backbone}_{run.method}_seed{run.seed}.png"
    path = Path("results/figures") / run.study / name
    save_figure(predictions_figure(model, images, masks, title), path)
    return path
