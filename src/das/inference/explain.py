"""Why a classifier says what it says of one image: each frame's vote, and where in it the network looked."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from das.analysis.predictions import predictions_figure
from das.analysis.style import STYLE
from das.data import decode
from das.data.crops import Framing
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
    video of the training set's mean color to the image's video.

    Attributes:
        image: (C, S, S) in [0, 1]; ``video``: (T, C, S, S).
        shares: probabilities, (K,); ``votes``: of each frame by itself, (T, K).
        frames: for and against the label at each pixel of each frame, (T, H, W). Their sum is the logit less that of
            the mean color's video (`gain`), but for the integral's error.
        back: the same, (T, S, S), at the pixels of the image that frames show: each frame's gradient taken back
            through the image-to-video step. The step is linear but for recolorings; a frame's sum is then unchanged.
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


def explain(model: DasModel, picture: str | Path | Tensor, label: str | None = None) -> Explanation:
    """Explain what ``model`` (a classifier in evaluation) says of a picture's file, or of an image (C, S, S) in [0, 1].

    ``label``: the class to explain; by default the predicted one. Raises DasError for a file that cannot be read, a
    class that the model does not know, and a segmentation.
    """
    if isinstance(model, SegmentationModel):
        raise DasError("explain: a segmentation is explained by its frames' label maps (`picture_of`)")
    if label is not None and label not in model.classes:
        raise DasError(f"label: is {label!r}; the model knows {', '.join(model.classes)}")
    if not isinstance(picture, Tensor):
        picture = _opened(model, Path(picture))
    device = next(model.parameters()).device
    image = picture.to(device)[None]
    assert isinstance(model.network, VideoModel)
    with torch.no_grad():
        votes = model.network.frame_logits(model.normalize(model.video(image)))[0]
        logits = model(image)[0]
    target = int(logits.argmax()) if label is None else model.classes.index(label)

    blank = torch.tensor(model.mean, device=device).view(1, -1, 1, 1).expand_as(image).contiguous()
    start = model.video(blank)
    shown = image.clone().requires_grad_()
    video = model.video(shown)
    gradient, gain = _integrated(model, start, video.detach(), target)
    back = []
    for frame in range(video.shape[1]):
        alone = torch.zeros_like(gradient)
        alone[:, frame] = gradient[:, frame]
        (through,) = torch.autograd.grad(video, shown, alone, retain_graph=True)
        back.append(((image - blank) * through)[0].sum(0))
    frames = ((video.detach() - start) * gradient)[0].sum(1)
    return Explanation(
        model.classes, target, image[0].cpu(), video.detach()[0].cpu(), logits.softmax(0).cpu(), votes.softmax(1).cpu(),
        frames.cpu(), torch.stack(back).cpu(), gain, model.policy.schedule,
    )  # fmt: skip


def picture_of(model: DasModel, picture: str | Path, label: str | None = None) -> Figure:
    """Draw why ``model`` says what it says of a picture's file: `figure` of a classifier; of a segmentation each
    frame's label map, and these brought back. Raises DasError as `explain`."""
    path = Path(picture)
    if not isinstance(model, SegmentationModel):
        return figure(explain(model, path, label), path.name)
    if label is not None:
        raise DasError("--label: a segmentation shows all its classes at once; leave it out")
    return predictions_figure(model.cpu(), _opened(model, path, model.whole)[None], title=path.name)


def _opened(model: DasModel, path: Path, framing: Framing | None = None) -> Tensor:
    """The picture as the model reads it, (C, H, W) in [0, 1]."""
    (found,) = read([path], model, framing=framing)
    if isinstance(found, decode.Damaged):
        raise found
    return found.float() / 255


def _integrated(model: DasModel, start: Tensor, end: Tensor, target: int) -> tuple[Tensor, float]:
    """The gradient of the target's logit with respect to the video, mean over STEPS places (each step's middle) on the
    straight way from ``start`` to ``end``; and by how much the logit rises on it."""
    total = torch.zeros_like(end)
    for step in range(STEPS):
        at = (start + (step + 0.5) / STEPS * (end - start)).requires_grad_()
        logit = model.network(model.normalize(at))[0, target]
        total += torch.autograd.grad(logit, at)[0]
    with torch.no_grad():
        first, last = (float(model.network(model.normalize(video))[0, target]) for video in (start, end))
    return total / STEPS, last - first


def figure(found: Explanation, title: str | None = None) -> Figure:
    """A column for the image and one for each frame. Above: what the network sees; in the middle: what it looked at
    there, red for the class and blue against it; below: the same brought back to the image. To the left the frames
    together, and below the frames each one's vote."""
    count = len(found.video)
    name = found.classes[found.label]
    likely = found.shares.argsort(descending=True).tolist()
    ranked = [k for place, k in enumerate(likely) if place < NAMED or k == found.label]
    with mpl.rc_context(STYLE):
        chart = Figure(figsize=(1.55 * (count + 1) + 0.9, 7.4), layout="compressed")
        axes = chart.subplots(4, count + 1, squeeze=False, height_ratios=[1, 1, 1, 0.9])
        for axis in axes[:3].flat:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        axes[1, 0].set_visible(False)
        _picture(axes[0, 0], found.image)
        axes[0, 0].set_title("image")
        strength = strengths(found.schedule, count)
        sums = found.frames.flatten(1).sum(1)
        limit, back_limit = (_limit(maps) for maps in (found.frames, found.back))
        for frame in range(count):
            top, middle, low, _ = axes[:, frame + 1]
            _picture(top, found.video[frame])
            top.set_title("untouched" if strength[frame] == 0 else f"strength {strength[frame]}")
            _evidence(middle, found.video[frame], found.frames[frame], limit)
            middle.set_title(f"{sums[frame]:+.2f}")
            _evidence(low, found.image, found.back[frame], back_limit)
            _votes(axes[3, frame + 1], found.votes[frame], found, ranked)
        together = found.back.sum(0)
        shown = _evidence(axes[2, 0], found.image, together, _limit(together))
        axes[2, 0].set_title("frames together")
        _votes(axes[3, 0], found.shares, found, ranked)
        axes[3, 0].set_yticks(range(len(ranked)), [found.classes[k] for k in ranked], fontsize=8)
        for row, text in enumerate(("frames", f"evidence for\n{name}", "back in the\nimage", "vote, %")):
            axes[row, 1].set_ylabel(text)
        bar = chart.colorbar(shown, ax=axes[1:3, -1], shrink=0.7, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["against", "none", "for"])
        said = f"{name}: {found.shares[found.label]:.1%}"
        chart.suptitle(f"{title}\n{said}" if title else said)
    return chart


def _limit(maps: Tensor) -> float:
    """What counts as full color: few pixels lie beyond."""
    return max(float(_smooth(maps).abs().flatten().quantile(0.995)), 1e-12)


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


def _votes(axis: Axes, shares: Tensor, found: Explanation, ranked: list[int]) -> None:
    colors = ["tab:red" if k == found.label else "0.7" for k in ranked]
    axis.barh(range(len(ranked)), 100 * shares[ranked].numpy(), color=colors)
    axis.set(xlim=(0, 100), ylim=(len(ranked) - 0.5, -0.5), xticks=[0, 50, 100], yticks=[])
    axis.tick_params(labelsize=7)
