"""Autoencoders as recipes: one player, trained to give images back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.data.source import require_images
from frenemy.errors import above_zero, at_least
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, Round, Turn
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.nets.mlp import perceptron
from frenemy.rivals.autoencoders import Autoencoder, Whitened, following, squared_error
from frenemy.rivals.chains import ROWS, WHICH
from frenemy.rivals.contractive import CONTRACTION, Stack, contracting, stack_of, walk
from frenemy.rivals.denoising import Denoising, denoiser, denoising_error
from frenemy.rivals.rbm import Visible
from frenemy.rivals.vae import VAE, BinaryVAE, negative_elbo

EPOCHS = 100


@dataclass(frozen=True)
class Codes:
    """Arguments of autoencoders whose decoder is a G of z.

    Attributes:
        code: numbers in z.
        units: of the hidden layer, or the widest of them.
        rate: learning rate of Adam.
        minibatch: images in a minibatch.
    """

    code: int = 20
    units: int = 500
    rate: float = 1e-3
    minibatch: int = 100


def autoencoder(facts: Facts, arguments: Codes = Codes(code=30, units=1000)) -> list[Stage]:
    """An autoencoder (Hinton & Salakhutdinov 2006), whose codes a Gaussian is fitted to."""
    size, units = _numbers(facts, arguments)
    at_least(4, units=units)
    hidden = units, units // 2, units // 4
    pixels = math.prod(facts.shape)
    encoder = nn.Sequential(ToUnit(), *perceptron(pixels, *hidden, size))
    decoder = nn.Sequential(
        *perceptron(size, *hidden[::-1], pixels), nn.Sigmoid(), FromUnit(facts.shape)
    )
    turn = Turn({"G": {squared_error: 1.0}}, after=following)
    return _coding(Whitened(encoder, decoder, size), turn, arguments)


@dataclass(frozen=True)
class Variational(Codes):
    """Arguments of variational autoencoders.

    Attributes:
        visible: pixels as probabilities of binary ones, or as Gaussian ones.
    """

    visible: Visible = "binary"


def vae(facts: Facts, arguments: Variational = Variational()) -> list[Stage]:
    """A variational autoencoder (Kingma & Welling 2014)."""
    size, units = _numbers(facts, arguments)
    pixels = math.prod(facts.shape)
    encoder = nn.Sequential(
        ToUnit(), nn.Linear(pixels, units), nn.Tanh(), nn.Linear(units, 2 * size)
    )
    hidden = nn.Linear(size, units), nn.Tanh(), nn.Linear(units, pixels)
    if arguments.visible == "binary":
        net = BinaryVAE(encoder, nn.Sequential(*hidden, nn.Unflatten(1, facts.shape)))
    else:
        net = VAE(encoder, nn.Sequential(*hidden, nn.Sigmoid(), FromUnit(facts.shape)))
    return _coding(net, Turn({"G": {negative_elbo: 1.0}}), arguments)


def _numbers(facts: Facts, arguments: Codes) -> tuple[int, int]:
    """The size of z and the hidden units; refuses points, and numbers out of range."""
    require_images(facts.shape, facts.name)
    at_least(1, code=arguments.code, units=arguments.units)
    above_zero(rate=arguments.rate)
    return arguments.code, arguments.units


def _coding(net: Autoencoder, turn: Turn, arguments: Codes) -> list[Stage]:
    player = Player(net, torch.optim.Adam(net.parameters(), lr=arguments.rate, fused=True))
    prior = Prior("gaussian", arguments.code)
    return [Stage(Game({"G": player}, [turn], prior, arguments.minibatch), EPOCHS)]


@dataclass(frozen=True)
class Noisy:
    """Arguments of denoising autoencoders.

    Attributes:
        units: hidden ones.
        corruption: how likely a pixel is replaced by a coin.
        rate: learning rate of Adam.
        sampling_steps: of the chain that draws a sample.
        minibatch: images in a minibatch.
    """

    units: int = 1000
    corruption: float = 0.4
    rate: float = 1e-3
    sampling_steps: int = 100
    minibatch: int = 100


def denoising(facts: Facts, arguments: Noisy = Noisy()) -> list[Stage]:
    """A denoising autoencoder (Vincent et al. 2008), sampled by its chain (Bengio et al. 2013)."""
    require_images(facts.shape, facts.name)
    at_least(1, sampling_steps=arguments.sampling_steps)
    above_zero(rate=arguments.rate)
    net = Denoising(facts.shape, arguments.units, arguments.corruption, facts.count)

    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        net = denoiser(nets)
        return net.from_unit(net.walk(net.starts(z), arguments.sampling_steps))

    player = Player(net, torch.optim.Adam(net.parameters(), lr=arguments.rate, fused=True))
    turn = Turn({"DAE": {denoising_error: 1.0}})
    game = Game({"DAE": player}, [turn], WHICH, arguments.minibatch, sampler=draw, rows=ROWS)
    return [Stage(game, EPOCHS, begin=net.begin)]


@dataclass(frozen=True)
class Contractive:
    """Arguments of stacked contractive autoencoders.

    Attributes:
        units: of each layer.
        layers: how many, each trained when those below it are.
        penalty: lambda, the weight of the squared Jacobian, of the lowest layer.
        upper_penalty: that of each layer above it.
        rate: learning rate of Adam.
        layer_epochs: for each layer.
        noise: deviation of what the walk adds to a code in each step, before it is turned along the
            data.
        sampling_steps: of the walk that draws a sample.
        minibatch: images in a minibatch.
    """

    units: int = 500
    layers: int = 2
    penalty: float = 2.0
    upper_penalty: float = 0.5
    rate: float = 2e-3
    layer_epochs: float = 5
    noise: float = 2.0
    sampling_steps: int = 100
    minibatch: int = 100


def cae(facts: Facts, arguments: Contractive = Contractive()) -> list[Stage]:
    """A stacked contractive autoencoder (Rifai et al. 2011), sampled by a walk along the data."""
    require_images(facts.shape, facts.name)
    at_least(1, layers=arguments.layers, sampling_steps=arguments.sampling_steps)
    at_least(0, noise=arguments.noise)
    above_zero(rate=arguments.rate, layer_epochs=arguments.layer_epochs)
    stack = Stack(facts.shape, [arguments.units] * arguments.layers, facts.count)
    return [_greedy(stack, i, arguments) for i in range(arguments.layers)]


def _greedy(stack: Stack, i: int, arguments: Contractive) -> Stage:
    """Layer number i learns; what is drawn is a walk of the layers up to it."""

    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        net = stack_of(nets)
        layers = net.lowest(i + 1)
        return net.from_unit(walk(layers, net.starts(z), arguments.sampling_steps, arguments.noise))

    adam = torch.optim.Adam(stack.layers[i].parameters(), lr=arguments.rate, fused=True)
    player = Player(stack, adam)
    term = contracting(i, arguments.upper_penalty if i else arguments.penalty)
    turn = Turn({"CAE": {term: 1.0}}, after=_contraction)
    game = Game({"CAE": player}, [turn], WHICH, arguments.minibatch, sampler=draw, rows=ROWS)
    return Stage(game, arguments.layer_epochs, begin=None if i else stack.begin)


def _contraction(r: Round) -> Mapping[str, Tensor]:
    return {CONTRACTION: r.notes[CONTRACTION].mean()}
