"""The study's figures, each as PNG and PDF."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.special import softmax
from torch import Tensor

from das.analysis import results
from das.analysis.tables import accuracy_table
from das.files import publish
from das.study.registry import lookup
from das.study.schema import Study
from das.video.policy import Policy
from das.video.schedule import strengths
from das.video.transform import ImageToVideo

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.frameon": False,
}
LINES = ("-", "--", "-.", ":")


DATES: dict[str, dict] = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None}}


def save_figure(figure: Figure, path: Path, suffixes: Iterable[str] = tuple(DATES)) -> None:
    """Write ``figure`` beside ``path`` as .png and .pdf, without dates, so that equal figures are equal bytes."""
    for suffix in suffixes:
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(buffer, format=suffix[1:], metadata=DATES[suffix])
        publish(path.with_suffix(suffix), buffer.getvalue())


def film_strip(policy: Policy, images: Tensor, title: str | None = None) -> Figure:
    """What ``policy`` makes of each of ``images`` (N, C, H, W) in [0, 1]: a row of frames per image."""
    videos = ImageToVideo(policy)(images).clamp(0, 1)
    rows, columns = videos.shape[:2]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.3 * columns, 1.3 * rows + 0.55), layout="compressed")
        axes = figure.subplots(rows, columns, squeeze=False)
        for row in range(rows):
            for frame in range(columns):
                picture = videos[row, frame].permute(1, 2, 0).squeeze(-1).numpy()
                axes[row, frame].imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes[row, frame].set(xticks=[], yticks=[])
        for frame, strength in enumerate(strengths(policy.schedule, columns)):
            axes[0, frame].set_title("untouched" if strength == 0 else f"strength {strength}")
        if title:
            figure.suptitle(title)
    return figure


def alpha_over_time(searches: list[dict]) -> Figure:
    """Softmax of alpha per epoch, averaged over edges (lines) and its range over edges (bands), one panel a search.

    A row a policy of the study. Candidates of one operation share a color.
    """
    rows = list(dict.fromkeys(search["policy"] for search in searches))
    found = {row: [search for search in searches if search["policy"] == row] for row in rows}
    columns = max(map(len, found.values()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * columns + 1.2, 3.2 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), columns, sharey="row", squeeze=False)
        for panels, row in zip(grid, rows, strict=True):
            for panel, search in zip(panels, found[row], strict=False):
                _alpha_panel(panel, search)
            panels[0].set_ylabel("share of the mixture\n(mean and range over edges)")
            panels[len(found[row]) - 1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
            for panel in panels[len(found[row]) :]:
                panel.remove()
    return figure


def _alpha_panel(panel: Axes, search: dict) -> None:
    probabilities = softmax(np.asarray(search["history"]["alpha"]), axis=-1)  # epochs + 1, edges, candidates
    epochs = np.arange(len(probabilities))
    drawn = {}  # operation: its candidates so far
    for candidate, name in enumerate(search["history"]["candidates"]):
        operation = name.split()[0]
        earlier = drawn[operation] = drawn.get(operation, -1) + 1
        color = f"C{list(drawn).index(operation)}"
        values = probabilities[:, :, candidate]
        panel.plot(epochs, values.mean(1), label=name, color=color, ls=LINES[earlier % len(LINES)])
        panel.fill_between(epochs, values.min(1), values.max(1), color=color, alpha=0.15, lw=0)
    panel.axhline(1 / probabilities.shape[-1], color="0.6", lw=0.8, ls=":")
    panel.set(title=f"{search['policy']}, seed {search['seed']}", xlabel="epoch")


def tournaments(searches: list[dict]) -> Figure:
    """Held-out loss of every entrant in the rounds that it was in, the winner in red, one panel a search."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(searches), 3.0), layout="constrained")
        panels = figure.subplots(1, len(searches), sharey=True, squeeze=False)[0]
        for panel, search in zip(panels, searches, strict=True):
            rounds = search["history"]["selection"]["rounds"]
            winner = min(rounds[-1], key=rounds[-1].get)
            for entrant in rounds[0]:
                losses = [losses[entrant] for losses in rounds if entrant in losses]
                style = {"color": "C3", "zorder": 3} if entrant == winner else {"color": "0.6", "lw": 0.8}
                panel.plot(range(1, len(losses) + 1), losses, marker="o", ms=3, **style)
            panel.set(
                title=f"{search['policy']}, seed {search['seed']}", xlabel="round", xticks=range(1, len(rounds) + 1)
            )
        panels[0].set_ylabel("held-out loss of each entrant\n(red: the policy chosen)")
    return figure


def accuracy_by_method(study: Study) -> Figure:
    """Mean last-epoch accuracy with its 95 % interval and every seed's value, a panel per data set and backbone."""
    table, numbers = accuracy_table(study), results.numbers(study)
    groups = list(table.groupby(["dataset", "backbone"], sort=False))
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(6.4, 0.6 + len(groups) * (0.9 + 0.34 * len(study.study.methods))), layout="constrained"
        )
        panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
        for panel, ((dataset, backbone), rows) in zip(panels, groups, strict=True):
            for place, row in enumerate(rows.itertuples()):
                seeds = numbers[numbers.made & (numbers.method == row.name)]
                seeds = seeds[seeds.dataset.map(lambda d: study.datasets[d].title) == dataset]
                seeds = seeds[seeds.backbone.map(lambda b: study.backbones[b].title) == backbone]
                color = "tab:blue" if row.name == study.study.reference else "black"
                panel.plot(100 * seeds.accuracy.astype(float), [place] * len(seeds), "|", color="0.55", ms=9)
                panel.errorbar(row.accuracy, place, xerr=row.accuracy_ci95, fmt="o", color=color, ms=4, capsize=3)
                if not row.seeds:
                    panel.text(0.02, place, "not run", transform=panel.get_yaxis_transform(), va="center", color="0.5")
            reference = rows[rows.name == study.study.reference].accuracy.iloc[0]
            panel.axvline(reference, color="tab:blue", lw=0.8, ls=":")
            panel.set_yticks(range(len(rows)), rows.method)
            panel.invert_yaxis()
            label = f"test {score_of(study)} after the last epoch, % (bars: 95 % interval)"
            panel.set(title=f"{dataset}\n{backbone}", xlabel=label)
    return figure


def accuracy_against_compute(study: Study) -> Figure:
    """Accuracy of every method over what its training (search included) and its test cost, a row of panels for each
    data set and backbone. Bars are 95 % intervals; the line joins the methods that none beats at lower cost."""
    table = accuracy_table(study)
    table = table[table.seeds > 0].assign(training=lambda rows: rows.search_s + rows.train_s)
    groups = list(table.groupby(["dataset", "backbone"], sort=False))
    with mpl.rc_context(STYLE):
        titles = list(dict.fromkeys(table.method))
        looks = {title: ("osD^vP"[i // 10 % 6], mpl.colormaps["tab10"](i % 10)) for i, title in enumerate(titles)}
        figure = Figure(figsize=(10.4, 0.6 + 3.2 * max(len(groups), 1)), layout="constrained")
        panels = figure.subplots(max(len(groups), 1), 2, squeeze=False, sharey="row")
        for row, ((dataset, backbone), methods) in zip(panels, groups, strict=False):
            costs = (("training", "search and training, device seconds"), ("test_s", "one test, device seconds"))
            for panel, (cost, label) in zip(row, costs, strict=True):
                known = methods[methods[cost].notna()]
                for method in known.itertuples():
                    marker, color = looks[method.method]
                    panel.errorbar(
                        getattr(method, cost), method.accuracy, yerr=method.accuracy_ci95,
                        fmt=marker, color=color, ms=5, capsize=2, lw=0.8, label=method.method,
                    )  # fmt: skip
                front = known.sort_values([cost, "accuracy"], ascending=[True, False])
                front = front[front.accuracy > front.accuracy.cummax().shift(fill_value=-np.inf)]
                panel.plot(front[cost], front.accuracy, color="0.6", lw=1, zorder=0)
                panel.set(xscale="log", xlabel=label)
                panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                panel.xaxis.set_major_formatter("{x:g}")
                panel.xaxis.set_minor_formatter(NullFormatter())
            row[0].set_ylabel(f"test {score_of(study)} after the last epoch, %")
            row[0].set_title(f"{dataset}, {backbone}", loc="left")
        handles = {
            label: handle
            for panel in panels.flat
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside right center")
    return figure


def training_curves(study: Study) -> Figure:
    """Training loss and test score over the epochs of every method that trains, a row of panels for each data set and
    backbone: the mean over seeds, and the range of all."""
    runs = results.trainings(study)
    places = list(dict.fromkeys((run["dataset"], run["backbone"]) for run in runs))
    methods = list(dict.fromkeys(run["method"] for run in runs))
    colors = {name: mpl.colormaps["tab20"](i % 20) for i, name in enumerate(methods)}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 0.6 + 3.2 * max(len(places), 1)), layout="constrained")
        panels = figure.subplots(max(len(places), 1), 2, squeeze=False)
        for row, place in zip(panels, places, strict=False):
            for name in methods:
                own = [r["curves"] for r in runs if (r["dataset"], r["backbone"], r["method"]) == (*place, name)]
                if not own:
                    continue
                looks = {"color": colors[name], "label": study.methods[name].title}
                losses = np.array([curves["train_loss"] for curves in own])
                scores = 100 * np.array([curves["test_score"] for curves in own])
                epochs = range(1, losses.shape[1] + 1), own[0]["test_epoch"]
                for panel, steps, values in zip(row, epochs, (losses, scores), strict=True):
                    panel.plot(steps, values.mean(0), lw=1.2, **looks)
                    panel.fill_between(steps, values.min(0), values.max(0), color=colors[name], alpha=0.15, lw=0)
            row[0].set(yscale="log", xlabel="epoch", ylabel="training loss")
            row[1].set(xlabel="epoch", ylabel=f"test {score_of(study)}, %")
            titles = study.datasets[place[0]].title, study.backbones[place[1]].title
            row[0].set_title(", ".join(titles), loc="left")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def score_of(study: Study) -> str:
    """What a test's headline is called in the study's task."""
    return lookup("task", study.task).facts["score"]


def write_figures(study: Study, folder: Path, pictures: dict[str, Tensor]) -> None:
    """Write every figure of the study into ``folder``.

    Args:
        pictures: for each data set of the grid, a few images (N, C, H, W) in [0, 1] to show policies on.
    """
    save_figure(accuracy_by_method(study), folder / "accuracy")
    save_figure(accuracy_against_compute(study), folder / "compute")
    save_figure(training_curves(study), folder / "curves")
    found = results.searches(study)
    shown: dict[str, list[dict]] = {}
    for search in found:
        rule = lookup("selection", search["history"]["selection"]["rule"])
        shown.setdefault(rule.facts.get("figure", "alpha"), []).append(search)
    for name, searches in shown.items():
        save_figure({"alpha": alpha_over_time, "tournaments": tournaments}[name](searches), folder / name)
    for search in found:
        name = f"film_strip_{search['dataset']}_{search['backbone']}_{search['policy']}_seed{search['seed']}"
        title = f"{search['policy']}, seed {search['seed']}: {study.datasets[search['dataset']].title}"
        policy = Policy.load(search["path"])
        save_figure(film_strip(policy, pictures[search["dataset"]], title), folder / name)
