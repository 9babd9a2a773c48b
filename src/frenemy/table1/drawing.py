"""How the samples that a table is about are drawn, and how many of them are worth one.

Samples that are made of z alone are independent. Those of a Markov chain are worth as many
independent ones as the chain's integrated autocorrelation time says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from frenemy.data import Dataset
from frenemy.engine import seed_everything
from frenemy.game import mix
from frenemy.judge.sets import Images
from frenemy.judging_runs import target_of
from frenemy.model import Model
from frenemy.rivals.autocorrelation import autocorrelation_time
from frenemy.rivals.rbm import bernoulli, machine
from frenemy.sampling import drawing

STEPS = 5_000
"""Of the one chain by which it is measured how fast chains mix."""
ENOUGH = 50
"""Independent samples that a chain has to be worth for that to be a measurement."""


@dataclass(frozen=True)
class Drawn:
    """Samples, and what they cost.

    Attributes:
        images: uint8 (N, C, H, W).
        seconds: that drawing them took.
        steps: so many of them are worth one independent sample.
        notes: what they are worth, in sentences.
        real: how many of them, the first, are real images: where a chain started.
    """

    images: Images
    seconds: float
    steps: float = 1.0
    notes: list[str] = field(default_factory=list)
    real: int = 0


Draw = Callable[[Model, Dataset, int, int], Drawn]
"""(model, data, count, seed) -> so many samples of the model, which was trained on the data."""

Walk = Callable[[Mapping[str, nn.Module], int], Tensor]
"""(networks, steps) -> what one chain draws in so many steps, one after another: (steps, d)."""


def independent(model: Model, data: Dataset, count: int, seed: int) -> Drawn:
    """Each sample of its own z."""
    begun = time.perf_counter()
    images = target_of(model, count, seed, data).images
    return Drawn(images, time.perf_counter() - begun)


def by_chains(walk: Walk) -> Draw:
    """Each sample from a chain of its own, of the recipe's `sampling_steps` steps.

    Where these are fewer than the chain takes to forget where it was, more chains are not worth as
    many independent samples.
    """

    def draw(model: Model, data: Dataset, count: int, seed: int) -> Drawn:
        drawn = independent(model, data, count, seed)
        with torch.no_grad(), drawing(model.game) as nets:
            seed_everything(mix(seed, STEPS), model.game.device)
            time_of_chain = autocorrelation_time(walk(nets, STEPS))
        steps = time_of_chain / model.run.header["arguments"]["sampling_steps"]
        return Drawn(drawn.images, drawn.seconds, steps, mixing(time_of_chain, STEPS))

    return draw


def mixing(time_of_chain: float, steps: int) -> list[str]:
    """What is said of a chain that does not mix, by its autocorrelation time in so many steps."""
    if time_of_chain * ENOUGH <= steps:
        return []
    worth = max(1, round(steps / time_of_chain))
    return [
        f"its chain does not mix: {steps:,} steps of it are worth about {worth:,} independent "
        f"sample{'s' * (worth > 1)}, so that the time for one is only a guess"
    ]


def rbm_walk(nets: Mapping[str, nn.Module], steps: int) -> Tensor:
    """The means of v along one Gibbs chain of an RBM."""
    net = machine(nets)
    v = net.chains[0][:1] if net.chains.shape[1] else bernoulli(net.base.sigmoid())[None]
    walked = torch.empty(steps, v.shape[1], device=v.device)
    for t in range(steps):
        v = net.gibbs(v, 1)
        walked[t] = net.mean_v(bernoulli(net.mean_h(v)))[0]
    return walked.cpu()
