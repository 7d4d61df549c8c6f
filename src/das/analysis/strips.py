"""What a policy makes of images: film strips and animations."""

import io
import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from das.analysis.style import PAGE, STYLE, wrapped
from das.analysis.words import frame_words
from das.video.policy import Policy
from das.video.schedule import strengths
from das.video.transform import ImageToVideo

ROW = 6  # frames side by side
LARGEST = 1.5  # inches: side of a frame
FRAME_MS, UNTOUCHED_MS = 450, 900
ANIMATION_DPI = 130


def film_strip(policy: Policy, images: Tensor, title: str | None = None) -> Figure:
    """What ``policy`` makes of each of ``images`` (N, C, H, W) in [0, 1]: its frames, over each what was done to it.
    An image's frames are laid out in rows of equal length, where they are many."""
    videos = ImageToVideo(policy)(images).clamp(0, 1)
    count, frames = videos.shape[:2]
    rows = math.ceil(frames / ROW)
    columns = math.ceil(frames / rows)
    side = min(LARGEST, PAGE / columns)
    words = [_said(text, side) for text in frame_words(policy)]
    said = 0.11 * max(text.count("\n") + 1 for text in words)
    head = wrapped(title or "", int(columns * side * 16), 3)
    tall = rows * (said + count * side * images.shape[2] / images.shape[3] * 1.05)
    with mpl.rc_context(STYLE):
        size = (columns * side, tall + 0.16 * (head.count("\n") + 1) * bool(head))
        figure = Figure(figsize=size, layout="compressed")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        axes = figure.subplots(rows * count, columns, squeeze=False)
        for place, axis in np.ndenumerate(axes):
            index, frame = place[0] // rows, place[0] % rows * columns + place[1]
            if frame >= frames:
                axis.remove()
                continue
            _picture(axis, videos[index, frame])
            if index == 0:
                axis.set_title(words[frame], fontsize=6.5, pad=2)
        if head:
            figure.suptitle(head, fontsize=8)
    return figure


def animation(policy: Policy, image: Tensor) -> bytes:
    """The video that ``policy`` makes of ``image`` (C, H, W) in [0, 1], as a GIF that repeats; over each frame what was
    done to it."""
    video = ImageToVideo(policy)(image[None])[0].clamp(0, 1)
    steps = strengths(policy.schedule, policy.frames)
    words = [_said(text, 2.4) for text in frame_words(policy)]
    lines = max(text.count("\n") + 1 for text in words)
    pictures = []
    for number, (frame, text) in enumerate(zip(video, words, strict=True), 1):
        with mpl.rc_context(STYLE | {"savefig.bbox": None, "savefig.dpi": ANIMATION_DPI}):
            height = 2.2 * image.shape[1] / image.shape[2]
            figure = Figure(figsize=(2.4, height + 0.2 + 0.13 * lines))
            axis = figure.add_axes((0.04, 0.1 / figure.get_figheight(), 0.92, height / figure.get_figheight()))
            _picture(axis, frame)
            axis.set_title(text, fontsize=7.5, pad=3)
            axis.text(0.02, 0.02, f"{number}/{len(words)}", transform=axis.transAxes, color="white", fontsize=6.5,
                      bbox={"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1})  # fmt: skip
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png")
        pictures.append(Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE))
    out = io.BytesIO()
    durations = [UNTOUCHED_MS if step == 0 else FRAME_MS for step in steps]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, disposal=2)
    return out.getvalue()


def _said(text: str, side: float) -> str:
    """A frame's words on lines that are no wider than the frame."""
    return "\n".join(wrapped(line, max(int(side * 19), 10), 2) for line in text.splitlines())


def _picture(axis: Axes, pixels: Tensor) -> None:
    axis.imshow(pixels.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
