"""Short games of small networks, built to fail or to go well, for `health.py`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frenemy.data import Source, open_dataset
from frenemy.data.toy import stack
from frenemy.game import Game, Minibatch, Player, Prior, Turn, mix
from frenemy.lab.mixtures import Target
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.nets.mlp import critic, perceptron
from frenemy.objectives import OBJECTIVES, ObjectiveName
from frenemy.penalties import r1, r2, wgan_gp

MINIBATCH = 128


# ---- data: points in the plane, or small images


@dataclass(frozen=True)
class Points:
    """A mixture of Gaussians in the plane."""

    centres: Tensor | NDArray[np.float32]
    sd: float
    shape = (2,)

    def minibatch(self, seed: int) -> Minibatch:
        return lambda stream, i: (self._draw(MINIBATCH, mix(seed, stream, i)), None)

    def _draw(self, count: int, seed: int) -> Tensor:
        return Target(torch.as_tensor(self.centres), self.sd).sample(count, seed)

    def parts(self, count: int) -> tuple[Tensor, Tensor]:
        """So many points, and as many others."""
        return self._draw(count, 1), self._draw(count, 2)


@dataclass(frozen=True)
class Pictures:
    """Images, made small."""

    train: Source
    test: Source

    @property
    def shape(self) -> tuple[int, ...]:
        return self.train.shape

    def minibatch(self, seed: int) -> Minibatch:
        return lambda stream, i: (
            _unit(self.train.batch((seed, stream), i, MINIBATCH)[0]),
            None,
        )

    def parts(self, count: int) -> tuple[Tensor, Tensor]:
        """So many images to train on, and as many held out, or all where there are fewer."""
        return _unit(self.train.random(count, 1)), _unit(self.test.random(count, 2))


def _unit(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).float().div_(127.5).sub_(1)


Data = Points | Pictures


def pictures(name: str | None, size: int | None = None) -> Pictures:
    """A set by its place in the folder that FRENEMY_DATA names; the embedded one without a name."""
    if name is None:
        found = open_dataset(None)
    elif folder := os.environ.get("FRENEMY_DATA"):
        found = open_dataset(Path(folder) / name, size=size)
    else:
        raise SystemExit(
            "set FRENEMY_DATA to a folder with mnist, olivetti, cifar10, fer2013 and animals, a "
            "folder of colour photographs"
        )
    return Pictures(found.train, found.test)


def stacks(size: int) -> Pictures:
    """Three digits of MNIST as the colour channels: 1,000 modes."""
    digits = pictures("mnist", size)
    return Pictures(stack(digits.train, 20_000), stack(digits.test, 2_000))


def spiral(count: int) -> Tensor:
    """Points along one and a half turns of a spiral, (count, 2)."""
    turn = torch.linspace(0.5, 2, count)
    return turn[:, None] * torch.stack([torch.cos(6 * turn), torch.sin(6 * turn)], 1)


# ---- players


class Shift(nn.Module):
    """G(z) = z + theta, far from the truth at first."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([2.0, 2.0]))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.theta


def conv_generator(noise: int, width: int, shape: tuple[int, ...], norm: bool) -> nn.Sequential:
    """A G of convolutions, (B, noise) -> (B, C, H, H): after Radford et al. (2016)."""
    channels, side = shape[0], shape[1]
    wide = width * side // 8
    layers: list[nn.Module] = [nn.Linear(noise, wide * 16), nn.Unflatten(1, (wide, 4, 4))]
    for _ in range(int(math.log2(side // 4))):
        last = wide == width
        layers += [nn.BatchNorm2d(wide)] if norm else []
        layers += [nn.ReLU(), nn.ConvTranspose2d(wide, channels if last else wide // 2, 4, 2, 1)]
        wide //= 2
    return nn.Sequential(*layers, nn.Tanh())


def conv_critic(width: int, shape: tuple[int, ...]) -> nn.Sequential:
    """Its D, (B, C, H, H) -> (B,)."""
    channels, side = shape[0], shape[1]
    layers: list[nn.Module] = []
    while side > 4:
        layers += [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels, width, side = width, 2 * width, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, 1), nn.Flatten(0))


@dataclass(frozen=True)
class Way:
    """How a game is played: what separates those that fail from the others."""

    objective: ObjectiveName = "nonsaturating"
    rate: float = 1e-3
    d_rate: float | None = None
    betas: tuple[float, float] = (0.0, 0.99)
    momentum: float | None = None  # of SGD for G, instead of Adam
    gamma: float = 0.0
    penalty: Literal["r1", "r1+r2", "gp"] = "r1+r2"
    k: int = 1
    g_steps: int = 1  # of G, the other way round
    noise: int = 16
    width: int = 128
    averaging: float | None = None
    head_start: int = 0  # rounds in which D alone plays
    linear: bool = False  # G(z) = z + theta against D(x) = w.x: the game that cycles
    conv: int = 0  # width of convolutional networks, instead of perceptrons
    norm: bool = True  # batch normalisation in such a G


def make(data: Data, way: Way, seed: int) -> Game:
    """The game of that way on those data."""
    torch.manual_seed(mix(seed, 0, 2))
    pixels = math.prod(data.shape)
    images = data.shape if len(data.shape) == 3 else None
    if way.linear:
        G, D = Shift(), nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten(0))
    elif way.conv:
        G = conv_generator(way.noise, way.conv, data.shape, way.norm)
        D = conv_critic(way.conv, data.shape)
    else:
        G = perceptron(way.noise, way.width, way.width, pixels, slope=0.2)
        D = critic(pixels, way.width, way.width, slope=0.2)
        if images:
            G, D = nn.Sequential(*G, nn.Sigmoid(), FromUnit(images)), nn.Sequential(ToUnit(), *D)

    def optimiser(net: nn.Module, rate: float, momentum: float | None) -> torch.optim.Optimizer:
        if momentum is not None:
            return torch.optim.SGD(net.parameters(), lr=rate, momentum=momentum)
        return torch.optim.Adam(net.parameters(), lr=rate, betas=way.betas)

    def g_schedule(t: int) -> dict[str, float]:
        return {"lr": 0.0 if t < way.head_start else way.rate}

    terms = OBJECTIVES[way.objective]
    penalties: dict[Any, float] = {
        "r1": {r1: way.gamma}, "r1+r2": {r1: way.gamma, r2: way.gamma}, "gp": {wgan_gp: way.gamma}
    }[way.penalty] if way.gamma else {}  # fmt: skip
    d_rate = way.rate if way.d_rate is None else way.d_rate
    players = {
        "D": Player(D, optimiser(D, d_rate, way.momentum if way.linear else None)),
        "G": Player(
            G, optimiser(G, way.rate, way.momentum), schedule=g_schedule, averaging=way.averaging
        ),
    }
    moves = {terms.d: 1.0, **penalties}
    turns = [Turn({"D": moves}, steps=way.k), Turn({"G": {terms.g: 1.0}}, steps=way.g_steps)]
    return Game(players, turns, Prior("gaussian", way.noise), MINIBATCH)
