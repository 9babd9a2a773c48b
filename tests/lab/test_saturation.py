"""The lesson of saturation: what holds without training, and what does not."""

import pytest

from frenemy.lab.saturation import saturation

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("saturation").result


def test_what_needs_no_training_holds(result):
    free = [c for c in result.checks if "way" not in c.what and "|D − D*|" not in c.what]
    assert len(free) == 10
    assert all(c.holds for c in free), [c.what for c in free if not c.holds]


def test_ten_rounds_do_not_bring_g_to_the_data(result):
    shares = {c.what: c for c in result.checks if "way" in c.what}
    assert shares["log(1 − D): G's share of the way"].holds
    assert not shares["−log D: G's share of the way"].holds


def test_a_far_g_leaves_nothing_to_divide_by():
    assert "inf times" in saturation(distance=300.0, steps=64, rounds=1).told
