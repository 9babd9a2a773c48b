"""The experiments of Goodfellow et al. (2014), with the settings of the authors' published code.

All share dropout in D only (keep .8 of its input, .5 of its hidden units, also where G learns),
SGD whose momentum rises from .5 to .7 over the first 250 epochs, a rate divided by 1.000004 every
minibatch down to 1e-6, and half the sum of the two cross-entropies as D's loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.errors import at_least
from frenemy.experiment import MNIST_HINT, Stage, require_shape
from frenemy.game import Game, Player, Prior, alternating
from frenemy.game import simultaneous as play_simultaneously
from frenemy.nets.conv2014 import maxout_convolutions, transposed_generator
from frenemy.nets.layers import FromUnit, Scale, ToUnit
from frenemy.nets.mlp import (
    limit_norms,
    linear,
    maxout_discriminator,
    rectifier_generator,
    sparse,
)
from frenemy.objectives import objective_named
from frenemy.recipes.start import from_the_mean

UNITS = 8000
"""Of each hidden layer of the generators of faces and of CIFAR-10."""
FACES_UNITS, CIFAR_UNITS = 1200, 1600
"""Of each hidden layer of their discriminators."""


@dataclass(frozen=True)
class Arguments2014:
    """Arguments of the games of 2014.

    Attributes:
        objective: what G plays for.
        k: steps of D in each round.
        simultaneous: if k is 1 both players step at once, as in the authors' code, not in turns as
            Algorithm 1 says, by which half of the starts on MNIST fail.
        rate: initial learning rate of both players.
        minibatch: images in a minibatch.
    """

    objective: Literal["nonsaturating", "minimax"] = "nonsaturating"
    k: int = 1
    simultaneous: bool = True
    rate: float = 0.1
    minibatch: int = 100


def mnist2014(facts: Facts, arguments: Arguments2014 = Arguments2014()) -> list[Stage]:
    """MNIST of Goodfellow et al. (2014), Table 1: Parzen 225 ± 2 nats."""
    require_shape(facts, "mnist2014", (1, 28, 28), hint=MNIST_HINT)
    return digits2014(facts, arguments)


def digits2014(facts: Facts, arguments: Arguments2014 = Arguments2014()) -> list[Stage]:
    """The 2014 MNIST experiment for images of any size."""
    prior = Prior("uniform", 100)
    G = rectifier_generator(prior.size, facts.shape)
    D = nn.Sequential(ToUnit(), *maxout_discriminator(math.prod(facts.shape), 240))
    game = _game(facts, D, G, prior, arguments)
    return [Stage(game, EPOCHS, begin=from_the_mean(G))]


def faces2014(facts: Facts, arguments: Arguments2014 = Arguments2014(rate=0.05)) -> list[Stage]:
    """TFD of Goodfellow et al. (2014), Table 1: Parzen 2057 ± 26 nats."""
    hint = "give faces by --data with --size 48 --grey, or train digits, which takes any size"
    require_shape(facts, "faces2014", (1, 48, 48), hint=hint)
    prior = Prior("gaussian", 100)
    pixels = math.prod(facts.shape)
    decoder = nn.Sequential(
        linear(prior.size, UNITS, 0.05),
        nn.ReLU(inplace=True),
        linear(UNITS, UNITS, 0.05, bias=-2.0),
        nn.Sigmoid(),
        sparse(UNITS, pixels, inputs=100),
        nn.Sigmoid(),
        FromUnit(facts.shape),
    )
    front = nn.Sequential(
        linear(prior.size, UNITS, 0.05),
        nn.ReLU(inplace=True),
        linear(UNITS, prior.size, 0.05, bias=-2.0),
        nn.Sigmoid(),
    )

    def game(G: nn.Module) -> Game:
        D = nn.Sequential(ToUnit(), *maxout_discriminator(pixels, FACES_UNITS))
        return _game(facts, D, G, prior, arguments, limit=1.9365)

    first = Stage(game(decoder), 50, begin=from_the_mean(decoder))
    return [first, Stage(game(nn.Sequential(front, decoder)), 22)]


def cifar2014(facts: Facts, arguments: Arguments2014 = Arguments2014(rate=0.025)) -> list[Stage]:
    """CIFAR-10 of Goodfellow et al. (2014), fully connected: Fig. 2 c; no number was published."""
    require_shape(facts, "cifar2014", (3, 32, 32), hint=CIFAR_HINT)
    prior = Prior("gaussian", 100)
    G = nn.Sequential(
        linear(prior.size, UNITS, 0.05),
        nn.ReLU(inplace=True),
        linear(UNITS, UNITS, 0.05),
        nn.Sigmoid(),
        linear(UNITS, 3072, 0.5),
        Scale(1 / CONTRAST_RANGE),
        nn.Unflatten(1, facts.shape),
    )
    D = nn.Sequential(nn.Flatten(), Scale(CONTRAST_RANGE), *maxout_discriminator(3072, CIFAR_UNITS))
    return [Stage(_game(facts, D, G, prior, arguments, prepare=normalise_contrast), EPOCHS)]


def cifar2014_conv(
    facts: Facts, arguments: Arguments2014 = Arguments2014(rate=0.004, minibatch=128)
) -> list[Stage]:
    """CIFAR-10 of Goodfellow et al. (2014), convolutional: Fig. 2 d; no number was published."""
    require_shape(facts, "cifar2014_conv", (3, 32, 32), hint=CIFAR_HINT)
    prior = Prior("gaussian", 100)
    G = nn.Sequential(transposed_generator(prior.size, UNITS), Scale(1 / CONTRAST_RANGE))
    D = nn.Sequential(Scale(CONTRAST_RANGE), maxout_convolutions())
    return [Stage(_game(facts, D, G, prior, arguments, prepare=normalise_contrast), EPOCHS)]


EPOCHS = 250.0
"""The published code has no stopping rule for digits and CIFAR-10; the momentum settles here."""

CIFAR_HINT = (
    "give CIFAR-10's python batches (cs.toronto.edu/~kriz/cifar.html) by --data, "
    "or colour pictures with --size 32"
)

CONTRAST = 55.0
CONTRAST_RANGE = 3.0
"""Contrast-normalised pixels have unit variance (55 / sqrt 3072 = .99); this many of their standard
deviations fill the range [-1, 1] of images. D and G undo it, so the game is the paper's."""


def normalise_contrast(x: Tensor) -> Tensor:
    """Global contrast normalisation: each image less its mean, at norm 55; then / CONTRAST_RANGE.

    (B, C, H, W) -> (B, C, H, W). Goodfellow et al. (2013), Maxout Networks, section 5.2.
    """
    x = x - x.mean(dim=(1, 2, 3), keepdim=True)
    norms = x.flatten(1).norm(dim=1).clamp_(min=1e-3)  # a blank image stays blank
    return x * (CONTRAST / CONTRAST_RANGE / norms)[:, None, None, None]


def _game(
    facts: Facts,
    D: nn.Module,
    G: nn.Module,
    prior: Prior,
    arguments: Arguments2014,
    *,
    limit: float | None = None,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Game:
    k, rate, minibatch = arguments.k, arguments.rate, arguments.minibatch
    at_least(1, minibatch=minibatch, k=k)
    at_least(0, rate=rate)
    schedule = schedule2014(rate, rounds_per_epoch=facts.count / (minibatch * k))

    def player(net: nn.Module) -> Player:
        optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.5, fused=True)
        if limit is not None:
            optimiser.register_step_post_hook(limit_norms(net, limit))
        return Player(net, optimiser, schedule=schedule)

    terms = objective_named(arguments.objective)
    d, g = {terms.d: 0.5}, {terms.g: 1.0}
    at_once = arguments.simultaneous and k == 1
    turns = play_simultaneously(d, g) if at_once else alternating(d, g, k)
    return Game({"D": player(D), "G": player(G)}, turns, prior, minibatch, prepare=prepare)


def schedule2014(rate: float, rounds_per_epoch: float) -> Callable[[int], Mapping[str, float]]:
    """Round t -> learning rate max(rate / 1.000004^t, 1e-6), and momentum by epochs e = 1, 2, ...:
    .5 + .2 clip((e - 1) / 249, 0, 1).
    """

    def settings(t: int) -> Mapping[str, float]:
        epoch = int(t / rounds_per_epoch) + 1
        momentum = 0.5 + 0.2 * min((epoch - 1) / 249, 1.0)
        return {"lr": max(rate / 1.000004**t, 1e-6), "momentum": momentum}

    return settings
