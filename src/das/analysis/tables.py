"""Accuracies of a study's methods, and which tables a classification study has."""

from pathlib import Path

import pandas as pd

from das.analysis import results
from das.analysis.costs import cost_table, readable_costs
from das.analysis.planted import planted_table, readable_planted
from das.analysis.published import published_table
from das.analysis.searches import readable_search_costs, readable_searches, search_cost_table, search_table
from das.analysis.statistics import Estimate, estimate, holm, noise_floor, paired_difference, paired_p_value
from das.analysis.written import PLACE, write
from das.study import code, tuning
from das.study.products import tables_of
from das.study.schema import Study

NOT_RUN = "not run"
COSTS = ("search_s", "train_s", "test_s")
CAPTION = (
    "Test {score} after the last epoch: mean and 95 % interval over seeds (Student's t). Differences from {reference} "
    "are paired by seed; noise is what they stay below in 95 of 100 cases where seeds alone differ; p is of a paired t "
    "test, corrected for the number of comparisons (Holm)."
)


def accuracy_table(study: Study) -> pd.DataFrame:
    """Last-epoch test accuracy of each data set, backbone and method of the grid, over seeds.

    Accuracies and differences are in percent and percentage points; `difference` is paired with the study's reference
    method on the same seeds; `p_value` is its paired t test's, `p_holm` corrected for the number of the table's
    comparisons; `noise` is what the reference shows against itself (`das.analysis.statistics.noise_floor`).
    `median_accuracy` is the mean over seeds of the last ten epochs' median, `late_change` what the last quarter of the
    epochs added. `train_frames` is relative to the reference; `equal_epochs`, `equal_training` and `equal_test` say
    whether these are the reference's, the latter two in frames that pass a network (a test of another method's weights
    has that one's training). `search_s`, `train_s`, `test_s` are seconds on the device
    (`das.analysis.results.numbers`). `older_code` counts the numbers that were made by other code than the present;
    `recorded` those that were put back (`das.study.recorded`); `refused` those that are there and cannot stand for the
    study (`das.study.results.fault`), which count as not run, and `refused_because` says why. `tuned` is False where
    the study's tuning chooses a recipe for the method and none is layered over the study.
    """
    everything = results.numbers(study)
    rows = []
    for (dataset, backbone, method), group in everything.groupby(["dataset", "backbone", "method"], sort=False):
        made = group[group.made]
        beside = everything.query("dataset == @dataset and backbone == @backbone and made")
        against = beside[beside.method == study.study.reference]
        trained = beside[beside.method == (study.methods[method].weights_of or method)]
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
            "p_value": float("nan") if method == study.study.reference else paired_p_value(
                _by_seed(made), _by_seed(against)
            ),
            "noise": noise_floor(_by_split(against), len(made.merge(against, on="seed"))),
            "late_change": 100 * made.late_change.astype(float).mean(),
            "balanced_accuracy": 100 * made.balanced_accuracy.astype(float).mean(),
            "calibration_error": 100 * made.calibration_error.astype(float).mean(),
            "median_accuracy": 100 * made.median_accuracy.astype(float).mean(),
            "best_epoch_accuracy": 100 * made.best_accuracy.astype(float).mean(),
            "frames": made.frames.astype(float).mean(),
            "train_frames": _times(made.train_frames.astype(float).mean(), against.train_frames.astype(float).mean()),
            **_equal(made, trained, against),
            **{cost: made[cost].astype(float).mean() for cost in COSTS},
            "older_code": int(sum(run != code.fingerprint(_kind(study, method)) for run in made.code)),
            "recorded": int(made.recorded.sum()),
            "tuned": _tuned(study, dataset, backbone, method),
            "refused": int(group.fault.notna().sum()),
            "refused_because": next(iter(group.fault.dropna()), ""),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("p_value") + 1, "p_holm", holm(table.p_value))
    return table


def _kind(study: Study, method: str) -> str:
    return "training" if study.methods[method].trains else "evaluation"


def _by_split(rows: pd.DataFrame) -> list[list[float]]:
    """Accuracies in percent, those that saw the same training images together."""
    return [(100 * part.accuracy.astype(float)).tolist() for _, part in rows.groupby("split", dropna=False)]


def _times(amount: float, reference: float) -> float:
    """How many times the reference's; NaN of a reference that trains nothing."""
    return amount / reference if reference else float("nan")


def _trained(times: float) -> str:
    return "none" if times == 0 else f"{times:.2g}x" if times == times else ""


def _equal(made: pd.DataFrame, trained: pd.DataFrame, against: pd.DataFrame) -> dict[str, bool | None]:
    """Which costs of a method, whose weights ``trained`` has, are the reference's; None where either was not run."""
    costs = {"epochs": (trained, "epochs"), "training": (trained, "train_frames"), "test": (made, "frames")}
    return {
        f"equal_{name}": bool(rows[column].astype(float).mean() == against[column].astype(float).mean())
        if len(rows) and len(against)
        else None
        for name, (rows, column) in costs.items()
    }


def _tuned(study: Study, dataset: str, backbone: str, method: str) -> bool:
    asked = bool(study.tuning and study.tuning.recipe) and method in tuning.methods(study)
    return not asked or backbone in study.methods[method].tuned.get(dataset, {})


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
            "Noise": "" if own else _number(row.noise),
            "p (Holm)": "" if own else _p_value(row.p_holm),
            "Median of last epochs, %": f"{row.median_accuracy:.2f}" if row.seeds else NOT_RUN,
            "Best epoch, %": f"{row.best_epoch_accuracy:.2f}" if row.seeds else NOT_RUN,
            "Calibration error, %": _number(row.calibration_error),
            "Equal": "" if own or not row.seeds else _equal_words(row),
            "Frames": f"{row.frames:.0f}" if row.seeds else NOT_RUN,
            "Training frames": _trained(row.train_frames) if row.seeds else NOT_RUN,
            "Search, s": _seconds(row.search_s, 1) if row.seeds else NOT_RUN,
            "Training, s": _seconds(row.train_s, 1) if row.seeds else NOT_RUN,
            "Test, s": _seconds(row.test_s, 2) if row.seeds else NOT_RUN,
            "Remarks": _remarks(row),
        })  # fmt: skip
    unknown = [] if table.calibration_error.notna().any() else ["Calibration error, %"]  # not of this task
    return pd.DataFrame(rows).drop(columns=unknown)


def _seconds(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if value == value else "no record"


def _interval(value: Estimate, signed: bool = False) -> str:
    if value.count == 0 or value.mean != value.mean:
        return NOT_RUN
    mean = f"{value.mean:+.2f}" if signed else f"{value.mean:.2f}"
    if signed and value.count > 1 and value.half_width < 1e-9 < abs(value.mean):
        return f"{mean} (too few seeds)"  # all differences are the same: no spread to tell an interval by
    return f"{mean} ± {value.half_width:.2f}" if value.half_width == value.half_width else f"{mean} (one seed)"


def _number(value: float) -> str:
    return f"{value:.2f}" if value == value else "-"


def _equal_words(row) -> str:
    equal = {"epochs": row.equal_epochs, "training": row.equal_training, "test": row.equal_test}
    return ", ".join(name for name, is_so in equal.items() if is_so) or "nothing"


def _p_value(value: float) -> str:
    if value != value:
        return "too few seeds"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _remarks(row) -> str:
    remarks = [
        f"{row.recorded} recorded, not made here" if row.recorded else "",
        "" if row.tuned else "its recipe is not tuned",
        f"{row.older_code} made by other code" if row.older_code else "",
        f"{row.refused} not used: {row.refused_because}" if row.refused else "",
    ]
    return "; ".join(filter(None, remarks))


def readable_published(table: pd.DataFrame) -> pd.DataFrame:
    """The table of published numbers as people read it."""
    ours = zip(table.accuracy, table.accuracy_ci95, table.seeds, strict=True)
    return pd.DataFrame({
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Method": table.method,
        "Ours, %": [_interval(Estimate(*values)) for values in ours],
        "Published, %": table.published.map("{:.2f}".format),
        "Ours - published": [NOT_RUN if d != d else f"{d:+.2f}" for d in table.difference],
        "What differs": table.protocol,
        "Source": table.source,
    })  # fmt: skip


def write_tables(study: Study, folder: Path) -> None:
    """Write the study's tables (`das.study.products.tables_of`) into ``folder``, each as `das.analysis.written`."""
    reference = study.methods[study.study.reference].title
    accuracy, costs, counted = accuracy_table(study), search_cost_table(study), cost_table(study)
    write(
        folder / "accuracy",
        accuracy,
        readable_accuracy(study, accuracy),
        caption=CAPTION.format(score="accuracy", reference=reference),
        short=(*PLACE, "Method", "Seeds", "Accuracy, %", f"Against {reference}", "Noise", "p (Holm)"),
    )
    write_searches(study, folder)
    write(
        folder / "search_cost",
        costs,
        readable_search_costs(costs),
        caption="Cost of searches, measured here (mean over seeds) and as published by others.",
        short=("Search", "Data set", "CPU hours", "GPU hours", "Choices in the space", "Source"),
    )
    write(
        folder / "cost",
        counted,
        readable_costs(counted),
        caption=f"Cost of methods, counted: parameters, operations of a test and of a training against {reference}.",
        short=(*PLACE, "Method", "Parameters", "Test, MFLOPs an image", "Test", "Training"),
    )
    if "published" in tables_of(study):
        published = published_table(study)
        write(
            folder / "published",
            published,
            readable_published(published),
            caption="Published accuracies beside ours.",
            short=(*PLACE, "Method", "Ours, %", "Published, %", "Ours - published", "What differs", "Source"),
        )
    if "planted" in tables_of(study):
        found = planted_table(study)
        write(
            folder / "planted",
            found,
            readable_planted(found),
            caption="In what share of the seeds a search found the planted nuisance.",
            short=(
                "Planted",
                "Search",
                "Seeds",
                "Kind, % of seeds",
                "All three, % of seeds",
                "Size, chosen to planted",
            ),
        )


def write_searches(study: Study, folder: Path) -> None:
    """Write `search` into ``folder``."""
    table = search_table(study)
    write(
        folder / "search",
        table,
        readable_searches(table),
        caption="What each search cost and chose.",
        short=(*PLACE, "Policy", "Seed", "Device seconds", "Verdict", "Chosen"),
        full=readable_searches(table, formula=True),
    )
