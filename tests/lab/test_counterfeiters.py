"""Police and counterfeiters: the game, and what the lesson tells of it."""

import math

import pytest
from scipy.stats import multivariate_normal

from frenemy.lab.counterfeiters import CRUDE, GENUINE, counterfeiters, play

from .small import small


@pytest.fixture(scope="module")
def days():
    return play(16, 8, seed=0)


def test_counterfeiters_wait_while_the_police_learn(days):
    assert len(days) == 17
    assert all(day.mean.tolist() == pytest.approx(CRUDE[0]) for day in days[:9])
    assert days[16].mean.tolist() != pytest.approx(CRUDE[0])
    assert days[8].right.value > 0.9 > days[0].right.value
    assert len({day.best for day in days[:9]}) == 1


def test_the_best_police_is_the_likelihood_ratio(days):
    """By a million notes, whose likelihood ratio is scipy's."""
    real = multivariate_normal(GENUINE.mean.numpy(), GENUINE.covariance_matrix.numpy())
    fake = multivariate_normal(CRUDE[0], CRUDE[1] ** 2)
    x, y = (p.rvs(500_000, random_state=i) for i, p in enumerate((real, fake)))
    right = ((real.pdf(x) > fake.pdf(x)).mean() + (real.pdf(y) <= fake.pdf(y)).mean()) / 2
    assert days[0].best == pytest.approx(right, abs=4 * math.sqrt(right * (1 - right) / 1e6))


def test_alike_notes_leave_the_police_a_coin():
    result = counterfeiters(rounds=80)
    assert [check.what for check in result.checks if not check.holds] == []


def test_a_game_that_was_hardly_played_does_not_pass():
    failed = [check.what for check in small("counterfeiters").result.checks if not check.holds]
    assert "end: the best police are right" in failed
