"""Generative moment matching: a generator whose minibatches are to look like the data's as a whole.

    MMD^2 = mean k(x, x') - 2 mean k(x, G(z)) + mean k(G(z), G(z')),    all pairs of a minibatch

With a Gaussian kernel it is 0 only where all moments of two distributions agree: the kernel stands
where D stands in an adversarial net, and nobody learns against the generator.

Gretton et al. (2012), A Kernel Two-Sample Test; Li, Swersky and Zemel (2015), Generative Moment
Matching Networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from frenemy.errors import above_zero
from frenemy.nets.layers import FromUnit, Shape, ToUnit
from frenemy.nets.mlp import perceptron

if TYPE_CHECKING:
    from frenemy.game import Round, Term

Kernel = Callable[[Tensor, Tensor], Tensor]
"""All pairs of rows, (N, d) and (M, d), to (N, M)."""

BANDWIDTHS = 2.0, 5.0, 10.0, 20.0, 40.0, 80.0
"""Of the paper's kernels, for the squared distances of images of 28x28 pixels in [0, 1]."""
LEAST = 1e-12  # of MMD^2, by whose root is divided


def generator(size: int, shape: Shape) -> nn.Sequential:
    """The paper's G: z (B, size) -> 64-256-256-1024 rectifiers -> sigmoid -> images (B, *shape)."""
    layers = perceptron(size, 64, 256, 256, 1024, math.prod(shape))
    return nn.Sequential(*layers, nn.Sigmoid(), FromUnit(shape))


def gaussians(sigmas: Sequence[float]) -> Kernel:
    """k(x, y) = sum over sigma of exp(-|x - y|^2 / (2 sigma)). Li et al. (2015), section 5.1.

    The bandwidths sigma are in the units of squared distances, as the paper has them.

    >>> gaussians((2.0, 8.0))(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
    tensor([[2.0000, 0.3862]])
    """
    for sigma in sigmas:
        above_zero(bandwidth=sigma)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        norms = x.square().sum(1)[:, None] + y.square().sum(1)
        squares = torch.addmm(norms, x, y.T, alpha=-2)
        return torch.stack([(squares / (-2 * sigma)).exp() for sigma in sigmas]).sum(0)

    return kernel


def matching(kernel: Kernel) -> Term:
    """MMD between a minibatch and its samples, as a term (B,): that is its mean and its gradient.

    With the witness function f(u) = mean k(u, G(z)) - mean k(u, x), held fixed, each sample gets

        (f(G(z)) - mean f(x)) / MMD;

    MMD^2 is mean f(G(z)) - mean f(x), and its gradient twice that of mean f(G(z)). A part of a
    minibatch is compared with the whole: see `Round.whole`. Gretton et al. (2012), section 2.3; the
    square root is Li et al. (2015), section 5.1.

    Args:
        kernel: of images as vectors of pixels in [0, 1].
    """
    pixels = ToUnit()

    def mmd(r: Round) -> Tensor:
        Gz = pixels(r.Gz)  # with its graph; then, without, those that it is compared with
        with torch.no_grad():
            x, y = pixels(r.whole.x), pixels(r.whole.Gz)

        def witness(u: Tensor) -> Tensor:
            return kernel(u, y).mean(1) - kernel(u, x).mean(1)

        f = witness(Gz)
        with torch.no_grad():
            f_x = witness(x).mean()
            squared = (f if r.whole is r else witness(y)).mean() - f_x
        return (f - f_x) / squared.clamp(min=LEAST).sqrt()

    return mmd
