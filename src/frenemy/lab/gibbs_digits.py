"""Digits by a machine that needs a Markov chain, and by a G that needs one pass."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from frenemy.data import Dataset, open_dataset
from frenemy.experiment import from_pixels
from frenemy.figures import Figure
from frenemy.game import Game, Player, Turn, mix
from frenemy.judge.estimate import Estimate
from frenemy.judge.kernel import kid
from frenemy.lab import codes, decoders
from frenemy.lab.decoders import MINIBATCH, PRIOR
from frenemy.nets.layers import ToUnit
from frenemy.rivals.autocorrelation import integrated_time
from frenemy.rivals.ppca import principal
from frenemy.rivals.rbm import RBM, bernoulli, contrasting

HIDDEN = 100  # units of the machine
WIDTH, RATE, GAMMA = 128, 6e-3, 0.3  # of G's game, as in the lesson on autoencoders
CHAINS = 100
SHOWN = 12  # images in a row


@dataclass(frozen=True)
class Race:
    """An RBM and a G that were trained on the same digits, as samplers.

    Attributes:
        chain, pushed: how many steps of the Gibbs chain, and how many passes of G, are worth one
            independent sample, by the first principal component of the images.
        kids: the kernel distance of samples to held-out images, of the RBM and of G.
        seconds: of one step of one chain, and of one pass of G, for one image.
        rows: consecutive images of a chain, of G, (SHOWN, 1, 8, 8) each.
    """

    chain: Estimate
    pushed: Estimate
    kids: tuple[Estimate, Estimate]
    seconds: tuple[float, float]
    rows: dict[str, Tensor]


def race(*, rounds: int, steps: int, seed: int) -> Race:
    """Trains both on the embedded digits and draws `steps` images in a row from each.

    Args:
        rounds: of each game.
        steps: of every chain, once a quarter of so many have passed.
        seed: of both; the first weights are drawn by the global generator, which is left alone.
    """
    data = open_dataset(None)
    minibatch = decoders.minibatches_of(data.train, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0))
        rbm = RBM(data.train.shape, HIDDEN)
        with torch.no_grad():
            rbm.begin(data.train)
        player = Player(rbm, torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5))
        game = Game({"RBM": player}, [Turn({"RBM": {contrasting(1): 1.0}})], PRIOR, MINIBATCH)
        for step in range(rounds):
            game.play(minibatch, seed=seed, step=step)
        G, D = decoders.adversaries(data.train, WIDTH)
        G = decoders.play_adversaries(
            D, G, minibatch, seed=seed, rounds=rounds, rate=RATE, gamma=GAMMA
        )
        torch.manual_seed(mix(seed, 1))
        with torch.no_grad():
            return _drawn(rbm, G, data, steps)


def _drawn(rbm: RBM, G: nn.Module, data: Dataset, steps: int) -> Race:
    unit = torch.tensor(data.train.images).double().flatten(1) / 255
    fit = principal(unit, 1)
    axis = fit.W[:, 0] / fit.W[:, 0].norm()
    v = rbm.gibbs(rbm.mean_v(torch.zeros(CHAINS, HIDDEN)), steps // 4)
    clock = [time.perf_counter()]
    walked = []  # of every chain, the mean image of each state: (steps, CHAINS, pixels)
    for _ in range(steps):
        mean = rbm.mean_v(bernoulli(rbm.mean_h(v)))
        v = bernoulli(mean)
        walked.append(mean)
    clock.append(time.perf_counter())
    pushed = G(PRIOR(steps * CHAINS))
    clock.append(time.perf_counter())
    by_chain, by_G = torch.stack(walked), ToUnit()(pushed).view(steps, CHAINS, -1)
    held = torch.cat([torch.tensor(part.images) for part in (data.valid, data.test)])
    real = ToUnit()(from_pixels(held))
    each = [b - a for a, b in itertools.pairwise(clock)]
    tau = [integrated_time(x.double() @ axis) for x in (by_chain, by_G)]
    last = by_chain[:: steps // 4].flatten(0, 1)  # far enough apart to know little of each other
    return Race(
        tau[0],
        tau[1],
        (kid(real=real, fake=last), kid(real=real, fake=by_G[:4].flatten(0, 1))),
        (each[0] / (steps * CHAINS), each[1] / (steps * CHAINS)),
        {"chain": rbm.images(by_chain[:SHOWN, 0]), "G": pushed[::CHAINS][:SHOWN]},
    )


def figure(race: Race) -> Figure:
    """Images in a row, as each sampler makes them."""
    return Figure(
        partial(codes.rows, images=race.rows),
        f"{SHOWN} consecutive states of a Gibbs chain, which resemble each other, and as many"
        " consecutive samples of G, which do not.",
        "Above: consecutive steps of one Gibbs chain of an RBM (its mean images). Below:"
        " consecutive samples of G, each from a z of its own.",
        (8, 1.7),
    )
