"""One decoder, from z in the plane to digits, trained in three games and drawn."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frenemy.data import Source
from frenemy.experiment import from_pixels
from frenemy.figures import Figure
from frenemy.game import Game, Minibatch, Prior, Turn
from frenemy.lab import codes
from frenemy.lab.discriminators import adam
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.nets.mlp import critic, perceptron
from frenemy.objectives import pairing_d, pairing_g
from frenemy.penalties import lazily
from frenemy.rivals.autoencoders import Autoencoder, squared_error
from frenemy.rivals.vae import VAE, negative_elbo

PRIOR = Prior("gaussian", 2)  # two numbers, so that they can be drawn
MINIBATCH = 100
SLOPE = 0.2  # below 0, of the rectifiers of encoders and D: they train more surely than without


class Decoders(NamedTuple):
    """The decoder as each game left it, with the encoder where there is one."""

    autoencoder: Autoencoder
    vae: VAE
    gan: nn.Module


def train(
    source: Source, *, seed: int, rounds: int, width: int, rate: float, gamma: float
) -> Decoders:
    """Plays the three games: squared error, negative ELBO, and pairing with R1 and R2.

    All begin with the same weights of the decoder: two hidden layers of `width` rectifiers, as the
    encoders have. D's layers are twice as wide. The rate falls to 0 over the last half of the
    rounds.

    Args:
        source: images to train on.
        seed: of the minibatches and of z; the first weights are the global generator's.
        rounds: of each game.
        width: of hidden layers.
        rate: of Adam, at first.
        gamma: weight of R1 and R2, which are played every fourth round with four times that.
    """
    pixels = source.images[0].size
    G, D = adversaries(source, width)
    E, q = (
        nn.Sequential(ToUnit(), *perceptron(pixels, width, width, n, slope=SLOPE)) for n in (2, 4)
    )
    autoencoder, vae = Autoencoder(E, copy.deepcopy(G)), VAE(q, copy.deepcopy(G))

    minibatch = minibatches_of(source, seed)
    for net, term in ((autoencoder, squared_error), (vae, negative_elbo)):
        players = {"G": adam(net, falling(rate, rounds), (0.9, 0.99))}
        game = Game(players, [Turn({"G": {term: 1.0}})], PRIOR, MINIBATCH)
        for step in range(rounds):
            game.play(minibatch, seed=seed, step=step)
    gan = play_adversaries(D, G, minibatch, seed=seed, rounds=rounds, rate=rate, gamma=gamma)
    return Decoders(autoencoder, vae, gan)


def adversaries(source: Source, width: int) -> tuple[nn.Module, nn.Module]:
    """G with two hidden layers of `width` rectifiers, and D with two twice as wide; untrained."""
    pixels = source.images[0].size
    layers = (*perceptron(2, width, width, pixels), nn.Sigmoid(), FromUnit(source.shape))
    G = nn.Sequential(*layers)
    return G, nn.Sequential(ToUnit(), *critic(pixels, 2 * width, 2 * width, slope=SLOPE))


def play_adversaries(
    D: nn.Module,
    G: nn.Module,
    minibatch: Minibatch,
    *,
    seed: int,
    rounds: int,
    rate: float,
    gamma: float,
) -> nn.Module:
    """The pairing game with R1 and R2 between them: the average of G's weights at its end."""
    player = adam(G, falling(rate, rounds), (0.0, 0.99), averaging=0.99)
    players = {"D": adam(D, falling(rate, rounds), (0.0, 0.99)), "G": player}
    game = Game(players, lazily({pairing_d: 1.0}, {pairing_g: 1.0}, gamma), PRIOR, MINIBATCH)
    for step in range(rounds):
        game.play(minibatch, seed=seed, step=step)
    return player.best


def falling(rate: float, rounds: int) -> Callable[[int], float]:
    """Round -> that rate, which falls to 0 over the last half of the rounds."""
    return lambda t: rate * min(1.0, 2 * (1 - t / rounds))


def minibatches_of(source: Source, seed: int) -> Minibatch:
    """`MINIBATCH` images of the source at a time, in [-1, 1]."""

    def minibatch(stream: int, i: int) -> tuple[Tensor, None]:
        return from_pixels(torch.tensor(source.batch((seed, stream), i, MINIBATCH)[0])), None

    return minibatch


def figures(
    nets: Decoders, *, x: Tensor, digits: Sequence[int], samples: Sequence[Tensor]
) -> list[Figure]:
    """Samples, reconstructions, codes, and what the decoders make of a lattice in the plane.

    Args:
        nets: trained.
        x: images that they have not seen, (N, C, H, W).
        digits: of these, (N,).
        samples: of each decoder, for the same z, 49 or more.
    """
    shown = zip(("held-out images", "autoencoder", "VAE", "GAN"), (x, *samples), strict=True)
    first = x[[list(digits).index(digit) for digit in range(10)]]
    again = {
        name: net.reconstruct(first) for name, net in (("autoencoder", nets[0]), ("VAE", nets[1]))
    }
    z = {"autoencoder": nets.autoencoder.encode(x), "VAE": nets.vae.encode(x)}
    shares = torch.linspace(0.04, 0.96, 10)
    lattice = codes.plane(*[torch.special.ndtri(shares)] * 2)
    own = codes.plane(*(z["autoencoder"][:, i].quantile(shares) for i in (0, 1)))
    reach = {name: points.norm(dim=1).median().item() for name, points in z.items()}
    decoded = {
        "autoencoder": nets.autoencoder(lattice),
        "… at its codes' quantiles": nets.autoencoder(own),
        "VAE": nets.vae(lattice),
        "GAN": nets.gan(lattice),
    }
    return [
        Figure(
            functools.partial(codes.gallery, panels={name: v[:49] for name, v in shown}),
            "Squares of 49 digits: held-out images, and samples of the three decoders.",
            "G(z) of the three decoders for the same z from the prior, beside held-out images.",
            (6, 6.6),
        ),
        Figure(
            functools.partial(codes.rows, images={"x": first, **again}),
            "A held-out digit of each class, and what the autoencoder and the VAE make of it.",
            "Reconstructions of held-out images. The GAN has no encoder to make them with.",
            (6, 1.9),
        ),
        Figure(
            functools.partial(codes.maps, points=z, digits=digits),
            "Codes of held-out digits in the plane. Half of the autoencoder's are farther from 0 "
            f"than {reach['autoencoder']:.1f}, half of the VAE's than {reach['VAE']:.1f}.",
            "Held-out digits at their codes (for the VAE, the mean of q). Within the dashed circle "
            "lies 95 % of the prior.",
            (8, 4.2),
        ),
        Figure(
            functools.partial(codes.gallery, panels=decoded),
            "Squares of 100 digits: the decoders' images of a lattice in the plane.",
            "G(z) where each coordinate of z takes the prior's quantiles from .04 to .96; for the "
            "autoencoder also those of its own codes.",
            (6, 6.6),
        ),
    ]
