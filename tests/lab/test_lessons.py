"""Every lesson goes through these: it is told, drawn and filmed, refuses nonsense, and holds."""

import math

import pytest

from frenemy.errors import FrenemyError
from frenemy.lab.cures import CURES
from frenemy.lab.lessons import LESSONS

from .small import SMALL, play, small

EVERY = pytest.mark.parametrize("name", LESSONS)
FILMED = {"figure1", "cycling", "collapse", "monte-carlo"}
LONG = {"cycling", "saturation", "monte-carlo", "divergences", "boltzmann"}  # to be played twice
REFUSED = [
    *((name, {"seed": -1}, "seed is -1: give 0 or more") for name in LESSONS),
    ("counterfeiters", {"rounds": 15}, "rounds is 15: give 16 or more"),
    ("algorithm1", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("algorithm1", {"k": 0}, "k is 0: give 1 or more"),
    ("algorithm1", {"minibatch": 1}, "minibatch is 1: give 2 or more"),
    ("nash", {"deviations": 0}, "deviations is 0: give 1 or more"),
    ("nash", {"games": 0}, "games is 0: give 1 or more"),
    ("units", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("units", {"seeds": 1}, "seeds is 1: give 2 or more"),
    ("boltzmann", {"walkers": 10}, "walkers is 10: give 100 or more"),
    ("boltzmann", {"steps": 10}, "steps is 10: give 100 or more"),
    ("boltzmann", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("table1", {"count": 1}, "count is 1: give 2 or more"),
    ("figure1", {"rounds": 19}, "rounds is 19: give 20 or more"),
    ("figure1", {"k": 0}, "k is 0: give 1 or more"),
    ("figure1", {"minibatch": 0}, "minibatch is 0: give 1 or more"),
    ("figure1", {"d_rate": -1.0}, "d_rate is -1.0: give 0 or more"),
    ("figure1", {"g_rate": -1.0}, "g_rate is -1.0: give 0 or more"),
    ("optimal-discriminator", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("optimal-discriminator", {"minibatch": 0}, "minibatch is 0: give 1 or more"),
    ("optimal-discriminator", {"rate": -1.0}, "rate is -1.0: give 0 or more"),
    ("global-optimum", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("global-optimum", {"stops": 0}, "stops is 0: give 1 or more"),
    ("global-optimum", {"samples": 1}, "samples is 1: give 2 or more"),
    ("game-tree", {"branching": 0}, "branching is 0: give 1 or more"),
    ("game-tree", {"depth": 0}, "depth is 0: give 1 or more"),
    ("game-tree", {"trees": 0}, "trees is 0: give 1 or more"),
    ("cycling", {"steps": 0}, "steps is 0: give 1 or more"),
    ("cycling", {"rate": -0.1}, "rate is -0.1: give 0.05 or more"),
    ("cycling", {"rate": 1.5}, "rate is 1.5: give 1 or less"),
    ("cycling", {"rate": math.nan}, "rate is nan: give 0.05 or more"),
    ("cycling", {"gamma": 0.0}, "gamma is 0.0: give 0.05 or more"),
    ("cycling", {"consensus": 0.0}, "consensus is 0.0: give 0.05 or more"),
    ("saturation", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("saturation", {"steps": 0}, "steps is 0: give 1 or more"),
    ("saturation", {"distance": 0.0}, "distance is 0.0: give 1 or more"),
    ("collapse", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("collapse", {"data": "line"}, "data is 'line': choose ring or grid"),
    ("collapse", {"games": ("ours",)}, f"games: name standard, ours and any of {', '.join(CURES)}"),
    ("k-steps", {"steps": 19}, "steps is 19: give 20 or more"),
    ("k-steps", {"fits": 0}, "fits is 0: give 1 or more"),
    ("k-steps", {"d_rate": -1.0}, "d_rate is -1.0: give 0 or more"),
    ("k-steps", {"g_rate": math.nan}, "g_rate is nan: give 0 or more"),
    ("likelihood", {"heads": 0}, "heads is 0: give 1 or more"),
    ("likelihood", {"heads": 10, "tosses": 10}, "heads is 10: give 9 or less"),
    ("likelihood", {"samples": 10}, "samples is 10: give 100 or more"),
    ("likelihood", {"axes": 0}, "axes is 0: give 1 or more"),
    ("monte-carlo", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("monte-carlo", {"points": 10}, "points is 10: give 64 or more"),
    ("monte-carlo", {"repetitions": 1}, "repetitions is 1: give 2 or more"),
    ("monte-carlo", {"steps": 10}, "steps is 10: give 1000 or more"),
    ("monte-carlo", {"rho": 1.0}, "rho is 1.0: give a correlation from 0 to less than 1"),
    ("autoencoder-is-not-a-gan", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("autoencoder-is-not-a-gan", {"width": 0}, "width is 0: give 1 or more"),
    ("autoencoder-is-not-a-gan", {"rate": -1.0}, "rate is -1.0: give 0 or more"),
    ("autoencoder-is-not-a-gan", {"gamma": -0.1}, "gamma is -0.1: give 0 or more"),
    ("divergences", {"rounds": 0}, "rounds is 0: give 1 or more"),
    ("divergences", {"sd": 0.0}, "sd is 0.0: give 0.001 or more"),
    ("divergences", {"distance": -1.0}, "distance is -1.0: give 0.001 or more"),
    ("divergences", {"bandwidth": math.nan}, "bandwidth is nan: give 0.001 or more"),
    *(
        (
            "divergences",
            {"weight": weight},
            f"weight is {weight}: give the heavier mode more than 0.5, less than 1",
        )
        for weight in (0.5, 1.0)
    ),
]


def test_no_lesson_is_left_out():
    assert set(SMALL) == set(LESSONS)


@EVERY
def test_it_is_told_with_formulas_and_checks(name):
    result = small(name).result
    paragraphs = result.told.split("\n\n")
    assert 2 <= len(paragraphs) <= 5
    assert all(paragraph.strip() for paragraph in paragraphs)
    assert "nan" not in result.told
    assert result.formulas
    assert all(formula.latex and formula.told and formula.source for formula in result.formulas)
    whats = [check.what for check in result.checks]
    assert whats and all(whats)
    assert len(set(whats)) == len(whats)


@EVERY
def test_its_pictures_are_drawn(name):
    figures = small(name).result.figures
    assert figures
    for figure in figures:
        assert figure.alt and figure.caption
        assert figure.html().startswith("<figure>\n<svg ")
        (pixels,) = figure.frames
        assert pixels.shape[0] == 3
        assert pixels.std() > 5  # of 255: it is not blank
    assert len({figure.alt for figure in figures}) == len(figures)


@EVERY
def test_its_film_moves_if_it_has_one(name):
    film = small(name).result.film
    assert (film is not None) == (name in FILMED)
    if film is not None:
        assert film.alt and film.caption
        assert len(film.frames) >= 2
        assert len({frame.shape for frame in film.frames}) == 1
        assert film.frames[0].shape[0] == 3
        assert (film.frames[0] != film.frames[-1]).any()


@EVERY
def test_the_global_generator_is_left_alone(name):
    assert small(name).left_alone


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in LESSONS]
)
def test_it_is_a_function_of_its_arguments(name):
    first, again = small(name).result, play(name).result
    assert again.checks == first.checks
    assert again.told == first.told or name == "monte-carlo"  # which tells how long it took


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    REFUSED,
    ids=[f"{name}-{message.partition(':')[0]}" for name, _, message in REFUSED],
)
def test_bad_arguments_are_refused_in_one_line(name, arguments, message):
    with pytest.raises(FrenemyError) as error:
        LESSONS[name](**arguments)
    assert str(error.value) == message
    assert message.startswith(next(iter(arguments))) and "\n" not in message


def failed(name, arguments):
    return [check.what for check in LESSONS[name](**arguments).checks if not check.holds]


@pytest.mark.slow
@EVERY
def test_every_check_holds_at_the_defaults(name):
    assert failed(name, {}) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, {"seed": seed}) for name in ("collapse", "monte-carlo") for seed in range(1, 5)),
        ("cycling", {"gamma": 1.5, "consensus": 1.3}),
    ],
    ids=str,
)
def test_every_check_holds_of_other_arguments_too(name, arguments):
    assert failed(name, arguments) == []
