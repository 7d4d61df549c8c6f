"""Pictures of what a segmentation network predicts from each frame."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor
from torch.nn import functional as F

from das.analysis.figures import STYLE, save_figure
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
IGNORED_COLOUR = "white"


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

    Raises DasError for a checkpoint or policy that is missing or cannot stand for the run.
    """
    results.require(run.trained, "checkpoint")
    if run.made_by:
        results.require(run.made_by)
    model = load_model(run.trained.checkpoint, policy or Policy.replicate(1), run.consensus)
    chosen = torch.arange(PICTURES) * len(dataset.test) // PICTURES
    images, masks = next(Batches(dataset.test.subset(chosen), PICTURES).epoch())
    title = f"{run.how.title} ({run.consensus}), seed {run.seed}"
    name = f"predictions_{run.dataset}_{run.backbone}_{run.method}_seed{run.seed}.png"
    path = Path("results/figures") / run.study / name
    save_figure(predictions_figure(model, images, masks, title), path)
    return path
