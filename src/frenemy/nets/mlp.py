"""The multilayer perceptrons of Goodfellow et al. (2014): rectifier generators, maxout critics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from frenemy.nets.layers import Dropout, FromUnit


def linear(n_in: int, n_out: int, irange: float, bias: float = 0.0) -> nn.Linear:
    """A linear layer with weights uniform in [-irange, irange] and one bias for all units."""
    layer = nn.Linear(n_in, n_out)
    nn.init.uniform_(layer.weight, -irange, irange)
    nn.init.constant_(layer.bias, bias)
    return layer


def sparse(n_in: int, n_out: int, inputs: int) -> nn.Linear:
    """A linear layer each of whose units has `inputs` weights ~ N(0, 1) and no others.

    Martens (2010), Deep Learning via Hessian-free Optimization, section 5.
    """
    layer = linear(n_in, n_out, 0.0)
    chosen = torch.rand(n_out, n_in).topk(inputs, dim=1).indices  # (n_out, inputs)
    with torch.no_grad():
        layer.weight.scatter_(1, chosen, torch.randn(n_out, inputs))
    return layer


class LargestPiece(torch.autograd.Function):
    """(B, pieces, units) -> (B, units), as `amax(1)`, whose own backward pass costs 10 times more.

    A tie sends the whole gradient to each of its pieces.
    """

    @staticmethod
    def forward(y: Tensor) -> Tensor:
        return y.amax(1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        y, largest = ctx.saved_tensors
        with torch.no_grad():
            wins = (y - largest.unsqueeze(1)).ge_(0)
        return wins * gradients[0].unsqueeze(1)


def largest_piece(y: Tensor) -> Tensor:
    """The largest of the pieces of every unit: (B, pieces, ...) -> (B, ...)."""
    return LargestPiece.apply(y)  # pyright: ignore[reportReturnType] (torch leaves it untyped)


class Maxout(nn.Module):
    """Each unit is the largest of `pieces` linear maps: (B, n_in) -> (B, units).

    Goodfellow et al. (2013), Maxout Networks.
    """

    def __init__(self, n_in: int, units: int, pieces: int, irange: float) -> None:
        super().__init__()
        self.linear = linear(n_in, units * pieces, irange)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return largest_piece(self.linear(x).unflatten(1, (self.pieces, -1)))

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


def limit_norms(net: nn.Module, limit: float) -> Callable[..., None]:
    """A hook for `Optimizer.register_step_post_hook`: max-norm regularisation of `net`.

    After every step, the incoming weights of each unit (a column of the paper's matrices, a row of
    torch's) are scaled down to Euclidean norm `limit` where they exceed it.
    Srivastava et al. (2014), Dropout, section 5.1.
    """
    weights = [m.weight for m in net.modules() if isinstance(m, nn.Linear)]

    @torch.no_grad()
    def hook(*_: object) -> None:
        for weight in weights:
            norms = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
            weight.mul_((limit / norms).clamp_(max=1))

    return hook


def logit(mean: Tensor) -> Tensor:
    """log(p / (1 - p)) of pixel means, clipped to [1e-7, 1 - 1e-7]: the marginal bias."""
    return torch.logit(mean.double().flatten(), eps=1e-7).float()


class Logit(nn.Module):
    """One unit as D's verdict: (B, n_in) -> (B,)."""

    def __init__(self, n_in: int, irange: float) -> None:
        super().__init__()
        self.linear = linear(n_in, 1, irange)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).squeeze(1)


def rectifier_generator(size: int, shape: tuple[int, int, int]) -> nn.Sequential:
    """G of the paper's MNIST game: z (B, size) -> 1200 -> 1200 rectifiers -> images (B, *shape).

    Args:
        size: of z.
        shape: (C, H, W) of an image.
    """
    return nn.Sequential(
        linear(size, 1200, 0.05),
        nn.ReLU(inplace=True),
        linear(1200, 1200, 0.05),
        nn.ReLU(inplace=True),
        linear(1200, math.prod(shape), 0.05),
        nn.Sigmoid(),
        FromUnit(shape),
    )


def maxout_discriminator(
    n_in: int, units: int, irange: float = 0.005, *, dropout: bool = True
) -> nn.Sequential:
    """D of the paper's fully connected games: two layers of maxout units of 5 pieces, and a logit.

    (B, n_in) -> (B,). Dropout keeps .8 of the input and .5 of the hidden units.
    """
    layers = [Maxout(n_in, units, 5, irange), Maxout(units, units, 5, irange), Logit(units, irange)]
    if not dropout:
        return nn.Sequential(*layers)
    keeps = (0.8, 0.5, 0.5)
    return nn.Sequential(
        *(m for keep, layer in zip(keeps, layers, strict=True) for m in (Dropout(keep), layer))
    )


def perceptron(*sizes: int, slope: float = 0.0) -> nn.Sequential:
    """Linear layers with rectifiers between them: (B, sizes[0]) -> (B, sizes[-1]).

    Args:
        sizes: of the input, the hidden layers and the output.
        slope: of the rectifiers below 0.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def critic(*sizes: int, slope: float = 0.0) -> nn.Sequential:
    """A perceptron with one more unit at its end, the logit: (B, sizes[0]) -> (B,)."""
    return nn.Sequential(*perceptron(*sizes, 1, slope=slope), nn.Flatten(0))
