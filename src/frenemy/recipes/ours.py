"""Our own best games of networks of 2014."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from frenemy.data import Facts
from frenemy.errors import at_least, at_most
from frenemy.experiment import MNIST_HINT, Stage, require_shape
from frenemy.game import Game, Player, Prior
from frenemy.nets.layers import ToUnit
from frenemy.nets.mlp import maxout_discriminator, rectifier_generator
from frenemy.objectives import ObjectiveName, objective_named
from frenemy.penalties import lazily
from frenemy.recipes.start import from_the_mean

EPOCHS = 80
"""Of MNIST: from some 60 on validation images tell of no gain (docs/numbers.md)."""


@dataclass(frozen=True)
class Ours:
    """Arguments of our games.

    Attributes:
        objective: of both players.
        gamma: initial weight of the R1 and R2 penalties.
        rate: initial learning rate of both players' Adam.
        steady: rounds at that rate, before it falls as 1 / sqrt t.
        averaging: decay per round of the moving average of G's weights.
        minibatch: images in a minibatch.
    """

    objective: ObjectiveName = "pairing"
    gamma: float = 1.0
    rate: float = 1e-3
    steady: int = 1000
    averaging: float = 0.9999
    minibatch: int = 100


def mnist(facts: Facts, arguments: Ours = Ours(steady=10_000)) -> list[Stage]:
    """MNIST, 2014 sizes of networks, newer loss: Parzen 222 nats in 5 minutes, 248 in 30."""
    require_shape(facts, "mnist", (1, 28, 28), hint=MNIST_HINT)
    return [replace(stage, epochs=EPOCHS) for stage in digits(facts, arguments)]


def digits(facts: Facts, arguments: Ours = Ours()) -> list[Stage]:
    """The same as `mnist` for images of any size; by default 8x8 digits: Parzen 26 to 29 nats."""
    gamma, rate, steady = arguments.gamma, arguments.rate, arguments.steady
    at_least(1, steady=steady)
    at_least(0, gamma=gamma, rate=rate, averaging=arguments.averaging)
    at_most(1, averaging=arguments.averaging)
    prior = Prior("uniform", 100)
    G = rectifier_generator(prior.size, facts.shape)
    pixels = math.prod(facts.shape)
    D = nn.Sequential(ToUnit(), *maxout_discriminator(pixels, 240, 0.03, dropout=False))

    def adam(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=rate, betas=(0.0, 0.99), fused=True)

    def schedule(t: int) -> dict[str, float]:
        return {"lr": rate * min(1.0, math.sqrt(steady / max(t, 1)))}

    terms = objective_named(arguments.objective)
    players = {
        "D": Player(D, adam(D), schedule=schedule),
        "G": Player(G, adam(G), schedule=schedule, averaging=arguments.averaging),
    }
    turns = lazily({terms.d: 1.0}, {terms.g: 1.0}, lambda t: gamma * min(1.0, 1000 / max(t, 1)))
    game = Game(players, turns, prior, arguments.minibatch)
    return [Stage(game, 200, begin=from_the_mean(G))]
