"""Tables of searches: what each cost and chose, and what searches cost beside the published ones."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from das.analysis import results
from das.analysis.published import NAMES
from das.analysis.verdict import verdict
from das.analysis.words import in_words, named
from das.study import published
from das.study.schema import Study
from das.video.policy import Policy

HOUR = 3600


def search_table(study: Study) -> pd.DataFrame:
    """One row per search: what it cost, what it chose, whether alpha decided anything. Last those that were not run or
    cannot stand: their `verdict` says why, and nothing else is known of them."""
    columns = ("dataset", "backbone", "policy", "seed", "selection", "space_size", "device_s", "wall_s",
               "peak_memory_mb", "entropy_start", "entropy_end", "val_accuracy", "verdict", "chosen",
               "in_words")  # fmt: skip
    rows = []
    for search in results.searches(study):
        history, cost, policy = search["history"], search["run"]["cost"], Policy.load(search["path"])
        rows.append({
            "dataset": study.datasets[search["dataset"]].title,
            "backbone": study.backbones[search["backbone"]].title,
            "policy": search["policy"],
            "seed": search["seed"],
            "selection": history["selection"]["rule"],
            "space_size": history["space_size"],
            "device_s": cost["device_s"],
            "wall_s": cost["wall_s"],
            "peak_memory_mb": cost["peak_memory_bytes"] / 2**20,
            "entropy_start": history["entropy"][0],
            "entropy_end": history["entropy"][-1],
            "val_accuracy": 100 * history["val_accuracy"][-1],
            "verdict": verdict(policy, history),
            "chosen": policy.describe(),
            "in_words": in_words(policy),
        })  # fmt: skip
    for search in results.missing_searches(study):
        rows.append({
            "dataset": study.datasets[search["dataset"]].title,
            "backbone": study.backbones[search["backbone"]].title,
            "policy": search["policy"],
            "seed": search["seed"],
            "verdict": search["why"],
        })  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _shown(values: Iterable[Any], pattern: str) -> list[str]:
    """Formatted; nothing for what is not known."""
    return ["" if pd.isna(value) else pattern.format(value) for value in values]


def readable_searches(table: pd.DataFrame, formula: bool = False) -> pd.DataFrame:
    """The search table as people read it; with the policies' formulas if asked for."""
    readable = pd.DataFrame({
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Policy": table.policy,
        "Seed": table.seed.map(str),
        "Selection": _shown(table.selection, "{}"),
        "Policies in the space": _shown(table.space_size, "{:.1e}"),
        "Device seconds": _shown(table.device_s, "{:.1f}"),
        "Peak memory, MiB": _shown(table.peak_memory_mb, "{:.0f}"),
        "Alpha entropy (1: undecided)": [
            "not used" if rule == "tournament" else "" if pd.isna(a) else f"{a:.4f} to {b:.4f}"
            for rule, a, b in zip(table.selection, table.entropy_start, table.entropy_end, strict=True)
        ],
        "Held-out accuracy in the search, %": _shown(table.val_accuracy, "{:.2f}"),
        "Verdict": table.verdict.map(named),
        "Chosen": _shown(table.in_words, "{}"),
    })  # fmt: skip
    return readable.assign(Formula=_shown(table.chosen, "{}")) if formula else readable


def search_cost_table(study: Study) -> pd.DataFrame:
    """Device hours and size of the search space of every search: means over seeds of ours, then the published ones.

    Columns: method, dataset, backbone (empty where a source names none), seeds, device_hours, of (`CPU` or `GPU`),
    space_size (NaN where not known), device, source (`measured here` or the publication).
    """
    columns = ["method", "dataset", "backbone", "seeds", "device_hours", "of", "space_size", "device", "source"]
    found = [
        (search, _title(study, search["policy"]), search["run"]["cost"], search["history"], search["run"]["machine"])
        for search in results.searches(study)
    ] + [
        (search, study.methods[search["method"]].title, search, search, search)
        for search in results.augmentation_searches(study)
    ]
    ours = pd.DataFrame(
        [
            {
                "method": title,
                "dataset": study.datasets[search["dataset"]].title,
                "backbone": study.backbones[search["backbone"]].title,
                "device_hours": cost["device_s"] / HOUR,
                "space_size": space["space_size"],
                "device": machine["device"],
            }
            for search, title, cost, space, machine in found
        ],
        columns=[column for column in columns if column not in ("seeds", "of", "source")],
    )
    grouped = ours.groupby(["method", "dataset", "backbone", "device"], sort=False)
    measured = grouped.agg(
        seeds=("device_hours", "size"), device_hours=("device_hours", "mean"), space_size=("space_size", "first")
    ).reset_index()
    kind = "GPU" if study.compute.device == "cuda" else "CPU"
    others = [
        {
            "method": NAMES.get(row.method, row.method),
            "dataset": NAMES.get(row.dataset, row.dataset),
            "backbone": row.backbone,
            "device_hours": row.value,
            "of": row.unit.removesuffix(" hours"),
            "device": "see source",
            "source": row.source,
        }
        for row in published.rows()
        if row.metric == published.SEARCH_COST
    ]
    both = [measured.assign(of=kind, source="measured here"), pd.DataFrame(others, columns=columns)]
    return pd.concat([table for table in both if len(table)] or both).reindex(columns=columns)


def _title(study: Study, policy: str) -> str:
    """The first method that trains with a searched policy, or the policy itself."""
    methods = (study.methods[name] for name in study.study.methods)
    return next((method.title for method in methods if method.policy == policy and method.trains), policy)


def readable_search_costs(table: pd.DataFrame) -> pd.DataFrame:
    """The cost table as people read it."""
    hours = {
        f"{kind} hours": [f"{h:,.4g}" if of == kind else "" for h, of in zip(table.device_hours, table.of, strict=True)]
        for kind in ("CPU", "GPU")
    }
    return pd.DataFrame({
        "Search": table.method,
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Seeds": ["" if n != n else f"{n:.0f}" for n in table.seeds],
        **hours,
        "Choices in the space": ["not given" if n != n else f"{float(n):.1e}" for n in table.space_size],
        "Device": table.device,
        "Source": table.source,
    })  # fmt: skip
