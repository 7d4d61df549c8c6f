import math

import pytest

from das.analysis.statistics import estimate, paired_difference


def test_interval_of_a_hand_worked_case():
    # 1, 2, 6: mean 3, sample variance (4 + 1 + 9) / 2 = 7; the 97.5 % point of t with 2 degrees of freedom is 4.302653
    result = estimate([1, 2, 6])
    assert result.mean == 3
    assert result.half_width == pytest.approx(4.302653 * math.sqrt(7 / 3), rel=1e-6)
    assert not result.excludes_zero


def test_one_seed_has_no_interval_and_none_has_no_mean():
    assert estimate([5]).mean == 5
    assert math.isnan(estimate([5]).half_width)
    assert not estimate([5]).excludes_zero
    assert math.isnan(estimate([]).mean)


def test_differences_are_taken_seed_by_seed():
    ours, theirs = {0: 10.0, 1: 20.0, 5: 31.0}, {1: 18.0, 0: 9.0, 7: 100.0}
    result = paired_difference(ours, theirs)  # seeds 0 and 1 only: 1 and 2
    assert (result.mean, result.count) == (1.5, 2)
    assert result.half_width == pytest.approx(12.7062 * 0.5, rel=1e-5)  # t with 1 degree of freedom, s / sqrt(2) = 0.5
