"""The autoencoder: a code of few numbers for each image, and a decoder that gives the image back.

Its game has one player, "G", and one turn, `Turn({"G": {squared_error: 1.0}})`. Nothing in it asks
that the codes follow any prior. To draw from it all the same, `Whitened` follows their mean and
covariance while it learns.

Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from frenemy.game import Round

MEMORY = 0.99
"""Of the codes' moments, per round."""
FLAT = 1e-6
"""Of the largest variance of the codes: none is taken for less."""


class Autoencoder(nn.Module):
    """An encoder E and a decoder G, which as a generator is its decoder: (B, size) -> (B, ...).

    Args:
        encoder: images (B, C, H, W) in [-1, 1] -> what `encode` makes a code of; here the code.
        decoder: codes (B, size) -> images (B, C, H, W) in [-1, 1].

    >>> import torch
    >>> net = Autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)))
    >>> net(torch.zeros(3, 64)).shape, net.encode(torch.zeros(3, 1, 8, 8)).shape
    (torch.Size([3, 1, 8, 8]), torch.Size([3, 64]))
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image, (B, C, H, W) -> (B, size)."""
        return self.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x)), (B, C, H, W)."""
        return self(self.encode(x))


class Whitened(Autoencoder):
    """An autoencoder whose codes are made to have the mean 0 and the covariance I of the prior.

        encode(x) = S^(-1/2) (E(x) - m),    G(z) = decoder(m + S^(1/2) z),

    with m and S the moving mean and covariance of E(x): so samples come from the Gaussian that is
    fitted to the codes. What is learned by, decoder(E(x)), does not depend on them.

    Args:
        encoder, decoder: as of `Autoencoder`.
        size: of a code.
    """

    mean: Tensor
    square: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, size: int) -> None:
        super().__init__(encoder, decoder)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("square", torch.eye(size))

    def follow(self, x: Tensor) -> None:
        """Moves m and the mean square of the codes on to those of a minibatch of images."""
        code = self.encoder(x)
        self.mean.lerp_(code.mean(0), 1 - MEMORY)
        self.square.lerp_(code.T @ code / len(code), 1 - MEMORY)

    def _power(self, exponent: float) -> Tensor:
        """S to that power; directions in which codes hardly differ are taken to differ a little."""
        values, vectors = torch.linalg.eigh(self.square - torch.outer(self.mean, self.mean))
        values = values.clamp(min=FLAT * values[-1])
        return vectors * values**exponent @ vectors.T

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(self.mean + z @ self._power(0.5))

    def encode(self, x: Tensor) -> Tensor:
        return (self.encoder(x) - self.mean) @ self._power(-0.5)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def following(r: Round) -> Mapping[str, Tensor]:
    """After a turn: the moments of the codes follow the player's network."""
    G = r.nets["G"]
    assert isinstance(G, Whitened)
    G.follow(r.x)
    return {}


class Tied(nn.Module):
    """A layer h = sigmoid(x W + c), and back: sigmoid(h W^T + b).

    Attributes:
        W, b, c: (inputs, units), (inputs,), (units,).
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        edge = 4 * math.sqrt(6 / (inputs + units))  # Glorot & Bengio (2010), for sigmoids
        self.W = nn.Parameter(torch.empty(inputs, units).uniform_(-edge, edge))
        self.b = nn.Parameter(torch.zeros(inputs))
        self.c = nn.Parameter(torch.zeros(units))

    def encode(self, x: Tensor) -> Tensor:
        """The h of x, (..., inputs) -> (..., units)."""
        return torch.sigmoid(x @ self.W + self.c)

    def logits(self, h: Tensor) -> Tensor:
        """What the way back is the sigmoid of, (..., units) -> (..., inputs)."""
        return h @ self.W.T + self.b


def cross_entropy(x: Tensor, logits: Tensor) -> Tensor:
    """-log of the probability of x (B, n) in [0, 1] as independent binary variables, (B,)."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


def squared_error(r: Round) -> Tensor:
    """|x - G(E(x))|^2 over pixels in [0, 1], (B,). Hinton & Salakhutdinov (2006)."""
    G = r.nets["G"]
    assert isinstance(G, Autoencoder)
    x = r.x.detach()
    return squared_distance(x, G.reconstruct(x))


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|^2 of images (B, ...) in [-1, 1], as their pixels are in [0, 1]: (B,).

    >>> import torch
    >>> squared_distance(-torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([4.])
    """
    return (a - b).flatten(1).square().sum(1) / 4
