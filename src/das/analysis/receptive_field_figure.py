"""Receptive fields as a picture, and the pictures of a study."""

import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from das.analysis import results
from das.analysis.receptive_field import Trained, areas, compare, effective, single_operations
from das.analysis.style import PAGE, STYLE, save_figure, wrapped
from das.analysis.words import MINUS, named
from das.engine.checkpoint import load_model
from das.errors import DasError
from das.files import publish
from das.study.products import shown_networks
from das.study.runs import searched_policies
from das.study.schema import Method, Study
from das.video.policy import Policy

SQUARES = ((0.5, "cyan", "-"), (0.99, "white", "--"))
ONE = "one frame"


def figure(
    fields: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str | None = None,
    trained: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Fields side by side, as ``compare`` gives them; below each what it has more or less than the first; and below
    that the effective field (H, W) of a trained network, of those in ``trained``.

    Brightness is a pixel's influence, log10(x + 1), x being 1000 at a panel's strongest pixel. Differences are of
    pixels' shares of the whole influence; the strongest half percent of them may lie beyond the ends of the scale.
    """
    trained = {name: field for name, field in (trained or {}).items() if name in fields}
    rows = 1 + (len(fields) > 1) + bool(trained)
    side = min((PAGE - 1.0) / len(fields), 1.6)
    with mpl.rc_context(STYLE | {"axes.spines.top": True, "axes.spines.right": True}):
        size = (side * len(fields) + 1.0, rows * (side + 0.35) + 0.75)
        chart = Figure(figsize=size, layout="compressed")
        grid = chart.subplots(rows, len(fields), squeeze=False)
        for axis in grid.flat:
            axis.set(xticks=[], yticks=[])
        for axis, (name, (effect, reach)) in zip(grid[0], fields.items(), strict=True):
            picture = _influence(axis, effect)
            if not reach.all():
                axis.contour(reach, levels=[0.5], colors="lime", linewidths=0.8, linestyles="dotted")
            axis.set_title(wrapped(named(name), max(int(side * 15), 8), 3), fontsize=7)
        grid[0, 0].set_ylabel("untrained")
        _bar(chart, picture, grid[0], [_brightness(x) for x in (0, 0.01, 0.1, 1)], ["0", "1 %", "10 %", "100 %"],
             "of the strongest\npixel's influence")  # fmt: skip
        if len(fields) > 1:
            _differences(chart, grid[1], fields)
        if trained:
            for axis, name in zip(grid[-1], fields, strict=True):
                if name in trained:
                    _influence(axis, trained[name])
                else:
                    axis.set_axis_off()
            first = next(axis for axis, name in zip(grid[-1], fields, strict=True) if name in trained)
            first.set_ylabel("trained")
        handles: list = [Patch(facecolor="0.35", edgecolor=color, ls=dashes, lw=1.2) for _, color, dashes in SQUARES]
        labels = [f"holds {share:.0%} of the influence" for share, *_ in SQUARES]
        if not all(reach.all() for _, reach in fields.values()):
            handles.append(Line2D([], [], color="lime", lw=1, ls=":"))
            labels.append("all that can reach the output")
        chart.legend(handles, labels, loc="outside lower center", ncols=3)
        chart.suptitle(title or "Where in the image the network's center output looks")
    return chart


def _influence(axis: Axes, effect: np.ndarray):
    picture = axis.imshow(_brightness(effect / effect.max()), cmap="magma", vmin=0, vmax=1)
    sides = areas(effect, [share for share, *_ in SQUARES]).side
    for side, (_, color, dashes) in zip(sides, SQUARES, strict=True):
        left, top = effect.shape[1] // 2 - side / 2, effect.shape[0] // 2 - side / 2
        axis.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor=color, ls=dashes, linewidth=1))
    lines = (f"{share:.0%} in {side} px" for side, (share, *_) in zip(sides, SQUARES, strict=True))
    axis.set_xlabel("\n".join(lines), fontsize=6.5)
    return picture


def _differences(chart: Figure, row: np.ndarray, fields: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Bright where there is more of the influence than in the first field, dark where there is less: gray printers
    would draw red and blue alike."""
    (first, shares), *others = ((name, effect / effect.sum()) for name, (effect, _) in fields.items())
    changes = [100 * (other - shares) for _, other in others]
    limit = max(float(np.quantile(np.abs(changes), 0.995)), 1e-9)
    row[0].set_axis_off()
    row[0].text(0.5, 0.5, f"difference\nfrom\n{named(first)}:", ha="center", va="center", transform=row[0].transAxes)
    for axis, change in zip(row[1:], changes, strict=True):
        picture = axis.imshow(change, cmap="cividis", vmin=-limit, vmax=limit)
    numbers = [f"{MINUS}{limit:.2g}", "0", f"+{limit:.2g}"]
    _bar(chart, picture, row, [-limit, 0, limit], numbers, "% of the whole\ninfluence")


def _bar(chart: Figure, picture, row: np.ndarray, ticks: list[float], numbers: list[str], label: str) -> None:
    bar = chart.colorbar(picture, ax=row, shrink=0.9, aspect=12, ticks=ticks)
    bar.ax.set_yticklabels(numbers)
    bar.ax.tick_params(labelsize=6.5)
    bar.set_label(label, fontsize=6.5)


def _brightness(influence):
    """0 to 1 for an influence of 0 to 1."""
    return np.log10(1e3 * influence + 1) / np.log10(1e3 + 1)


def fused_method(study: Study) -> Method:
    """The grid's first method that fuses frames of a searched policy: whose receptive field the figure shows. Without
    one, the first that fuses at all, or the reference."""
    methods = [study.methods[name] for name in study.study.methods]
    fusing = [method for method in methods if method.fusion != "none"]
    of_searches = [method for method in fusing if method.policy in searched_policies(study)]
    return next(iter([*of_searches, *fusing]), study.methods[study.study.reference])


def trained_fields(
    study: Study, dataset: str, backbone: str, images: Tensor, shown: Mapping[str, Policy]
) -> dict[str, np.ndarray]:
    """{name: effective field (H, W)} of the networks of `das.study.products.shown_networks` that are here and stand: a
    single frame's as `ONE`, and those that fuse the frames of a policy ``shown``, as that. Of a checkpoint that cannot
    be read (of an older version, say) a line on stderr says so: the rest of the picture does not need it."""
    found: dict[str, np.ndarray] = {}
    names = {policy.digest(): name for name, policy in shown.items()}
    for run in shown_networks(study):
        if (run.dataset, run.backbone) != (dataset, backbone) or not run.checkpoint.exists():
            continue
        if not results.standing(run)[0]:
            continue
        if run.how.fusion == "none":
            name = None if run.made_by else ONE
        else:
            name = names.get(Policy.load(run.made_by.main).digest()) if run.made_by else None
        if name and name not in found:
            try:
                model = load_model(run.checkpoint)
            except DasError as error:
                print(f"das: drawn without a trained network: {error}", file=sys.stderr)
                continue
            found[name] = effective(Trained(model), images, model.policy)
    return found


def write_receptive_fields(study: Study, folder: Path, pictures: dict[str, Tensor]) -> None:
    """Draw the receptive fields of each data set and backbone, with the squares that hold given shares as CSV; of
    untrained networks, and of trained ones (`trained_fields`).

    Args:
        pictures: for each data set of the grid, a few images (N, C, H, W) in [0, 1].
    """
    searches = results.searches(study)
    how = fused_method(study)
    for dataset in study.study.datasets:
        for backbone, settings in ((name, study.backbones[name]) for name in study.study.backbones):
            found = [s for s in searches if (s["dataset"], s["backbone"]) == (dataset, backbone)]
            policies = {f"{s['policy']}, seed {s['seed']}": Policy.load(s["path"]) for s in found[:1]}
            frames = next((policy.frames for policy in policies.values()), 4)
            shown = single_operations(frames) | policies
            fields = compare(
                settings.network,
                pictures[dataset],
                shown,
                fusion=how.fusion,
                fusion_options=how.fusion_options,
                backbone_options=settings.options,
            )
            name = f"receptive_field_{dataset}_{backbone}"
            trained = trained_fields(study, dataset, backbone, pictures[dataset], shown)
            save_figure(figure(fields, trained=trained), folder / name)
            rows = [areas(effect).assign(frames=name, weights="untrained") for name, (effect, _) in fields.items()]
            rows += [areas(effect).assign(frames=name, weights="trained") for name, effect in trained.items()]
            publish(folder / f"{name}.csv", pd.concat(rows).to_csv(index=False))
