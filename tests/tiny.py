"""Games of tiny networks on 2x2 images, in float64, for the tests of the core."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from frenemy.checkpoint import Progress
from frenemy.data import Source
from frenemy.experiment import Experiment, Stage
from frenemy.game import Game, Player, Prior, Turn
from frenemy.model import Model
from frenemy.nets.layers import Dropout
from frenemy.objectives import minimax_d, nonsaturating_g
from frenemy.run import Run

SHAPE = (1, 2, 2)
COUNT = 6
D_TERMS, G_TERMS = {minimax_d: 1.0}, {nonsaturating_g: 1.0}


def minibatch(stream, i):
    """Images and labels that are a function of (stream, i)."""
    generator = torch.Generator().manual_seed(1000 * stream + i)
    x = torch.rand(COUNT, *SHAPE, generator=generator) * 2 - 1
    return x, torch.arange(COUNT) % 3


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.7)


def adam(net):
    return torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.5, 0.9), fused=True)


def game_of(turns, optimiser=sgd, *, dropout=False, init=0, **player):
    """A game of tiny networks on 2x2 images, the same for the same `init`."""
    torch.manual_seed(init)
    G = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Unflatten(1, SHAPE))
    drop = [Dropout(0.5)] if dropout else []
    D = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 8), nn.Softplus(), *drop, nn.Linear(8, 1), nn.Flatten(0)
    )
    players = {name: Player(net, optimiser(net), **player) for name, net in (("D", D), ("G", G))}
    return Game(players, turns, Prior("gaussian", 3), COUNT)


def model_of(G, size, shape, classes=(), **options):
    """A model that draws by G, of `size` numbers of noise, and was never trained."""
    player = Player(G, torch.optim.SGD(G.parameters(), lr=0.1))
    game = Game({"G": player}, [Turn({"G": {}})], Prior("gaussian", size), 4, **options)
    source = Source(np.zeros((4, *shape), np.uint8), classes=classes)
    return Model(Run(Path("run"), {"data": {}}), Experiment([Stage(game, 1)], source), Progress())


class ClassBesideZ(nn.Module):
    """G of z and labels: a net of z and of as many numbers for the class."""

    def __init__(self, net, classes, size):
        super().__init__()
        self.net, self.embedding = net, nn.Embedding(classes, size)

    def forward(self, z, y):
        return self.net(torch.cat([z, self.embedding(y)], 1))


def play(game, steps, seed=0):
    return [game.play(minibatch, seed=seed, step=step) for step in steps]


def weights(game):
    """Everything the players would save, copied."""
    return {
        f"{name}.{key}": value.clone()
        for name, player in game.players.items()
        for key, value in player.state().items()
    }


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
