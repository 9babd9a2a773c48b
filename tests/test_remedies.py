"""What is advised is an option that the recipe has, and another value than is played."""

import re
from dataclasses import asdict
from typing import get_args

import pytest

from frenemy import recipes
from frenemy.choosing import Open
from frenemy.experiment import arguments_of, vary
from frenemy.remedies import FailureMode, remedy

FAILURES = pytest.mark.parametrize("failure", get_args(FailureMode))


def options(advice):
    """The options in it, by name, and what they are to be; true or false where nothing follows."""
    found = re.findall(r"--(no-)?([a-z-]+)(?: (?!or )([^ ]+))?", advice)
    return {name: value or not no for no, name, value in found}


LEARNING = [n for n, recipe in recipes.RECIPES.items() if hasattr(arguments_of(recipe), "rate")]
"""Recipes of models that are not fitted at once, and so cannot fail on the way."""


@FAILURES
@pytest.mark.parametrize("at_chance", [False, True])
@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("changed", [False, True])
def test_only_what_the_recipe_takes_and_does_not_play(failure, at_chance, name, changed):
    recipe = recipes.RECIPES[name]
    if changed and hasattr(arguments_of(recipe), "objective"):
        recipe = vary(recipe, objective="minimax")
    if isinstance(arguments_of(recipe), Open):
        recipe = vary(recipe, rate=1e-3)  # as in every run, where nothing is open any more
    played = asdict(arguments_of(recipe))
    found = options(remedy(failure, played, at_chance=at_chance))
    assert found
    for option, value in found.items():
        assert option in played
        kind = type(played[option])
        vary(recipe, **{option: kind(value)})  # its value is one that it takes
        assert kind(value) != played[option]


@FAILURES
@pytest.mark.parametrize(
    "arguments", [{}, {"width": 3, "rate": "fast", "k": True, "gamma": None, "objective": "mine"}]
)
def test_of_what_it_does_not_know_nothing_is_invented(failure, arguments):
    assert options(remedy(failure, arguments)) == {"size": True}


@pytest.mark.parametrize(
    ("failure", "arguments", "advised"),
    [
        ("diminished gradient", {"objective": "minimax"}, "--objective nonsaturating"),
        ("diminished gradient", {"objective": "nonsaturating", "k": 4}, "--k 2"),
        ("mode collapse", {"k": 1}, "--k 2"),
        ("mode collapse", {"gamma": 0.3}, "--gamma 3"),
        ("mode collapse", {"gamma": 0.0}, "--gamma 1"),
        ("non-convergence", {"rate": 0.1}, "--rate 0.05"),
        ("non-convergence", {"averaging": 0.99}, "--averaging 0.999"),
        ("mode collapse", {"simultaneous": False, "k": 1}, "--simultaneous or --k 2"),
        ("mode collapse", {"simultaneous": False, "k": 2}, "--k 4"),
        ("D does not learn", {"rate": 0.001}, "--rate 0.0001"),
        ("G makes no headway", {"gamma": 1}, "--gamma 10"),
    ],
)
def test_the_remedy_fits_what_is_played(failure, arguments, advised):
    assert remedy(failure, arguments) == advised


def test_a_discriminator_that_tells_nothing_apart_is_not_held_back_more():
    arguments = {"gamma": 1.0, "rate": 1e-3}
    assert remedy("mode collapse", arguments, at_chance=True) == "--rate 0.0001 or --gamma 0.1"
