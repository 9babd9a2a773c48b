"""Diffusion: noise is added to an image in many steps, and a network learns to tell it from that.

    x_t = sqrt(a_t) x + sqrt(1 - a_t) epsilon,    a_t = product over s <= t of (1 - beta_s)

The network is given x_t and t, and predicts epsilon. From noise alone, an image is made by taking
away what it predicts, again and again: a chain, but one that is known to end after so many steps.

Ho, Jain and Abbeel (2020), Denoising Diffusion Probabilistic Models. Samples are drawn as by Song,
Meng and Ermon (2021), Denoising Diffusion Implicit Models: without noise on the way, so that an
image is a function G of z, the noise that it begins with, and a few of the steps will do.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.errors import at_least, at_most
from frenemy.nets.layers import Shape, start_of

if TYPE_CHECKING:
    from frenemy.game import Round

T = 1000  # steps of the paper,
BETAS = 1e-4, 0.02  # whose beta rises linearly from the first to the second
GROUPS = 8  # of maps that are normalised together
WIDEST = 4  # times the maps at full size


class Diffusion(nn.Module):
    """The network that predicts the noise, and G: z (B, C H W) -> images (B, C, H, W) in [-1, 1].

    Args:
        denoiser: x_t (B, C, H, W), t (B,) -> epsilon, like x_t.
        shape: of an image, (C, H, W).
        steps: from noise to an image, at most T: fewer where several would be the same.

    Attributes:
        a: a_t of t = 0 .. T, where a_0 = 1 is no noise at all, (T + 1,).
        times: t at which noise is taken away, and at last 0; they are the closer the less noise
            there is, as the squares of even steps (Song et al. 2021, appendix D.2).
    """

    a: Tensor

    def __init__(self, denoiser: nn.Module, shape: Shape, steps: int) -> None:
        super().__init__()
        at_least(1, sampling_steps=steps)
        at_most(T, sampling_steps=steps)
        self.denoiser = denoiser
        self.shape = shape
        kept = (1 - torch.linspace(*BETAS, T, dtype=torch.float64)).cumprod(0)
        self.register_buffer("a", torch.cat([torch.ones(1), kept.float()]))
        self.times = sorted({round(T * (i / steps) ** 2) for i in range(steps + 1)}, reverse=True)

    def noised(self, x: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """x_t, a draw from q(x_t | x): images (B, C, H, W), t (B,) from 0 to T, normal epsilon."""
        a = self.a[t][:, None, None, None]
        return a.sqrt() * x + (1 - a).sqrt() * epsilon

    def forward(self, z: Tensor) -> Tensor:
        """Song et al. (2021), equation 12 with sigma = 0; the image foreseen is kept in [-1, 1]."""
        x = z.unflatten(1, self.shape)
        for t, s in itertools.pairwise(self.times):
            a_t, a_s = self.a[t], self.a[s]
            epsilon = self.denoiser(x, torch.full((len(z),), t, device=z.device))
            foreseen = ((x - (1 - a_t).sqrt() * epsilon) / a_t.sqrt()).clamp(-1, 1)
            x = a_s.sqrt() * foreseen + (1 - a_s).sqrt() * epsilon
        return x


def predicting_noise(r: Round) -> Tensor:
    """The paper's simple loss, (epsilon - its prediction)^2 in the mean of all pixels, (B,).

    The round's z is epsilon, and t is drawn evenly from 1 to T. Ho et al. (2020), equation 14.
    """
    G = r.nets["G"]
    assert isinstance(G, Diffusion)
    x = r.x.detach()
    epsilon = r.z.view_as(x)
    t = (T * torch.rand(len(x), device=x.device)).long() + 1
    predicted = r.run(G.denoiser, G.noised(x, t, epsilon), t)
    return (predicted - epsilon).square().flatten(1).mean(1)


class UNet(nn.Module):
    """Maps that are halved and doubled again, beside which the larger ones are handed on.

    Ronneberger, Fischer and Brox (2015), U-Net: Convolutional Networks for Biomedical Image
    Segmentation; as in Ho et al. (2020), appendix B, but smaller: a block at each size, and no
    attention.

    Args:
        shape: (C, H, W) of an image, whose sides `start_of` takes.
        width: maps at full size; twice and then four times as many at the smaller ones.
    """

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        at_least(1, width=width)
        channels, (_, times) = shape[0], start_of(shape)
        maps = [width * min(2**i, WIDEST) for i in range(times + 1)]
        self.time = TimeEmbedding(4 * width)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        ins = [width, *maps[:-1]]
        self.down = nn.ModuleList(
            Block(n, m, 4 * width) for n, m in zip(ins[:-1], maps[:-1], strict=True)
        )
        self.middle = Block(ins[-1], maps[-1], 4 * width)
        pairs = [*itertools.pairwise(maps)][::-1]
        self.up = nn.ModuleList(Block(large + m, m, 4 * width) for m, large in pairs)
        self.last = _convolving(width, nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        at, x, beside = self.time(t), self.first(x), list[Tensor]()
        for block in self.down:
            x = block(x, at)
            beside.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.middle(x, at)
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0)
            x = block(torch.cat([x, beside.pop()], 1), at)
        return self.last(x)


class Block(nn.Module):
    """Two convolutions with a way around them; between them, the time is added to every map.

    Its second convolution begins at 0, and the block with what goes around it.
    """

    def __init__(self, n_in: int, n_out: int, size: int) -> None:
        super().__init__()
        last = nn.Conv2d(n_out, n_out, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.before = _convolving(n_in, nn.Conv2d(n_in, n_out, 3, padding=1))
        self.at = nn.Linear(size, n_out)
        self.after = _convolving(n_out, last)
        self.around = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor, at: Tensor) -> Tensor:
        return self.around(x) + self.after(self.before(x) + self.at(at)[:, :, None, None])


def _convolving(maps: int, convolution: nn.Module) -> nn.Sequential:
    """With what is done to so many maps before."""
    return nn.Sequential(nn.GroupNorm(math.gcd(GROUPS, maps), maps), nn.SiLU(), convolution)


class TimeEmbedding(nn.Module):
    """t (B,) -> (B, size): its sines and cosines at many wavelengths, through two layers.

    Vaswani et al. (2017), Attention is All You Need, section 3.5.
    """

    rates: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU())
        self.register_buffer("rates", 10_000.0 ** -(torch.arange(size // 2) / (size // 2)))

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.rates
        return self.net(torch.cat([angles.sin(), angles.cos()], 1))
