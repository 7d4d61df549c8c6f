"""Charts of what methods reach: scores, scores against cost, and the course of trainings."""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from das.analysis import results
from das.analysis.style import PAGE, STYLE, look, telling, wrapped
from das.analysis.tables import accuracy_table
from das.study.registry import lookup
from das.study.schema import Study

MARKED = 8  # places of a curve that carry its marker
SPAN = 5.0  # points that an axis of scores shows at least: what is smaller should look small


def score_of(study: Study) -> str:
    """What a test's headline is called in the study's task."""
    return lookup("task", study.task).facts["score"]


def accuracy_by_method(study: Study) -> Figure:
    """Mean last-epoch score with its 95 % interval and every seed's value, a panel per data set and backbone."""
    table, numbers = accuracy_table(study), results.numbers(study)
    places = _places(study)
    labels = [wrapped(study.methods[name].title, 34, 2) for name in study.study.methods]
    rows = sum(1.0 + label.count("\n") * 0.6 for label in labels)
    with mpl.rc_context(STYLE):
        heads = [wrapped(", ".join(_titles(study, *place)), 72) for place in places]
        height = 0.6 + len(places) * (0.55 + 0.21 * rows) + 0.13 * sum(head.count("\n") for head in heads)
        figure = Figure(figsize=(PAGE, height), layout="constrained")
        panels = figure.subplots(len(places), 1, squeeze=False)[:, 0]
        for panel, head, (dataset, backbone) in zip(panels, heads, places, strict=True):
            made = numbers[numbers.made & (numbers.dataset == dataset) & (numbers.backbone == backbone)]
            titles = _titles(study, dataset, backbone)
            methods = table[(table.dataset == titles[0]) & (table.backbone == titles[1])].set_index("name")
            for place, name in enumerate(study.study.methods):
                _scores(panel, place, methods.loc[name], made[made.method == name], name == study.study.reference)
            panel.axvline(methods.accuracy[study.study.reference], color="0.4", lw=0.8, ls=":", zorder=0)
            panel.set_yticks(range(len(labels)), labels)
            panel.set_ylim(len(labels) - 0.4, -0.6)
            panel.set_xlim(*_limits([*_ends(methods), *(100 * made.accuracy.astype(float))]))
            panel.set_xlabel(f"test {score_of(study)} after the last epoch, %")
            panel.set_title(head, loc="left")
        _explain_scores(figure, study, bool(table.accuracy_ci95.notna().any()))
    return figure


def _scores(panel: Axes, place: int, row: pd.Series, seeds: pd.DataFrame, reference: bool) -> None:
    if not row.seeds:
        panel.text(0.01, place, "not run", transform=panel.get_yaxis_transform(), va="center", color="0.3")
        return
    color = "#0072B2" if reference else "black"
    panel.plot(100 * seeds.accuracy.astype(float), [place] * len(seeds), "|", color="0.45", ms=8, mew=0.9)
    if row.accuracy_ci95 == row.accuracy_ci95:
        panel.errorbar(row.accuracy, place, xerr=row.accuracy_ci95, fmt="none", ecolor=color, capsize=2.5, lw=1.2)
    panel.plot(row.accuracy, place, "D" if reference else "o", color=color, ms=4.5, zorder=3)


def _explain_scores(figure: Figure, study: Study, intervals: bool) -> None:
    reference = wrapped(study.methods[study.study.reference].title, 32, 1)
    handles = [
        Line2D([], [], marker="o", color="black", ls="-" if intervals else "none", ms=4.5),
        Line2D([], [], marker="|", color="0.45", ls="none", ms=8),
        Line2D([], [], marker="D", color="#0072B2", ls=":", ms=4.5),
    ]
    labels = ["mean and 95 % interval" if intervals else "mean (one seed: no interval)", "a seed", reference]
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def _ends(methods: pd.DataFrame) -> list[float]:
    """The ends of the intervals that an axis should hold (`telling`)."""
    reach = telling(methods.accuracy_ci95, methods.seeds)
    return [*(methods.accuracy - reach), *(methods.accuracy + reach)]


def _limits(values: Iterable[float]) -> tuple[float, float]:
    """An axis of percent around ``values``, at least SPAN long and within 0 to 100."""
    known = [value for value in values if value == value]
    if not known:
        return 0.0, 100.0
    low, high = min(known), max(known)
    margin = max(0.06 * (high - low), (SPAN - (high - low)) / 2)
    low, high = low - margin, high + margin
    shift = max(-low, 0) - max(high - 100, 0) if high - low < 100 else 0
    return max(low + shift, 0), min(high + shift, 100)


def accuracy_against_compute(study: Study) -> Figure:
    """Score of every method over what its training (search included) and its test cost, a row of panels for each data
    set and backbone; the line joins the methods that none beats at lower cost."""
    table = accuracy_table(study)
    table = table[table.seeds > 0].assign(training=lambda rows: rows.search_s + rows.train_s)
    looks = {name: look(place) for place, name in enumerate(study.study.methods)}
    costs = (("training", "search and training, device seconds"), ("test_s", "one test, device seconds"))
    with mpl.rc_context(STYLE):
        figure, rows = _rows(study, sharey="row")
        for row, (dataset, backbone) in zip(rows, _places(study), strict=True):
            titles = _titles(study, dataset, backbone)
            methods = table[(table.dataset == titles[0]) & (table.backbone == titles[1])]
            for panel, (cost, label) in zip(row, costs, strict=True):
                known = methods[methods[cost] > 0]
                for method in known.itertuples():
                    interval = method.accuracy_ci95 if method.accuracy_ci95 == method.accuracy_ci95 else None
                    panel.errorbar(
                        getattr(method, cost), method.accuracy, yerr=interval, ms=5, capsize=2, lw=0.8,
                        label=method.method, **looks[method.name] | {"ls": "none"},
                    )  # fmt: skip
                front = known.sort_values([cost, "accuracy"], ascending=[True, False])
                front = front[front.accuracy > front.accuracy.cummax().shift(fill_value=-np.inf)]
                panel.plot(front[cost], front.accuracy, color="0.6", lw=1.5, zorder=0)
                panel.set(xscale="log", xlabel=label)
                panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                panel.xaxis.set_major_formatter("{x:g}")
                panel.xaxis.set_minor_formatter(NullFormatter())
            row[0].set_ylim(*_limits([*_ends(methods), *methods.accuracy]))
            row[0].set_ylabel(f"test {score_of(study)}\nafter the last epoch, %")
            row[0].set_title(wrapped(", ".join(titles), 100), loc="left")
        line = Line2D([], [], color="0.6", lw=1.5)
        intervals = "bars: 95 % intervals over seeds" if table.accuracy_ci95.notna().any() else None
        _legend(figure, rows, {"no method reaches more at lower cost": line}, intervals)
    return figure


def training_curves(study: Study) -> Figure:
    """Training loss and test score over the epochs of every method that trains, a row of panels for each data set and
    backbone: the mean over seeds, and a bar from the lowest to the highest seed where the training ends."""
    runs = results.trainings(study)
    looks = {name: look(place) for place, name in enumerate(study.study.methods)}
    with mpl.rc_context(STYLE):
        figure, rows = _rows(study)
        for row, place in zip(rows, _places(study), strict=True):
            for name in study.study.methods:
                own = [r["curves"] for r in runs if (r["dataset"], r["backbone"], r["method"]) == (*place, name)]
                if not own:
                    continue
                losses = np.array([curves["train_loss"] for curves in own])
                scores = 100 * np.array([curves["test_score"] for curves in own])
                epochs = range(1, losses.shape[1] + 1), own[0]["test_epoch"]
                for panel, steps, values in zip(row, epochs, (losses, scores), strict=True):
                    _curve(panel, list(steps), values, study.methods[name].title, looks[name])
            row[0].set(yscale="log", xlabel="epoch", ylabel="training loss")
            row[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            row[0].yaxis.set_major_formatter("{x:g}")
            row[0].yaxis.set_minor_formatter(NullFormatter())
            row[1].set(xlabel="epoch", ylabel=f"test {score_of(study)}, %")
            for panel in row:
                panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            titles = _titles(study, *place)
            row[0].set_title(wrapped(", ".join(titles), 100), loc="left")
        seeds = "means over seeds; bars: from the lowest to the highest seed" if len(study.study.seeds) > 1 else None
        _legend(figure, rows, {}, seeds)
    return figure


def _curve(panel: Axes, steps: list[int], values: np.ndarray, title: str, how: dict) -> None:
    mean = values.mean(0)
    panel.plot(steps, mean, lw=1.1, label=title, markevery=-(-len(steps) // MARKED), ms=3.5, **how)
    if len(values) > 1:
        last = values[:, -1]
        spread = [[max(mean[-1] - last.min(), 0)], [max(last.max() - mean[-1], 0)]]  # a mean of equals is rounded
        panel.errorbar(steps[-1:], mean[-1:], yerr=spread, fmt="none", ecolor=how["color"], capsize=2, lw=0.8)


def _places(study: Study) -> list[tuple[str, str]]:
    """(dataset, backbone) of the grid."""
    return [(dataset, backbone) for dataset in study.study.datasets for backbone in study.study.backbones]


def _titles(study: Study, dataset: str, backbone: str) -> tuple[str, str]:
    return study.datasets[dataset].title, study.backbones[backbone].title


def _rows(study: Study, **shared) -> tuple[Figure, np.ndarray]:
    """A figure with two panels for each data set and backbone, and room for a legend of the methods below."""
    places, lines = len(_places(study)), -(-len(study.study.methods) // 2) + 1
    figure = Figure(figsize=(PAGE, 2.8 * places + 0.2 * lines), layout="constrained")
    return figure, figure.subplots(places, 2, squeeze=False, **shared)


def _legend(figure: Figure, rows: np.ndarray, more: dict[str, Line2D], title: str | None) -> None:
    """The methods' legend, below the panels."""
    handles: dict = {}
    for panel in rows.flat:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    handles |= more
    labels = [wrapped(label, 48, 2) for label in handles]
    if handles:
        figure.legend(handles.values(), labels, loc="outside lower center", ncols=2, title=title, title_fontsize=7.5)
