"""Generative stochastic networks as recipes: one player, and samples from a Markov chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.data.source import require_images
from frenemy.errors import at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Sampler, Turn
from frenemy.rivals.chains import ROWS, WHICH
from frenemy.rivals.gsn import GSN, chain, walkback_cross_entropy

EPOCHS = 125
"""Of the published 1,000: from here on chains mix worse, and draw less (docs/rivals.md)."""


@dataclass(frozen=True)
class Stochastic:
    """Arguments of generative stochastic networks.

    Attributes:
        layers: hidden layers.
        units: in each of them.
        walkback: steps of the chain whose reconstructions are learned from.
        noise: standard deviation of what is added before and after each tanh above the first.
        salt: share of the pixels that each step makes black or white.
        rate: initial learning rate.
        decay: of the rate, in each epoch.
        momentum: of the gradients' moving average m v + (1 - m) g that is followed.
        sampling_steps: of the chain that draws a sample.
        minibatch: images in a minibatch.
    """

    layers: int = 2
    units: int = 1500
    walkback: int = 4
    noise: float = 2.0
    salt: float = 0.4
    rate: float = 0.25
    decay: float = 0.995
    momentum: float = 0.5
    sampling_steps: int = 20
    minibatch: int = 100


def gsn(facts: Facts, arguments: Stochastic = Stochastic()) -> list[Stage]:
    """The deep GSN of Bengio et al. (2014): Parzen 214 ± 1.1 nats on MNIST."""
    require_images(facts.shape, facts.name)
    rate, decay, momentum = arguments.rate, arguments.decay, arguments.momentum
    at_least(0, rate=rate, decay=decay, momentum=momentum)
    at_most(1, decay=decay, momentum=momentum)
    at_least(1, sampling_steps=arguments.sampling_steps, minibatch=arguments.minibatch)
    net = GSN(
        facts.shape,
        arguments.layers,
        arguments.units,
        facts.count,
        walkback=arguments.walkback,
        noise=arguments.noise,
        salt=arguments.salt,
    )
    rounds_per_epoch = facts.count / arguments.minibatch

    def schedule(t: int) -> dict[str, float]:
        return {"lr": rate * decay ** int(t / rounds_per_epoch)}

    descent = torch.optim.SGD(
        net.parameters(), lr=rate, momentum=momentum, dampening=momentum, fused=True
    )
    game = Game(
        {"GSN": Player(net, descent, schedule=schedule)},
        [Turn({"GSN": {walkback_cross_entropy: 1.0}})],
        WHICH,
        arguments.minibatch,
        sampler=_by_walking(arguments.sampling_steps),
        rows=ROWS,
    )
    return [Stage(game, EPOCHS, begin=net.starts.begin)]


def _by_walking(steps: int) -> Sampler:
    """p(x | h) after so many steps from a training image, which z names."""

    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        net = chain(nets)
        h = net.rest(net.starts(z))
        for _ in range(steps - 1):
            _, h = net.step(h)
        p, _ = net.step(h)
        return net.images(p)

    return draw
