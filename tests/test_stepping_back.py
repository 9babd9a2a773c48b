"""A game that blows up goes on from its last checkpoint with half the rate, once."""

import dataclasses
import math

import numpy as np
import pytest

from frenemy import begin, recipes
from frenemy.choosing import Choice
from frenemy.data import Dataset, Source
from frenemy.model import Model
from frenemy.objectives import minimax_d
from frenemy.training import NotFinite


@dataclasses.dataclass(frozen=True)
class Shaky(recipes.Pictures):
    """Rates above `most` blow up in round 4."""

    width: int = 4
    minibatch: int = 4
    rate: float = 1e-3
    most: float = 1.0

    def choose(self, facts, budget):
        return Choice(self, 6, [])


def shaky(facts, arguments=Shaky()):
    (stage,) = recipes.pictures(facts, arguments)

    def d(r):
        return minimax_d(r) * (math.inf if r.step == 3 and arguments.rate > arguments.most else 1)

    of_D, of_G = stage.game.turns
    stage.game.turns = (dataclasses.replace(of_D, moves={"D": {d: 1.0}}), of_G)
    return [stage]


@pytest.fixture
def data():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), np.uint8)
    source = Source(pixels)
    return Dataset(source, source, source, "random images")


def test_it_goes_on_with_half_the_rate_and_says_so(data, tmp_path, monkeypatch):
    calm_enough = recipes.vary(shaky, most=0.7e-3)

    def edit(_):  # the recipe's file, which `describe` would read
        for place in ("frenemy.origin.describe", "frenemy.begin.describe"):
            monkeypatch.setattr(place, lambda _: pytest.fail("it was read again"))

    with pytest.warns(UserWarning, match="not finite: .* once, at half the rate"):
        run = begin.train(calm_enough, data, steps=6, out=tmp_path / "run", watcher=edit)
    monkeypatch.undo()
    assert run.header["arguments"]["rate"] == 0.5e-3
    assert "not finite" in run.header["stepped_back"]
    assert Model.load(run.path, recipe=calm_enough, recipe_changed=True).progress.step == 6


def test_a_second_time_it_is_told_and_left(data, tmp_path):
    with pytest.warns(UserWarning, match="once"), pytest.raises(NotFinite):
        begin.train(recipes.vary(shaky, most=0.1e-3), data, steps=6, out=tmp_path / "run")
