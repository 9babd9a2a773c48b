"""Our own best games."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import nn
from typing_extensions import Doc

from frenemy.data import Dataset
from frenemy.errors import at_least, at_most
from frenemy.experiment import MNIST_HINT, Experiment, Stage, require_shape
from frenemy.game import Game, Player, Prior, Turn
from frenemy.names import known
from frenemy.nets.layers import ToUnit
from frenemy.nets.mlp import maxout_discriminator, rectifier_generator
from frenemy.objectives import OBJECTIVES, ObjectiveName
from frenemy.penalties import r1, r2

Objective = Annotated[ObjectiveName, Doc("what both players play for")]
Gamma = Annotated[float, Doc("weight of the R1 and R2 penalties, at first")]
Rate = Annotated[float, Doc("initial learning rate of both players' Adam")]
Steady = Annotated[int, Doc("rounds at that rate, before it falls as 1 / sqrt t")]
Averaging = Annotated[float, Doc("decay of the average of G's weights, a round")]
Minibatch = Annotated[int, Doc("images in a minibatch")]


def mnist(
    data: Dataset,
    *,
    objective: Objective = "pairing",
    gamma: Gamma = 1.0,
    rate: Rate = 1e-3,
    steady: Steady = 10_000,
    averaging: Averaging = 0.9999,
    minibatch: Minibatch = 100,
) -> Experiment:
    """Our best MNIST game with nets of the 2014 sizes: Parzen 226 nats in 5 minutes, 249 in 30."""
    require_shape(data, "mnist", (1, 28, 28), hint=MNIST_HINT)
    return digits(
        data,
        objective=objective,
        gamma=gamma,
        rate=rate,
        steady=steady,
        averaging=averaging,
        minibatch=minibatch,
    )


def digits(
    data: Dataset,
    *,
    objective: Objective = "pairing",
    gamma: Gamma = 1.0,
    rate: Rate = 1e-3,
    steady: Steady = 1000,
    averaging: Averaging = 0.9999,
    minibatch: Minibatch = 100,
) -> Experiment:
    """The game of `mnist` at any size; by default on 8x8 digits: Parzen 26 to 29 nats."""
    at_least(1, steady=steady)
    at_least(0, gamma=gamma, rate=rate, averaging=averaging)
    at_most(1, averaging=averaging)
    prior = Prior("uniform", 100)
    mean = torch.from_numpy(data.train.mean())
    G = rectifier_generator(prior.size, data.shape, mean)
    D = nn.Sequential(ToUnit(), *maxout_discriminator(mean.numel(), 240, 0.03, dropout=False))

    def adam(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=rate, betas=(0.0, 0.99), fused=True)

    def schedule(t: int) -> dict[str, float]:
        return {"lr": rate * min(1.0, math.sqrt(steady / max(t, 1)))}

    known(objective, list(OBJECTIVES), "objective")
    terms = OBJECTIVES[objective]
    players = {
        "D": Player(D, adam(D), schedule=schedule),
        "G": Player(G, adam(G), schedule=schedule, averaging=averaging),
    }
    lazy = 4  # rounds from one penalty to the next

    def weight(t: int) -> float:
        return lazy * gamma * min(1.0, 1000 / max(t, 1))

    turns = [
        Turn({"D": {terms.d: 1.0}}, joint=True),
        Turn({"D": {r1: weight, r2: weight}}, every=lazy),
        Turn({"G": {terms.g: 1.0}}),
    ]
    return Experiment([Stage(Game(players, turns, prior, minibatch), 200)], data.train)
