"""The lesson of the global optimum: the exact part, the sampled part, and bad arguments."""

import math

import pytest

from frenemy.errors import FrenemyError
from frenemy.lab.global_optimum import global_optimum


@pytest.fixture(scope="module")
def result():
    return global_optimum(rounds=2, stops=2, samples=20_000)


def test_everything_but_the_trained_d_holds(result):
    free = [c for c in result.checks if "by D" not in c.what and "|D − D*|" not in c.what]
    assert len(free) == 15
    assert all(c.holds for c in free), [c.what for c in free if not c.holds]


def test_an_untrained_d_does_not_measure_jsd(result):
    assert not any(c.holds for c in result.checks if "by D" in c.what)


def test_the_optimum_is_minus_log_4(result):
    at_data = next(c for c in result.checks if c.what == "p_g = p_data: C(G) by quadrature")
    assert at_data.measured == pytest.approx(-math.log(4), abs=1e-12)


def test_its_pictures_are_drawn(result):
    for drawing in result.drawings:
        assert drawing.pixels(dpi=40).shape[0] == 3
        assert drawing.svg().startswith("<svg ")


@pytest.mark.slow
def test_the_lesson_holds_at_its_defaults():
    assert global_optimum().holds


@pytest.mark.parametrize(
    "bad", [{"rounds": 0}, {"stops": 0}, {"samples": 1}, {"seed": -1}], ids=str
)
def test_bad_arguments_are_refused_in_one_line(bad):
    with pytest.raises(FrenemyError, match=next(iter(bad))) as error:
        global_optimum(**bad)
    assert "\n" not in str(error.value)
