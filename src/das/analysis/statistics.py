"""Means, intervals and paired differences over seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05  # of a p corrected for the number of comparisons, below which a difference is called one


@dataclass(frozen=True)
class Estimate:
    """A mean over ``count`` seeds and the half-width of its 95 % interval (NaN for fewer than two seeds)."""

    mean: float
    half_width: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0 (False where there is no interval)."""
        return abs(self.mean) > self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of ``values`` by Student's t with n - 1 degrees of freedom."""
    values = np.asarray(values, dtype=float)
    count = len(values)
    if count == 0:
        return Estimate(float("nan"), float("nan"), 0)
    if count == 1:
        return Estimate(float(values[0]), float("nan"), 1)
    error = values.std(ddof=1) / np.sqrt(count)
    return Estimate(float(values.mean()), float(stats.t.ppf(0.975, count - 1) * error), count)


def noise_floor(groups: Iterable[Sequence[float]], count: int) -> float:
    """What a mean difference over ``count`` pairs stays below, in 95 of 100 cases, where there is none: where both runs
    of a pair are of one method and differ in seed alone.

    Args:
        groups: scores of the method's runs, one sequence for all that saw the same images; variances are pooled.

    NaN where no group has two runs.
    """
    parts = [np.asarray(group, dtype=float) for group in groups]
    freedom = sum(len(part) - 1 for part in parts if len(part))
    if freedom < 1 or count < 1:
        return float("nan")
    variance = sum(float(((part - part.mean()) ** 2).sum()) for part in parts if len(part)) / freedom
    return float(stats.t.ppf(0.975, freedom) * np.sqrt(2 * variance / count))


def paired_p_value(ours: dict[int, float], theirs: dict[int, float]) -> float:
    """Two-sided p value of the paired t test over the seeds that both have; 1 where nothing differs. NaN where they are
    too few to tell a spread: fewer than two, or differences that are all the same (two equal accuracies in
    thousands of images are no rarity, and a t test would call them certain)."""
    seeds = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    if len(differences) >= 2 and not differences.any():
        return 1.0
    if len(differences) < 2 or np.allclose(differences, differences[0], rtol=1e-9, atol=0):
        return float("nan")
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for the number of comparisons (Holm 1979); NaN stays NaN and counts as none."""
    p_values = np.asarray(p_values, dtype=float)
    corrected = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[p_values[tested].argsort(kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def paired_difference(ours: dict[int, float], theirs: dict[int, float]) -> Estimate:
    """Mean and interval of ours - theirs over the seeds that both have; keys are seeds."""
    return estimate([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])
