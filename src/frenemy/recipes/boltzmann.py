"""Boltzmann machines as recipes: one player, and samples from a Markov chain."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from frenemy.data import Facts, Source
from frenemy.data.source import require_images
from frenemy.errors import at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Round, Sampler, Term, Turn
from frenemy.rivals.chains import ROWS
from frenemy.rivals.dbn import DBN, network, shown_to, up_down
from frenemy.rivals.rbm import RBM, Visible, bernoulli, contrasting, machine

Drawn = Callable[[Mapping[str, nn.Module]], tuple[RBM, Callable[[Tensor], Tensor]]]
"""Of a game's networks: the machine whose chain is run, and what images its hidden units give."""


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
        rounds: for which a machine learns.
        rate: initial learning rate.
        steady: share of the rounds at that rate.
        fine_rate: learning rate after these, at which chains come to what the machine has become.
        momentum: of its gradient descent.
        decay: of the weights, at these rates.
        sampling_steps: of the chain that draws a sample.
        minibatch: images in a minibatch, and persistent chains at each temperature.
    """

    visible: Visible = "binary"
    units: int = 500
    chain: Literal["cd", "pcd", "tempering"] = "pcd"
    k: int = 1
    temperatures: int = 10
    rounds: int = 2500
    rate: float = 0.05
    steady: float = 0.6
    fine_rate: float = 0.001
    momentum: float = 0.5
    decay: float = 1e-4
    sampling_steps: int = 200
    minibatch: int = 100


@dataclass(frozen=True)
class DeepBelief(Boltzmann):
    """Arguments of deep belief networks: each layer is learned by the arguments of one machine.

    Attributes:
        layers: of hidden units.
        units: of each hidden layer but the highest.
        top_units: of the highest.
        fine_tuning: rounds of the up-down algorithm after these, at the fine rate; 0 for none.
    """

    k: int = 3  # this and the next three by a search: docs/rivals.md
    rate: float = 0.125
    steady: float = 0.4
    momentum: float = 0.0
    layers: int = 2
    top_units: int = 1000
    fine_tuning: int = 2500


def rbm(facts: Facts, arguments: Boltzmann = Boltzmann()) -> list[Stage]:
    """A restricted Boltzmann machine by persistent contrastive divergence (Tieleman 2008)."""
    _check(facts, arguments)
    net = RBM(facts.shape, arguments.units, arguments.visible, **_chains(arguments))
    player = _player(net, [net.W], [net.b, net.c], arguments)
    term = contrasting(arguments.k)
    game = _game("RBM", player, term, arguments, lambda nets: (machine(nets), machine(nets).shown))
    return [_stage(facts, game, arguments.rounds, net.begin)]


def dbn(facts: Facts, arguments: DeepBelief = DeepBelief()) -> list[Stage]:
    """A deep belief network, learned greedily, then up and down (Hinton et al. 2006)."""
    _check(facts, arguments)
    at_least(2, layers=arguments.layers)
    at_least(1, top_units=arguments.top_units)
    at_least(0, fine_tuning=arguments.fine_tuning)
    units = [arguments.units] * (arguments.layers - 1) + [arguments.top_units]
    net = DBN(facts.shape, units, arguments.visible, **_chains(arguments))

    def drawn(layer: int) -> Drawn:
        return lambda nets: (
            network(nets).rbm(layer),
            functools.partial(network(nets).shown, layer=layer),
        )

    stages = []
    for layer in range(arguments.layers):
        rbm = net.rbm(layer)
        player = _player(net, [rbm.W], [rbm.b, rbm.c], arguments)
        term = contrasting(arguments.k, shown_to(layer))
        game = _game("DBN", player, term, arguments, drawn(layer))
        begin = functools.partial(net.begin, layer=layer)
        stages.append(_stage(facts, game, arguments.rounds, begin))
    if not arguments.fine_tuning:
        return stages
    weights, biases = net.directed()
    player = _player(net, weights, biases, replace(arguments, steady=0))
    game = _game("DBN", player, up_down(arguments.k), arguments, drawn(arguments.layers - 1))
    return [*stages, _stage(facts, game, arguments.fine_tuning, lambda _: net.untie())]


def _stage(facts: Facts, game: Game, rounds: int, begin: Callable[[Source], None]) -> Stage:
    return Stage(game, rounds * game.minibatch / facts.count, begin=begin)


def _check(facts: Facts, arguments: Boltzmann) -> None:
    require_images(facts.shape, facts.name)
    at_least(1, units=arguments.units, k=arguments.k, rounds=arguments.rounds)
    at_least(1, sampling_steps=arguments.sampling_steps)
    at_least(0, rate=arguments.rate, steady=arguments.steady, fine_rate=arguments.fine_rate)
    at_least(0, momentum=arguments.momentum, decay=arguments.decay)
    at_most(1, steady=arguments.steady, momentum=arguments.momentum)


def _chains(arguments: Boltzmann) -> dict[str, int]:
    """Of a machine: how many, and at how many temperatures."""
    return {
        "chains": 0 if arguments.chain == "cd" else arguments.minibatch,
        "temperatures": arguments.temperatures if arguments.chain == "tempering" else 1,
    }


def _player(
    net: nn.Module,
    weights: Sequence[nn.Parameter],
    biases: Sequence[nn.Parameter],
    arguments: Boltzmann,
) -> Player:
    def schedule(t: int) -> dict[str, float]:
        steady = t < arguments.steady * arguments.rounds
        return {"lr": arguments.rate if steady else arguments.fine_rate}

    groups = [{"params": weights, "weight_decay": arguments.decay}, {"params": biases}]
    descent = torch.optim.SGD(groups, lr=1.0, momentum=arguments.momentum, fused=True)
    return Player(net, descent, schedule=schedule)


def _game(name: str, player: Player, term: Term, arguments: Boltzmann, drawn: Drawn) -> Game:
    """A game of one player who learns by a term, and whose machine's chains go on after a round."""
    rbm, _ = drawn({name: player.net})

    def advance(r: Round) -> Mapping[str, Tensor]:
        rbm, _ = drawn(r.nets)
        with r.arithmetic():
            swapped = rbm.advance(arguments.k)
        return {"swaps": swapped} if len(rbm.betas) > 1 else {}

    return Game(
        {name: player},
        [Turn({name: {term: 1.0}}, after=advance if rbm.chains.numel() else None)],
        Prior("uniform", len(rbm.c)),
        arguments.minibatch,
        sampler=_by_gibbs(arguments.sampling_steps, drawn),
        rows=ROWS,
    )


def _by_gibbs(steps: int, drawn: Drawn) -> Sampler:
    """Chains of so many steps, from a persistent one that z names, or from coins: the signs of z.

    What is drawn are the means of the pixels.
    """

    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        rbm, shown = drawn(nets)
        begun = rbm.chains[0]
        if len(begun):
            v = begun[(z[:, 0].div(math.sqrt(3)).add(1).div(2) * len(begun)).long() % len(begun)]
        else:
            v = rbm.mean_v((z > 0).to(rbm.b))
        return shown(bernoulli(rbm.mean_h(rbm.gibbs(v, steps - 1))))

    return draw
