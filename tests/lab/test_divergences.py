"""The lesson of divergences: who covers, who keeps to one mode, and bad arguments."""

import math

import pytest

from frenemy.errors import FrenemyError
from frenemy.lab.divergences import divergences


@pytest.fixture(scope="module")
def result():
    return divergences(rounds=2)


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


def test_its_pictures_are_drawn(result):
    for drawing in result.drawings:
        assert drawing.pixels(dpi=40).shape[0] == 3
        assert drawing.svg().startswith("<svg ")


@pytest.mark.slow
def test_the_lesson_holds_at_its_defaults():
    assert divergences().holds


@pytest.mark.parametrize(
    "bad",
    [
        {"rounds": 0},
        {"seed": -1},
        {"sd": 0.0},
        {"distance": -1.0},
        {"bandwidth": math.nan},
        {"weight": 0.5},
        {"weight": 1.0},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_in_one_line(bad):
    with pytest.raises(FrenemyError, match=next(iter(bad))) as error:
        divergences(**bad)
    assert "\n" not in str(error.value)
