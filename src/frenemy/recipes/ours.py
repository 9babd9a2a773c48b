"""Our own best games."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import nn
from typing_extensions import Doc

from frenemy.data import Dataset
from frenemy.experiment import Experiment, Stage, require_shape
from frenemy.game import Game, Player, Prior, Turn
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.nets.mlp import Logit, Maxout, linear, logit
from frenemy.objectives import OBJECTIVES, ObjectiveName
from frenemy.penalties import r1, r2


def mnist(
    data: Dataset,
    *,
    objective: Annotated[ObjectiveName, Doc("what both players play for")] = "pairing",
    gamma: Annotated[float, Doc("weight of the R1 and R2 penalties")] = 1.0,
    rate: Annotated[float, Doc("learning rate of both players' Adam")] = 2e-4,
    averaging: Annotated[float, Doc("decay of the average of G's weights, per round")] = 0.999,
    minibatch: Annotated[int, Doc("images in a minibatch")] = 100,
) -> Experiment:
    """Our best MLP game for MNIST, with G and D of the sizes of the 2014 paper's."""
    require_shape(data, "mnist", (1, 28, 28), hint="give MNIST by --data, or play digits2014")
    prior = Prior("uniform", 100)
    bias = logit(torch.from_numpy(data.train.mean()))
    G = nn.Sequential(
        linear(prior.size, 1200, 0.05),
        nn.ReLU(inplace=True),
        linear(1200, 1200, 0.05),
        nn.ReLU(inplace=True),
        linear(1200, len(bias), 0.05, bias=bias),
        nn.Sigmoid(),
        FromUnit(data.shape),
    )
    D = nn.Sequential(
        ToUnit(),
        Maxout(len(bias), 240, 5, 0.03),
        Maxout(240, 240, 5, 0.03),
        Logit(240, 0.03),
    )

    def adam(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=rate, betas=(0.0, 0.99), fused=True)

    terms = OBJECTIVES[objective]
    players = {"D": Player(D, adam(D)), "G": Player(G, adam(G), averaging=averaging)}
    turns = [Turn({"D": {terms.d: 1.0, r1: gamma, r2: gamma}}), Turn({"G": {terms.g: 1.0}})]
    return Experiment([Stage(Game(players, turns, prior, minibatch), 200)], data.train)
