"""What moved: two sets of the register's numbers, side by side, and what lies beyond the noise."""

import io
from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from das.analysis.statistics import noise_floor, paired_difference
from das.errors import DasError

CELL = ("dataset", "backbone", "method")
SELECTS = ("study", "commit", "code", "device", "torch", "recorded")


def chosen(lines: Iterable[dict[str, str]], name: str) -> list[dict[str, str]]:
    """The lines that ``name`` names: a study, a commit (or its beginning), a code fingerprint, a device, a version of
    torch or the date they were recorded. Raises DasError where it names none."""
    lines = list(lines)
    found = [line for line in lines if name in (line[column] for column in SELECTS)]
    found = found or [line for line in lines if len(name) >= 6 and line["commit"].startswith(name)]
    if not found:
        known = sorted({line[column] for line in lines for column in SELECTS})
        raise DasError(f"{name!r} names nothing in the register; there are {', '.join(known) or 'no lines'}")
    return found


def moved(before: Iterable[dict[str, str]], after: Iterable[dict[str, str]]) -> pd.DataFrame:
    """One row per data set, backbone and method that both have: means in percent over the seeds that both have,
    `difference` (after - before, paired by seed) with its 95 % interval, and `noise`, what it stays below in 95 of 100
    cases where nothing changed (`das.analysis.statistics.noise_floor`, over the runs before). `beyond` says whether it
    does not. Of several lines of a run the one made last counts. Two studies meet where their data sets, backbones and
    methods have the same names. Raises DasError where nothing meets."""
    first, second = _scores(before), _scores(after)
    rows = []
    for cell in first:
        seeds = sorted(first[cell].keys() & second.get(cell, {}).keys())
        if not seeds:
            continue
        ours, theirs = ({seed: scores[cell][seed] for seed in seeds} for scores in (second, first))
        difference = paired_difference(ours, theirs)
        noise = noise_floor([list(first[cell].values())], len(seeds))
        rows.append({
            **dict(zip(CELL, cell, strict=True)),
            "seeds": len(seeds),
            "before": sum(theirs.values()) / len(seeds),
            "after": sum(ours.values()) / len(seeds),
            "difference": difference.mean,
            "difference_ci95": difference.half_width,
            "noise": noise,
            "beyond": bool(abs(difference.mean) > noise),
        })  # fmt: skip
    if not rows:
        raise DasError("the two have no data set, backbone, method and seed in common")
    return pd.DataFrame(rows)


def readable(table: pd.DataFrame) -> str:
    """`moved` as people read it, in Markdown."""
    return pd.DataFrame({
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Method": table.method,
        "Seeds": table.seeds,
        "Before, %": table.before.map("{:.2f}".format),
        "After, %": table.after.map("{:.2f}".format),
        "Difference": [f"{row.difference:+.2f} ± {row.difference_ci95:.2f}" for row in table.itertuples()],
        "Noise": table.noise.map("{:.2f}".format),
        "Moved": ["beyond noise" if row.beyond else "" for row in table.itertuples()],
    }).to_markdown(index=False, disable_numparse=True)  # fmt: skip


def picture(table: pd.DataFrame, before: str, after: str) -> bytes:
    """`moved` as a PNG: each difference with its interval, on the band of the noise."""
    figure = Figure(figsize=(6.4, 1.2 + 0.32 * len(table)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(table.itertuples()):
        axes.barh(place, 2 * row.noise, left=-row.noise, height=0.7, color="0.88")
        style = {"marker": "D", "color": "#d55e00"} if row.beyond else {"marker": "o", "color": "#0072b2"}
        axes.errorbar(row.difference, place, xerr=row.difference_ci95, capsize=3, linestyle="", **style)
    alone = table[["dataset", "backbone"]].nunique().max() == 1
    names = [row.method if alone else f"{row.dataset}, {row.backbone}, {row.method}" for row in table.itertuples()]
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel="percentage points (gray: noise)",
        title=f"{after} - {before}",
    )
    axes.invert_yaxis()
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.margins(x=0.05)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def _scores(lines: Iterable[dict[str, str]]) -> dict[tuple[str, ...], dict[int, float]]:
    """{(data set, backbone, method): {seed: score in percent}}."""
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for line in sorted(lines, key=lambda line: line["made"]):
        found.setdefault(tuple(line[name] for name in CELL), {})[int(line["seed"])] = 100 * float(line["score"])
    return found
