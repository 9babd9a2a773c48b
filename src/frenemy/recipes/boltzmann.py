"""Boltzmann machines as recipes: one player, and samples from a Markov chain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.data.source import require_images
from frenemy.errors import at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Round, Sampler, Turn
from frenemy.rivals.rbm import RBM, Visible, bernoulli, contrasting, machine, persistent_divergence

EPOCHS = 100


@dataclass(frozen=True)
class Boltzmann:
    """Arguments of restricted Boltzmann machines.

    Attributes:
        visible: pixels as probabilities of binary units, or as Gaussian ones.
        units: hidden units.
        chain: from where the chain starts that the data are compared with: from the data (cd), from
            where it was (pcd), or so at several temperatures that change places (tempering).
        k: its steps in each round.
        temperatures: for tempering.
        rate: initial learning rate.
        steady: rounds at that rate, before it falls as 1 / t.
        momentum: of its gradient descent.
        decay: of the weights, at that rate.
        sampling_steps: of the chain that draws a sample.
        minibatch: images in a minibatch, and persistent chains at each temperature.
    """

    visible: Visible = "binary"
    units: int = 500
    chain: Literal["cd", "pcd", "tempering"] = "pcd"
    k: int = 1
    temperatures: int = 10
    rate: float = 0.01
    steady: int = 10_000
    momentum: float = 0.5
    decay: float = 1e-4
    sampling_steps: int = 200
    minibatch: int = 100


def rbm(facts: Facts, arguments: Boltzmann = Boltzmann()) -> list[Stage]:
    """A restricted Boltzmann machine by persistent contrastive divergence (Tieleman 2008)."""
    require_images(facts.shape, facts.name)
    at_least(1, units=arguments.units, steady=arguments.steady, steps=arguments.sampling_steps)
    at_least(0, rate=arguments.rate, momentum=arguments.momentum, decay=arguments.decay)
    at_most(1, momentum=arguments.momentum)
    persistent = arguments.chain != "cd"
    net = RBM(
        facts.shape,
        arguments.units,
        arguments.visible,
        chains=arguments.minibatch if persistent else 0,
        temperatures=arguments.temperatures if arguments.chain == "tempering" else 1,
    )

    def schedule(t: int) -> dict[str, float]:
        return {"lr": arguments.rate * min(1.0, arguments.steady / max(t, 1))}

    descent = torch.optim.SGD(
        [{"params": [net.W], "weight_decay": arguments.decay}, {"params": [net.b, net.c]}],
        lr=arguments.rate,
        momentum=arguments.momentum,
    )
    player = Player(net, descent, schedule=schedule)
    turn = Turn({"RBM": {contrasting(arguments.k): 1.0}})
    if persistent:
        turn = Turn({"RBM": {persistent_divergence: 1.0}}, after=_advancing(arguments.k))
    prior = Prior("uniform", arguments.units)
    game = Game(
        {"RBM": player},
        [turn],
        prior,
        arguments.minibatch,
        sampler=_by_gibbs(arguments.sampling_steps),
    )
    return [Stage(game, EPOCHS, begin=net.begin)]


def _advancing(k: int) -> Callable[[Round], Mapping[str, Tensor]]:
    at_least(1, k=k)

    def advance(r: Round) -> Mapping[str, Tensor]:
        net = machine(r.nets)
        swapped = net.advance(k)
        return {"swaps": swapped} if len(net.betas) > 1 else {}

    return advance


def _by_gibbs(steps: int) -> Sampler:
    """Chains of so many steps, from a persistent one that z names, or from coins: the signs of z.

    What is drawn are the means of v.
    """

    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        net = machine(nets)
        begun = net.chains[0]
        if len(begun):
            v = begun[(z[:, 0].div(math.sqrt(3)).add(1).div(2) * len(begun)).long() % len(begun)]
        else:
            v = net.mean_v((z > 0).to(net.b))
        v = net.gibbs(v, steps - 1)
        return net.images(net.mean_v(bernoulli(net.mean_h(v))))

    return draw
