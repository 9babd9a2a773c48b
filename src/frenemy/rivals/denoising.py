"""The denoising autoencoder, and the Markov chain that it is the transition of.

    loss = -log P(x | x~),    x~ ~ C(x~ | x),    x' ~ P(x' | x~), and so on from x'

C replaces pixels by coins (salt and pepper); P is of independent binary pixels, grey levels being
probabilities, whose means are those of one hidden layer with tied weights. Were P(x | x~) what
data and C make it, the chain's stationary distribution would be that of the data.

Vincent, Larochelle, Bengio & Manzagol (2008), Extracting and Composing Robust Features with
Denoising Autoencoders; Bengio, Yao, Alain & Vincent (2013), Generalized Denoising Auto-Encoders as
Generative Models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from frenemy.errors import at_least, at_most
from frenemy.nets.layers import FromUnit, Shape, ToUnit
from frenemy.nets.mlp import logit
from frenemy.rivals.autoencoders import Tied, cross_entropy
from frenemy.rivals.chains import Starts
from frenemy.rivals.rbm import bernoulli

if TYPE_CHECKING:
    from frenemy.data import Source
    from frenemy.game import Round


class Denoising(nn.Module):
    """The model above, and the images from which its chains start.

    Args:
        shape: (C, H, W) of an image.
        units: hidden ones.
        corruption: how likely C replaces a pixel.
        count: of the training images.
    """

    def __init__(self, shape: Shape, units: int, corruption: float, count: int) -> None:
        super().__init__()
        at_least(1, units=units)
        at_least(0, corruption=corruption)
        at_most(1, corruption=corruption)
        self.corruption = corruption
        self.layer = Tied(math.prod(shape), units)
        self.starts = Starts(shape, count)
        self.to_unit, self.from_unit = ToUnit(), FromUnit(shape)

    def extra_repr(self) -> str:
        return f"corruption={self.corruption:g}"

    def begin(self, source: Source) -> None:
        """Remembers images, and starts from their mean."""
        self.starts.begin(source)
        self.layer.b.copy_(logit(torch.from_numpy(source.mean())))

    def logits(self, x: Tensor) -> Tensor:
        """Of P(. | x~) for x~ ~ C(. | x), drawn anew: (B, C H W), pixels in [0, 1], as x."""
        return self.layer.logits(self.layer.encode(salt_and_pepper(x, self.corruption)))

    @torch.no_grad()
    def walk(self, x: Tensor, steps: int) -> Tensor:
        """The means of P in the last of so many steps of the chain from x (B, C H W)."""
        means = x
        for step in range(steps):
            means = self.logits(bernoulli(means) if step else x).sigmoid()
        return means


def salt_and_pepper(x: Tensor, share: float) -> Tensor:
    """Each number of x replaced, with probability `share`, by 0 or 1, which are as likely."""
    u = torch.rand(*x.shape, device=x.device, dtype=x.dtype)
    return torch.where(u < share, (u < share / 2).to(x.dtype), x)


def denoiser(nets: Mapping[str, nn.Module]) -> Denoising:
    """The network of a game whose player is called "DAE"."""
    net = nets["DAE"]
    assert isinstance(net, Denoising)
    return net


def denoising_error(r: Round) -> Tensor:
    """-log P(x | x~) with x~ ~ C(x~ | x), (B,). Vincent et al. (2008)."""
    net = denoiser(r.nets)
    x = net.to_unit(r.x.detach())
    with r.arithmetic():
        return cross_entropy(x, net.logits(x))
