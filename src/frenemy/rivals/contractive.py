"""The contractive autoencoder, stacked: codes that move little when what they are of does.

    h = f(x) = sigmoid(x W + c),    g(h) = sigmoid(h W^T + b),
    loss = cross-entropy(x, g(h)) + lambda |J|^2,    J = dh/dx = diag(h (1 - h)) W^T,
    |J|^2 = sum_j (h_j (1 - h_j))^2 sum_i W_ij^2

An upper layer's x is the h of the layer below, which does not move any more. Against the pull of
the penalty a code can keep only what tells images of the data apart, so the columns of J that
remain point along the data. A walk follows them:

    x' = g(f(x) + J J^T e),    e ~ N(0, sd^2 I),

where f, g and J are those of the whole stack.

Rifai, Vincent, Muller, Glorot & Bengio (2011), Contractive Auto-Encoders: Explicit Invariance
During Feature Extraction; Rifai, Bengio, Dauphin & Vincent (2012), A Generative Process for
Sampling Contractive Auto-Encoders.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from frenemy.errors import at_least
from frenemy.nets.layers import FromUnit, Shape, ToUnit
from frenemy.nets.mlp import logit
from frenemy.rivals.autoencoders import Tied, cross_entropy
from frenemy.rivals.chains import Starts

if TYPE_CHECKING:
    from frenemy.data import Source
    from frenemy.game import Round, Term

CONTRACTION = "|J|^2"
"""The name under which a round notes it of each image, (B,)."""


def squared_jacobian(layer: Tied, h: Tensor) -> Tensor:
    """|dh/dx|^2 of a layer where its f(x) is h: (..., units) -> (...)."""
    return slope(h).square() @ layer.W.square().sum(0)


def slope(h: Tensor) -> Tensor:
    """Of the sigmoid where it is h: h (1 - h)."""
    return h * (1 - h)


def encodings(layers: Sequence[Tied], x: Tensor) -> list[Tensor]:
    """The h of every layer, from the lowest up, (B, units) each."""
    found: list[Tensor] = []
    for layer in layers:
        x = layer.encode(x)
        found.append(x)
    return found


def decoded(layers: Sequence[Tied], h: Tensor) -> Tensor:
    """The g of all layers of the highest one's h, (B, units) -> (B, inputs)."""
    for layer in reversed(layers):
        h = layer.logits(h).sigmoid()
    return h


def along_the_data(layers: Sequence[Tied], h: Sequence[Tensor], e: Tensor) -> Tensor:
    """J J^T e with J the Jacobian of the stack where its `encodings` are h: (B, units), as e.

    J = diag(h_n (1 - h_n)) W_n^T ... diag(h_1 (1 - h_1)) W_1^T is never formed.
    """
    slopes = [*map(slope, h)]
    for layer, s in zip(reversed(layers), reversed(slopes), strict=True):
        e = (e * s) @ layer.W.T
    for layer, s in zip(layers, slopes, strict=True):
        e = (e @ layer.W) * s
    return e


class Stack(nn.Module):
    """Layers of contractive autoencoders, and the images from which its walks start.

    Args:
        shape: (C, H, W) of an image.
        units: of each layer, from the lowest up.
        count: of the training images.

    Attributes:
        layers: each on the h of the one below, the lowest on pixels in [0, 1].
        starts: what walks start from.
    """

    def __init__(self, shape: Shape, units: Sequence[int], count: int) -> None:
        super().__init__()
        at_least(1, layers=len(units), units=min(units, default=1))
        sizes = [math.prod(shape), *units]
        self.layers = nn.ModuleList(itertools.starmap(Tied, itertools.pairwise(sizes)))
        self.starts = Starts(shape, count)
        self.to_unit, self.from_unit = ToUnit(), FromUnit(shape)

    def begin(self, source: Source) -> None:
        """Remembers images, and lets the lowest layer start from their mean."""
        self.starts.begin(source)
        self.lowest(1)[0].b.copy_(logit(torch.from_numpy(source.mean())))

    def lowest(self, count: int) -> list[Tied]:
        """So many of its layers, from the lowest up."""
        return [layer for layer in self.layers[:count] if isinstance(layer, Tied)]


def stack_of(nets: Mapping[str, nn.Module]) -> Stack:
    """The stack among the networks of a game, whose player is called "CAE"."""
    net = nets["CAE"]
    assert isinstance(net, Stack)
    return net


def contracting(layer: int, penalty: float) -> Term:
    """The loss above of one layer (0 is the lowest), with `penalty` for lambda; |J|^2 is noted."""
    at_least(0, penalty=penalty)

    def contractive_loss(r: Round) -> Tensor:
        stack = stack_of(r.nets)
        *below, top = stack.lowest(layer + 1)
        x = stack.to_unit(r.x.detach())
        with r.arithmetic():
            with torch.no_grad():
                x = [x, *encodings(below, x)][-1]
            h = top.encode(x)
            r.notes[CONTRACTION] = squared_jacobian(top, h)
            return cross_entropy(x, top.logits(h)) + penalty * r.notes[CONTRACTION]

    return contractive_loss


@torch.no_grad()
def walk(layers: Sequence[Tied], x: Tensor, steps: int, sd: float) -> Tensor:
    """Where x (B, inputs) has come to after so many steps of x' = g(f(x) + J J^T e)."""
    for _ in range(steps):
        h = encodings(layers, x)
        x = decoded(layers, h[-1] + along_the_data(layers, h, sd * torch.randn_like(h[-1])))
    return x
