"""The restricted Boltzmann machine: visible and hidden units, undirected, no links within a layer.

    p(v, h) = exp(-E(v, h)) / Z,    E(v, h) = -v W h - b v - c h         of binary visible units,
                                    E(v, h) = |v - b|^2 / 2 - v W h - c h    of Gaussian ones

Given one layer the units of the other are independent, so a step of the Gibbs chain draws a whole
layer at once. Z cannot be summed but for few units; what is learned by is therefore a difference of
two free energies, F(v) = -log sum_h exp(-E(v, h)): of the data, and of what a chain has come to.

Smolensky (1986), Information Processing in Dynamical Systems; Hinton (2002), Training Products of
Experts by Minimizing Contrastive Divergence; Tieleman (2008), Training Restricted Boltzmann
Machines using Approximations to the Likelihood Gradient; Desjardins et al. (2010), Tempered Markov
Chain Monte Carlo for Training of Restricted Boltzmann Machines; Salakhutdinov and Murray (2008), On
the Quantitative Analysis of Deep Belief Networks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.engine import seed_everything
from frenemy.errors import FrenemyError, at_least
from frenemy.nets.layers import FromUnit, Shape, ToUnit

if TYPE_CHECKING:
    from frenemy.data import Source
    from frenemy.game import Round, Term

Visible = Literal["binary", "gaussian"]
Beta = Tensor | float | None
"""An inverse temperature; None for 1, which costs nothing."""

LEAST_DEVIATION = 0.05
"""Of a Gaussian visible unit, in pixels of 0 to 1: what hardly moves is not blown up to noise."""
MOST_SUMMED = 20
"""Hidden units over which Z is summed: 2^20 terms."""


class RBM(nn.Module):
    """The machine above, its persistent chains, and the distributions between it and a base.

    At an inverse temperature beta the weights and hidden biases count beta times, and the visible
    biases are (1 - beta) base + beta b: at 0 the visible units are independent, and follow the
    mean image after `begin`; at 1 it is the machine itself. Binary visible units take grey levels
    in [0, 1] for probabilities; Gaussian ones are pixels of zero mean and unit variance.

    Args:
        shape: of an image, (C, H, W).
        hidden: binary units.
        visible: what the pixels are.
        chains: persistent ones at each temperature; 0 for none.
        temperatures: of these, evenly from beta = 1 down to 0; one is beta = 1.

    Attributes:
        W, b, c: (visible, hidden), (visible,), (hidden,).
        chains: the visible units of the persistent chains, (temperatures, chains, visible).
        betas: (temperatures,).
    """

    W: nn.Parameter
    base: Tensor
    mean: Tensor
    scale: Tensor
    chains: Tensor
    betas: Tensor
    turn: Tensor

    def __init__(
        self,
        shape: Shape,
        hidden: int,
        visible: Visible = "binary",
        *,
        chains: int = 0,
        temperatures: int = 1,
    ) -> None:
        super().__init__()
        at_least(1, hidden=hidden, temperatures=temperatures)
        at_least(0, chains=chains)
        count = math.prod(shape)
        self.kind = visible
        self.W = nn.Parameter(0.01 * torch.randn(count, hidden))  # as Hinton (2012) advises
        self.b = nn.Parameter(torch.zeros(count))
        self.c = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("base", torch.zeros(count))
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        start = torch.rand(temperatures, chains, count)
        self.register_buffer("chains", start.round() if visible == "binary" else start)
        self.register_buffer("betas", torch.linspace(1, 0, temperatures))
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self._to_unit, self._from_unit = ToUnit(), FromUnit(shape)

    def extra_repr(self) -> str:
        count, hidden = self.W.shape
        return f"{count} {self.kind} and {hidden} hidden units"

    def begin(self, source: Source) -> None:
        """Starts from independent visible units that follow the data, and so do the chains."""
        mean, N = torch.from_numpy(source.mean()).flatten(), len(source)
        if self.kind == "gaussian":
            self.mean.copy_(mean)
            self.scale.copy_(_deviations(source, mean).clamp(min=LEAST_DEVIATION))
            mean = torch.zeros_like(self.mean)
        self.begin_at(mean, N)

    def begin_at(self, mean: Tensor, count: int) -> None:
        """Starts from independent visible units of these means, (visible,), over so many images."""
        if self.kind == "binary":  # never sure: as if seen once more
            mean = torch.logit((count * mean + 0.5) / (count + 1))
        self.base.copy_(mean)
        self.b.copy_(mean)
        self.chains.copy_(self._draw_v(self.base.expand_as(self.chains).clone()))

    def visible(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] as visible units (B, visible)."""
        v = self._to_unit(x)
        return v if self.kind == "binary" else (v - self.mean) / self.scale

    def images(self, v: Tensor) -> Tensor:
        """Visible units (B, visible), or their means, as images (B, C, H, W) in [-1, 1]."""
        return self._from_unit(v if self.kind == "binary" else v * self.scale + self.mean)

    def shown(self, h: Tensor) -> Tensor:
        """The means of the pixels given h, as images: (B, hidden) -> (B, C, H, W)."""
        return self.images(self.mean_v(h))

    def free_energy(self, v: Tensor, beta: Beta = None) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)): (..., visible) -> (...).

        Args:
            v: visible units.
            beta: by default 1; one number, or one for each of the first dimension, (T, 1, 1).
        """
        return self._energy(v, self._input_h(v, None), beta)

    def _energy(self, v: Tensor, at: Tensor, beta: Beta) -> Tensor:
        b = self._bias(beta)
        hidden = F.softplus(at if beta is None else at * beta).sum(-1)
        if self.kind == "binary":
            return -(v * b).sum(-1) - hidden
        return (v - b).square().sum(-1) / 2 - hidden

    def mean_h(self, v: Tensor, beta: Beta = None) -> Tensor:
        """P(h = 1 | v): (..., visible) -> (..., hidden)."""
        return self._input_h(v, beta).sigmoid_()

    def mean_v(self, h: Tensor, beta: Beta = None) -> Tensor:
        """The means of v given h: (..., hidden) -> (..., visible)."""
        at = self._input_v(h, beta)
        return at.sigmoid_() if self.kind == "binary" else at

    def _input_h(self, v: Tensor, beta: Beta) -> Tensor:
        at = v @ self.W + self.c
        return at if beta is None else at.mul_(beta)

    def _input_v(self, h: Tensor, beta: Beta) -> Tensor:
        at = F.linear(h, self.W)
        return at + self.b if beta is None else (at * beta).add_(self._bias(beta))

    def _bias(self, beta: Beta) -> Tensor:
        return self.b if beta is None else torch.lerp(self.base, self.b, beta)

    def draw_v(self, h: Tensor, beta: Beta = None) -> Tensor:
        """Visible units given h: (..., hidden) -> (..., visible)."""
        return self._draw_v(self._input_v(h, beta))

    def surprise(self, v: Tensor, h: Tensor) -> Tensor:
        """-log p(v | h), but for constants: (B, visible), (B, hidden) -> (B,)."""
        at = self._input_v(h, None)
        if self.kind == "binary":
            return F.binary_cross_entropy_with_logits(at, v, reduction="none").sum(-1)
        return (v - at).square().sum(-1) / 2

    def _draw_v(self, at: Tensor) -> Tensor:
        """Of their inputs, which are overwritten."""
        return bernoulli(at.sigmoid_()) if self.kind == "binary" else at.add_(torch.randn_like(at))

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int, beta: Beta = None) -> Tensor:
        """Visible units after so many steps of the chain: h given v, then v given h."""
        for _ in range(steps):
            v = self.draw_v(bernoulli(self.mean_h(v, beta)), beta)
        return v

    def model(self, v: Tensor, k: int) -> Tensor:
        """What the data v are compared with: persistent chains, or where k steps lead from v."""
        return self.chains[0] if self.chains.shape[1] else self.gibbs(v, k)

    @torch.no_grad()
    def advance(self, steps: int) -> Tensor:
        """Moves the persistent chains on, and lets neighbouring temperatures change places.

        The places of v and v' at beta and beta' are changed with probability
        min(1, exp(F(v) + F'(v') - F(v') - F'(v))), of every second pair in turn.

        Returns:
            The share of pairs that did, 0-dimensional; 1 where there were none.
        """
        if len(self.betas) == 1:
            self.chains.copy_(self.gibbs(self.chains, steps))
            return self.chains.new_ones(())
        beta = self.betas[:, None, None]
        v = self.gibbs(self.chains, steps, beta)
        at, energy = self._input_h(v, None), self._energy
        own = energy(v, at, beta)  # (T, N)
        gain = own[:-1] + own[1:]
        gain -= energy(v[1:], at[1:], beta[:-1]) + energy(v[:-1], at[:-1], beta[1:])
        place = torch.arange(len(v), device=v.device)[:, None]
        paired = (place[:-1] + self.turn) % 2 == 0
        self.turn.add_(1)
        swap = (bernoulli(gain.exp()) * paired).long()  # (T - 1, N)
        source = place + F.pad(swap, (0, 0, 0, 1)) - F.pad(swap, (0, 0, 1, 0))
        self.chains.copy_(v.gather(0, source[..., None].expand_as(v)))
        tried = paired.sum() * v.shape[1]
        return torch.where(tried > 0, swap.sum() / tried, 1.0)


def _deviations(source: Source, mean: Tensor) -> Tensor:
    """The standard deviation of each pixel in [0, 1], (C H W), in bounded memory."""
    squares = torch.zeros_like(mean)
    for start in range(0, len(source), 4096):
        pixels = torch.from_numpy(source.images[start : start + 4096] / 255.0).flatten(1)
        squares += (pixels - mean).square().sum(0)
    return (squares / len(source)).sqrt()


def bernoulli(p: Tensor) -> Tensor:
    """Ones with probability p and zeros, of its type."""
    return torch.rand(*p.shape, device=p.device, dtype=p.dtype).lt_(p)


def machine(nets: Mapping[str, nn.Module]) -> RBM:
    """The RBM among the networks of a game, whose player is called so."""
    net = nets["RBM"]
    assert isinstance(net, RBM)
    return net


Seen = Callable[["Round"], tuple[RBM, Tensor]]
"""Of a round: a machine, and what it is shown, (B, visible)."""


def images_of(r: Round) -> tuple[RBM, Tensor]:
    """The machine among the players, and the round's images as its visible units."""
    rbm = machine(r.nets)
    return rbm, rbm.visible(r.x.detach())


def contrasting(k: int, seen: Seen = images_of) -> Term:
    """F(v) - F(what the chain has come to), (B,), the latter held fixed.

    Its gradient is that of the negative log-likelihood, but for how far the chain is from the
    machine's distribution. CD-k: k steps lead there from v (Hinton 2002). Of a machine with
    persistent chains it is these at beta = 1, their mean, and they move on after the round: see
    `RBM.advance` (Tieleman 2008).
    """
    at_least(1, k=k)

    def contrastive_divergence(r: Round) -> Tensor:
        rbm, v = seen(r)
        with r.arithmetic():
            w = rbm.model(v, k)
        with r.arithmetic():  # in one pass: so there is one product for the gradient by W
            of_data, of_chains = rbm.free_energy(torch.cat([v, w])).split([len(v), len(w)])
            return of_data - of_chains.mean()

    return contrastive_divergence


class Partition(NamedTuple):
    """Log Z: its estimate, and the standard error of that, in nats."""

    value: float
    error: float


@torch.no_grad()
def log_partition(
    rbm: RBM, *, chains: int = 1000, temperatures: int = 10_000, seed: int = 0
) -> Partition:
    """Log Z by annealed importance sampling from independent visible units, whose Z is known.

    Each chain's weight is the product over temperatures of exp(F_t(v) - F_(t+1)(v)), v having been
    moved by a step of the Gibbs chain at t. Salakhutdinov and Murray (2008), section 3.

    Args:
        rbm: in float32 or float64.
        chains: how many.
        temperatures: even steps of beta from 0 to 1.
        seed: of the chains.

    Returns:
        The log of the mean weight; its error by the delta method, honest only where some chains do
        not carry all the weight.

    Raises:
        FrenemyError: fewer than two of either.
    """
    at_least(2, chains=chains, temperatures=temperatures)
    betas = torch.linspace(0, 1, temperatures, dtype=torch.float64).tolist()
    device = rbm.W.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_everything(seed, device)
        v = rbm._draw_v(rbm.base.repeat(chains, 1))
        log_w = torch.zeros(chains, dtype=torch.float64, device=device)
        for beta, later in itertools.pairwise(betas):
            log_w += (rbm.free_energy(v, beta) - rbm.free_energy(v, later)).double()
            v = rbm.gibbs(v, 1, later)
    w = (log_w - log_w.max()).exp()
    value = w.mean().log() + log_w.max() + _log_partition_of_base(rbm)
    return Partition(value.item(), (w.std() / w.mean() / math.sqrt(chains)).item())


def _log_partition_of_base(rbm: RBM) -> Tensor:
    count, hidden = rbm.W.shape
    coins = hidden * math.log(2)
    if rbm.kind == "gaussian":
        return torch.tensor(coins + count * math.log(math.tau) / 2, dtype=torch.float64)
    return coins + F.softplus(rbm.base.double()).sum()


def exact_log_partition(rbm: RBM) -> Tensor:
    """Log Z, the sum over all states of the hidden units; differentiable, 0-dimensional.

    Raises:
        FrenemyError: there are too many.
    """
    count, hidden = rbm.W.shape
    if hidden > MOST_SUMMED:
        raise FrenemyError(
            f"{hidden} hidden units have too many states to sum over: at most {MOST_SUMMED}; "
            "estimate by log_partition"
        )
    bits = torch.arange(2**hidden, device=rbm.W.device)[:, None] >> torch.arange(
        hidden, device=rbm.W.device
    )
    h = (bits % 2).to(rbm.W)
    at = rbm._input_v(h, None)  # (states, visible)
    if rbm.kind == "binary":
        terms = F.softplus(at).sum(1)
    else:
        terms = (at.square() - rbm.b.square()).sum(1) / 2 + count * math.log(math.tau) / 2
    return (h @ rbm.c + terms).logsumexp(0)
