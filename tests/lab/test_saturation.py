"""The lesson of saturation: what holds without training, pictures, and bad arguments."""

import pytest

from frenemy.errors import FrenemyError
from frenemy.lab.saturation import saturation


@pytest.fixture(scope="module")
def result():
    return saturation(steps=16, rounds=10)


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


def test_its_pictures_are_drawn(result):
    for drawing in result.drawings:
        assert drawing.pixels(dpi=40).shape[0] == 3
        assert drawing.svg().startswith("<svg ")


@pytest.mark.slow
def test_the_lesson_holds_at_its_defaults():
    assert saturation().holds


@pytest.mark.parametrize(
    "bad", [{"rounds": 0}, {"steps": 0}, {"seed": -1}, {"distance": 0.0}], ids=str
)
def test_bad_arguments_are_refused_in_one_line(bad):
    with pytest.raises(FrenemyError, match=next(iter(bad))) as error:
        saturation(**bad)
    assert "\n" not in str(error.value)
