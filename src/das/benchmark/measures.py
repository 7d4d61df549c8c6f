"""Measures of searches against the bank, with intervals over distinct policies: one training counts once."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from scipy.stats import kendalltau

RESAMPLES = 2000


def tau(scores: np.ndarray, accuracies: np.ndarray) -> float:
    """Kendall's tau-b; NaN where either is constant."""
    return float(kendalltau(scores, accuracies).statistic) if np.ptp(scores) and np.ptp(accuracies) else float("nan")


def rank_correlation(scores: np.ndarray, accuracies: np.ndarray, digests: Sequence[str]) -> tuple[float, float, float]:
    """Kendall's tau-b over the distinct policies (``digests``; of several names for one, the first counts) and its 95 %
    interval by bootstrap over them. NaN where either is constant; such resamples are left out."""
    first = np.unique(np.asarray(digests), return_index=True)[1]
    scores, accuracies = np.asarray(scores)[first], np.asarray(accuracies)[first]
    low, high = bootstrap(len(first), lambda chosen: tau(scores[chosen], accuracies[chosen]))
    return tau(scores, accuracies), low, high


def clustered_mean(values: Sequence[float], digests: Sequence[str]) -> tuple[float, float, float]:
    """The mean of what seeds chose and its 95 % interval by bootstrap over the distinct policies among them: seeds that
    chose the same one share its training, and its noise. No interval (NaN) for fewer than three distinct policies."""
    values = np.asarray(values, dtype=float)
    _, cluster = np.unique(np.asarray(digests), return_inverse=True)
    sums, sizes = np.bincount(cluster, values), np.bincount(cluster)
    if len(sums) < 3:
        return float(values.mean()), float("nan"), float("nan")
    low, high = bootstrap(len(sums), lambda chosen: sums[chosen].sum() / sizes[chosen].sum())
    return float(values.mean()), low, high


def bootstrap(count: int, statistic: Callable[[np.ndarray], float], seed: int = 0) -> tuple[float, float]:
    """The 2.5 and 97.5 % quantiles of ``statistic`` over resamples of ``count`` places; NaN where none is finite."""
    draws = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    samples = np.array([statistic(chosen) for chosen in draws])
    if not np.isfinite(samples).any():
        return float("nan"), float("nan")
    low, high = np.nanquantile(samples, [0.025, 0.975])
    return float(low), float(high)


def confirmed_best(accuracies: np.ndarray) -> float:
    """Of accuracies (policies, seeds): each seed's best policy, by its mean over the other seeds; mean over seeds."""
    count = accuracies.shape[1]
    others = (accuracies.sum(axis=1, keepdims=True) - accuracies) / (count - 1)
    return float(np.mean([others[accuracies[:, seed].argmax(), seed] for seed in range(count)]))


def agreement(digests: Sequence[str]) -> float:
    """The share of pairs of searches, over seeds, that chose the same policy."""
    pairs = list(combinations(digests, 2))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else float("nan")
