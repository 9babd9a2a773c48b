"""Shares: intervals against statsmodels' formulas, and how often they hold."""

import numpy as np
import pytest
import torch
from scipy import stats

from frenemy.judge.shares import chance, corrected, wilson
from frenemy.judge.usual import Usual


@pytest.mark.parametrize(("count", "of"), [(0, 10), (3, 10), (10, 10), (37, 5000)])
def test_wilsons_interval_is_scipys(count, of):
    expected = stats.binomtest(count, of).proportion_ci(method="wilson")
    assert wilson(count, of) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(("share", "alarms"), [(0.05, 0.005), (0.3, 0.03), (0.9, 0.03)])
def test_corrected_shares_are_right_and_their_intervals_hold(share, alarms):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        called = rng.binomial(1000, share + (1 - share) * alarms)
        found.append(corrected(called, 1000, torch.from_numpy(rng.random(2000) < alarms)))
    values = np.array([estimate.value for estimate, *_ in found])
    errors = np.array([estimate.error for estimate, *_ in found])
    holds = np.mean([low <= share <= high for _, low, high in found])
    assert values.mean() == pytest.approx(share, abs=4 * values.std() / 20)
    assert errors.mean() / values.std() == pytest.approx(1, abs=0.15)  # 400 deviates: 4 %
    assert 0.92 < holds < 0.98  # of 400: a deviation of 1.1 %


def test_nothing_called_is_no_share_with_an_interval():
    estimate, low, high = corrected(0, 100, torch.zeros(1000, dtype=torch.bool))
    assert estimate.value == low == 0 < estimate.error < high < 0.05


def test_exceedances_of_order_statistics_are_as_likely_as_is_said():
    rng = np.random.default_rng(0)
    counts = np.array([(rng.random(100) > np.sort(rng.random(50))[-3]).sum() for _ in range(4000)])
    for count in (3, 8, 15):
        expected = chance(count, 100, 3, 48)  # two exceed it
        assert (counts >= count).mean() == pytest.approx(expected, abs=4 * 0.5 / 63)


@pytest.mark.parametrize("d", [4, 20])
def test_scores_by_the_law_give_its_dimension_and_are_not_called(d):
    rng = np.random.default_rng(0)

    def scores(count):  # the largest of two exponentials of rate d, as for d_3 / d_1
        return torch.from_numpy(rng.exponential(1 / d, (count, 2)).max(1)).float()

    usual = Usual(scores(5000))
    assert usual.dimension == pytest.approx(d, rel=0.05)
    assert sum(usual.excess(scores(1000)).certain for _ in range(100)) <= 1
    mixed = [torch.cat([scores(475), scores(25) + 3]) for _ in range(100)]
    assert all(usual.excess(x).certain for x in mixed)
