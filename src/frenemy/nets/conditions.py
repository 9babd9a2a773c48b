"""Classes told to players that know none: by gains and biases of G's maps, by D's projection."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frenemy.nets.layers import numbers_of


class Modulated(nn.Module):
    """G of z (B, size) and labels (B,): its batch normalisations have gains and biases by class.

    What they make of a map, h, becomes (1 + a_y) h + b_y. Of weights (B, classes) in place of
    labels it takes the weighted sums of the classes' a and b. They begin at 0, so that G begins as
    one that is told nothing.

    De Vries, Strub, Mary, Larochelle, Pietquin and Courville (2017), Modulating early visual
    processing by language; beside a projection as in Miyato and Koyama (2018).

    Args:
        net: takes z.
        classes: how many.

    >>> G = Modulated(nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.BatchNorm2d(4)), classes=10)
    >>> G(torch.randn(5, 4), torch.arange(5)).shape
    torch.Size([5, 4, 1, 1])
    """

    mixes = True  # weights of classes, too

    def __init__(self, net: nn.Sequential, classes: int) -> None:
        super().__init__()
        self.net = net
        maps = (layer.num_features for layer in net if isinstance(layer, nn.BatchNorm2d))
        self.numbers = nn.ParameterList(torch.zeros(classes, 2 * n) for n in maps)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        h, numbers = z, iter(self.numbers)
        for layer in self.net:
            h = layer(h)
            if isinstance(layer, nn.BatchNorm2d):
                told = numbers_of(next(numbers), y).to(h.dtype)
                a, b = told[:, :, None, None].chunk(2, 1)
                h = torch.addcmul(b, 1 + a, h)
        return h


class Projection(nn.Module):
    """D of images and labels (B,): D(x) + <e_y, sum over places of h(x)>.

    Miyato and Koyama (2018), cGANs with Projection Discriminator, eq. 12. The e_y begin at 0, so
    that D begins as one that is told nothing.

    Args:
        body: images -> maps h, (B, C, H, W).
        head: h -> logits (B,).
        classes: how many.
        width: C.
    """

    def __init__(self, body: nn.Module, head: nn.Module, classes: int, width: int) -> None:
        super().__init__()
        self.body, self.head = body, head
        self.embedding = nn.Embedding(classes, width)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.body(x)
        return self.head(h) + (self.embedding(y) * h.sum((2, 3))).sum(1)


def labels(x: Tensor, y: Tensor | None) -> tuple[Tensor, ...]:
    """The condition of a game whose players are told the classes: the labels y, (B,), of x."""
    assert y is not None  # the facts have classes
    return (y,)
