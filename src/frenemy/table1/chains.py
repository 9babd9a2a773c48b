"""The Markov chains of Table 1: where each starts, and what a step of it draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frenemy.data import Dataset
from frenemy.engine import seed_everything
from frenemy.experiment import from_pixels
from frenemy.game import mix
from frenemy.model import Model
from frenemy.rivals.contractive import stack_of, walk
from frenemy.rivals.dbn import network
from frenemy.rivals.denoising import denoiser
from frenemy.rivals.gsn import Layers, consecutive
from frenemy.rivals.gsn import chain as gsn_of
from frenemy.rivals.rbm import RBM, bernoulli, machine
from frenemy.sampling import drawing, to_pixels
from frenemy.table1.drawing import Draw, Drawn, entries, independent, mixing

CHAINS, STEPS = 8, 10_000
"""Side by side, and steps of each, by which it is measured how fast they mix."""

Step = Callable[[Any], tuple[Tensor, Any]]
"""The states of n chains -> what is drawn of them, (n, ...), and the next states."""

Chain = Callable[[Mapping[str, nn.Module], Mapping[str, Any], int], tuple[Any, Step]]
"""(networks, arguments of the recipe, n) -> where n chains start, and their step."""


def by_chains(chain: Chain) -> Draw:
    """Each sample from a chain of its own, of the recipe's `sampling_steps` steps.

    How many steps an independent one takes is measured on chains that go on and on.
    """

    def draw(model: Model, data: Dataset, count: int, seed: int) -> Drawn:
        drawn = independent(model, data, count, seed)
        steps, notes = _mixing(chain, model, seed)
        if steps is not None:
            steps /= model.run.header["arguments"]["sampling_steps"]
        return Drawn(drawn.images, drawn.seconds, steps, notes)

    return draw


def _mixing(chain: Chain, model: Model, seed: int) -> tuple[float | None, list[str]]:
    with torch.no_grad(), drawing(model.game) as nets:
        seed_everything(mix(seed, STEPS), model.game.device)
        state, step = chain(nets, model.run.header["arguments"], CHAINS)
        walked: list[Tensor] = []
        for _ in range(STEPS):
            shown, state = step(state)
            walked.append(entries(shown).cpu())
    return mixing(torch.stack(walked))


def of_rbm(nets: Mapping[str, nn.Module], _: Mapping[str, Any], count: int) -> tuple[Tensor, Step]:
    """Gibbs steps, of which the means of v are shown."""
    return _by_gibbs(machine(nets), machine(nets).shown, count)


def of_dbn(nets: Mapping[str, nn.Module], _: Mapping[str, Any], count: int) -> tuple[Tensor, Step]:
    """Gibbs steps of the highest machine, and what the layers below make of each."""
    return _by_gibbs(network(nets).rbm(-1), network(nets).shown, count)


def _by_gibbs(rbm: RBM, shown: Callable[[Tensor], Tensor], count: int) -> tuple[Tensor, Step]:
    def step(v: Tensor) -> tuple[Tensor, Tensor]:
        h = bernoulli(rbm.mean_h(v))
        return shown(h), rbm.draw_v(h)

    persistent = rbm.chains[0]
    if not len(persistent):
        return rbm.draw_v(torch.zeros_like(rbm.c).expand(count, -1)), step
    return persistent[torch.arange(count) % len(persistent)], step


def of_denoising(
    nets: Mapping[str, nn.Module], _: Mapping[str, Any], count: int
) -> tuple[Tensor, Step]:
    """Corruption, and a draw of what the network makes of it, of which the means are shown."""
    net = denoiser(nets)

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        means = net.walk(x, 1)
        return means, bernoulli(means)

    return net.starts.spread(count), step


def of_cae(
    nets: Mapping[str, nn.Module], arguments: Mapping[str, Any], count: int
) -> tuple[Tensor, Step]:
    """Steps of the walk along the data."""
    net = stack_of(nets)
    layers = net.lowest(arguments["layers"])

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        x = walk(layers, x, 1, arguments["noise"])
        return x, x

    return net.starts.spread(count), step


def of_gsn(nets: Mapping[str, nn.Module], _: Mapping[str, Any], count: int) -> tuple[Layers, Step]:
    """Steps of all layers, of which the expectations p(x | h) are shown."""
    net = gsn_of(nets)
    return net.rest(net.starts.spread(count)), net.step


def consecutive_of_gsn(model: Model, data: Dataset, count: int, seed: int) -> Drawn:
    """One chain's consecutive expectations p(x | h) behind the test image that it starts at.

    So Bengio et al. (2014) judged their deep GSN: that image is among the samples.
    """
    begun = time.perf_counter()
    start = from_pixels(torch.from_numpy(np.array(data.test.images[:1])))
    with drawing(model.game) as nets:
        walked = consecutive(gsn_of(nets), start[0], count - 1, seed=seed)
    images = np.concatenate([data.test.images[:1], to_pixels(walked)])
    seconds = time.perf_counter() - begun
    return Drawn(images, seconds, *_mixing(of_gsn, model, seed), real=1)
