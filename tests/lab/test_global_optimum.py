"""The lesson of the global optimum: the exact part and the sampled part."""

import math

import pytest

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("global-optimum").result


def test_everything_but_the_trained_d_holds(result):
    free = [c for c in result.checks if "by D" not in c.what and "|D −" not in c.what]
    assert len(free) == 14
    assert all(c.holds for c in free), [c.what for c in free if not c.holds]


def test_an_untrained_d_does_not_measure_jsd(result):
    assert not any(c.holds for c in result.checks if "by D" in c.what or "|D −" in c.what)


def test_the_optimum_is_minus_log_4(result):
    at_data = next(c for c in result.checks if c.what == "p_g = p_data: C(G) by quadrature")
    assert at_data.measured == pytest.approx(-math.log(4), abs=1e-12)
