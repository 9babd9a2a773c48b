"""Mixtures in the plane whose modes can be counted, and games for them that are watched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from frenemy.data.toy import MIXTURES
from frenemy.game import Game, Minibatch, mix
from frenemy.judge.modes import Modes, mixture_modes

POINTS = 100_000
MINIBATCH = 256
SAMPLES = 2_500  # that are judged


@dataclass(frozen=True)
class Target:
    """A mixture of equal Gaussians, which the games see divided by `unit`.

    Attributes:
        centres: (K, 2).
        sd: of every mode.
        unit: the standard deviation of a coordinate, but for the modes' own.
    """

    centres: Tensor
    sd: float
    unit: float = 1.0

    def sample(self, count: int, seed: int) -> Tensor:
        """Exact samples, (count, 2), a function of the seed."""
        generator, (K, d) = torch.Generator().manual_seed(seed), self.centres.shape
        shares = torch.full((K,), 1 / K, dtype=torch.float64)
        index = torch.multinomial(shares, count, replacement=True, generator=generator)
        return self.centres[index] + self.sd * torch.randn(count, d, generator=generator)

    def minibatches(self, seed: int, size: int = MINIBATCH) -> Minibatch:
        """Of 100,000 points, each of which a stream passes over once an epoch."""
        points = self.sample(POINTS, mix(seed, 3)) / self.unit
        epoch = POINTS // size  # a rest of less than a minibatch is left out

        @lru_cache(maxsize=2)  # two streams
        def order(stream: int, e: int) -> Tensor:
            generator = torch.Generator().manual_seed(mix(seed, stream, e))
            return torch.randperm(POINTS, generator=generator)

        def draw(stream: int, i: int) -> tuple[Tensor, None]:
            start = i % epoch * size
            return points[order(stream, i // epoch)[start : start + size]], None

        return draw

    def judge(self, samples: Tensor) -> Modes:
        """Modes caught, high-quality share and reverse KL of samples (M, 2)."""
        return mixture_modes(centres=self.centres, sd=self.sd, fake=samples)

    @torch.no_grad()
    def generated(self, game: Game, count: int, seed: int) -> Tensor:
        """G(z), (count, 2), of the average of G's weights where there is one."""
        z = game.prior(count, torch.Generator().manual_seed(seed))
        return game.players["G"].best(z) * self.unit


TARGETS: Mapping[str, Target] = {
    name: Target(torch.from_numpy(MIXTURES[name].centres), MIXTURES[name].sd, unit)
    for name, unit in {"ring": math.sqrt(1 / 2), "grid": math.sqrt(8)}.items()
}

PUBLISHED: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "ring": {
        "GAN": ("6.3 ± 0.5", "98.2", "0.45"),
        "ALI": ("6.6 ± 0.3", "97.6", "0.36"),
        "PacGAN2": ("7.9 ± 0.1", "95.6", "0.07"),
        "PacGAN3": ("7.8 ± 0.1", "97.7", "0.10"),
        "PacGAN4": ("7.8 ± 0.1", "95.9", "0.07"),
    },
    "grid": {
        "GAN": ("17.3 ± 0.8", "94.8", "0.70"),
        "ALI": ("24.1 ± 0.4", "95.7", "0.14"),
        "PacGAN2": ("23.8 ± 0.7", "91.3", "0.13"),
        "PacGAN3": ("24.6 ± 0.4", "94.2", "0.06"),
        "PacGAN4": ("24.8 ± 0.2", "93.6", "0.04"),
    },
}
"""Modes caught, % of high quality and reverse KL as Lin et al. (2018), PacGAN, print them.

Ten seeds each; 400 epochs of minibatch 100 (400,000 rounds), Adam 1e-4 with b1 .8, z normal, G of
four layers of 400 with batch normalisation, D of three of 200 maxout units.
"""


@dataclass(frozen=True)
class Watched:
    """A game's samples and their modes, after rounds of even distance."""

    rounds: list[int]
    samples: list[Tensor]
    modes: list[Modes]


def watch(game: Game, target: Target, *, seed: int, rounds: int, looks: int) -> Watched:
    """Plays a game for a mixture, and looks at samples of the same z so many times."""
    minibatch = target.minibatches(seed, game.minibatch)
    steps = {round(rounds * i / looks) for i in range(1, looks + 1)} - {0}
    watched = Watched(sorted(steps), [], [])
    with torch.random.fork_rng(devices=[]):
        for step in range(rounds):
            game.play(minibatch, seed=seed, step=step)
            if step + 1 in steps:
                x = target.generated(game, SAMPLES, mix(seed, 5))
                watched.samples.append(x)
                watched.modes.append(target.judge(x))
    return watched
