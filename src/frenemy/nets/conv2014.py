"""The convolutional CIFAR-10 networks of Goodfellow et al. (2014)."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from frenemy.nets.layers import Dropout
from frenemy.nets.mlp import Logit, Maxout, largest_piece, linear

Convolution = TypeVar("Convolution", nn.Conv2d, nn.ConvTranspose2d)


def transposed_generator(size: int, units: int = 8000) -> nn.Sequential:
    """G: z (B, size) -> 8000 rectifiers -> 8000 sigmoids -> 80 maps of 10x10 -> (B, 3, 32, 32).

    The last layer is one linear transposed convolution, 5x5 with stride 3.
    """
    maps = units // 100
    return nn.Sequential(
        linear(size, units, 0.05),
        nn.ReLU(inplace=True),
        linear(units, units, 0.05),
        nn.Sigmoid(),
        nn.Unflatten(1, (maps, 10, 10)),
        _uniform(nn.ConvTranspose2d(maps, 3, 5, stride=3, bias=False), 0.05),  # 3 (10 - 1) + 5 = 32
        PixelBias((3, 32, 32)),
    )


def maxout_convolutions() -> nn.Sequential:
    """D: (B, 3, 32, 32) -> logits (B,), through three maxout convolutions of two pieces."""
    return nn.Sequential(
        Dropout(0.8),
        MaxoutConvolution(3, 32, kernel=8, padding=4),  # 33x33
        nn.MaxPool2d(4, 2, ceil_mode=True),  # 16x16
        Dropout(0.5),
        MaxoutConvolution(32, 32, kernel=8, padding=3),  # 15x15
        nn.MaxPool2d(4, 2, ceil_mode=True),  # 7x7
        Dropout(0.5),
        MaxoutConvolution(32, 192, kernel=5, padding=3),  # 9x9
        nn.MaxPool2d(2, 2, ceil_mode=True),  # 5x5
        Dropout(0.5),
        nn.Flatten(),
        Maxout(192 * 5 * 5, 500, 5, 0.005),
        Dropout(0.5),
        Logit(500, 0.005),
    )


class PixelBias(nn.Module):
    """Adds a bias to every pixel of every map, (B, *shape): the published code ties none."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class MaxoutConvolution(nn.Module):
    """Each map is the larger, pixel by pixel, of `pieces` convolutions.

    (B, n_in, H, W) -> (B, maps, H', W'). Goodfellow et al. (2013), Maxout Networks.
    """

    def __init__(self, n_in: int, maps: int, kernel: int, padding: int, pieces: int = 2) -> None:
        super().__init__()
        self.convolution = _uniform(nn.Conv2d(n_in, maps * pieces, kernel, padding=padding), 0.005)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return largest_piece(self.convolution(x).unflatten(1, (self.pieces, -1)))

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


def _uniform(layer: Convolution, irange: float) -> Convolution:
    nn.init.uniform_(layer.weight, -irange, irange)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
