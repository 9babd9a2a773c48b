"""Augmentation of what a discriminator sees: differentiable, on whole minibatches, on their device.

Karras, Aittala, Hellsten, Laine, Lehtinen and Aila (2020), Training Generative Adversarial Networks
with Limited Data (ADA); Zhao, Liu, Lin, Zhu and Han (2020), Differentiable Augmentation for
Data-Efficient GAN Training (DiffAugment).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from frenemy.errors import at_least, at_most
from frenemy.nets.warps import Map, colours, masked, mixed, on_colours, warp


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

    def _mask(self, x: Tensor, chances: Tensor) -> Tensor:
        """For each image, (..., B): whether something is drawn that is so probable, (..., 1)."""
        return torch.rand(*chances.shape[:-1], len(x), device=x.device) < chances

    def _cutout(self, x: Tensor, is_drawn: Tensor) -> Tensor:
        """What is left, (B, 1, H, W), of images of which the drawn lose half of their sides.

        Its middle is uniform in the image, so that some of it may lie outside.
        """
        drawn = is_drawn[:, None]
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

    _multipliers: Tensor

    def __init__(self, policy: Policy, p: float = 0.0) -> None:
        super().__init__(p)
        self.policy = policy
        halved = {"x_flip": policy.x_flip / 2, "luma_flip": policy.luma_flip / 2}
        multipliers = torch.tensor([*(asdict(policy) | halved).values()])
        self.register_buffer("_multipliers", multipliers[:, None], persistent=False)

    def maps(self, x: Tensor) -> list[Map]:
        chances = self._multipliers * self.p
        is_drawn = dict(zip(asdict(self.policy), self._mask(x, chances), strict=True))
        return [
            self._geometry(x, is_drawn),
            self._colours(x, is_drawn),
            masked(self._cutout(x, is_drawn["cutout"])),
        ]

    def _geometry(self, x: Tensor, is_drawn: Mapping[str, Tensor]) -> Map:
        """The inverse of all, q -> A q + b; each operation's inverse is distributed as itself."""
        count, (height, width) = len(x), x.shape[2:]
        flip = 1 - 2 * is_drawn["x_flip"].float()
        uniform = torch.rand(5, count, device=x.device)
        normal = torch.randn(4, count, device=x.device)
        turn = (4 * uniform[0]).floor()
        if height != width:
            turn = 2 * (turn / 2).floor()
        turn = turn * is_drawn["quarter_turn"]
        odd = turn.remainder(2)
        cos, sin = (1 - turn) * (1 - odd), (2 - turn) * odd  # exact
        once = 1 - (1 - self.policy.rotation * self.p).sqrt()
        first, second = _rotation(2 * math.pi * uniform[1:3] * self._mask(x, once.expand(2, 1)))
        scale = (0.2 * normal[0] * is_drawn["scale"]).exp2()
        stretch = (0.2 * normal[1] * is_drawn["anisotropic_scale"]).exp2()
        A = _product(_matrix(flip * cos, -flip * sin, sin, cos), first)
        A = A * torch.stack([scale * stretch, scale / stretch], 1)[:, None]
        A = _product(A, second)
        across, down = (uniform[3:] / 4 - 0.125) * is_drawn["integer_shift"]
        shift = torch.stack([across * width, down * height], 1).round()
        across, down = normal[2:] / 8 * is_drawn["fractional_shift"]
        slide = torch.stack([across * width, down * height], 1)
        return warp(A, (A * slide[:, None]).sum(2) + shift, height, width)

    def _colours(self, x: Tensor, is_drawn: Mapping[str, Tensor]) -> Map:
        """Brightness, contrast, and maps about the grey axis: circulant matrices, which commute."""
        normal = torch.randn(3, len(x), device=x.device)
        brightness = 0.2 * normal[0] * is_drawn["brightness"]
        contrast = (0.5 * normal[1] * is_drawn["contrast"]).exp2()
        if colours(x) == 1:
            return mixed(contrast[:, None, None], contrast * brightness)
        flip = 1 - 2 * is_drawn["luma_flip"].float()
        hue = 2 * math.pi * torch.rand(len(x), device=x.device) * is_drawn["hue"]
        saturation = (normal[2] * is_drawn["saturation"]).exp2()
        a, b = saturation * hue.cos(), math.sqrt(3) * saturation * hue.sin()
        row = torch.stack([flip + 2 * a, flip - a - b, flip - a + b], 1) * (contrast / 3)[:, None]
        M = torch.stack([row.roll(i, 1) for i in range(3)], 1)
        return mixed(M, contrast * flip * brightness)


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
        return [self._colours(x), moved, masked(keep & self._cutout(x, self._mask(x, self.p)))]

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
    """[[a, b], [c, d]] for each image, (..., 2, 2)."""
    return torch.stack([a, b, c, d], -1).unflatten(-1, (2, 2))


def _product(A: Tensor, B: Tensor) -> Tensor:
    """A @ B for each image, whatever autocast and the device would round matrices to."""
    return (A[:, :, :, None] * B[:, None]).sum(2)
