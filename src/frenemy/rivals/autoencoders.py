"""The autoencoder: a code of few numbers for each image, and a decoder that gives the image back.

Its game has one player, "G", and one turn, `Turn({"G": {squared_error: 1.0}})`. Nothing in it asks
that the codes follow any prior.

Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from frenemy.game import Round


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
