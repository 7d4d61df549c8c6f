"""The tables of the benchmark: what each search's score and choice are worth."""

from pathlib import Path

import numpy as np
import pandas as pd

from das.benchmark.bank import FOLDER, accuracies, bank, folder
from das.benchmark.measures import agreement, clustered_mean, confirmed_best, rank_correlation, tau
from das.benchmark.searches import chosen, runs_of
from das.files import publish, read_json
from das.seals import read_sealed
from das.study.schema import Study


def summary(study: Study, dataset: str, backbone: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of a data set and backbone: the searches' measures, and the bank's own.

    Accuracies are means over training seeds, in percent, on training images held out. A search's tau is that of its
    scores averaged over its seeds, over the distinct policies of the bank that it can score. Its accuracy is the mean
    over its seeds' choices, with the 95 % interval over the distinct policies among them. `regret_best`,
    `regret_confirmed` and `over_median_random` are its seeds' means, in points, against the best policy of the bank and
    the median of its random ones. The best is picked by the same accuracies that it is quoted with and owes some of
    them to luck; the confirmed best is picked by one training seed and quoted with the others. `retraining_sd` is that
    of one training, without what all policies share.
    """
    table = accuracies(study, dataset, backbone, chosen(study, dataset, backbone)).set_index("policy")
    seeds = [f"seed{seed}" for seed in study.policy_benchmark.training_seeds]
    accuracy = 100 * table[seeds].mean(axis=1)
    names = list(bank(study))
    confirmed = 100 * confirmed_best(table.loc[names, seeds].to_numpy())
    randoms = accuracy[[name for name in names if name.startswith("random")]]
    best, median = accuracy[names].max(), randoms.median()
    runs = runs_of(study, dataset, backbone)
    rows = []
    for method in study.study.methods:
        found = [read_json(runs[method, seed].main) for seed in study.study.seeds]
        costs = [read_sealed(runs[method, seed].record)["cost"]["device_s"] for seed in study.study.seeds]
        choices = [f"{method}, seed {seed}" for seed in study.study.seeds]
        theirs, digests = accuracy[choices], table.digest[choices]
        mean, mean_low, mean_high = clustered_mean(theirs, digests)
        scored = [name for name in names if found[0]["scores"][name] is not None]
        scores = np.array([[one["scores"][name] for name in scored] for one in found])
        known = accuracy[scored].to_numpy()
        order, low, high = (
            rank_correlation(scores.mean(axis=0), known, table.digest[scored]) if scored else (float("nan"),) * 3
        )
        each = [tau(row, known) for row in scores] if scored else [float("nan")]
        rows.append({
            "search": method,
            "title": study.methods[method].title,
            "scored": len(scored),
            "tau": order,
            "tau_low": low,
            "tau_high": high,
            "tau_of_one_seed": float(np.nanmean(each)) if np.isfinite(each).any() else float("nan"),
            "accuracy": mean,
            "accuracy_low": mean_low,
            "accuracy_high": mean_high,
            "accuracy_worst_seed": theirs.min(),
            "regret_best": best - mean,
            "regret_confirmed": confirmed - mean,
            "over_median_random": mean - median,
            "over_identical": mean - accuracy["identical"],
            "distinct_choices": digests.nunique(),
            "agreement": agreement(list(digests)),
            "device_s": float(np.mean(costs)),
            "searches": len(found),
            "not_decided": sum(one["verdict"] != "decided" for one in found),
        })  # fmt: skip
    first, second = (100 * table.loc[names, seed].to_numpy() for seed in seeds[:2])
    between, low, high = rank_correlation(first, second, table.digest[names])
    own = {
        "policies": len(names),
        "distinct_policies": int(table.digest[names].nunique()),
        "distinct_with_chosen": int(table.digest.nunique()),
        "best": best,
        "confirmed_best": confirmed,
        "best_policy": accuracy[names].idxmax(),
        "identical": accuracy["identical"],
        "uniform": accuracy["uniform"],
        "median_single": accuracy[[name for name in names if name.endswith(("signed", "mirrored"))]].median(),
        "median_random": median,
        "retraining_sd": float(np.std(first - second, ddof=1) / np.sqrt(2)),
        "spread_sd": float(accuracy[names].std()),
        "tau_between_training_seeds": between,
        "tau_low": low,
        "tau_high": high,
    }
    return pd.DataFrame(rows), pd.DataFrame({"measure": own.keys(), "value": own.values()})


def report(study: Study) -> Path:
    """Write `searches` and `bank` of each data set and backbone as .csv, and all as one report.md; return its path."""
    parts = []
    for dataset in study.study.datasets:
        for backbone in study.study.backbones:
            found, own = summary(study, dataset, backbone)
            place = folder(study, dataset, backbone)
            publish(place / "searches.csv", found.to_csv(index=False))
            publish(place / "bank.csv", own.to_csv(index=False))
            title = f"{study.datasets[dataset].title}, {study.backbones[backbone].title}"
            parts.append(f"## {title}\n\n{_readable(found)}\n\n{_lines(own)}\n")
    path = FOLDER / study.name / "report.md"
    publish(path, "\n".join(parts))
    return path


def _readable(found: pd.DataFrame) -> str:
    return pd.DataFrame({
        "Search": found.search,
        "": found.title,
        "tau (95 % interval)": [
            f"{row.tau:+.2f} ({row.tau_low:+.2f} to {row.tau_high:+.2f}), {row.scored} policies"
            if row.tau == row.tau else "cannot score the bank"
            for row in found.itertuples()
        ],
        "tau, one seed": ["" if tau != tau else f"{tau:+.2f}" for tau in found.tau_of_one_seed],
        "Accuracy of the choice, % (95 % interval)": [_interval(row) for row in found.itertuples()],
        "Regret to the best (confirmed)": [
            f"{row.regret_best:.2f} ({row.regret_confirmed:.2f})" for row in found.itertuples()
        ],
        "Over the median random": found.over_median_random.map("{:+.2f}".format),
        "Over identical frames": found.over_identical.map("{:+.2f}".format),
        "Distinct choices": [f"{row.distinct_choices} of {row.searches}" for row in found.itertuples()],
        "Same choice": found.agreement.map("{:.0%}".format),
        "Device seconds": found.device_s.map("{:.1f}".format),
        "Not decided": [f"{row.not_decided} of {row.searches}" for row in found.itertuples()],
    }).to_markdown(index=False, disable_numparse=True)  # fmt: skip


def _interval(row) -> str:
    if row.accuracy_low != row.accuracy_low:
        return f"{row.accuracy:.2f} (too few distinct policies)"
    return f"{row.accuracy:.2f} ({row.accuracy_low:.2f} to {row.accuracy_high:.2f})"


def _lines(own: pd.DataFrame) -> str:
    values = [f"{value:.2f}" if isinstance(value, float) else value for value in own.value]
    return own.assign(value=values).to_markdown(index=False, disable_numparse=True)
