"""Our own games."""

import functools
from typing import get_args

import numpy as np
import pytest
import torch

from frenemy import recipes
from frenemy.data import Facts, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.objectives import ObjectiveName
from frenemy.penalties import r1, r2


@functools.cache
def digits():
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 28, 28), np.uint8)
    return Source(images)


def experiment_of(recipe, **arguments):
    return Experiment(recipes.vary(recipe, **arguments)(digits().facts), digits())


def play(experiment, rounds):
    streams = experiment.minibatch(experiment.game, 0, torch.device("cpu"))
    return [experiment.game.play(streams, seed=0, step=step) for step in range(rounds)]


def test_mnist_is_no_larger_than_the_2014_game():
    ours, theirs = (experiment_of(recipe).game for recipe in (recipes.mnist, recipes.mnist2014))
    for name in "GD":
        sizes = [sum(p.numel() for p in game.nets[name].parameters()) for game in (ours, theirs)]
        assert sizes[0] <= sizes[1]


@pytest.mark.parametrize("objective", get_args(ObjectiveName))
def test_mnist_moves_every_weight_under_every_objective(objective):
    torch.manual_seed(0)
    experiment = experiment_of(recipes.mnist, objective=objective, minibatch=4)
    game = experiment.game
    before = {n: [p.clone() for p in net.parameters()] for n, net in game.nets.items()}
    records = play(experiment, 2)
    assert all(torch.isfinite(value) for record in records for value in record.values())
    for name, net in game.nets.items():
        moved = [not torch.equal(p, q) for p, q in zip(net.parameters(), before[name], strict=True)]
        # where only the difference of verdicts counts, D's last bias has no gradient
        assert all(moved if name == "G" else moved[:-1])


def test_mnist_penalises_every_fourth_round():
    records = play(experiment_of(recipes.mnist, minibatch=4), 6)
    assert [{f"D/{t.__name__}" for t in (r1, r2)} <= set(r) for r in records] == [
        *(True, False, False, False, True, False),
    ]


def test_mnist_refuses_other_sizes():
    with pytest.raises(FrenemyError, match="1x28x28"):
        recipes.mnist(Facts((1, 8, 8), 4))
