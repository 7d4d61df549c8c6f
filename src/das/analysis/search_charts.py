"""Charts of what searches did: the mixture over the epochs, and tournaments."""

import math
from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.special import softmax

from das.analysis.style import COLORS, DASHES, PAGE, STYLE, wrapped
from das.analysis.words import NAMES

COLUMNS = 5
EDGES = 14  # of a search that are drawn one by one; the published cell has as many


def alpha_over_time(searches: list[dict]) -> Figure:
    """Softmax of alpha per epoch: for each data set, backbone and policy a row of panels, one an operation. Thick lines
    are means over edges, one a search and candidate (magnitudes of one operation differ in color and dashes); thin gray
    lines are single edges, where there are few."""
    groups = _grouped(searches)
    operations = {place: list(_by_operation(found[0])) for place, found in groups.items()}
    columns = min(COLUMNS, max(map(len, operations.values())))
    lines = {place: math.ceil(len(names) / columns) for place, names in operations.items()}
    with mpl.rc_context(STYLE):
        height = sum(1.55 * count + 0.25 for count in lines.values()) + 0.4
        figure = Figure(figsize=(PAGE, height), layout="constrained")
        parts = np.atleast_1d(figure.subfigures(len(groups), 1, height_ratios=[*lines.values()]))
        for part, (place, found) in zip(parts, groups.items(), strict=True):
            grid = part.subplots(lines[place], columns, sharex=True, sharey=True, squeeze=False)
            part.suptitle(wrapped(f"{', '.join(place)}: {_seeds(found)}", 110, 2), x=0.01, ha="left")
            for panel, name in zip(grid.flat, operations[place], strict=False):
                for search in found:
                    _shares(panel, search, name)
                panel.set_title(NAMES.get(name, name.replace("_", " ")))
                panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
                _magnitudes(panel, found[0], name)
            if any(len(places) > 1 for places in _by_operation(found[0]).values()):
                low, high = grid[0, 0].get_ylim()
                grid[0, 0].set_ylim(low, high + 0.45 * (high - low))  # room for the magnitudes
            for panel in grid.flat[len(operations[place]) :]:
                panel.remove()
            for row in grid:
                row[0].set_ylabel("share of the mixture")
            part.supxlabel("epoch", fontsize=8)
        handles = [
            Line2D([], [], color="black", lw=1.4),
            Line2D([], [], color="0.8", lw=0.8),
            Line2D([], [], color="0.4", lw=0.8, ls=":"),
        ]
        labels = ["a search's mean over edges", "an edge", "all candidates alike"]
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _grouped(searches: Iterable[dict]) -> dict[tuple[str, ...], list[dict]]:
    groups: dict[tuple[str, ...], list[dict]] = {}
    for search in searches:
        groups.setdefault((search["dataset"], search["backbone"], search["policy"]), []).append(search)
    return groups


def _seeds(found: list[dict]) -> str:
    numbers = [str(search["seed"]) for search in found]
    return f"seed {numbers[0]}" if len(numbers) == 1 else f"seeds {', '.join(numbers)}"


def _by_operation(search: dict) -> dict[str, list[int]]:
    """{operation: the places of its candidates}."""
    found: dict[str, list[int]] = {}
    for place, candidate in enumerate(search["history"]["candidates"]):
        found.setdefault(candidate.split()[0], []).append(place)
    return found


def _shares(panel: Axes, search: dict, operation: str) -> None:
    shares = softmax(np.asarray(search["history"]["alpha"]), axis=-1)  # epochs + 1, edges, candidates
    for number, place in enumerate(_by_operation(search).get(operation, [])):
        if 1 < shares.shape[1] <= EDGES:
            panel.plot(shares[:, :, place], color="0.85", lw=0.6, zorder=1)
        how = {"color": COLORS[number % len(COLORS)], "ls": DASHES[number % len(DASHES)]}
        panel.plot(shares[:, :, place].mean(1), lw=1.4, zorder=2, **how)
    panel.axhline(1 / shares.shape[-1], color="0.4", lw=0.8, ls=":", zorder=0)


def _magnitudes(panel: Axes, search: dict, operation: str) -> None:
    """Say which line is which magnitude, where an operation has several."""
    names = [search["history"]["candidates"][place] for place in _by_operation(search)[operation]]
    if len(names) > 1:
        handles = [
            Line2D([], [], color=COLORS[n % len(COLORS)], ls=DASHES[n % len(DASHES)], lw=1.4) for n in range(len(names))
        ]
        labels = [name.partition(" ")[2] for name in names]
        panel.legend(handles, labels, fontsize=6, ncols=2, loc="upper left", handlelength=1.6, columnspacing=0.8)


def tournaments(searches: list[dict]) -> Figure:
    """Held-out loss of every entrant in the rounds that it was in, the winner thick and red, one panel a search."""
    columns = min(3, len(searches))
    rows = math.ceil(len(searches) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 2.1 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for panel, search in zip(grid.flat, searches, strict=False):
            rounds = search["history"]["selection"]["rounds"]
            winner = min(rounds[-1], key=rounds[-1].get)
            for entrant in rounds[0]:
                losses = [losses[entrant] for losses in rounds if entrant in losses]
                won = entrant == winner
                style = {"color": "#D55E00", "lw": 1.8, "zorder": 3} if won else {"color": "0.6", "lw": 0.8}
                panel.plot(range(1, len(losses) + 1), losses, marker="o", ms=3, **style)
            place = f"{search['dataset']}, {search['backbone']}, {search['policy']}, seed {search['seed']}"
            panel.set_title(wrapped(place, 36, 2), loc="left")
            panel.set(xlabel="round", xticks=range(1, len(rounds) + 1))
        for panel in grid.flat[len(searches) :]:
            panel.remove()
        for row in grid:
            row[0].set_ylabel("held-out loss")
        handles = [
            Line2D([], [], color="#D55E00", lw=1.8, marker="o", ms=3),
            Line2D([], [], color="0.6", lw=0.8, marker="o", ms=3),
        ]
        figure.legend(handles, ["the policy chosen", "another entrant"], loc="outside lower center", ncols=2)
    return figure
