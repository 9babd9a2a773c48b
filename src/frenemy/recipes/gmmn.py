"""Generative moment matching as a recipe: one player, and a kernel in the place of D."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from frenemy.data import Facts
from frenemy.errors import above_zero, at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Turn
from frenemy.recipes.start import from_the_mean
from frenemy.rivals.gmmn import BANDWIDTHS, gaussians, generator, matching

EPOCHS = 100
PIXELS = 28 * 28  # for whose distances the bandwidths are


@dataclass(frozen=True)
class Moments:
    """Arguments of generative moment matching.

    Attributes:
        bandwidth: by which the paper's six of kernels are multiplied; they are for 28x28 pixels,
            and grow with the number of pixels as squared distances do.
        rate: learning rate of Adam.
        averaging: decay per round of the moving average of the weights; 0 for none, as published.
        minibatch: images in a minibatch, and samples that are compared with them.
    """

    bandwidth: float = 1.0
    rate: float = 1e-3
    averaging: float = 0.0
    minibatch: int = 1000


def gmmn(facts: Facts, arguments: Moments = Moments()) -> list[Stage]:
    """Generative moment matching network (Li et al. 2015), published Parzen on MNIST 147 nats."""
    above_zero(bandwidth=arguments.bandwidth)
    at_least(0, rate=arguments.rate, averaging=arguments.averaging)
    at_most(1, averaging=arguments.averaging)
    prior = Prior("uniform", 10)
    G = generator(prior.size, facts.shape)
    scale = arguments.bandwidth * math.prod(facts.shape) / PIXELS
    kernel = gaussians([scale * bandwidth for bandwidth in BANDWIDTHS])
    adam = torch.optim.Adam(G.parameters(), arguments.rate, fused=True)
    player = Player(G, adam, averaging=arguments.averaging or None)
    game = Game({"G": player}, [Turn({"G": {matching(kernel): 1.0}})], prior, arguments.minibatch)
    return [Stage(game, EPOCHS, begin=from_the_mean(G))]
