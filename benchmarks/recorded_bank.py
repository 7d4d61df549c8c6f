"""Measure one search anew against the bank of policies that docs/policy_benchmark records.

    uv run python benchmarks/recorded_bank.py darts_pt --study WHERE_CIFAR10_LIES.yaml

That bank was retrained on all 2,000 training images and scored on the test images (commit 2d9a56d1418d); so are the
searches here: on all training images, their choices' accuracies on the test images. A choice that the record lists has
the accuracy recorded there; the others are retrained with the record's two seeds, where a training of the record comes
out here as it is recorded, else they have none.

Writes results/recorded_bank/DATASET/METHOD/seedN.json as it goes (finished ones are kept), and of each data set
docs/policy_benchmark/DATASET_BACKBONE/METHOD.csv.
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
    searched = BilevelSearch(run, data.of_study(study, dataset))
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


def remeasured(study: Study, dataset: str, method: str) -> dict:
    """Measures of ``method`` (see `das.benchmark.report.summary`) over the study's seeds, and what they stand on."""
    recorded = pd.read_csv(RECORD / f"{dataset}_{BACKBONE}" / "policies.csv").set_index("policy")
    columns = [f"seed{seed}" for seed in study.policy_benchmark.training_seeds]
    known = {row.digest: [getattr(row, column) for column in columns] for row in recorded.itertuples()}
    rows, comparable = [], same_conditions(study, dataset, recorded)
    for seed in study.study.seeds:
        path = WORK / dataset / method / f"seed{seed}.json"
        if not path.exists():
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
        rows.append(read_json(path))

    names = list(bank(study))
    bank_accuracy = 100 * recorded.loc[names, columns].mean(axis=1)
    scored = [name for name in names if rows[0]["scores"][name] is not None]
    scores = np.array([[row["scores"][name] for name in scored] for row in rows])
    order, low, high = rank_correlation(scores.mean(axis=0), bank_accuracy[scored], recorded.digest[scored])
    digests = [row["digest"] for row in rows]
    chosen = [100 * float(np.mean(row["accuracies"] or np.nan)) for row in rows]
    mean, mean_low, mean_high = clustered_mean(chosen, digests)
    randoms = bank_accuracy[[name for name in names if name.startswith("random")]]
    return {
        "search": method,
        "title": study.methods[method].title,
        "scored": len(scored),
        "tau": order,
        "tau_low": low,
        "tau_high": high,
        "tau_of_one_seed": float(np.nanmean([tau(row, bank_accuracy[scored]) for row in scores])),
        "accuracy": mean,
        "accuracy_low": mean_low,
        "accuracy_high": mean_high,
        "accuracy_worst_seed": min(chosen),
        "regret_best": bank_accuracy.max() - mean,
        "regret_confirmed": 100 * confirmed_best(recorded.loc[names, columns].to_numpy()) - mean,
        "over_median_random": mean - randoms.median(),
        "over_identical": mean - bank_accuracy["identical"],
        "distinct_choices": len(set(digests)),
        "agreement": agreement(digests),
        "device_s": float(np.mean([seconds(row) for row in rows])),
        "searches": len(rows),
        "not_decided": sum(row["verdict"] != "decided" for row in rows),
        "recorded_choices": sum(row["recorded"] for row in rows),
        "retrained_choices": sum(not row["recorded"] and row["accuracies"] is not None for row in rows),
        "commits": " ".join(sorted({str(row["run"]["git_commit"])[:12] for row in rows})),
        "fingerprints": " ".join(sorted({row["fingerprint"] for row in rows})),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", help="a search of config/policy_benchmark.yaml")
    parser.add_argument("--study", type=Path, action="append", default=[], help="layered over it: where CIFAR-10 lies")
    args = parser.parse_args()
    study = load_study([*STUDY, *args.study])
    for dataset in study.study.datasets:
        folder = RECORD / f"{dataset}_{BACKBONE}"
        table = pd.DataFrame([remeasured(study, dataset, args.method)])
        publish(folder / f"{args.method}.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
