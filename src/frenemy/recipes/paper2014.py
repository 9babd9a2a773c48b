"""The experiments of Goodfellow et al. (2014), with the settings of the authors' published code.

All share dropout in D only (keep .8 of its input, .5 of its hidden units, in both players' turns),
SGD whose momentum rises from .5 to .7 over the first 250 epochs, a rate divided by 1.000004 every
minibatch down to 1e-6, and half the sum of the two cross-entropies as D's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from typing_extensions import Doc

from frenemy.data import Dataset
from frenemy.errors import FrenemyError, at_least
from frenemy.experiment import MNIST_HINT, Experiment, Stage, require_shape
from frenemy.game import Game, Player, Prior, Turn, alternating
from frenemy.game import simultaneous as play_simultaneously
from frenemy.names import known
from frenemy.nets.conv2014 import maxout_convolutions, transposed_generator
from frenemy.nets.layers import FromUnit, Scale, ToUnit
from frenemy.nets.mlp import (
    limit_norms,
    linear,
    logit,
    maxout_discriminator,
    rectifier_generator,
    sparse,
)
from frenemy.objectives import OBJECTIVES

Objective2014 = Annotated[Literal["nonsaturating", "minimax"], Doc("what G plays for")]
K = Annotated[int, Doc("steps of D in each round")]
Simultaneous = Annotated[
    bool, Doc("both players step at once, as in the authors' code, not as Algorithm 1 says")
]
Rate = Annotated[float, Doc("initial learning rate of both players")]
Minibatch = Annotated[int, Doc("images in a minibatch")]


def mnist2014(
    data: Dataset,
    *,
    objective: Objective2014 = "nonsaturating",
    k: K = 1,
    simultaneous: Simultaneous = False,
    rate: Rate = 0.1,
    minibatch: Minibatch = 100,
) -> Experiment:
    """MNIST of Goodfellow et al. (2014), Table 1: Parzen 225 ± 2 nats."""
    require_shape(data, "mnist2014", (1, 28, 28), hint=MNIST_HINT)
    return _digits(data, objective, k, simultaneous, rate, minibatch)


def digits2014(
    data: Dataset,
    *,
    objective: Objective2014 = "nonsaturating",
    k: K = 1,
    simultaneous: Simultaneous = False,
    rate: Rate = 0.1,
    minibatch: Minibatch = 100,
) -> Experiment:
    """The 2014 MNIST game at any size; on 8x8 digits it collapses."""
    return _digits(data, objective, k, simultaneous, rate, minibatch)


def faces2014(
    data: Dataset,
    *,
    objective: Objective2014 = "nonsaturating",
    k: K = 1,
    simultaneous: Simultaneous = False,
    rate: Rate = 0.05,
    minibatch: Minibatch = 100,
) -> Experiment:
    """TFD of Goodfellow et al. (2014), Table 1: Parzen 2057 ± 26 nats."""
    hint = "give faces by --data with --size 48 --grey, or play digits, which takes any size"
    require_shape(data, "faces2014", (1, 48, 48), hint=hint)
    prior = Prior("gaussian", 100)
    mean = torch.from_numpy(data.train.mean())
    pixels = mean.numel()
    decoder = nn.Sequential(
        linear(prior.size, 8000, 0.05),
        nn.ReLU(inplace=True),
        linear(8000, 8000, 0.05, bias=-2.0),
        nn.Sigmoid(),
        sparse(8000, pixels, inputs=100, bias=logit(mean)),
        nn.Sigmoid(),
        FromUnit(data.shape),
    )
    front = nn.Sequential(
        linear(prior.size, 8000, 0.05),
        nn.ReLU(inplace=True),
        linear(8000, prior.size, 0.05, bias=-2.0),
        nn.Sigmoid(),
    )

    def stage(G: nn.Module, epochs: float) -> Stage:
        D = nn.Sequential(ToUnit(), *maxout_discriminator(pixels, 1200))
        game = _game(data, D, G, prior, objective, k, simultaneous, rate, minibatch, limit=1.9365)
        return Stage(game, epochs)

    return Experiment([stage(decoder, 50), stage(nn.Sequential(front, decoder), 22)], data.train)


def cifar2014(
    data: Dataset,
    *,
    objective: Objective2014 = "nonsaturating",
    k: K = 1,
    simultaneous: Simultaneous = False,
    rate: Rate = 0.025,
    minibatch: Minibatch = 100,
) -> Experiment:
    """CIFAR-10 of Goodfellow et al. (2014), fully connected: Fig. 3 c; no number was published."""
    require_shape(data, "cifar2014", (3, 32, 32), hint=CIFAR_HINT)
    prior = Prior("gaussian", 100)
    G = nn.Sequential(
        linear(prior.size, 8000, 0.05),
        nn.ReLU(inplace=True),
        linear(8000, 8000, 0.05),
        nn.Sigmoid(),
        linear(8000, 3072, 0.5),
        Scale(1 / CONTRAST_RANGE),
        nn.Unflatten(1, data.shape),
    )
    D = nn.Sequential(nn.Flatten(), Scale(CONTRAST_RANGE), *maxout_discriminator(3072, 1600))
    game = _game(data, D, G, prior, objective, k, simultaneous, rate, minibatch)
    return Experiment([Stage(game, EPOCHS)], data.train, prepare=normalise_contrast)


def cifar2014_conv(
    data: Dataset,
    *,
    objective: Objective2014 = "nonsaturating",
    k: K = 1,
    simultaneous: Simultaneous = False,
    rate: Rate = 0.004,
    minibatch: Minibatch = 128,
) -> Experiment:
    """CIFAR-10 of Goodfellow et al. (2014), convolutional: Fig. 3 d; no number was published."""
    require_shape(data, "cifar2014_conv", (3, 32, 32), hint=CIFAR_HINT)
    prior = Prior("gaussian", 100)
    G = nn.Sequential(transposed_generator(prior.size), Scale(1 / CONTRAST_RANGE))
    D = nn.Sequential(Scale(CONTRAST_RANGE), maxout_convolutions())
    game = _game(data, D, G, prior, objective, k, simultaneous, rate, minibatch)
    return Experiment([Stage(game, EPOCHS)], data.train, prepare=normalise_contrast)


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


def _digits(
    data: Dataset,
    objective: Objective2014,
    k: int,
    simultaneous: bool,
    rate: float,
    minibatch: int,
) -> Experiment:
    prior = Prior("uniform", 100)
    mean = torch.from_numpy(data.train.mean())
    G = rectifier_generator(prior.size, data.shape, mean)
    D = nn.Sequential(ToUnit(), *maxout_discriminator(mean.numel(), 240))
    game = _game(data, D, G, prior, objective, k, simultaneous, rate, minibatch)
    return Experiment([Stage(game, EPOCHS)], data.train)


def _game(
    data: Dataset,
    D: nn.Module,
    G: nn.Module,
    prior: Prior,
    objective: Objective2014,
    k: int,
    simultaneous: bool,
    rate: float,
    minibatch: int,
    limit: float | None = None,
) -> Game:
    at_least(1, minibatch=minibatch, k=k)
    at_least(0, rate=rate)
    if simultaneous and k != 1:
        raise FrenemyError(f"--k {k} is for alternating play: leave out --simultaneous")
    schedule = schedule2014(rate, rounds_per_epoch=len(data.train) / (minibatch * k))

    def player(net: nn.Module) -> Player:
        optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.5, fused=True)
        if limit is not None:
            optimiser.register_step_post_hook(limit_norms(net, limit))
        return Player(net, optimiser, schedule=schedule)

    known(objective, list(OBJECTIVES), "objective")
    terms = OBJECTIVES[objective]
    d, g = {terms.d: 0.5}, {terms.g: 1.0}
    turns: tuple[Turn, ...] = play_simultaneously(d, g) if simultaneous else alternating(d, g, k)
    return Game({"D": player(D), "G": player(G)}, turns, prior, minibatch)


def schedule2014(rate: float, rounds_per_epoch: float) -> Callable[[int], Mapping[str, float]]:
    """Round t -> learning rate max(rate / 1.000004^t, 1e-6), and momentum by epochs e = 1, 2, ...:
    .5 + .2 clip((e - 1) / 249, 0, 1).
    """

    def settings(t: int) -> Mapping[str, float]:
        epoch = int(t / rounds_per_epoch) + 1
        momentum = 0.5 + 0.2 * min((epoch - 1) / 249, 1.0)
        return {"lr": max(rate / 1.000004**t, 1e-6), "momentum": momentum}

    return settings
