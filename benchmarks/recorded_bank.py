"""Measure one search anew against the bank of policies that docs/policy_benchmark records.

    uv run python benchmarks/recorded_bank.py darts_pt --study WHERE_CIFAR10_LIES.yaml

That bank was retrained on all 2,000 training images and scored on the test images (commit 2d9a56d1418d); so are the
searches here: on all training images, their choices' accuracies on the test images. A choice that the record lists has
the accuracy recorded there; the others are retrained with the record's two seeds, where a training of the record comes
out here as it is recorded, else they have none.

Writes results/recorded_bank/DATASET/METHOD/seedN.json as it goes (finished ones are kept, an interrupted one goes on),
then docs/policy_benchmark/again.md, METHOD_again.csv and chosen.csv of each data set.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from das import data
from das.analysis.verdict import verdict
from das.benchmark.bank import bank, pruned
from das.benchmark.measures import agreement, clustered_mean, confirmed_best, rank_correlation, tau
from das.engine.resume import ResumeState
from das.engine.train import fit
from das.files import publish, read_json
from das.search.bilevel import BilevelSearch
from das.search.score import score
from das.study import load_study
from das.study.code import fingerprint
from das.study.runs import of_method, of_policy
from das.study.schema import Method, PolicySource, Study
from das.video.policy import Policy

STUDY = [Path("params.yaml"), Path("config/policy_benchmark.yaml")]
RECORD, WORK, BACKBONE = Path("docs/policy_benchmark"), Path("results/recorded_bank"), "resnet8w8"


def search(study: Study, dataset: str, policy: str, seed: int) -> tuple[Policy, dict]:
    """The policy that a search on all training images chooses; its scores of the bank, its verdict and cost."""
    run = of_policy(study, dataset, BACKBONE, policy, seed)
    searched = BilevelSearch(run, data.of_study(study, dataset), run.digest)
    found, history, record = searched.find()
    searched.resume.discard()
    scores = {name: score(searched, candidate) for name, candidate in bank(study).items()}
    return found, {"scores": scores, "verdict": verdict(found, history), "run": record}


def accuracy(study: Study, dataset: str, policy: Policy, seed: int) -> float:
    """Test accuracy of a network trained on all training images through ``policy``."""
    name = f"bank_{policy.digest()[:12]}"
    path = WORK / f"{name}.yaml"
    publish(path, replace(policy, provenance={}).dumps())
    fusion = study.policy_benchmark.fusion
    source = PolicySource(source="file", path=str(path), fusion=fusion)
    method = Method(title=policy.describe(), policy=name, fusion=fusion)
    extended = study.model_copy(update={"policies": {name: source}, "methods": {name: method}})
    run = of_method(extended, dataset, BACKBONE, name, seed)
    resume = ResumeState("recorded bank", dataset, name, f"seed{seed}", digest=run.digest)
    fitted = fit(run, data.of_study(study, dataset), policy, resume)
    resume.discard()
    return fitted.tested[fitted.model.metric]


def same_conditions(study: Study, dataset: str, recorded: pd.DataFrame) -> bool:
    """Whether a training of the record (identical frames, first seed) comes out here as recorded, to half a point:
    other processors round differently, other images give other accuracies altogether."""
    found = accuracy(study, dataset, bank(study)["identical"], study.policy_benchmark.training_seeds[0])
    print(f"{dataset}: identical frames {found:.4f}, recorded {recorded.seed0['identical']:.4f}", flush=True)
    return abs(found - recorded.seed0["identical"]) < 0.005


def seconds(row: dict) -> float:
    """Device seconds of a search."""
    return row["run"]["cost"]["device_s"]


def measure(study: Study, dataset: str, method: str) -> None:
    """Run the searches of ``method`` that are not there yet, and retrain their choices where that can be compared."""
    recorded, columns = record(study, dataset)
    known = {row.digest: [getattr(row, column) for column in columns] for row in recorded.itertuples()}
    comparable = same_conditions(study, dataset, recorded)
    for seed in study.study.seeds:
        path = WORK / dataset / method / f"seed{seed}.json"
        if path.exists():
            continue
        found, measured = search(study, dataset, study.methods[method].policy, seed)
        short = pruned(found)
        row = {"seed": seed, "digest": short.digest()[:12], "frames": short.describe(), **measured}
        row["recorded"] = row["digest"] in known
        row["accuracies"] = known.get(row["digest"])
        if comparable and not row["recorded"]:
            training_seeds = study.policy_benchmark.training_seeds
            row["accuracies"] = [accuracy(study, dataset, short, training_seed) for training_seed in training_seeds]
        row["fingerprint"] = fingerprint("search")
        publish(path, json.dumps(row, indent=1) + "\n")
        print(dataset, method, seed, row["frames"], row["accuracies"], f"{seconds(row):.0f} s", flush=True)


def folder(dataset: str) -> Path:
    """Where the record of a data set stands."""
    return RECORD / f"{dataset}_{BACKBONE}"


def record(study: Study, dataset: str) -> tuple[pd.DataFrame, list[str]]:
    """The recorded policies, by name, and the columns of their accuracies."""
    table = pd.read_csv(folder(dataset) / "policies.csv").set_index("policy")
    return table, [f"seed{seed}" for seed in study.policy_benchmark.training_seeds]


def measures(study: Study, dataset: str, method: str) -> dict | None:
    """Measures of ``method`` (see `das.benchmark.report.summary`) over the seeds that are there, and their source."""
    rows = [read_json(path) for path in sorted((WORK / dataset / method).glob("seed*.json"))]
    if not rows:
        return None
    recorded, columns = record(study, dataset)
    names = list(bank(study))
    known = 100 * recorded.loc[names, columns].mean(axis=1)
    scored = [name for name in names if rows[0]["scores"][name] is not None]
    scores = np.array([[row["scores"][name] for name in scored] for row in rows])
    order, low, high = rank_correlation(scores.mean(axis=0), known[scored], recorded.digest[scored])
    digests = [row["digest"] for row in rows]
    chosen = [100 * float(np.mean(row["accuracies"])) if row["accuracies"] else np.nan for row in rows]
    mean, mean_low, mean_high = clustered_mean(chosen, digests)
    randoms = known[[name for name in names if name.startswith("random")]]
    run = rows[0]["run"]
    return {
        "data set": study.datasets[dataset].title,
        "search": method,
        "title": study.methods[method].title,
        "searches": len(rows),
        "scored": len(scored),
        "tau": order,
        "tau_low": low,
        "tau_high": high,
        "tau_of_one_seed": float(np.nanmean([tau(row, known[scored]) for row in scores])),
        "accuracy": mean,
        "accuracy_low": mean_low,
        "accuracy_high": mean_high,
        "accuracy_worst_seed": min(chosen),
        "regret_best": known.max() - mean,
        "regret_confirmed": 100 * confirmed_best(recorded.loc[names, columns].to_numpy()) - mean,
        "over_median_random": mean - randoms.median(),
        "over_identical": mean - known["identical"],
        "distinct_choices": len(set(digests)),
        "agreement": agreement(digests),
        "recorded_choices": sum(row["recorded"] for row in rows),
        "retrained_choices": sum(not row["recorded"] and row["accuracies"] is not None for row in rows),
        "device_s": float(np.mean([seconds(row) for row in rows])),
        "not_decided": sum(row["verdict"] != "decided" for row in rows),
        "commits": " ".join(sorted({str(row["run"]["git_commit"])[:12] for row in rows})),
        "fingerprints": " ".join(sorted({row["fingerprint"] for row in rows})),
        "machine": f"{run['machine']['device']}, Python {run['machine']['python']}, torch {run['packages']['torch']}",
    }


def choices(study: Study, dataset: str) -> pd.DataFrame:
    """What the recorded searches chose, with the interval over the distinct policies: one training counts once."""
    recorded, columns = record(study, dataset)
    known = 100 * recorded[columns].mean(axis=1)
    rows = []
    for method in study.study.methods:
        names = [f"{method}, seed {seed}" for seed in study.study.seeds]
        digests = recorded.digest[names]
        mean, low, high = clustered_mean(known[names], digests)
        rows.append({
            "search": method, "seeds": len(names), "distinct": digests.nunique(),
            "accuracy": mean, "accuracy_low": low, "accuracy_high": high,
        })  # fmt: skip
    return pd.DataFrame(rows)


def readable_choices(found: pd.DataFrame) -> str:
    """`choices` as people read them."""
    intervals = zip(found.accuracy, found.accuracy_low, found.accuracy_high, strict=True)
    return pd.DataFrame({
        "Search": found.search,
        "Seeds": found.seeds,
        "Distinct policies": found.distinct,
        "Accuracy of the choice, % (95 % interval)": [interval(*values) for values in intervals],
    }).to_markdown(index=False)  # fmt: skip


def interval(mean: float, low: float, high: float) -> str:
    if mean != mean:
        return "not retrained"
    return f"{mean:.2f} (too few policies)" if low != low else f"{mean:.2f} ({low:.2f} to {high:.2f})"


def page(study: Study, method: str) -> str:
    """The page docs/policy_benchmark/again.md."""
    parts = [
        "# Measured again, or computed again, from the recorded bank",
        "Made by `uv run python benchmarks/recorded_bank.py --report` from the CSVs beside this page and from the "
        f"searches `{method}` that `benchmarks/recorded_bank.py` ran.",
        "## What the recorded searches chose",
        "Intervals resample the distinct policies among the choices: seeds that chose the same policy share its "
        "trainings, and their noise.",
    ]
    for dataset in study.study.datasets:
        parts += [f"### {study.datasets[dataset].title}", readable_choices(choices(study, dataset))]
    found = [row for dataset in study.study.datasets if (row := measures(study, dataset, method))]
    if found:
        table = pd.DataFrame([readable(row) for row in found]).set_index("").T
        parts += [f"## `{method}`: {found[0]['title']}, as darts-pt has it", table.to_markdown()]
    return "\n\n".join(parts) + "\n"


def readable(row: dict) -> dict[str, str]:
    known = row["accuracy"] == row["accuracy"]
    return {
        "": row["data set"],
        "searches": f"{row['searches']}",
        "tau (95 % interval)": f"{row['tau']:+.2f} ({row['tau_low']:+.2f} to {row['tau_high']:+.2f}), "
        f"{row['scored']} policies",
        "tau, one seed": f"{row['tau_of_one_seed']:+.2f}",
        "accuracy of the choice, % (95 % interval)": interval(
            *(row[f"accuracy{end}"] for end in ("", "_low", "_high"))
        ),
        "regret to the best (confirmed)": f"{row['regret_best']:.2f} ({row['regret_confirmed']:.2f})" if known else "",
        "over the median random": f"{row['over_median_random']:+.2f}" if known else "",
        "over identical frames": f"{row['over_identical']:+.2f}" if known else "",
        "distinct choices": f"{row['distinct_choices']}",
        "choices in the record, retrained": f"{row['recorded_choices']}, {row['retrained_choices']}",
        "device seconds": f"{row['device_s']:.0f}",
        "not decided": f"{row['not_decided']}",
        "commits": row["commits"],
        "code fingerprints": row["fingerprints"],
        "machine": row["machine"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", nargs="?", default="darts_pt", help="a search of config/policy_benchmark.yaml")
    parser.add_argument("--study", type=Path, action="append", default=[], help="layered over it: where CIFAR-10 lies")
    parser.add_argument("--report", action="store_true", help="only write the page, of the searches that are there")
    args = parser.parse_args()
    study = load_study([*STUDY, *args.study])
    if not args.report:
        for dataset in study.study.datasets:
            measure(study, dataset, args.method)
    publish(RECORD / "again.md", page(study, args.method))
    for dataset in study.study.datasets:
        publish(folder(dataset) / "chosen.csv", choices(study, dataset).to_csv(index=False))
    found = [row for dataset in study.study.datasets if (row := measures(study, dataset, args.method))]
    if found:
        publish(RECORD / f"{args.method}_again.csv", pd.DataFrame(found).to_csv(index=False))


if __name__ == "__main__":
    main()
