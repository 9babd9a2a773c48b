"""Autoencoders as recipes: one player, trained to give images back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.data.source import require_images
from frenemy.errors import above_zero, at_least, at_most
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Round, Turn
from frenemy.rivals.chains import WHICH
from frenemy.rivals.contractive import CONTRACTION, Stack, contracting, stack_of, walk


@dataclass(frozen=True)
class Contractive:
    """Arguments of stacked contractive autoencoders.

    Attributes:
        units: of each layer.
        layers: how many, each trained when those below it are.
        penalty: lambda, the weight of the squared Jacobian.
        rate: learning rate.
        momentum: of the gradient descent.
        layer_epochs: for each layer.
        noise: deviation of what the walk adds to a code in each step, before it is turned along the
            data.
        sampling_steps: of the walk that draws a sample.
        minibatch: images in a minibatch.
    """

    units: int = 1000
    layers: int = 2
    penalty: float = 0.1
    rate: float = 0.001
    momentum: float = 0.9
    layer_epochs: float = 50
    noise: float = 1.0
    sampling_steps: int = 100
    minibatch: int = 100


def cae(facts: Facts, arguments: Contractive = Contractive()) -> list[Stage]:
    """A stacked contractive autoencoder (Rifai et al. 2011), sampled by a walk along the data."""
    require_images(facts.shape, facts.name)
    at_least(1, layers=arguments.layers, sampling_steps=arguments.sampling_steps)
    at_least(0, momentum=arguments.momentum, noise=arguments.noise)
    above_zero(rate=arguments.rate, layer_epochs=arguments.layer_epochs)
    at_most(1, momentum=arguments.momentum)
    stack = Stack(facts.shape, [arguments.units] * arguments.layers, facts.count)
    return [_greedy(stack, i, arguments) for i in range(arguments.layers)]


def _greedy(stack: Stack, i: int, arguments: Contractive) -> Stage:
    """Layer number i learns; what is drawn is a walk of the layers up to it."""

    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        net = stack_of(nets)
        layers = net.lowest(i + 1)
        return net.from_unit(walk(layers, net.starts(z), arguments.sampling_steps, arguments.noise))

    descent = torch.optim.SGD(
        stack.layers[i].parameters(), lr=arguments.rate, momentum=arguments.momentum
    )
    turn = Turn({"CAE": {contracting(i, arguments.penalty): 1.0}}, after=_contraction)
    player = Player(stack, descent)
    game = Game({"CAE": player}, [turn], WHICH, arguments.minibatch, sampler=draw)
    return Stage(game, arguments.layer_epochs, begin=None if i else stack.starts.begin)


def _contraction(r: Round) -> Mapping[str, Tensor]:
    return {CONTRACTION: r.notes[CONTRACTION].mean()}
