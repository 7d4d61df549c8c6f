"""Pictures of what a segmentation network predicts from each frame."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor
from torch.nn import functional as F

from das.analysis.style import PAGE, STYLE, save_figure, wrapped
from das.data.batches import Batches
from das.data.crops import IGNORE
from das.data.sets import Dataset
from das.engine.checkpoint import load_model
from das.study import results
from das.study.runs import MethodRun
from das.tasks.segmentation import SegmentationModel
from das.video.policy import Policy
from das.video.registration import DenseConsensus

PICTURES = 3
TALL = 8.5  # inches that a page has for the pictures
IGNORED_COLOR = "white"
#: The medium-contrast scheme of Paul Tol (Colour Schemes, SRON/EPS/TN/09-002), which the color-blind and gray printers
#: tell apart, and black.
CONTRASTING = ("#004488", "#EECC66", "#994455", "#6699CC", "#997700", "#EE99AA", "#000000")


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
    model: SegmentationModel,
    images: Tensor,
    masks: Tensor | None = None,
    title: str | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Three rows for each image: its frames, the labels predicted for them, and these brought back onto the image; with
    ``masks`` also how well the two means fit each.

    Args:
        names: what to call each image.
    """
    found = {name: tensor.numpy() for name, tensor in frame_predictions(model, images).items()}
    count, frames = found["videos"].shape[:2]
    tones = colors_of(model)
    colors = ListedColormap(tones).with_extremes(over=IGNORED_COLOR)
    style = {"cmap": colors, "vmin": -0.5, "vmax": len(tones) - 0.5, "interpolation": "nearest"}
    with mpl.rc_context(STYLE):
        side = min(PAGE / (frames + 2), max(TALL / (3 * count), 0.8))
        figure = Figure(figsize=(side * (frames + 2), (side + 0.13) * 3 * count + 0.8), layout="compressed")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        axes = figure.subplots(3 * count, frames + 2, squeeze=False)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for index in range(count):
            rows = axes[3 * index : 3 * index + 3]
            rows[0, 0].imshow(_picture(images[index].numpy()))
            for frame in range(frames):
                rows[0, frame + 1].imshow(_picture(found["videos"][index, frame]))
                rows[1, frame + 1].imshow(found["frames"][index, frame], **style)
                rows[2, frame + 1].imshow(found["aligned"][index, frame], **style)
            for row, text in zip(rows, ("frames", "labels", "brought back"), strict=True):
                row[1].set_ylabel(text, fontsize=6.5)
            rows[0, 0].set_title(names[index] if names else "image", fontsize=7, pad=2)
            if masks is not None:
                rows[1, 0].imshow(masks[index].numpy(), **style)
                rows[1, 0].set_title("mask", fontsize=7, pad=2)
            for row, name, text in ((1, "as_they_come", "mean as they come"), (2, "fused", "mean brought back")):
                rows[row, -1].imshow(found[name][index], **style)
                fit = "" if masks is None else f"\nIoU {_percent(image_iou(found[name][index], masks[index].numpy()))}"
                rows[row, -1].set_title(f"{text}{fit}", fontsize=6.5, pad=2)
        patches = [
            Patch(facecolor=tone, edgecolor="0.4", label=name) for tone, name in zip(tones, model.classes, strict=True)
        ]
        patches.append(Patch(facecolor=IGNORED_COLOR, edgecolor="0.4", label="does not count"))
        figure.legend(handles=patches, loc="outside lower center", ncols=4)
        if title:
            figure.suptitle(wrapped(title, int(side * (frames + 2) * 14), 3), fontsize=8)
    return figure


def colors_of(model: SegmentationModel) -> list[tuple[float, float, float]]:
    """A color in [0, 1] for each class: `CONTRASTING` ones for a few, and the model's palette for many."""
    if len(model.classes) > len(CONTRASTING):
        return [(r / 255, g / 255, b / 255) for r, g, b in model.palette]
    return [to_rgb(color) for color in CONTRASTING[: len(model.classes)]]


def image_iou(labels: np.ndarray, mask: np.ndarray) -> float:
    """Mean over the classes of a mask (H, W; 255 where nothing counts) of the intersection over union with ``labels``
    (H, W); NaN for a mask without any."""
    counts = mask != IGNORE
    found = []
    for label in np.unique(mask[counts]):
        ours, theirs = (labels == label) & counts, mask == label
        found.append((ours & theirs).sum() / (ours | theirs).sum())
    return float(np.mean(found)) if found else float("nan")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share == share else "not defined"


def _picture(pixels: np.ndarray) -> np.ndarray:
    return pixels.clip(0, 1).transpose(1, 2, 0).squeeze()


def write_predictions(run: MethodRun, dataset: Dataset, policy: Policy | None) -> Path:
    """Draw `predictions_figure` for three test images, evenly spaced over the test set, and return the path of the
    .png.

    Raises DasError for a checkpoint or policy that is missing or cannot stand for the run.
    """
    results.require(run.trained, "checkpoint")
    if run.made_by:
        results.require(run.made_by)
    model = load_model(run.trained.checkpoint, policy or Policy.replicate(1), run.consensus)
    total = len(dataset.test)
    chosen = torch.arange(min(PICTURES, total)) * total // min(PICTURES, total)
    images, masks = next(Batches(dataset.test.subset(chosen), PICTURES).epoch())
    numbers = [int(number) for number in chosen]
    title = (
        f"{run.how.title} ({run.consensus.replace('_', ' ')}), seed {run.seed}, on test images "
        f"{', '.join(map(str, numbers))} of {total} (evenly spaced); IoU: mean over the classes of the image's mask"
    )
    name = f"predictions_{run.dataset}_{run.backbone}_{run.method}_seed{run.seed}"
    names = [f"test image {number}" for number in numbers]
    return save_figure(
        predictions_figure(model, images, masks, title, names), Path("results/figures") / run.study / name
    )
