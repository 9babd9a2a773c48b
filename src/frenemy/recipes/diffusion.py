"""A small diffusion model as a recipe: one player, whose samples come from noise step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from frenemy.data import Facts
from frenemy.errors import at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Turn
from frenemy.rivals.diffusion import Diffusion, UNet, predicting_noise

EPOCHS = 10


@dataclass(frozen=True)
class Denoising:
    """Arguments of diffusion models.

    Attributes:
        width: feature maps at full size; twice, then four times as many at smaller ones.
        sampling_steps: from noise to a sample.
        rate: learning rate of Adam.
        averaging: decay per round of the moving average of the weights.
        minibatch: images in a minibatch.
    """

    width: int = 16
    sampling_steps: int = 20
    rate: float = 1e-3
    averaging: float = 0.999
    minibatch: int = 100


def diffusion(facts: Facts, arguments: Denoising = Denoising()) -> list[Stage]:
    """A small diffusion model (Ho et al. 2020), drawn from as by Song et al. (2021)."""
    at_least(0, rate=arguments.rate, averaging=arguments.averaging)
    at_most(1, averaging=arguments.averaging)
    denoiser = UNet(facts.shape, arguments.width)
    G = Diffusion(denoiser, facts.shape, arguments.sampling_steps)
    adam = torch.optim.Adam(G.parameters(), arguments.rate, fused=True)
    player = Player(G, adam, averaging=arguments.averaging or None)
    turn = Turn({"G": {predicting_noise: 1.0}})
    prior = Prior("gaussian", math.prod(facts.shape))
    return [Stage(Game({"G": player}, [turn], prior, arguments.minibatch), EPOCHS)]
