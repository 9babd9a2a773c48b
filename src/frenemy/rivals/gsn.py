"""The deep generative stochastic network: a Markov chain whose one step is learned as a denoiser.

Layer 0 holds the pixels, as probabilities in [0, 1]; the hidden layers h_1 to h_L start at 0. A
step computes the odd layers and then the even ones, each from both of its neighbours by tied
weights:

    a_i = b_i + h_(i-1) W_(i-1) + h_(i+1) W_i^T,
    h_1 = tanh(a_1),    h_i = tanh(a_i + noise n) + noise n'  of the layers above,
    p(x | h) = sigmoid(a_0),    h_0 = C(x), x ~ Bernoulli(p(x | h)),

where n and n' are standard normal and the corruption C is salt and pepper: it replaces so large a
share of the pixels by fair coins. The chain starts at C(x) of an image, and what is learned is that
each of its first steps gives the image back: the walkback training.

Bengio, Thibodeau-Laufer, Alain and Yosinski (2014), Deep Generative Stochastic Networks Trainable
by Backprop; Bengio, Yao, Alain and Vincent (2013), Generalized Denoising Auto-Encoders as
Generative Models, for walkback.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from frenemy.engine import seed_everything
from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.nets.layers import FromUnit, Shape, ToUnit
from frenemy.rivals.chains import Starts
from frenemy.rivals.denoising import salt_and_pepper

if TYPE_CHECKING:
    from frenemy.game import Round

Layers = list[Tensor | None]
"""h_0 to h_L, (B, units) each; None is a hidden layer at 0, of which no product is taken."""


class GSN(nn.Module):
    """The network above; called with images, the logits of its first reconstructions of them.

    Args:
        shape: of an image, (C, H, W).
        layers: hidden ones.
        units: in each of them.
        count: of the training images.
        walkback: steps of the chain whose reconstructions are learned from.
        noise: standard deviation of that before and after each tanh of the second layer and above.
        salt: share of the pixels that become coins.

    Attributes:
        W: between each layer and the next, (n, n'), begun uniform on +-sqrt(6 / (n + n')).
        b: of each layer, (n,), begun at 0.
        starts: what chains start from.
    """

    def __init__(
        self,
        shape: Shape,
        layers: int = 2,
        units: int = 1500,
        count: int = 1,
        *,
        walkback: int = 4,
        noise: float = 2.0,
        salt: float = 0.4,
    ) -> None:
        super().__init__()
        at_least(1, layers=layers, units=units, walkback=walkback)
        at_least(0, noise=noise, salt=salt)
        at_most(1, salt=salt)
        if walkback < (least := layers // 2 + 1):
            raise FrenemyError(
                f"walkback is {walkback}: {layers} layers need {least} steps or more, or the last "
                "of them has no say in what is learned from"
            )
        sizes = [math.prod(shape), *layers * [units]]
        self.W = nn.ParameterList(_tied(n, above) for n, above in itertools.pairwise(sizes))
        self.b = nn.ParameterList(torch.zeros(n) for n in sizes)
        self.walkback, self.noise, self.salt = walkback, noise, salt
        self.starts = Starts(shape, count)
        self._to_unit, self._from_unit = ToUnit(), FromUnit(shape)

    def extra_repr(self) -> str:
        sizes = "-".join(str(len(b)) for b in self.b)
        return f"{sizes}, walkback {self.walkback}, noise {self.noise:g}, salt {self.salt:g}"

    def forward(self, x: Tensor) -> Tensor:
        """The logits of x at each step of a chain from C(x), (walkback, B, pixels).

        Args:
            x: images (B, C, H, W) in [-1, 1].
        """
        return _Walk.apply(self, self.pixels(x), *self.W, *self.b)  # pyright: ignore[reportReturnType] (torch leaves it untyped)

    def pixels(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] as probabilities of pixels, (B, pixels)."""
        return self._to_unit(x)

    def images(self, p: Tensor) -> Tensor:
        """Probabilities of pixels, (B, pixels), as images (B, C, H, W) in [-1, 1]."""
        return self._from_unit(p)

    @property
    def order(self) -> tuple[int, ...]:
        """Of the layers in a step: the odd ones, then the even ones."""
        return *range(1, len(self.b), 2), *range(0, len(self.b), 2)

    def rest(self, x: Tensor) -> Layers:
        """The layers as a chain starts: C(x) of pixels x, (B, pixels), and hidden ones at 0."""
        return [salt_and_pepper(x, self.salt), *len(self.W) * [None]]

    def step(self, h: Layers) -> tuple[Tensor, Layers]:
        """One step of the chain: p(x | h), (B, pixels), and the layers after it."""
        h, weights, a = [*h], Weights([*self.W], [*self.b]), {}
        (drawn,) = self.draws(1, _known(h))
        for i in self.order:
            a[i] = weights.input(h, i)
            h[i] = self.state(i, a[i], drawn)
        return a[0].sigmoid(), h

    def draws(self, steps: int, h: Tensor) -> list[Draws]:
        """All that is random in so many steps, of as many chains as a layer h (B, n) has."""
        u = torch.rand(
            *(steps, len(h), len(self.b[0])),
            dtype=torch.promote_types(h.dtype, torch.float32),
            device=h.device,
        )
        u.sub_(self.salt / 2).div_(1 - self.salt)
        above, units = len(self.W) - 1, len(self.b[-1])
        n = torch.randn(steps, above, 2, len(h), units, dtype=h.dtype, device=h.device)
        return [*map(Draws, u, n)]

    def state(self, i: int, a: Tensor, drawn: Draws) -> Tensor:
        """h_i of a_i, (B, n), with what is random in it."""
        if i == 0:
            return (drawn.u < a.to(drawn.u.dtype).sigmoid()).to(a.dtype)
        if i == 1 or self.noise == 0:
            return a.tanh()
        before, after = drawn.noise[i - 2]
        return a.add(before, alpha=self.noise).tanh().add(after, alpha=self.noise)


class Draws(NamedTuple):
    """All that is random in a step.

    Attributes:
        u: uniform on an interval about [0, 1], which is 1 - salt of it: after sampling and salt and
            pepper a pixel is white where u < p, (B, pixels).
        noise: standard normal, before and after each tanh of layers 2 to L: (L - 1, 2, B, units).
    """

    u: Tensor
    noise: Tensor


def _tied(n: int, above: int) -> Tensor:
    edge = math.sqrt(6 / (n + above))
    return torch.empty(n, above).uniform_(-edge, edge)


class Weights(NamedTuple):
    """W and b of a network, in the precision of its products."""

    W: Sequence[Tensor]
    b: Sequence[Tensor]

    def input(self, h: Layers, i: int) -> Tensor:
        """a_i, (B, n): what layer i is told by its neighbours, and its bias."""
        a = self.b[i]
        if i > 0 and (below := h[i - 1]) is not None:
            a = torch.addmm(a, below, self.W[i - 1])
        if i < len(self.W) and (above := h[i + 1]) is not None:
            a = torch.addmm(a, above, self.W[i].T)
        return a.expand(len(_known(h)), -1)  # where no neighbour is told of yet


def _known(h: Layers) -> Tensor:
    """A layer that is not at 0: the pixels never are."""
    return next(layer for layer in h if layer is not None)


class _Walk(torch.autograd.Function):
    """The logits of a walk, whose gradient by each W is one product for all steps together.

    Autograd would take a product for each use of W, and add them up: at two layers and four steps
    14 passes over whole matrices. So it is asked for the gradients by every a_i alone.
    """

    @staticmethod
    def forward(ctx: Any, gsn: GSN, x: Tensor, *theta: Tensor) -> Tensor:
        kind, dtype, layers = x.device.type, x.dtype, len(gsn.W)
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
        cast = [p.detach().to(dtype) for p in theta]
        weights = Weights(cast[:layers], cast[layers:])
        tape: list[tuple[int, Tensor, Layers]] = []
        with torch.enable_grad(), torch.autocast(kind, enabled=False):
            h = gsn.rest(x.detach().to(dtype))

            def input(i: int) -> Tensor:
                a = weights.input(h, i).requires_grad_()
                tape.append((i, a, [*h]))
                return a

            for drawn in gsn.draws(gsn.walkback - 1, x.to(dtype)):
                for i in gsn.order:
                    h[i] = gsn.state(i, input(i), drawn)
            h[1] = input(1).tanh()  # which is all that the last p(x | h) needs
            input(0)
        ctx.tape = tape
        return torch.stack([a.detach() for i, a, _ in tape if i == 0])

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (of the decorator's making)
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        """With delta_i the gradient by a_i: sums of h_(i-1)^T delta_i, and of delta_i^T h_(i+1)."""
        logits = [a for i, a, _ in ctx.tape if i == 0]
        deltas = torch.autograd.grad(
            logits,
            [a for _, a, _ in ctx.tape],
            [*gradients[0]],
            allow_unused=True,  # what comes too late for p(x | h)
        )
        layers = len(ctx.tape[0][2])
        factors: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(layers - 1)]
        by_b: list[list[Tensor]] = [[] for _ in range(layers)]
        for (i, _, h), delta in zip(ctx.tape, deltas, strict=True):
            if delta is None:
                continue
            by_b[i].append(delta)
            if i > 0 and h[i - 1] is not None:
                factors[i - 1].append((h[i - 1].detach(), delta))
            if i < layers - 1 and h[i + 1] is not None:
                factors[i].append((delta, h[i + 1].detach()))
        products = (map(torch.cat, zip(*pairs, strict=True)) for pairs in factors)
        by_W = [below.T @ above for below, above in products]
        return None, None, *by_W, *(torch.cat(parts).sum(0) for parts in by_b)


def chain(nets: Mapping[str, nn.Module]) -> GSN:
    """The network among those of a game, whose player is called "GSN"."""
    net = nets["GSN"]
    assert isinstance(net, GSN)
    return net


def walkback_cross_entropy(r: Round) -> Tensor:
    """-sum over steps of the mean over pixels of x log p + (1 - x) log(1 - p), p = p(x | h): (B,).

    Bengio, Yao, Alain and Vincent (2013), section 3.
    """
    x, logits = chain(r.nets).pixels(r.x.detach()), r.net("GSN")(r.x.detach())
    of_each = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return of_each.mean(2).sum(0)


@torch.no_grad()
def consecutive(gsn: GSN, start: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """The expectations p(x | h) of so many consecutive steps of one chain.

    Args:
        gsn: in float32 or float64.
        start: the image at whose corruption the chain starts, (C, H, W) in [-1, 1]; it is not among
            what is returned.
        count: how many steps.
        seed: of all that is drawn.

    Returns:
        Images, (count, C, H, W) in [-1, 1].

    Raises:
        FrenemyError: fewer than one step.
    """
    at_least(1, count=count)
    b = gsn.b[0]
    device = b.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_everything(seed, device)
        h = gsn.rest(gsn.pixels(start[None].to(b)))
        p = b.new_empty(count, len(b))
        for t in range(count):
            p[t : t + 1], h = gsn.step(h)
    return gsn.images(p)
