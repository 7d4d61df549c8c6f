from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from das import data
from das.benchmark import bank as benchmark
from das.benchmark import measures
from das.benchmark.bank import bank, divided, pruned
from das.benchmark.measures import agreement, clustered_mean, confirmed_best, rank_correlation
from das.cli import benchmark as commands
from das.study import load_study
from das.video.family import Family
from das.video.policy import Policy
from das.video.transform import ImageToVideo

ROOT = Path(__file__).parents[2]


def test_pruned_policies_show_the_same_video():
    family = Family(nodes=4, frames=3, schedule="signed", magnitudes="grid")
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    lengths = set()
    for seed in range(20):
        policy = family.random(seed)
        short = pruned(policy)
        lengths.add(len(short.nodes))
        torch.testing.assert_close(ImageToVideo(short)(images), ImageToVideo(policy)(images))
    assert min(lengths) < 4
    assert 4 in lengths


def test_pruning_forgets_what_does_not_reach_the_video():
    family = Family(nodes=2, frames=3, magnitudes="grid")
    first, second = family.policy({0: 1, 1: 2, 2: 5, 3: 6}), family.policy({0: 8, 1: 9, 2: 5, 3: 6})
    assert first != second
    assert pruned(first) == pruned(second)


def definitional_tau(a, b):
    """Kendall's tau-b by its definition, pair by pair."""
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    both = sum(x * y for x, y in signs)
    return both / np.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))


def test_rank_correlation_by_its_definition():
    draws = np.random.default_rng(0)
    a, b = draws.integers(0, 8, 20).astype(float), draws.integers(0, 8, 20).astype(float)
    tau, low, high = rank_correlation(a, b, range(20))
    assert tau == pytest.approx(definitional_tau(a, b))
    assert low < tau < high


def test_the_interval_covers_the_true_correlation(monkeypatch):
    """tau of a bivariate normal is 2 / pi * arcsin(rho); a 95 % interval misses it in few of 60 samples."""
    monkeypatch.setattr(measures, "RESAMPLES", 200)
    draws, rho, hits = np.random.default_rng(1), 0.6, 0
    for _ in range(60):
        a, noise = draws.standard_normal((2, 40))
        _, low, high = rank_correlation(a, rho * a + np.sqrt(1 - rho**2) * noise, range(40))
        hits += low <= 2 / np.pi * np.arcsin(rho) <= high
    assert hits >= 51  # P(fewer | 95 %) is below 1e-4


def test_rank_correlation_with_a_constant_says_nothing():
    assert np.isnan(rank_correlation(np.zeros(5), np.arange(5.0), "abcde")).all()


def test_one_policy_under_many_names_counts_once():
    """Ten seeds that chose two policies are two observations, and a bank with a policy twice has it once."""
    draws = np.random.default_rng(0)
    a, b = draws.standard_normal((2, 12))
    once = rank_correlation(a, b, range(12))
    assert rank_correlation(np.r_[a, a[:3]], np.r_[b, b[:3]], [*range(12), 0, 1, 2]) == once
    values = [70.0] * 6 + [72.0] * 3 + [75.0]
    mean, low, high = clustered_mean(values, ["x"] * 6 + ["y"] * 3 + ["z"])
    assert mean == np.mean(values)
    assert low == 70.0  # three draws of x
    assert high > 74  # three of z
    assert np.isnan(clustered_mean(values, ["x"] * 6 + ["y"] * 4)[1:]).all()


def test_the_clustered_interval_covers_the_mean():
    """Clusters of four seeds that share one value: an interval over seeds would miss far more often than 5 %."""
    draws, hits = np.random.default_rng(2), 0
    for _ in range(60):
        values = np.repeat(draws.standard_normal(15), 4)
        _, low, high = clustered_mean(values, np.repeat(np.arange(15), 4))
        hits += low <= 0 <= high
    assert hits >= 50


def test_agreement_counts_equal_pairs():
    assert agreement(["one", "one", "one", "other"]) == 0.5
    assert agreement(["one", "one"]) == 1


def test_the_confirmed_best_is_not_its_own_judge():
    lucky = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.7]])
    assert confirmed_best(lucky) == pytest.approx((0.1 + 0.2) / 2)
    assert confirmed_best(np.array([[0.9, 0.8, 0.7], [0.1, 0.1, 0.1]])) == pytest.approx((0.75 + 0.8 + 0.85) / 3)


def test_the_committed_study_measures_at_least_sixty_policies():
    study = load_study([ROOT / "params.yaml", ROOT / "config/policy_benchmark.yaml"])
    policies = bank(study)
    chosen = len(study.study.methods) * len(study.study.seeds)
    assert len({pruned(policy).digest() for policy in policies.values()}) == len(policies)
    assert len(policies) + chosen >= 60
    for dataset in study.study.datasets:
        assert study.datasets[dataset].options["train_per_class"] <= 600


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A benchmark of seconds: two searches with two seeds, a few policies, 40 images."""
    study = yaml.safe_load((ROOT / "config/policy_benchmark.yaml").read_text())
    dataset = study["datasets"]["fashion_mnist_small"]
    dataset |= {
        "root": str(ROOT / "data/embedded/fashion_mnist"),
        "options": {"train_per_class": 4},
    }
    study["study"] |= {"datasets": ["fashion_mnist_small"], "methods": ["gumbel_single", "tournament"], "seeds": [0, 1]}
    study["study"]["reference"] = "gumbel_single"
    study["policy_benchmark"]["random"] = 2
    study["recipes"]["bank"] |= {"epochs": 1, "batch_size": 20}
    study["cells"]["grid"]["nodes"] = 2
    for search in study["searches"].values():
        search |= {"epochs": 1, "batch_size": 5}
    study["searches"]["tournament"]["entrants"] = 2
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.chdir(tmp_path)
    return [ROOT / "params.yaml", tmp_path / "study.yaml"]


PLACE = ("fashion_mnist_small", "resnet8w8")


def test_the_whole_benchmark_in_small(tiny, monkeypatch):
    for method in ("gumbel_single", "tournament"):
        for seed in (0, 1):
            commands.score(*PLACE, method, seed, tiny)
    commands.retrain(*PLACE, tiny)
    folder = Path("results/policy_benchmark/policy_benchmark", *PLACE)
    policies = (folder / "policies.csv").read_bytes()
    table = pd.read_csv(folder / "policies.csv")
    assert len(table) == 2 + 32 + 2 + 4
    assert table.seed0.between(0, 1).all()

    monkeypatch.setattr(benchmark, "train", lambda *_: pytest.fail("trained what was there"))
    commands.retrain(*PLACE, tiny)
    assert (folder / "policies.csv").read_bytes() == policies

    commands.benchmark_report(tiny)
    searches = pd.read_csv(folder / "searches.csv").set_index("search")
    assert searches.loc["gumbel_single", "scored"] == 17  # a single edge: identity and the signed operations
    assert searches.loc["tournament", "scored"] == 19  # and the random policies
    own = pd.read_csv(folder / "bank.csv").set_index("measure").value
    accuracy = 100 * table.set_index("policy")[["seed0", "seed1"]].mean(axis=1)
    chosen = accuracy[["tournament, seed 0", "tournament, seed 1"]].mean()
    assert searches.loc["tournament", "regret_best"] == pytest.approx(accuracy[:-4].max() - chosen)
    assert float(own["identical"]) == pytest.approx(accuracy["identical"])
    assert "Fashion-MNIST" in (folder.parents[1] / "report.md").read_text()


def test_other_settings_are_trained_anew(tiny, monkeypatch):
    study = load_study(tiny)
    trained = []
    train = benchmark.train
    monkeypatch.setattr(benchmark, "bank", lambda _: {"identical": Policy.replicate(3)})
    monkeypatch.setattr(benchmark, "train", lambda run, *rest: (trained.append(run), train(run, *rest)))
    images = data.of_study(study, PLACE[0])
    benchmark.retrain(study, *PLACE, images, {})
    benchmark.retrain(study, *PLACE, images, {})
    assert len(trained) == 2
    recipe = study.recipes["bank"].model_copy(update={"lr": 0.01})
    benchmark.retrain(study.model_copy(update={"recipes": {"bank": recipe}}), *PLACE, images, {})
    assert len(trained) == 4


def test_the_bank_is_scored_on_training_images_that_no_search_sees(tiny):
    study = load_study(tiny)
    images = data.of_study(study, PLACE[0])
    part = divided(images, study.policy_benchmark)
    assert len(part.train) + len(part.test) == len(images.train) == 40
    pixels = {image.numpy().tobytes() for image in images.train.images}
    seen, held = ({image.numpy().tobytes() for image in one.images} for one in (part.train, part.test))
    assert seen | held == pixels
    assert not seen & held
