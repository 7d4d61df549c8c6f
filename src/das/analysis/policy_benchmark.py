"""The policy benchmark: which search finds good policies?

A bank of policies is retrained from scratch on a small fixed budget. Each search of the study is then measured on it:
how well its score of a policy agrees in rank with the retrained accuracy, how much worse than the best policy the one
that it chooses is, and how much its choice depends on the seed. Run by workflow/rules/policy_benchmark.smk:

    python -m das.analysis.policy_benchmark retrain DATASET BACKBONE
    python -m das.analysis.policy_benchmark score DATASET BACKBONE METHOD SEED
    python -m das.analysis.policy_benchmark report
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from das import data
from das.analysis.statistics import estimate
from das.analysis.verdict import verdict
from das.config import Method, Number, PolicySource, Study, digest, load_study
from das.data.sets import Dataset
from das.engine.train import train
from das.errors import DasError
from das.files import publish, publish_json, read_json
from das.search.bilevel import BilevelSearch
from das.search.score import score
from das.seeding import derive
from das.video.family import Family
from das.video.policy import IMAGE, Policy

FOLDER = Path("results/policy_benchmark")
RESAMPLES = 2000


def bank(study: Study) -> dict[str, Policy]:
    """The policies by name: identical frames, the uniform mixture, single operations at the grid's magnitudes on both
    schedules, and random policies."""
    settings = study.policy_benchmark
    cell = study.cells[settings.cell]
    family = Family(**cell.model_dump())
    policies = {"identical": Policy.replicate(cell.frames), "uniform": family.uniform()}
    for schedule in ("signed", "mirrored"):
        for choice in family.candidates[0]:
            if choice.magnitudes:
                single = Policy.single(choice.operation, *choice.magnitudes, cell.frames, schedule=schedule)
                policies[f"{choice.describe()} {schedule}"] = single
    for index in range(settings.random):
        policies[f"random {index}"] = family.random(derive("policy benchmark", index))
    return policies


def pruned(policy: Policy) -> Policy:
    """The policy without the nodes that do not reach its last one: the same video, in fewer words."""
    wanted, last = set(), [len(policy.nodes) - 1]
    while last:
        node = last.pop()
        wanted.add(node)
        last += [edge.source for edge in policy.nodes[node] if edge.source != IMAGE]
    place = {node: position for position, node in enumerate(sorted(wanted))} | {IMAGE: IMAGE}
    nodes = tuple(
        tuple(replace(edge, source=place[edge.source]) for edge in policy.nodes[node]) for node in sorted(wanted)
    )
    return replace(policy, nodes=nodes)


def retrain(study: Study, dataset: str, backbone: str, images: Dataset) -> None:
    """Train and test the bank and every chosen policy with every training seed; write their table, `policies.csv`.

    What was done with the same settings is not done again. Raises DasError where a search is missing.
    """
    named = bank(study)
    for method, seed in searches(study):
        named[f"{method}, seed {seed}"] = Policy.loads(_searched(dataset, backbone, method, seed)["policy"])
    short = {name: pruned(policy) for name, policy in named.items()}
    rows = {
        name: {"policy": name, "digest": policy.digest()[:12], "frames": policy.describe()}
        for name, policy in short.items()
    }
    for seed in study.policy_benchmark.training_seeds:
        for name, policy in short.items():
            number = number_of(study, dataset, backbone, policy, seed)
            if not _done(number, policy, images):
                train(number, images, policy)
            rows[name][f"seed{seed}"] = read_json(number.number_path())["accuracy"]
    publish(folder(dataset, backbone) / "policies.csv", pd.DataFrame(rows.values()).to_csv(index=False))


def number_of(study: Study, dataset: str, backbone: str, policy: Policy, seed: int) -> Number:
    """The number of a pruned policy, named by its digest: equal policies share it."""
    name = f"bank_{policy.digest()[:12]}"
    fusion = study.policy_benchmark.fusion
    source = PolicySource(source="file", path=f"{name}.yaml", fusion=fusion)
    method = Method(title=policy.describe(), policy=name, fusion=fusion)
    extended = study.model_copy(update={"policies": {name: source}, "methods": {name: method}})
    return extended.number(dataset, backbone, name, seed)


def _done(number: Number, policy: Policy, images: Dataset) -> bool:
    if not Path(number.number_path()).exists():
        return False
    digests = read_json(number.number_path())["digests"]
    wanted = {"settings": digest(number.settings()), "data": images.digest, "policy": policy.digest()}
    return wanted.items() <= digests.items()


# -- searches ----------------------------------------------------------------------------------------------------


def searches(study: Study) -> Iterator[tuple[str, int]]:
    """The measured searches: every method of the study's grid, with every seed."""
    return ((method, seed) for method in study.study.methods for seed in study.study.seeds)


def measure(study: Study, dataset: str, backbone: str, method: str, seed: int, images: Dataset) -> None:
    """Run the search of ``method`` and write what it chose, what it cost, and its score of every policy of the bank."""
    search = BilevelSearch(study, dataset, backbone, study.methods[method].policy, seed, images)
    policy, history, run = search.run()
    publish_json(
        _search_path(dataset, backbone, method, seed),
        {
            "policy": policy.dumps(),
            "verdict": verdict(policy, history),
            "device_s": run["cost"]["device_s"],
            "scores": {name: score(search, candidate) for name, candidate in bank(study).items()},
        },
    )
    search.resume.discard()


def folder(dataset: str, backbone: str) -> Path:
    return FOLDER / dataset / backbone


def _search_path(dataset: str, backbone: str, method: str, seed: int) -> Path:
    return folder(dataset, backbone) / "searches" / method / f"seed{seed}.json"


def _searched(dataset: str, backbone: str, method: str, seed: int) -> dict:
    return read_json(_search_path(dataset, backbone, method, seed))


# -- measures ----------------------------------------------------------------------------------------------------


def rank_correlation(scores: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Kendall's tau-b of two vectors and its 95 % interval by bootstrap over their entries, the policies.

    NaN where either is constant; such resamples are left out.
    """
    draws = np.random.default_rng(seed)
    count = len(scores)
    samples = []
    for chosen in draws.integers(0, count, (RESAMPLES, count)):
        samples.append(_tau(scores[chosen], accuracies[chosen]))
    low, high = np.nanquantile(samples, [0.025, 0.975]) if np.isfinite(samples).any() else (np.nan, np.nan)
    return _tau(scores, accuracies), float(low), float(high)


def _tau(a: np.ndarray, b: np.ndarray) -> float:
    return float(kendalltau(a, b).statistic) if np.ptp(a) and np.ptp(b) else float("nan")


def confirmed_best(accuracies: np.ndarray) -> float:
    """Of accuracies (policies, seeds): each seed's best policy, by its mean over the other seeds; mean over seeds."""
    count = accuracies.shape[1]
    others = (accuracies.sum(axis=1, keepdims=True) - accuracies) / (count - 1)
    return float(np.mean([others[accuracies[:, seed].argmax(), seed] for seed in range(count)]))


def agreement(policies: list[Policy]) -> float:
    """The share of pairs of searches, over seeds, that chose the same policy (as far as it reaches the video)."""
    pairs = list(combinations([pruned(policy).digest() for policy in policies], 2))
    return sum(a == b for a, b in pairs) / len(pairs)


def summary(study: Study, dataset: str, backbone: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of a data set and backbone: the searches' measures, and the bank's own.

    Accuracies are means over training seeds, in percent. A search's tau is that of its scores averaged over its seeds,
    over the policies of the bank that it can score. Its accuracy is the mean over its seeds' choices, with the 95 %
    interval over those. `regret_best`, `regret_confirmed` and `over_median_random` are its
    seeds' means, in points, against the best policy of the bank and the median of its random ones. The best is picked
    by the same accuracies that it is quoted with and owes some of them to luck; the confirmed best is picked by one
    training seed and quoted with the others. `retraining_sd` is that of one training, without what all policies share.
    """
    table = pd.read_csv(folder(dataset, backbone) / "policies.csv").set_index("policy")
    seeds = [f"seed{seed}" for seed in study.policy_benchmark.training_seeds]
    accuracy = 100 * table[seeds].mean(axis=1)
    names = list(bank(study))
    confirmed = 100 * confirmed_best(table.loc[names, seeds].to_numpy())
    randoms = accuracy[[name for name in names if name.startswith("random")]]
    best, median = accuracy[names].max(), randoms.median()
    rows = []
    for method in study.study.methods:
        found = [_searched(dataset, backbone, method, seed) for seed in study.study.seeds]
        chosen = accuracy[[f"{method}, seed {seed}" for seed in study.study.seeds]]
        scored = [name for name in names if found[0]["scores"][name] is not None]
        scores = np.array([[one["scores"][name] for name in scored] for one in found])
        tau, low, high = rank_correlation(scores.mean(axis=0), accuracy[scored].to_numpy())
        each = [_tau(row, accuracy[scored].to_numpy()) for row in scores]
        rows.append({
            "search": method,
            "title": study.methods[method].title,
            "scored": len(scored),
            "tau": tau,
            "tau_low": low,
            "tau_high": high,
            "tau_of_one_seed": float(np.nanmean(each)) if np.isfinite(each).any() else float("nan"),
            "accuracy": chosen.mean(),
            "accuracy_ci95": estimate(chosen).half_width,
            "accuracy_worst_seed": chosen.min(),
            "regret_best": best - chosen.mean(),
            "regret_confirmed": confirmed - chosen.mean(),
            "over_median_random": chosen.mean() - median,
            "over_identical": chosen.mean() - accuracy["identical"],
            "agreement": agreement([Policy.loads(one["policy"]) for one in found]),
            "device_s": float(np.mean([one["device_s"] for one in found])),
            "searches": len(found),
            "not_decided": sum(one["verdict"] != "decided" for one in found),
        })  # fmt: skip
    first, second = (100 * table.loc[names, seed].to_numpy() for seed in seeds[:2])
    tau, low, high = rank_correlation(first, second)
    own = {
        "policies": len(names),
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
        "tau_between_training_seeds": tau,
        "tau_low": low,
        "tau_high": high,
    }
    return pd.DataFrame(rows), pd.DataFrame({"measure": own.keys(), "value": own.values()})


def report(study: Study) -> None:
    """Write `policies`, `searches` and `bank` of each data set and backbone, as .csv, and all as one report.md."""
    parts = []
    for dataset in study.study.datasets:
        for backbone in study.study.backbones:
            found, own = summary(study, dataset, backbone)
            place = folder(dataset, backbone)
            publish(place / "searches.csv", found.to_csv(index=False))
            publish(place / "bank.csv", own.to_csv(index=False))
            title = f"{study.datasets[dataset].title}, {study.backbones[backbone].title}"
            parts.append(f"## {title}\n\n{_readable(found)}\n\n{_lines(own)}\n")
    publish(FOLDER / "report.md", "\n".join(parts))


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
        "Accuracy of the choice, %": [f"{row.accuracy:.2f} ± {row.accuracy_ci95:.2f}" for row in found.itertuples()],
        "Regret to the best (confirmed)": [
            f"{row.regret_best:.2f} ({row.regret_confirmed:.2f})" for row in found.itertuples()
        ],
        "Over the median random": found.over_median_random.map("{:+.2f}".format),
        "Over identical frames": found.over_identical.map("{:+.2f}".format),
        "Same choice": found.agreement.map("{:.0%}".format),
        "Device seconds": found.device_s.map("{:.1f}".format),
        "Not decided": [f"{row.not_decided} of {row.searches}" for row in found.itertuples()],
    }).to_markdown(index=False, disable_numparse=True)  # fmt: skip


def _lines(own: pd.DataFrame) -> str:
    values = [f"{value:.2f}" if isinstance(value, float) else value for value in own.value]
    return own.assign(value=values).to_markdown(index=False, disable_numparse=True)


def main(command: str, *names: str) -> None:
    study = load_study(os.environ["DAS_STUDY"].split(os.pathsep))
    if command == "report":
        return report(study)
    dataset, backbone, *search = names
    images = data.of_study(study, dataset)
    if command == "retrain":
        return retrain(study, dataset, backbone, images)
    method, seed = search
    return measure(study, dataset, backbone, method, int(seed), images)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except DasError as error:
        sys.exit(f"das: {error}")
