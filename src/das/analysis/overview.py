"""One look at a study: what DAS does, and what the study found."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from torch import Tensor

from das.analysis import results
from das.analysis.charts import SPAN, score_of
from das.analysis.receptive_field_figure import fused_method
from das.analysis.statistics import LEVEL
from das.analysis.style import PAGE, STYLE, telling, wrapped
from das.analysis.tables import accuracy_table
from das.analysis.words import MINUS, in_words
from das.study.runs import of_method
from das.study.schema import Method, Study
from das.video.policy import Policy
from das.video.transform import ImageToVideo

NAMED = 70  # characters of a method's name
ROW = 4  # frames side by side


def overview(study: Study, pictures: Tensor) -> Figure:
    """The way of an image through the study's method, above the paired differences of all methods from the reference,
    beside the noise; of the grid's first data set and backbone.

    Args:
        pictures: a few images of the first data set (N, C, H, W) in [0, 1]; the first one is shown.
    """
    how, dataset, backbone = fused_method(study), study.study.datasets[0], study.study.backbones[0]
    table = accuracy_table(study)
    titles = study.datasets[dataset].title, study.backbones[backbone].title
    table = table[(table.dataset == titles[0]) & (table.backbone == titles[1])]
    said = wrapped(finding(table, _name(study, how), study.study.reference), 88, 4)
    place = wrapped(", ".join(titles), 80, 2)
    with mpl.rc_context(STYLE):
        lines = 1 + said.count("\n") + place.count("\n")
        heights = 1.45, 1.1 + 0.15 * lines + 0.27 * max(len(table) - 1, 1)
        figure = Figure(figsize=(PAGE, sum(heights)), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=heights)
        _way(above, study, how, titles[1], pictures[0])
        below.suptitle(said, x=0.01, ha="left", fontsize=9, fontweight="bold")
        _differences(below, study, how, table, place)
    return figure


def _way(part: SubFigure, study: Study, how: Method, network: str, image: Tensor) -> None:
    """Image, frames, network, prediction."""
    policy, seed = _policy(study, how)
    frames = ImageToVideo(policy)(image[None])[0].clamp(0, 1) if policy else image[None][:0]
    count = min(len(frames), 2 * ROW)
    rows, columns = (2, math.ceil(count / 2)) if count > ROW else (1, max(count, 1))
    grid = part.add_gridspec(rows, columns + 6, width_ratios=[1.3, 0.35, *[1.0] * columns, 0.35, 1.8, 0.35, 1.6])
    start = part.add_subplot(grid[:, 0])
    _picture(start, image)
    start.set_title("an image")
    for frame in range(count):
        axis = part.add_subplot(grid[frame // columns, 2 + frame % columns])
        _picture(axis, frames[frame])
        if frame == 0:
            more = "" if count == len(frames) else f" (the first {count})"
            axis.set_title(f"its video of {len(frames)} frames{more}", loc="left")
    if not count:
        _text(part.add_subplot(grid[:, 2]), "frames:\nno policy\nmade yet")
    for column in (1, columns + 2, columns + 4):
        arrow = part.add_subplot(grid[:, column])
        arrow.annotate("", (1, 0.5), (0, 0.5), arrowprops={"arrowstyle": "-|>", "color": "black"})
        arrow.set_axis_off()
    fusion = "frames one by one" if how.fusion == "none" else f"{how.fusion.rpartition(':')[2].upper()} across frames"
    _text(part.add_subplot(grid[:, columns + 3]), f"{wrapped(network, 16, 2)}\n{wrapped(fusion, 18, 2)}", box=True)
    run = of_method(study, study.study.datasets[0], study.study.backbones[0], _name(study, how), study.study.seeds[0])
    _text(part.add_subplot(grid[:, columns + 5]), f"one prediction\n({run.consensus.replace('_', ' ')}\nof the frames)")
    if policy:
        part.supxlabel(wrapped(f"the policy searched with seed {seed}: {in_words(policy)}" if seed is not None
                               else f"the policy: {in_words(policy)}", 120, 2), fontsize=7.5)  # fmt: skip


def _policy(study: Study, how: Method) -> tuple[Policy | None, int | None]:
    """The first policy of the method that is there, and the seed of its search."""
    place = study.study.datasets[0], study.study.backbones[0]
    for search in results.searches(study):
        if (search["dataset"], search["backbone"], search["policy"]) == (*place, how.policy):
            return Policy.load(search["path"]), search["seed"]
    run = of_method(study, *place, _name(study, how), study.study.seeds[0])
    if run.made_by and results.standing(run.made_by)[0]:
        return Policy.load(run.made_by.main), None
    return None, None


def _name(study: Study, how: Method) -> str:
    return next(name for name in study.study.methods if study.methods[name] is how)


def _differences(part: SubFigure, study: Study, how: Method, table: pd.DataFrame, place: str) -> None:
    reference = study.methods[study.study.reference].title
    others = table[table.name != study.study.reference]
    panel = part.subplots()
    for at, row in enumerate(others.itertuples()):
        if row.difference != row.difference:
            panel.text(0.01, at, "not run", transform=panel.get_yaxis_transform(), va="center", color="0.3")
            continue
        if row.noise == row.noise:
            panel.barh(at, 2 * row.noise, left=-row.noise, height=0.8, color="0.87", zorder=0)
        if row.difference_ci95 == row.difference_ci95:
            panel.errorbar(row.difference, at, xerr=row.difference_ci95, fmt="none", ecolor="k", capsize=2.5, lw=1.2)
        own = row.name == _name(study, how)
        panel.plot(row.difference, at, "D" if own else "o", color="#D55E00" if own else "black", ms=4.5, zorder=3)
        trained = "no training" if row.train_frames == 0 else f"{row.train_frames:.2g}× training"  # noqa: RUF001
        trained = trained if row.train_frames == row.train_frames else ""
        panel.text(1.01, at, trained, transform=panel.get_yaxis_transform(), va="center", fontsize=7)
    panel.axvline(0, color="0.4", lw=0.8, ls=":")
    panel.set_yticks(range(len(others)), [wrapped(title, 34, 2) for title in others.method])
    panel.set_ylim(max(len(others), 1) - 0.4, -0.6)
    reach = pd.concat([others.difference.abs() + telling(others.difference_ci95, others.seeds), others.noise]).max()
    limit = max(SPAN / 2, 1.06 * reach) if reach == reach else SPAN / 2
    panel.set_xlim(-limit, limit)
    panel.set_xlabel(f"test {score_of(study)} against {wrapped(reference, 50, 1)}, percentage points")
    panel.set_title(place, loc="left")
    intervals, noise = others.difference_ci95.notna().any(), others.noise.notna().any()
    handles: dict = {}
    if others.difference.notna().any():
        handles["paired by seed: mean and 95 % interval" if intervals else "paired by seed"] = Line2D(
            [], [], color="black", marker="o", ms=4.5, lw=1.2 * intervals
        )
    if noise:
        handles["noise: where seeds alone differ, 95 of 100 lie here"] = Patch(color="0.87")
    if handles:
        part.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)


def finding(table: pd.DataFrame, method: str, reference: str) -> str:
    """What the accuracy table says of a method against the reference, and no more: a difference is one where p,
    corrected, is below `LEVEL`."""
    rows = table.set_index("name")
    own, other = rows.loc[method], wrapped(rows.loc[reference].method, NAMED, 1)
    name = wrapped(own.method, NAMED, 1)
    if method == reference:
        return f"{name} is the reference"
    if own.difference != own.difference:
        return f"{name}: not run yet, or without seeds in common with {other}"
    points = f"{own.difference:+.2f}".replace("-", MINUS)
    count = min(own.seeds, rows.loc[reference].seeds)
    seeds = f"{count} seeds" if count != 1 else "1 seed"
    if own.p_holm != own.p_holm:  # one seed, or differences that are all the same
        return f"{name} against {other}: {points} points, {seeds}: too few to tell chance from effect"
    amount = f"{points} ± {own.difference_ci95:.2f} points, {seeds}"
    if own.p_holm < LEVEL:
        within = "" if abs(own.difference) > own.noise else " (no more than seeds alone can differ)"
        return f"{name} does {'better' if own.difference > 0 else 'worse'} than {other}: {amount}{within}"
    return f"No difference found between {name} and {other}: {amount}"


def _picture(axis: Axes, pixels: Tensor) -> None:
    axis.imshow(np.asarray(pixels.permute(1, 2, 0).squeeze(-1)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _text(axis: Axes, text: str, box: bool = False) -> None:
    axis.set_axis_off()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    if box:
        axis.add_patch(FancyBboxPatch((0.02, 0.25), 0.96, 0.5, "round,pad=0,rounding_size=0.05", fc="0.93", ec="black"))
    axis.text(0.5, 0.5, text, ha="center", va="center")
