"""Classes told to players that know none: an embedding beside z, a projection beside the logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frenemy.nets.layers import numbers_of

NEAR = 0.1  # of a class's numbers, at first, where those of z are 1


class Embedding(nn.Module):
    """G of z (B, size) and labels (B,): that of z with as many numbers for the class beside it.

    Of weights (B, classes) in place of labels it has the weighted sum of the classes' numbers.

    Mirza and Osindero (2014), Conditional Generative Adversarial Nets, with an embedding for their
    one-hot labels. It begins N(0, .1^2): with numbers as large as z's, G soon draws one picture for
    each class, whatever z is.

    Args:
        net: takes (B, 2 size).
        classes: how many.
        size: of z.

    >>> G = Embedding(nn.Linear(8, 3), classes=10, size=4)
    >>> G(torch.randn(5, 4), torch.arange(5)).shape
    torch.Size([5, 3])
    """

    mixes = True  # weights of classes, too

    def __init__(self, net: nn.Module, classes: int, size: int) -> None:
        super().__init__()
        self.net = net
        self.embedding = nn.Embedding(classes, size)
        nn.init.normal_(self.embedding.weight, std=NEAR)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([z, numbers_of(self.embedding.weight, y)], 1))


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
