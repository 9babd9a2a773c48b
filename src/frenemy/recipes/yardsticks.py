"""The baselines: GANs in common use, with their published settings.

Only where a baseline departs from its paper does its docstring, or a comment, say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.errors import at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Round, Turn, alternating
from frenemy.nets import dcgan as dc
from frenemy.nets import sngan as sn
from frenemy.objectives import (
    hinge_d,
    minimax_d,
    nonsaturating_g,
    wasserstein_d,
    wasserstein_g,
)
from frenemy.penalties import wgan_gp as gradient_penalty


@dataclass(frozen=True)
class Yardstick:
    """Arguments of the yardsticks.

    Attributes:
        width: feature maps at half the image size in both players of DCGAN and WGAN-GP, doubled at
            each halving; those of SNGAN's D, whose G has twice as many.
        rate: initial learning rate of both players' Adam.
        decay: rounds over which the rate falls linearly to 0 and training ends; 0 keeps the rate.
        averaging: decay per round of the moving average of G's weights; 0 for none, as published.
        minibatch: images in a minibatch.
    """

    width: int = 64
    rate: float = 2e-4
    decay: int = 0
    averaging: float = 0.0
    minibatch: int = 128


def dcgan(facts: Facts, arguments: Yardstick = Yardstick()) -> list[Stage]:
    """DCGAN of Radford et al. (2015), 25 epochs; sides of 16 to 256."""
    # the paper's z is uniform; Gaussian noise has become usual
    prior = Prior("gaussian", 100)
    at_least(1, width=arguments.width, minibatch=arguments.minibatch)
    G = dc.generator(prior.size, facts.shape, arguments.width)
    D = dc.discriminator(facts.shape, arguments.width)
    turns = alternating(D={minimax_d: 1.0}, G={nonsaturating_g: 1.0})
    rounds = 25 * facts.count / arguments.minibatch
    return _stages(facts, D, G, turns, prior, arguments, betas=(0.5, 0.999), rounds=rounds)


def wgan_gp(facts: Facts, arguments: Yardstick = Yardstick(rate=1e-4, minibatch=64)) -> list[Stage]:
    """WGAN-GP of Gulrajani et al. (2017) with DCGAN's networks, 100,000 rounds of 5 steps of D."""
    prior = Prior("gaussian", 100)
    at_least(1, width=arguments.width, minibatch=arguments.minibatch)
    G = dc.generator(prior.size, facts.shape, arguments.width)
    D = dc.discriminator(facts.shape, arguments.width, normalised=False)
    turns = alternating(D={wasserstein_d: 1.0, gradient_penalty: 10.0}, G={wasserstein_g: 1.0}, k=5)
    return _stages(facts, D, G, turns, prior, arguments, betas=(0.0, 0.9), rounds=100_000)


def sngan(
    facts: Facts, arguments: Yardstick = Yardstick(width=128, decay=50_000, minibatch=64)
) -> list[Stage]:
    """SNGAN of Miyato et al. (2018), hinge, residual, 50,000 rounds of 5 steps of D."""
    # G moves on 64 images as D does, not on the paper's 128: a game has one size of a minibatch
    prior = Prior("gaussian", 128)
    at_least(1, width=arguments.width, minibatch=arguments.minibatch)
    G = sn.generator(prior.size, facts.shape, 2 * arguments.width)
    D = sn.discriminator(facts.shape, arguments.width)

    def after(r: Round) -> Mapping[str, Tensor]:
        sn.power_iteration(r.nets["D"])
        return {}

    of_D, of_G = alternating(D={hinge_d: 1.0}, G={wasserstein_g: 1.0}, k=5)
    turns = replace(of_D, after=after), of_G
    return _stages(facts, D, G, turns, prior, arguments, betas=(0.0, 0.9), rounds=50_000)


def _stages(
    facts: Facts, D: nn.Module, G: nn.Module, turns: Sequence[Turn], prior: Prior,
    arguments: Yardstick, *, betas: tuple[float, float], rounds: float,
) -> list[Stage]:  # fmt: skip
    rate, decay, averaging = arguments.rate, arguments.decay, arguments.averaging
    at_least(0, rate=rate, decay=decay, averaging=averaging)
    at_most(1, averaging=averaging)

    def schedule(t: int) -> dict[str, float]:
        return {"lr": rate * max(0.0, 1 - t / decay) if decay else rate}

    def player(net: nn.Module, averaging: float | None = None) -> Player:
        adam = torch.optim.Adam(net.parameters(), lr=rate, betas=betas, fused=True)
        return Player(net, adam, schedule=schedule, averaging=averaging)

    players = {"D": player(D), "G": player(G, averaging or None)}
    game = Game(players, turns, prior, arguments.minibatch)
    epochs = (decay or rounds) * game.minibatch * turns[0].steps / facts.count
    return [Stage(game, epochs)]
