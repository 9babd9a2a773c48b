"""What runs that differ by their seed alone come to."""

import math

import numpy as np
import pytest
from scipy import stats

from frenemy.judge.estimate import Estimate
from frenemy.judge.seeds import CERTAIN, OverSeeds

CHANCE = 2 * stats.norm.sf(CERTAIN)


def over(values, error=1e-9, **more):
    return OverSeeds.of([Estimate(float(value), error) for value in values], **more)


def test_the_error_is_the_standard_error_of_the_mean():
    found = over([5.1, 4.7, 5.6, 5.0]).shown
    assert found.value == pytest.approx(np.mean([5.1, 4.7, 5.6, 5.0]))
    assert found.error == pytest.approx(stats.sem([5.1, 4.7, 5.6, 5.0], ddof=1))


def test_of_one_seed_the_judges_error_stands():
    one = Estimate(5.0, 0.3)
    assert OverSeeds.of([one]).shown == one


@pytest.mark.parametrize("values", [[1.0, math.nan], [1.0, -math.inf]])
def test_a_value_that_is_none_is_not_left_out_in_silence(values):
    found = over(values)
    assert not math.isfinite(found.shown.value) and math.isnan(found.shown.error)
    assert not found.differs(over([1.0, 2.0]), same_images=True)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (2, 5), (4, 3)])
def test_groups_differ_as_welchs_test_says(n, m):
    random = np.random.default_rng(0)
    said = []
    for gap in np.linspace(0, 20, 60):
        a, b = random.normal(0, 1, n), random.normal(gap, 2, m)
        differs = over(a).differs(over(b), same_images=False)
        assert differs == (stats.ttest_ind(a, b, equal_var=False).pvalue < CHANCE)
        said.append(differs)
    assert not said[0]


def test_a_single_run_differs_from_a_group_as_one_more_seed_of_it_hardly_would():
    group, n = [1.0, 1.2, 1.1, 1.3], 4
    reach = stats.t.isf(CHANCE / 2, n - 1) * np.std(group, ddof=1) * math.sqrt(1 + 1 / n)
    for times, differs in ((0.99, False), (1.01, True)):
        one = over([np.mean(group) + times * reach])
        assert one.differs(over(group), same_images=False) is differs
        assert over(group).differs(one, same_images=False) is differs


def test_equal_settings_are_told_apart_by_chance_alone():
    random, count = np.random.default_rng(1), 2000
    hits = 0
    for _ in range(count):
        a, b = random.normal(size=(2, 3))
        hits += over(a).differs(over(b), same_images=False)
    # a Welch test of three and three is conservative; 3 sigma of a binomial above
    assert hits <= count * CHANCE + 3 * math.sqrt(count * CHANCE)


def test_seeds_that_agree_by_chance_are_no_more_certain_than_the_judge():
    a, b = over([0.0, 0.0, 0.0], error=0.1), over([0.05, 0.05, 0.05], error=0.1)
    assert a.shown.error == 0
    assert not a.differs(b, same_images=False)
    assert a.differs(over([5.0, 5.0, 5.0], error=0.1), same_images=False)


def test_what_real_images_make_of_both_means_counts_only_where_they_are_others():
    random = np.random.default_rng(2)
    drawn = random.normal(0, 1, 100)
    shared = tuple(drawn / np.sqrt(np.mean(drawn**2)))  # an error of 1, the same for all

    def group(values):
        found = [Estimate(value, math.hypot(1.0, 1e-3), "", shared) for value in values]
        return OverSeeds.of(found, same_images=True)

    a, b = group([5.0, 5.01, 4.99, 5.0]), group([5.3, 5.31, 5.29, 5.3])
    assert a.differs(b, same_images=True)
    assert not a.differs(b, same_images=False)
