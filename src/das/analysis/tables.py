"""Tables as CSV (every digit), Markdown and LaTeX (for reading)."""

from pathlib import Path

import pandas as pd

from das.analysis import results
from das.analysis.statistics import Estimate, estimate, paired_difference
from das.analysis.verdict import verdict
from das.config import Study
from das.engine.provenance import code_fingerprint
from das.files import publish
from das.video.policy import Policy

NOT_RUN = "not run"


def accuracy_table(study: Study) -> pd.DataFrame:
    """Last-epoch test accuracy of each data set, backbone and method of the grid, over seeds.

    Accuracies and differences are in percent and percentage points; `difference` is paired with the study's reference
    method on the same seeds. `train_frames` is relative to the reference. `older_code` counts the numbers that were
    made by other code than the present, `other_settings` those made with other settings than the study's present ones.
    """
    everything = results.numbers(study)
    rows = []
    for (dataset, backbone, method), group in everything.groupby(["dataset", "backbone", "method"], sort=False):
        made = group[group.made]
        against = everything.query("dataset == @dataset and backbone == @backbone and made")
        against = against[against.method == study.study.reference]
        accuracy = estimate(100 * made.accuracy.astype(float))
        difference = paired_difference(_by_seed(made), _by_seed(against))
        rows.append({
            "dataset": study.datasets[dataset].title,
            "backbone": study.backbones[backbone].title,
            "method": study.methods[method].title,
            "name": method,
            "seeds": len(made),
            "seeds_planned": len(group),
            "accuracy": accuracy.mean,
            "accuracy_ci95": accuracy.half_width,
            "difference": difference.mean,
            "difference_ci95": difference.half_width,
            "best_epoch_accuracy": 100 * made.best_accuracy.astype(float).mean(),
            "frames": made.frames.astype(float).mean(),
            "train_frames": made.train_frames.astype(float).mean() / against.train_frames.astype(float).mean(),
            "device_s": made.device_s.astype(float).mean(),
            "older_code": int((made.code != code_fingerprint()).sum()),
            "other_settings": int((made.current == False).sum()),  # noqa: E712
        })  # fmt: skip
    return pd.DataFrame(rows)


def _by_seed(rows: pd.DataFrame) -> dict[int, float]:
    return dict(zip(rows.seed, 100 * rows.accuracy.astype(float), strict=True))


def readable_accuracy(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The accuracy table as people read it: intervals beside means, what was not run named."""
    reference = study.methods[study.study.reference].title
    rows = []
    for row in table.itertuples():
        own = row.name == study.study.reference
        rows.append({
            "Data set": row.dataset,
            "Backbone": row.backbone,
            "Method": row.method,
            "Seeds": f"{row.seeds}" if row.seeds == row.seeds_planned else f"{row.seeds} of {row.seeds_planned}",
            "Accuracy, %": _interval(Estimate(row.accuracy, row.accuracy_ci95, row.seeds)),
            f"Against {reference}": "reference" if own else _interval(
                Estimate(row.difference, row.difference_ci95, row.seeds), signed=True
            ),
            "Best epoch, %": f"{row.best_epoch_accuracy:.2f}" if row.seeds else NOT_RUN,
            "Frames": f"{row.frames:.0f}" if row.seeds else NOT_RUN,
            "Training frames": ("none" if row.train_frames == 0 else f"{row.train_frames:.2g}x")
            if row.seeds else NOT_RUN,
            "Device seconds": f"{row.device_s:.1f}" if row.seeds else NOT_RUN,
            "Remarks": _remarks(row),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _interval(value: Estimate, signed: bool = False) -> str:
    if value.count == 0 or value.mean != value.mean:
        return NOT_RUN
    mean = f"{value.mean:+.2f}" if signed else f"{value.mean:.2f}"
    return f"{mean} ± {value.half_width:.2f}" if value.half_width == value.half_width else f"{mean} (one seed)"


def _remarks(row) -> str:
    remarks = [
        f"{row.older_code} made by other code" if row.older_code else "",
        f"{row.other_settings} made with other settings" if row.other_settings else "",
    ]
    return "; ".join(filter(None, remarks))


def search_table(study: Study) -> pd.DataFrame:
    """One row per search: what it cost, what it chose, whether alpha decided anything."""
    columns = ("dataset", "backbone", "policy", "seed", "space_size", "device_s", "wall_s", "peak_memory_mb",
               "entropy_start", "entropy_end", "val_accuracy", "verdict", "chosen")  # fmt: skip
    rows = []
    for search in results.searches(study):
        history, cost, policy = search["history"], search["run"]["cost"], Policy.load(search["path"])
        rows.append({
            "dataset": study.datasets[search["dataset"]].title,
            "backbone": study.backbones[search["backbone"]].title,
            "policy": search["policy"],
            "seed": search["seed"],
            "space_size": history["space_size"],
            "device_s": cost["device_s"],
            "wall_s": cost["wall_s"],
            "peak_memory_mb": cost["peak_memory_bytes"] / 2**20,
            "entropy_start": history["entropy"][0],
            "entropy_end": history["entropy"][-1],
            "val_accuracy": 100 * history["val_accuracy"][-1],
            "verdict": verdict(policy, history),
            "chosen": policy.describe(),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def readable_search(table: pd.DataFrame) -> pd.DataFrame:
    """The search table as people read it."""
    return pd.DataFrame({
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Policy": table.policy,
        "Seed": table.seed.map(str),
        "Policies in the space": table.space_size.map("{:.1e}".format),
        "Device seconds": table.device_s.map("{:.1f}".format),
        "Peak memory, MiB": table.peak_memory_mb.map("{:.0f}".format),
        "Alpha entropy (1: undecided)": [
            f"{a:.4f} to {b:.4f}" for a, b in zip(table.entropy_start, table.entropy_end, strict=True)
        ],
        "Held-out accuracy in the search, %": table.val_accuracy.map("{:.2f}".format),
        "Verdict": table.verdict,
        "Chosen": table.chosen,
    })  # fmt: skip


def write_tables(study: Study, folder: Path) -> None:
    """Write `accuracy` and `search`, each as .csv, .md and .tex, into ``folder``."""
    accuracy, search = accuracy_table(study), search_table(study)
    _write(folder / "accuracy", accuracy, readable_accuracy(study, accuracy))
    _write(folder / "search", search, readable_search(search))


def _write(path: Path, exact: pd.DataFrame, readable: pd.DataFrame) -> None:
    constant = {c: readable[c].iloc[0] for c in readable.columns[:2] if len(readable) and readable[c].nunique() == 1}
    caption = ", ".join(constant.values())
    body = readable.drop(columns=[*constant, *(c for c in ["Remarks"] if c in readable and not readable[c].any())])
    publish(path.with_suffix(".csv"), exact.to_csv(index=False))
    publish(path.with_suffix(".md"), f"{caption}\n\n{body.to_markdown(index=False, disable_numparse=True)}\n")
    style = body.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    publish(path.with_suffix(".tex"), style.to_latex(hrules=True, caption=caption))
