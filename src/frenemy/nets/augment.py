"""Augmentation of what a discriminator sees: differentiable, on whole minibatches, on their device.

Karras, Aittala, Hellsten, Laine, Lehtinen and Aila (2020), Training Generative Adversarial Networks
with Limited Data (ADA); Zhao, Liu, Lin, Zhu and Han (2020), Differentiable Augmentation for
Data-Efficient GAN Training (DiffAugment).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from frenemy.errors import at_least, at_most
from frenemy.nets.warps import Map, colours, masked, on_colours, warp


@dataclass(frozen=True)
class Policy:
    """How probable each operation of `Augment` is: its multiplier times p, 0 for never.

    Raises:
        FrenemyError: a multiplier is not in [0, 1].
    """

    x_flip: float = 0.0
    quarter_turn: float = 0.0
    integer_shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    anisotropic_scale: float = 0.0
    fractional_shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    luma_flip: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, **asdict(self))
        at_most(1, **asdict(self))


GEOMETRY_AND_COLOUR = Policy(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
"""Karras et al. (2020), "bgc": all but cutout."""

R3GAN = Policy(1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 1)
"""Huang et al. (2024)."""


class Augmentation(nn.Module, ABC):
    """T: images (B, C, H, W) in [-1, 1] -> images.

    Each operation is drawn for each image of its own, from torch's global generator, with a
    probability that is proportional to p. At p = 0, and in `eval()`, T is the identity, exactly.
    T is affine in the images, and differentiable any number of times.

    Args:
        p: in [0, 1].

    Raises:
        FrenemyError: p is not in [0, 1].

    Attributes:
        p: 0-dim, a buffer. Where it lies on the CPU and is 0, nothing is drawn; on a GPU it is
            never looked at, so that none is waited for.
    """

    p: Tensor

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("p", torch.zeros(()))
        self.set(p)

    def set(self, p: float) -> None:
        """Gives p, of a schedule say.

        Raises:
            FrenemyError: it is not in [0, 1].
        """
        at_least(0, p=p)
        at_most(1, p=p)
        self.p.fill_(p)

    def adapt(
        self, logits_of_real: Tensor, images: int, *, target: float = 0.6, speed: float = 500_000
    ) -> Tensor:
        """Gives p + sign(mean sign D(x) - target) images / speed, kept in [0, 1], and returns it.

        D overfits where it is sure of more real images than the target says, and sees more
        augmented ones then. Karras et al. (2020), section 3.1, who do so at every fourth minibatch,
        by the mean of four; here it is done at each.

        Args:
            logits_of_real: (B, ...), above 0 where D takes them for real.
            images: how many real ones were seen since the last call.
            target: of the mean sign, in [-1, 1].
            speed: images after which p may have gone from 0 to 1; 100,000 where D is trained.
        """
        surplus = logits_of_real.detach().sign().mean() - target
        self.p.add_(surplus.sign(), alpha=images / speed).clamp_(0, 1)
        return self.p.clone()

    def forward(self, x: Tensor) -> Tensor:
        for apply, _ in self._drawn(x):
            x = apply(x)
        return x

    def linearised(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """T(x), and the transpose of the same draw: gradients at T(x) -> gradients at x."""
        maps = self._drawn(x)
        for apply, _ in maps:
            x = apply(x)

        def pull(g: Tensor) -> Tensor:
            for _, transpose in reversed(maps):
                g = transpose(g)
            return g

        return x, pull

    def _drawn(self, x: Tensor) -> list[Map]:
        idle = self.p.device.type == "cpu" and not self.p
        return self.maps(x) if self.training and not idle else []

    @abstractmethod
    def maps(self, x: Tensor) -> list[Map]:
        """A draw for these images: what T is composed of, first to last."""

    def _mask(self, x: Tensor, chance: float | Tensor) -> Tensor:
        """For each image, (B,): whether something that is so probable is drawn."""
        return torch.rand(len(x), device=x.device) < chance

    def _cutout(self, x: Tensor, chance: Tensor) -> Tensor:
        """What is left, (B, 1, H, W), of images without a part of half their sides.

        Its middle is uniform in the image, so that some of it may lie outside.
        """
        drawn = self._mask(x, chance)[:, None]
        columns, rows = (
            (_centres(side, x) - torch.rand(len(x), 1, device=x.device)).abs() < 0.25
            for side in (x.shape[3], x.shape[2])
        )  # (B, side)
        return ~((drawn & rows)[:, None, :, None] & columns[:, None, None, :])


class Augment(Augmentation):
    """Flips, turns, shifts, scales, rotations, colours and cutout, as probable as a policy says.

    In this order, with N(0, s) of deviation s (Karras et al., 2020, appendix B, without its band
    filters and noise):

    - x-flip of half of the drawn; quarter turns, uniform among four (of rectangles: half turns,
      among two); integer shift, uniform within .125 of either side;
    - scale 2^N(0, .2); rotation, uniform, before and after the anisotropic scale, each with
      probability 1 - sqrt(1 - p); anisotropic scale 2^N(0, .2) of one side, its inverse of the
      other; fractional shift N(0, .125) of either side;
    - brightness + N(0, .2); contrast x 2^N(0, .5); and of colours luma flip of half of the drawn,
      hue, uniform, and saturation x 2^N(0, 1);
    - cutout of half of the sides, with 0.

    All geometry is one warp, see `frenemy.nets.warps.warp`: bilinear, without the paper's low-pass
    filter, so that what is made smaller may alias.

    Args:
        policy: how probable each is.
        p: in [0, 1].

    >>> T = Augment(R3GAN, p=0.5)
    >>> x = torch.rand(4, 3, 8, 8)
    >>> T(x).shape, torch.equal(T.eval()(x), x)
    (torch.Size([4, 3, 8, 8]), True)
    """

    def __init__(self, policy: Policy, p: float = 0.0) -> None:
        super().__init__(p)
        self.policy = policy

    def maps(self, x: Tensor) -> list[Map]:
        keep = self._cutout(x, self.policy.cutout * self.p)
        return [self._geometry(x), self._colours(x), masked(keep)]

    def _geometry(self, x: Tensor) -> Map:
        """The inverse of all, q -> A q + b; each operation's inverse is distributed as itself."""
        policy, (height, width) = self.policy, x.shape[2:]
        flip = 1 - 2 * self._mask(x, policy.x_flip * self.p / 2).float()
        turn = (4 * torch.rand(len(x), device=x.device)).floor()
        if height != width:
            turn = 2 * (turn / 2).floor()
        turn = turn * self._mask(x, policy.quarter_turn * self.p)
        odd = turn.remainder(2)
        cos, sin = (1 - turn) * (1 - odd), (2 - turn) * odd  # exact
        A = _matrix(flip * cos, -flip * sin, sin, cos)
        scale = self._power_of_2(x, policy.scale, 0.2)
        stretch = self._power_of_2(x, policy.anisotropic_scale, 0.2)
        once = 1 - (1 - policy.rotation * self.p).sqrt()
        A = _product(A, _rotation(self._angle(x, once)))
        A = _product(A, _matrix(scale * stretch, 0 * scale, 0 * scale, scale / stretch))
        A = _product(A, _rotation(self._angle(x, once)))
        uniform = torch.rand(len(x), 2, device=x.device)
        normal = torch.randn(len(x), 2, device=x.device)
        shift = self._shift(x, policy.integer_shift, uniform / 4 - 0.125).round()
        slide = self._shift(x, policy.fractional_shift, normal / 8)
        return warp(A, _product(A, slide[:, :, None])[:, :, 0] + shift, height, width)

    def _colours(self, x: Tensor) -> Map:
        """Brightness, contrast, and maps about the grey axis: circulant matrices, which commute."""
        policy = self.policy
        brightness = 0.2 * self._normal(x, policy.brightness)
        contrast = self._power_of_2(x, policy.contrast, 0.5)
        if colours(x) == 3:
            flip = 1 - 2 * self._mask(x, policy.luma_flip * self.p / 2).float()
            hue = self._angle(x, policy.hue * self.p)
            saturation = self._power_of_2(x, policy.saturation, 1.0)
            a, b = saturation * hue.cos(), math.sqrt(3) * saturation * hue.sin()
            row = [flip + 2 * a, flip - a - b, flip - a + b]
            row = [_per_image(contrast * (part / 3)) for part in row]
            offset = _per_image(contrast * flip * brightness)
        else:
            row, offset = [_per_image(contrast)], _per_image(contrast * brightness)

        def times(x: Tensor, way: int, start: Tensor) -> Tensor:
            rolled = (part.to(x.dtype) * x.roll(way * i, 1) for i, part in enumerate(row))
            return sum(rolled, start=start.to(x.dtype))

        return on_colours(lambda x: times(x, -1, offset), lambda g: times(g, 1, 0 * offset))

    def _shift(self, x: Tensor, multiplier: float, parts: Tensor) -> Tensor:
        """Pixels to the right and down, (B, 2), of parts of the sides; 0 for what is not drawn."""
        height, width = x.shape[2:]
        drawn = self._mask(x, multiplier * self.p)
        return torch.stack([parts[:, 0] * width * drawn, parts[:, 1] * height * drawn], 1)

    def _normal(self, x: Tensor, multiplier: float) -> Tensor:
        """N(0, 1) for each image that is drawn, 0 for others."""
        return torch.randn(len(x), device=x.device) * self._mask(x, multiplier * self.p)

    def _power_of_2(self, x: Tensor, multiplier: float, deviation: float) -> Tensor:
        return (deviation * self._normal(x, multiplier)).exp2()

    def _angle(self, x: Tensor, chance: Tensor) -> Tensor:
        return 2 * math.pi * torch.rand(len(x), device=x.device) * self._mask(x, chance)


class DiffAugment(Augmentation):
    """Colour, translation and cutout, each drawn with probability p: at 1 all are certain.

    In this order: brightness + U(-.5, .5), saturation x U(0, 2) about each pixel's mean, contrast
    x U(.5, 1.5) about the image's mean; a shift by whole pixels, up to 1/8 of either side, uniform,
    which leaves 0, a middle grey, behind; cutout of half of the sides, with 0. Zhao et al. (2020).

    Args:
        p: in [0, 1].

    >>> DiffAugment(p=1.0)(torch.rand(4, 3, 8, 8)).shape
    torch.Size([4, 3, 8, 8])
    """

    def maps(self, x: Tensor) -> list[Map]:
        height, width = x.shape[2:]
        drawn = self._mask(x, self.p)
        shifts, inside = [], []
        for side in (width, height):
            most = math.floor(side / 8 + 0.5)
            shift = (torch.rand(len(x), device=x.device) * (2 * most + 1)).floor() - most
            shifts.append(shift * drawn)
            place = _centres(side, x) + shifts[-1][:, None] / side
            inside.append((place > 0) & (place < 1))  # (B, side)
        same = torch.ones_like(shifts[0])
        moved = warp(_matrix(same, 0 * same, 0 * same, same), torch.stack(shifts, 1), height, width)
        keep = inside[1][:, None, :, None] & inside[0][:, None, None, :]
        return [self._colours(x), moved, masked(keep & self._cutout(x, self.p))]

    def _colours(self, x: Tensor) -> Map:
        """All in one: they commute, and each is its own transpose."""
        drawn = self._mask(x, self.p)
        uniform = torch.rand(3, len(x), device=x.device) - 0.5
        brightness, saturation, contrast = (
            _per_image(part * drawn) for part in (uniform[0], 2 * uniform[1], uniform[2])
        )

        def linear(x: Tensor) -> Tensor:
            s, k = saturation.to(x.dtype), contrast.to(x.dtype)
            pixel, image = x.mean(1, keepdim=True), x.mean((1, 2, 3), keepdim=True)
            return (1 + k) * ((1 + s) * x - s * pixel) - k * image

        return on_colours(lambda x: linear(x) + brightness.to(x.dtype), linear)


def _centres(side: int, x: Tensor) -> Tensor:
    """Where the middles of so many pixels lie, in (0, 1)."""
    return (torch.arange(side, device=x.device) + 0.5) / side


def _per_image(x: Tensor) -> Tensor:
    return x[:, None, None, None]


def _rotation(angle: Tensor) -> Tensor:
    return _matrix(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def _matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[[a, b], [c, d]] for each image, (B, 2, 2)."""
    return torch.stack([a, b, c, d], 1).view(-1, 2, 2)


def _product(A: Tensor, B: Tensor) -> Tensor:
    """A @ B for each image, whatever autocast and the device would round matrices to."""
    return (A[:, :, :, None] * B[:, None]).sum(2)
