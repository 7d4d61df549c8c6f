"""How the figures look: sizes of print, colors that the color-blind and gray printers tell apart, files."""

import io
import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from das.errors import DasError
from das.files import publish

PAGE = 7.0  # inches: the text width of a two-column page
STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.03,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "text.parse_math": False,  # a title with two $ is no formula
    "pdf.fonttype": 42,  # fonts that journals take
    "svg.hashsalt": "das",
}
#: Okabe and Ito's palette for the color-blind (Okabe & Ito 2008, Color Universal Design), yellow left out.
COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
MARKERS = "osD^vPX<>*"
DASHES = ("-", "--", "-.", ":")
METADATA: dict[str, dict] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Producer": None},
    ".svg": {"Date": None},
}


def look(place: int) -> dict[str, Any]:
    """Color, marker and dashes of the method in a ``place`` of a study; no two of the first seventy are alike."""
    return {
        "color": COLORS[place % len(COLORS)],
        "marker": MARKERS[place % len(MARKERS)],
        "ls": DASHES[place // len(COLORS) % len(DASHES)],
    }


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """``text`` on at most so many ``lines`` of at most ``width`` characters; what is left out is "…"."""
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder=" …"))


def telling(intervals: pd.Series, seeds: pd.Series) -> pd.Series:
    """The half-widths of intervals that an axis should hold whole, and 0 for the others, which run off it: those of two
    seeds where other rows have more (twelve standard errors would leave the others no room), and missing ones."""
    return intervals.where((seeds > 2) | (seeds == seeds.max()), 0).fillna(0)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write ``figure`` to ``path`` in the format of its suffix (.png, .pdf or .svg); where it has none of these, beside
    it as .png and .pdf. Without dates, so that equal figures are equal bytes. Returns the (first) path written."""
    targets = [path] if path.suffix in METADATA else [path.with_name(path.name + suffix) for suffix in (".png", ".pdf")]
    for target in targets:
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(buffer, format=target.suffix[1:], metadata=METADATA[target.suffix])
        publish(target, buffer.getvalue())
    return targets[0]


def check_suffix(path: Path, *more: str) -> None:
    """Raise DasError for the name of a picture in a format that is not written here."""
    known = (*METADATA, *more)
    if path.suffix not in known:
        raise DasError(f"{path}: should end in {', '.join(known[:-1])} or {known[-1]}, not {path.suffix or 'nothing'}")
