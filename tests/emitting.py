"""A game whose G emits images that it was given: what should be said of its samples is known."""

import numpy as np
import torch
from torch import nn

from frenemy.experiment import from_pixels
from frenemy.game import Game, Player, Prior, Turn
from frenemy.objectives import minimax_d, nonsaturating_g


class Emits(nn.Module):
    """G(z) is one of the images, uint8 (N, C, H, W), which z names: others at every age.

    Args:
        images_at: rounds that were played -> the images.
    """

    def __init__(self, images_at):
        super().__init__()
        self.images_at = images_at
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))
        self.theta = nn.Parameter(torch.zeros(()))

    def forward(self, z):
        images = np.array(self.images_at(int(self.age)))
        index = (z.double().abs().sum(1) * 1e6).long().numpy() % len(images)
        return from_pixels(torch.from_numpy(images[index])) + 0 * self.theta


def game_of(G, shape):
    def older(r):
        G.age += 1
        return {}

    D = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 1), nn.Flatten(0))
    players = {
        name: Player(net, torch.optim.SGD(net.parameters(), lr=0.1))
        for name, net in {"D": D, "G": G}.items()
    }
    turns = [Turn({"D": {minimax_d: 1.0}}), Turn({"G": {nonsaturating_g: 1.0}}, after=older)]
    return Game(players, turns, Prior("gaussian", 3), 10)
