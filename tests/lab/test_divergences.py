"""The lesson of divergences: who covers, and who keeps to one mode."""

import pytest

from frenemy.lab.divergences import divergences

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("divergences").result


def check(result, what):
    return next(c for c in result.checks if c.what.startswith(what))


def test_everything_that_is_exact_holds_without_training(result):
    exact = [c for c in result.checks if c.tolerance <= 0.03 and "bound / exact" not in c.what]
    assert len(exact) >= 12
    assert all(c.holds for c in exact), [c.what for c in exact if not c.holds]


def test_an_untrained_d_fails_its_checks(result):
    assert not any(c.holds for c in result.checks if "bound / exact" in c.what)


def test_kl_covers_and_reverse_kl_does_not(result):
    assert check(result, "KL: s²").measured > 4 * 0.36
    assert check(result, "reverse KL: s").measured == pytest.approx(0.6, abs=0.03)


def test_near_modes_are_covered_by_jsd():
    assert "p_g keeps to one mode" in divergences(rounds=1).told
    told = divergences(distance=3.0, weight=0.6, rounds=1).told
    assert "if the other is met well: p_g covers both modes" in told
