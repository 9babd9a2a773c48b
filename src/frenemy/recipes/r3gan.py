"""R3GAN as it was published: relativistic pairing, R1 and R2, and schedules instead of tricks.

Huang, Gokaslan, Kuleshov and Tompkin (2024), The GAN is Dead; Long Live the GAN! A Modern Baseline
GAN, config E.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from frenemy.choices import OptionalFloat, OptionalInt, given
from frenemy.data import Facts
from frenemy.data.source import require_images
from frenemy.errors import above_zero, at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, HalfLife, Player, Prior, Round, alternating
from frenemy.nets.augment import R3GAN, Augment
from frenemy.nets.augmented import Augmented
from frenemy.nets.conditions import labels
from frenemy.nets.layers import start_of
from frenemy.nets.r3gan import Discriminator, Generator
from frenemy.objectives import pairing_d, pairing_g
from frenemy.penalties import r1, r2
from frenemy.recipes.schedules import cosine

Z = 64
SHARES = 1, 1, 1, 1, 2, 4, 8  # of the width, that stages have: from the smallest maps up


class Published(NamedTuple):
    """Settings for images of one size; those that move are the values at the end of the burn-in."""

    minibatch: int
    images: float
    gamma: float  # a tenth of what it begins with
    half_life: float
    augmented: float


PUBLISHED = {
    32: Published(512, 250e6, 0.005, 5e6, 0.55),  # CIFAR-10
    64: Published(256, 100e6, 0.2, 0.5e6, 0.3),  # FFHQ-64
    256: Published(256, 200e6, 15.0, 0.5e6, 0.3),  # FFHQ-256
}


@dataclass(frozen=True)
class Huang2024:
    """Arguments of R3GAN; what is not given is as published for images of the nearest size.

    Attributes:
        width: feature maps of the four smallest stages; the next have a half, a quarter, an eighth.
        blocks: residual blocks in each stage.
        rate: initial learning rate of both players' Adam; it falls to a quarter in the burn-in.
        gamma: initial weight of R1 and R2, which falls to a tenth; by default, between the
            published sizes, a geometric mean.
        augmented: probability of augmentation after the burn-in, which begins with none.
        half_life: of G's moving average after the burn-in, in images; it grows from 0.
        burn_in: images over which all of these change, along half a cosine.
        images: that D sees in all.
        minibatch: images in a minibatch.
        classes: condition G and D on the classes, if the images have any.
    """

    width: int = 768
    blocks: int = 2
    rate: float = 2e-4
    gamma: OptionalFloat = None
    augmented: OptionalFloat = None
    half_life: OptionalFloat = None
    burn_in: int = 20_000_000
    images: OptionalInt = None
    minibatch: OptionalInt = None
    classes: bool = True


def published(side: int) -> Published:
    """The settings for images of so many pixels at the longer side.

    >>> [round(published(side).gamma, 3) for side in (16, 32, 64, 128, 256)]
    [0.005, 0.005, 0.2, 1.732, 15.0]
    """
    nearest = min(PUBLISHED, key=lambda known: abs(math.log(known / side)))
    sizes, gammas = zip(*((size, known.gamma) for size, known in PUBLISHED.items()), strict=True)
    gamma = float(np.exp(np.interp(np.log(side), np.log(sizes), np.log(gammas))))
    return PUBLISHED[nearest]._replace(gamma=gamma)


def r3gan(facts: Facts, arguments: Huang2024 = Huang2024()) -> list[Stage]:
    """R3GAN of Huang et al. (2024), who also mirrored their images: sides of 16 to 256."""
    require_images(facts.shape, facts.name)
    a, usual = arguments, published(max(facts.shape[1:]))
    minibatch, images = given(a.minibatch, usual.minibatch), given(a.images, usual.images)
    gamma = given(a.gamma, 10 * usual.gamma)
    augmented, half_life = given(a.augmented, usual.augmented), given(a.half_life, usual.half_life)
    at_least(1, width=a.width, minibatch=minibatch, images=images, burn_in=a.burn_in)
    at_least(0, gamma=gamma, augmented=augmented, half_life=half_life)
    at_most(1, augmented=augmented)
    above_zero(rate=a.rate)
    classes = len(facts.classes) if a.classes else 0
    _, times = start_of(facts.shape)
    widths = [a.width // share for share in SHARES[: times + 1]]
    T = Augment(R3GAN)
    G = Generator(Z, facts.shape, widths, a.blocks, classes)
    D = Augmented(Discriminator(facts.shape, widths, a.blocks, classes), T)

    def moved(first: float, last: float, t: int) -> float:
        return cosine(first, last, min(1.0, t * minibatch / a.burn_in))

    def schedule(t: int) -> dict[str, object]:
        return {"lr": moved(a.rate, a.rate / 4, t), "betas": (0.0, moved(0.9, 0.99, t))}

    def player(net: nn.Module, averaging: HalfLife | None = None) -> Player:
        adam = torch.optim.Adam(net.parameters(), lr=a.rate, betas=(0.0, 0.9), fused=True)
        return Player(net, adam, schedule=schedule, averaging=averaging)

    def augment(r: Round) -> Mapping[str, Tensor]:
        T.set(moved(0.0, augmented, r.step + 1))
        return {"augmented": T.p.clone()}

    def weight(t: int) -> float:
        return moved(gamma, gamma / 10, t)

    average = HalfLife(lambda t: moved(0.0, half_life, t))
    of_D, of_G = alternating({pairing_d: 1.0, r1: weight, r2: weight}, {pairing_g: 1.0})
    turns = replace(of_D, after=augment), of_G
    players = {"D": player(D), "G": player(G, average)}
    told = labels if classes else None
    game = Game(players, turns, Prior("gaussian", Z), minibatch, conditions=told)
    return [Stage(game, images / facts.count)]
