"""SNGAN: residual networks, of which D is Lipschitz by the spectral norms of its layers.

Miyato, Kataoka, Koyama and Yoshida (2018), Spectral Normalization for Generative Adversarial
Networks, the residual networks for CIFAR-10 without labels. Weights start as Glorot & Bengio (2010)
have them, those within residual branches sqrt 2 times as large; biases at 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import at_least
from frenemy.nets.layers import Shape, start_of

RESIDUAL = math.sqrt(2)  # the gain of the weights within residual branches
FIRST = 15  # power iterations on the initial weights


def generator(size_of_z: int, shape: Shape, width: int = 256) -> nn.Sequential:
    """G: z (B, size_of_z) -> images (B, *shape) in [-1, 1], by a tanh.

    A linear map makes the smallest maps, and each residual block doubles their sides.

    Args:
        size_of_z: 128 in the paper.
        shape: (C, H, W), with sides from 16 to 256 as `start_of` takes them.
        width: maps everywhere.

    Raises:
        FrenemyError: sides that no start gives.

    >>> generator(128, (3, 16, 24), width=4)(torch.randn(5, 128)).shape
    torch.Size([5, 3, 16, 24])
    """
    at_least(1, size_of_z=size_of_z, width=width)
    (rows, columns), times = start_of(shape)
    return nn.Sequential(
        _started(nn.Linear(size_of_z, width * rows * columns)),
        nn.Unflatten(1, (width, rows, columns)),
        *(_up(width) for _ in range(times)),
        *(nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
        *(_started(nn.Conv2d(width, shape[0], 3, padding=1)), nn.Tanh()),
    )


def discriminator(shape: Shape, width: int = 128) -> nn.Sequential:
    """D: images (B, *shape) -> logits (B,).

    Residual blocks halve the sides until they are twice those of G's smallest maps; two more keep
    them, and the logit is a linear map of the maps' sums. Every layer is a `SpectralConvolution`,
    so whoever plays D calls `power_iteration` after each of its steps.

    Args and raises: as `generator`.

    >>> discriminator((3, 16, 24), width=4)(torch.randn(5, 3, 16, 24)).shape
    torch.Size([5])
    """
    at_least(1, width=width)
    _, times = start_of(shape)
    return nn.Sequential(
        _first(shape[0], width),
        *(_down(width) for _ in range(times - 2)),
        *(Residual(_two(width)) for _ in range(2)),
        *(nn.ReLU(), Total(), SpectralConvolution(width, 1, 1), nn.Flatten(0)),
    )


class SpectralConvolution(nn.Conv2d):
    """A convolution by W / sigma, where sigma = u^T W v is near W's largest singular value.

    W is taken as the matrix (n_out, n_in kernel^2). u and v are buffers, which no forward pass
    changes, so that a round does not depend on how often D is asked in it; gradients take them as
    constants. Miyato et al. (2018), section 2.1, Algorithm 1.
    """

    u: Tensor
    v: Tensor

    def __init__(self, n_in: int, n_out: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__(n_in, n_out, kernel, padding=kernel // 2)
        _started(self, gain)
        self.register_buffer("u", F.normalize(torch.randn(n_out), dim=0))
        self.register_buffer("v", torch.zeros(self.weight[0].numel()))
        for _ in range(FIRST):
            self.iterate()

    @torch.no_grad()
    def iterate(self) -> None:
        """One power iteration: v = W^T u, u = W v, each at norm 1."""
        W = self.weight.flatten(1)
        self.v.copy_(F.normalize(W.T @ self.u, dim=0))
        self.u.copy_(F.normalize(W @ self.v, dim=0))

    def normalised(self) -> Tensor:
        """W / sigma, (n_out, n_in, kernel, kernel)."""
        # no product of matrices: those would be rounded where convolutions are bfloat16
        sigma = (self.weight.flatten(1) * (self.u[:, None] * self.v)).sum()
        return self.weight / sigma

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.normalised(), self.bias, padding=self.padding)


def power_iteration(D: nn.Module) -> None:
    """One for each spectral convolution of D: to be called once after each step of D."""
    for layer in D.modules():
        if isinstance(layer, SpectralConvolution):
            layer.iterate()


class Residual(nn.Module):
    """body(x) + skip(x); no skip is the identity."""

    def __init__(self, body: nn.Module, *skip: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


class Total(nn.Module):
    """Each map's sum: (B, C, H, W) -> (B, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3), keepdim=True)


def _up(width: int) -> Residual:
    """Twice the sides. A 1x1 convolution gives the same before its pixels are doubled as after."""
    body = nn.Sequential(
        *(nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Upsample(scale_factor=2)),
        *(_started(nn.Conv2d(width, width, 3, padding=1), RESIDUAL), nn.BatchNorm2d(width)),
        *(nn.ReLU(inplace=True), _started(nn.Conv2d(width, width, 3, padding=1), RESIDUAL)),
    )
    return Residual(body, _started(nn.Conv2d(width, width, 1)), nn.Upsample(scale_factor=2))


def _two(width: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.ReLU(), SpectralConvolution(width, width, 3, RESIDUAL)),
        *(nn.ReLU(inplace=True), SpectralConvolution(width, width, 3, RESIDUAL)),
    )


def _down(width: int) -> Residual:
    """Half the sides, by means, of which a 1x1 convolution makes the same as before them."""
    body = nn.Sequential(_two(width), nn.AvgPool2d(2))
    return Residual(body, nn.AvgPool2d(2), SpectralConvolution(width, width, 1))


def _first(channels: int, width: int) -> Residual:
    """As `_down`, but images are not rectified."""
    body = nn.Sequential(
        *(SpectralConvolution(channels, width, 3, RESIDUAL), nn.ReLU(inplace=True)),
        *(SpectralConvolution(width, width, 3, RESIDUAL), nn.AvgPool2d(2)),
    )
    return Residual(body, nn.AvgPool2d(2), SpectralConvolution(channels, width, 1))


def _started(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
