"""Label maps as people look at them: palette PNGs, and pictures under their colors with a legend."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image
from torch import Tensor

from das.analysis.style import STYLE
from das.data import decode
from das.data.colors import Color
from das.files import publish
from das.inference.predict import Prediction
from das.tasks.classification import DasModel

OPACITY = 0.55  # of the colors over a picture
RARE = 0.001  # classes with a smaller share of a picture are not in its legend


def palette_png(labels: Tensor, colors: Sequence[Color]) -> bytes:
    """Labels, uint8 (H, W), as a palette PNG: its values are the labels, its palette the colors."""
    picture = Image.fromarray(labels.numpy())
    picture.putpalette([value for color in colors for value in color])
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def overlay(picture: Tensor, said: Prediction, colors: Sequence[Color]) -> Figure:
    """A picture, uint8 (3, H, W), under the colors of its labels, with a legend that says each class's share."""
    assert said.labels is not None
    assert said.shares is not None
    pixels = picture.permute(1, 2, 0).numpy()
    painted = np.asarray(colors, dtype=np.float32)[said.labels.numpy()]
    mixed = ((1 - OPACITY) * pixels + OPACITY * painted).round().astype(np.uint8)
    height, width = said.labels.shape
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 0.5 + 3.2 * min(2, max(0.5, height / width))), layout="compressed")
        left, right = figure.subplots(1, 2)
        for axis, shown in ((left, pixels), (right, mixed)):
            axis.imshow(shown, interpolation="nearest")
            axis.set_axis_off()
        shares = sorted(zip(said.shares.tolist(), said.classes, colors, strict=True), reverse=True)
        patches = [
            Patch(
                facecolor=(color[0] / 255, color[1] / 255, color[2] / 255),
                edgecolor="0.4",
                lw=0.5,
                label=f"{name}  {share:.1%}",
            )
            for share, name, color in shares
            if share >= RARE
        ]
        figure.legend(handles=patches, loc="outside right center", fontsize=8)
        figure.suptitle(said.file.name)
    return figure


def write(
    predictions: Iterable[Prediction], model: DasModel, files: Sequence[Path], masks: Path | None, overlays: Path | None
) -> Iterator[Prediction]:
    """Write each prediction's labels as a palette PNG below ``masks``, and draw its picture under them below
    ``overlays``, as the ``files`` of all predictions lie beside each other; pass the predictions on without labels.

    Raises DasError where a folder cannot be written.
    """
    colors, where = model.palette, places(files)
    for said in predictions:
        if said.labels is not None:
            if masks:
                publish(masks / where[said.file], palette_png(said.labels, colors))
            if overlays:
                drawn = overlay(decode.image(said.file.read_bytes(), said.file), said, colors)
                buffer = io.BytesIO()
                drawn.savefig(buffer, format="png", metadata={"Software": None})
                publish(overlays / where[said.file], buffer.getvalue())
        yield replace(said, labels=None)


def places(files: Iterable[Path]) -> dict[Path, Path]:
    """Where below a folder what is made of each file goes: as the files lie below the one they share, as .png.

    Files that differ by nothing but the suffix keep it: ``a.jpg.png`` beside ``a.webp.png``.
    """
    absolute = {file: file.absolute() for file in files}
    parents = [path.parent for path in absolute.values()]
    common = next(p for p in (parents[0], *parents[0].parents) if all(q.is_relative_to(p) for q in parents))
    plain = {file: path.relative_to(common).with_suffix(".png") for file, path in absolute.items()}
    taken = Counter(plain.values())
    return {file: place if taken[place] == 1 else place.with_name(f"{file.name}.png") for file, place in plain.items()}
