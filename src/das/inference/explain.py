"""Why a network says what it says of one image: each frame's vote, and where in it the network looked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba_array
from matplotlib.figure import Figure
from torch import Tensor

from das.analysis.predictions import IGNORED_COLOR, frame_predictions
from das.analysis.style import STYLE
from das.data import decode
from das.data.colors import Color
from das.data.crops import IGNORE
from das.errors import DasError
from das.inference.pictures import read
from das.models import VideoModel
from das.tasks.classification import DasModel
from das.tasks.segmentation import SegmentationModel
from das.video.schedule import strengths

STEPS = 32  # of the integral
NAMED = 5  # classes whose votes are drawn


@dataclass(frozen=True)
class Explanation:
    """What speaks for ``label`` in an image, by integrated gradients (Sundararajan et al. 2017) of its logit, from the
    video of the training set's mean color to the image's video. Of a segmentation, the logit is its mean over the
    pixels that the network gives the label (over all, where it gives it to none).

    Attributes:
        image: (C, H, W) in [0, 1]; ``video``: (T, C, H, W).
        shares: probabilities, (K,), or the classes' parts of the image's pixels; ``votes``: the same of each frame by
            itself, (T, K).
        frames: for and against the label at each pixel of each frame, (T, H, W). Their sum is the logit less that of
            the mean color's video (`gain`), but for the integral's error.
        back: the same at the pixels of the image that frames show: each frame's gradient taken back
            through the image-to-video step. The step is linear but for recolorings; a frame's sum is then unchanged.
        maps: of a segmentation, labels (1 + T, H, W): the image's, then each frame's, brought back to the image, 255
            where the frame does not count.
        palette: the classes' colors.
    """

    classes: tuple[str, ...]
    label: int
    image: Tensor
    video: Tensor
    shares: Tensor
    votes: Tensor
    frames: Tensor
    back: Tensor
    gain: float
    schedule: str
    maps: Tensor | None
    palette: tuple[Color, ...]


def explain(model: DasModel, picture: str | Path | Tensor, label: str | None = None) -> Explanation:
    """Explain what ``model`` (in evaluation) says of a picture's file, or of an image (C, H, W) in [0, 1] as the
    network reads it.

    ``label``: the class to explain; by default the predicted one, or the one of most pixels. Raises DasError for a file
    that cannot be read and a class that the model does not know.
    """
    if label is not None and label not in model.classes:
        raise DasError(f"label: is {label!r}; the model knows {', '.join(model.classes)}")
    if not isinstance(picture, Tensor):
        picture = _opened(model, Path(picture))
    device = next(model.parameters()).device
    image = picture.to(device)[None]
    shares, votes, maps = (
        _dense_votes(model, image) if isinstance(model, SegmentationModel) else _frame_votes(model, image)
    )
    target = int(shares.argmax()) if label is None else model.classes.index(label)

    blank = torch.tensor(model.mean, device=device).view(1, -1, 1, 1).expand_as(image).contiguous()
    start = model.video(blank)
    shown = image.clone().requires_grad_()
    video = model.video(shown)
    gradient, gain = _integrated(_logit(model, image, target, maps), start, video.detach())
    back = []
    for frame in range(video.shape[1]):
        alone = torch.zeros_like(gradient)
        alone[:, frame] = gradient[:, frame]
        (through,) = torch.autograd.grad(video, shown, alone, retain_graph=True)
        back.append(((image - blank) * through)[0].sum(0))
    frames = ((video.detach() - start) * gradient)[0].sum(1)
    return Explanation(
        model.classes, target, image[0].cpu(), video.detach()[0].cpu(), shares.cpu(), votes.cpu(), frames.cpu(),
        torch.stack(back).cpu(), gain, model.policy.schedule,
        None if maps is None else maps.cpu(), model.palette,
    )  # fmt: skip


def picture_of(model: DasModel, picture: str | Path, label: str | None = None) -> Figure:
    """Draw why ``model`` says what it says of a picture's file (`figure`). Raises DasError as `explain`."""
    return figure(explain(model, picture, label), Path(picture).name)


@torch.no_grad()
def _frame_votes(model: DasModel, image: Tensor) -> tuple[Tensor, Tensor, None]:
    """A classifier's probabilities, and each frame's by itself."""
    assert isinstance(model.network, VideoModel)
    votes = model.network.frame_logits(model.normalize(model.video(image)))[0]
    return model(image)[0].softmax(0), votes.softmax(1), None


@torch.no_grad()
def _dense_votes(model: SegmentationModel, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A segmentation's parts of the pixels, each frame's, and the label maps that they are counted in."""
    maps = torch.cat([model(image).argmax(1), frame_predictions(model, image)["aligned"][0]])
    counts = torch.stack([torch.bincount(part[part != IGNORE], minlength=len(model.classes)) for part in maps])
    parts = counts / counts.sum(1, keepdim=True).clamp_min(1)
    return parts[0], parts[1:], maps


def _logit(model: DasModel, image: Tensor, target: int, maps: Tensor | None) -> Callable[[Tensor], Tensor]:
    """The logit that is explained, as a function of the video (1, T, C, H, W)."""
    if not isinstance(model, SegmentationModel) or maps is None:
        return lambda video: model.network(model.normalize(video))[0, target]
    region = maps[0] == target
    region = region if region.any() else torch.ones_like(region)

    def mean_logit(video: Tensor) -> Tensor:
        (frames,) = model.network(model.normalize(video), video.shape[1])
        return model.consensus(frames, *image.shape[2:])[0, target][region].mean()

    return mean_logit


def _opened(model: DasModel, path: Path) -> Tensor:
    """The picture as the network reads it, (C, H, W) in [0, 1]."""
    (found,) = read([path], model, framing=model.whole if isinstance(model, SegmentationModel) else None)
    if isinstance(found, decode.Damaged):
        raise found
    return found.float() / 255


def _integrated(logit: Callable[[Tensor], Tensor], start: Tensor, end: Tensor) -> tuple[Tensor, float]:
    """The gradient of ``logit`` with respect to the video, mean over STEPS places (each step's middle) on the straight
    way from ``start`` to ``end``; and by how much it rises on it."""
    total = torch.zeros_like(end)
    for step in range(STEPS):
        at = (start + (step + 0.5) / STEPS * (end - start)).requires_grad_()
        total += torch.autograd.grad(logit(at), at)[0]
    with torch.no_grad():
        first, last = (float(logit(video)) for video in (start, end))
    return total / STEPS, last - first


def figure(found: Explanation, title: str | None = None) -> Figure:
    """A column for the image and one for each frame. Above: what the network sees, and of a segmentation its labels; in
    the middle: what it looked at, red for the class and blue against it; below: the same brought back to the image. To
    the left the frames together, and below the frames each one's vote."""
    count = len(found.video)
    name = found.classes[found.label]
    likely = found.shares.argsort(descending=True).tolist()
    ranked = [k for place, k in enumerate(likely) if place < NAMED or k == found.label]
    rows = ["frames", f"evidence for\n{name}", "back in the\nimage", "vote, %" if found.maps is None else "pixels, %"]
    if found.maps is not None:
        rows.insert(1, "labels")
    with mpl.rc_context(STYLE):
        chart = Figure(figsize=(1.55 * (count + 1) + 0.9, 1.9 * len(rows)), layout="compressed")
        axes = chart.subplots(len(rows), count + 1, squeeze=False, height_ratios=[*[1] * (len(rows) - 1), 0.9])
        top, *labels, middle, low, last = axes
        for axis in axes[:-1].flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        middle[0].set_visible(False)
        _picture(top[0], found.image)
        top[0].set_title("image")
        strength = strengths(found.schedule, count)
        sums = found.frames.flatten(1).sum(1)
        limit, back_limit = (_limit(maps) for maps in (found.frames, found.back))
        for frame in range(count):
            _picture(top[frame + 1], found.video[frame])
            top[frame + 1].set_title("untouched" if strength[frame] == 0 else f"strength {strength[frame]}")
            _evidence(middle[frame + 1], found.video[frame], found.frames[frame], limit)
            middle[frame + 1].set_title(f"{sums[frame]:+.2f}")
            _evidence(low[frame + 1], found.image, found.back[frame], back_limit)
            _votes(last[frame + 1], found.votes[frame], found, ranked)
        for row in labels:
            for axis, drawn in zip(row, found.maps if found.maps is not None else (), strict=True):
                _labels(axis, drawn, found.palette)
        together = found.back.sum(0)
        shown = _evidence(low[0], found.image, together, _limit(together))
        low[0].set_title("frames together")
        _votes(last[0], found.shares, found, ranked)
        last[0].set_yticks(range(len(ranked)), [found.classes[k] for k in ranked], fontsize=8)
        for row, text in zip(axes, rows, strict=True):
            row[1].set_ylabel(text)
        bar = chart.colorbar(shown, ax=[middle[-1], low[-1]], shrink=0.7, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["against", "none", "for"])
        said = f"{name}: {found.shares[found.label]:.1%}{'' if found.maps is None else ' of the pixels'}"
        chart.suptitle(f"{title}\n{said}" if title else said)
    return chart


def _limit(maps: Tensor) -> float:
    """What counts as full color: few pixels lie beyond."""
    return max(float(np.quantile(_smooth(maps).abs().numpy(), 0.995)), 1e-12)


def _smooth(maps: Tensor) -> Tensor:
    """Maps (…, H, W) blurred by a fiftieth of their side: gradients jump from pixel to pixel."""
    from scipy.ndimage import gaussian_filter

    sigma = max(maps.shape[-2:]) / 50
    return torch.from_numpy(gaussian_filter(maps.numpy(), (*[0] * (maps.ndim - 2), sigma, sigma)))


def _picture(axis: Axes, pixels: Tensor) -> None:
    axis.imshow(pixels.clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)


def _evidence(axis: Axes, pixels: Tensor, evidence: Tensor, limit: float):
    gray = pixels.clamp(0, 1).mean(0).numpy()
    axis.imshow(0.35 + 0.65 * gray, cmap="gray", vmin=0, vmax=1)
    relative = (_smooth(evidence) / limit).clamp(-1, 1).numpy()
    return axis.imshow(relative, cmap="RdBu_r", vmin=-1, vmax=1, alpha=np.abs(relative) ** 0.5 * 0.85)


def _labels(axis: Axes, labels: Tensor, palette: tuple[Color, ...]) -> None:
    tones = [tuple(value / 255 for value in color) for color in palette]
    colors = ListedColormap(tones).with_extremes(over=IGNORED_COLOR)
    axis.imshow(labels.numpy(), cmap=colors, vmin=-0.5, vmax=len(palette) - 0.5, interpolation="nearest")


def _votes(axis: Axes, shares: Tensor, found: Explanation, ranked: list[int]) -> None:
    """Bars; of a segmentation in its labels' colors, so that they are the legend."""
    if found.maps is None:
        colors = to_rgba_array(["tab:red" if k == found.label else "0.7" for k in ranked])
    else:
        colors = np.array([found.palette[k] for k in ranked]) / 255
    axis.barh(range(len(ranked)), 100 * shares[ranked].numpy(), color=colors, edgecolor="0.6", linewidth=0.5)
    axis.set(xlim=(0, 100), ylim=(len(ranked) - 0.5, -0.5), xticks=[0, 50, 100], yticks=[])
    axis.tick_params(labelsize=7)
