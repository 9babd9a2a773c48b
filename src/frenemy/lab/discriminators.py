"""A trained D beside the exact one, D*, where p_data and p_g are both known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from frenemy.figures import BLUE, INK, VERMILION
from frenemy.game import Game, Player, Prior, Turn, mix
from frenemy.judge.estimate import Estimate
from frenemy.lab.densities import (
    Mixture,
    jensen_shannon_integrand,
    minibatches,
    optimal_logit,
    sample_mean,
    value_integrand,
)
from frenemy.objectives import minimax_d

# of maps of D, from 0 (G's samples) over 1/2 to 1 (data)
D_COLOURS = LinearSegmentedColormap.from_list("D", [VERMILION, "#f4f1ea", BLUE])


@dataclass(frozen=True)
class Pair:
    """p_data and p_g, both known, at points that stand for a volume `cell` each.

    Sums over the points times `cell` are integrals by the trapezoidal rule.

    Attributes:
        p_data, p_g: mixtures in d dimensions, which vanish outside [-reach, reach]^d.
        x: the points, (count^d, d), the last coordinate changing fastest.
        cell: the volume.
        data, generated: p_data(x) and p_g(x), (count^d,).
        best: the logit of D*(x), (count^d,).
    """

    p_data: Mixture
    p_g: Mixture
    x: Tensor
    cell: float
    data: Tensor
    generated: Tensor
    best: Tensor

    def value(self, logit: Tensor) -> float:
        """V(G, D), of D's logits (count^d,) at x."""
        return value_integrand(self.data, self.generated, logit).sum().item() * self.cell

    def distance(self, logit: Tensor) -> float:
        """Estimate |D - D*| under (p_data + p_g) / 2: where neither has mass, D is free."""
        off = (logit.sigmoid() - self.best.sigmoid()).abs()
        return (off * (self.data + self.generated) / 2).sum().item() * self.cell

    def jensen_shannon(self) -> float:
        """JSD(p_data || p_g)."""
        logs = self.p_data.log_pdf(self.x), self.p_g.log_pdf(self.x)
        return jensen_shannon_integrand(*logs).sum().item() * self.cell


def pair(p_data: Mixture, p_g: Mixture, *, reach: float, count: int) -> Pair:
    """Two densities at count^d points of the cube [-reach, reach]^d.

    >>> from frenemy.lab.densities import normal
    >>> f"{pair(normal(-9), normal(9), reach=18, count=301).jensen_shannon():.6f}"  # log 2
    '0.693147'
    """
    x = cube(p_data.means.shape[1], reach, count)
    cell = (2 * reach / (count - 1)) ** x.shape[1]
    best = optimal_logit(p_data, p_g, x)
    return Pair(p_data, p_g, x, cell, p_data.pdf(x), p_g.pdf(x), best)


def cube(d: int, reach: float, count: int) -> Tensor:
    """Evenly spaced points of [-reach, reach]^d, float64 (count^d, d)."""
    edge = torch.linspace(-reach, reach, count, dtype=torch.float64)
    return torch.cartesian_prod(*[edge] * d).reshape(-1, d)


class KnownGenerator(nn.Module):
    """G whose p_g is a given mixture: z ~ N(0, I), (B, 1 + d) -> G(z), (B, d).

    The first coordinate of z chooses the component k, by how far its distribution function has
    come; then G(z) = mean_k + sd_k z_(2 ... 1 + d). So p_g is known, and with it D*.
    """

    cumulative: Tensor

    def __init__(self, p_g: Mixture) -> None:
        super().__init__()
        self.means = nn.Parameter(p_g.means.float())
        self.sds = nn.Parameter(p_g.sds.float())
        self.register_buffer("cumulative", p_g.weights.cumsum(0)[:-1].float())

    def forward(self, z: Tensor) -> Tensor:
        k = torch.bucketize(torch.special.ndtr(z[:, 0]), self.cumulative)
        return self.means[k] + self.sds[k, None] * z[:, 1:]


def smooth_critic(d: int, hidden: int = 32) -> nn.Sequential:
    """D with two hidden layers of SiLU units: (B, d) -> logits (B,).

    log p_data - log p_g is smooth for smooth densities, and here so is D's logit. The first
    layer is spread over inputs of several units, where it would bend close to 0 only.
    """
    first = nn.Linear(d, hidden)
    with torch.no_grad():
        first.weight.mul_(2)
        first.bias.mul_(4)
    return nn.Sequential(
        first, nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1), nn.Flatten(0)
    )


def adam(
    net: nn.Module,
    rate: Callable[[int], float],
    betas: tuple[float, float] = (0.5, 0.99),
    averaging: float | None = None,
) -> Player:
    """A player that moves by Adam, at a rate that is a function of the round."""
    optimiser = torch.optim.Adam(net.parameters(), betas=betas, fused=True)
    return Player(net, optimiser, schedule=lambda t: {"lr": rate(t)}, averaging=averaging)


def train_discriminator(
    sample: Callable[[int, torch.Generator], Tensor],
    p_g: Mixture,
    *,
    rounds: int,
    minibatch: int,
    rate: float,
    seed: int,
    hidden: int = 32,
) -> nn.Module:
    """The inner loop of Algorithm 1 to its end: a game whose only turn is D's, with p_g fixed.

    Args:
        sample: draws x, (minibatch, d).
        p_g: of the fixed G, whose samples are fresh in every round.
        rounds, minibatch: how many steps D takes, on how many x, and as many G(z).
        rate: of D's Adam, which falls to 0 linearly.
        seed: of D, the data and the noise.
        hidden: units in each layer of D.

    Returns:
        D with the moving average of its weights: (B, d) -> logits (B,).
    """
    d = p_g.means.shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, 0))
        D, G = smooth_critic(d, hidden), KnownGenerator(p_g)
        players = {
            "D": adam(D, lambda t: rate * (1 - t / rounds), (0.9, 0.99), averaging=0.9999),
            "G": Player(G, torch.optim.SGD(G.parameters())),  # it never moves
        }
        turn = Turn({"D": {minimax_d: 1.0}}, joint=True)
        game = Game(players, [turn], Prior("gaussian", 1 + d), minibatch)
        data = minibatches(sample, minibatch, mix(seed, 1))
        for step in range(rounds):
            game.play(data, seed=mix(seed, 2), step=step)
    return players["D"].best


@torch.no_grad()
def logits(D: nn.Module, x: Tensor) -> Tensor:
    """D's logits at points, float64 (N, d) -> (N,)."""
    return D(x.float()).double()


def excess(D: nn.Module, p_data: Mixture, p_g: Mixture, x: Tensor, Gz: Tensor) -> Estimate:
    """V(G, D) - V(G, D*) by samples (n, d) of both densities that D has not learned from.

    Of no D is it above 0 in expectation: D* = p_data / (p_data + p_g) is the best. The samples are
    the same for both, so that their error is small where D is near D*.
    """
    gains = logsigmoid(logits(D, x)) - logsigmoid(optimal_logit(p_data, p_g, x))
    losses = logsigmoid(-logits(D, Gz)) - logsigmoid(-optimal_logit(p_data, p_g, Gz))
    return sample_mean(gains, losses)


def peak(a: Tensor, b: Tensor) -> Tensor:
    """Where a log y + b log(1 - y) is largest between 0 and 1, (N,): by values alone.

    By golden sections: Kiefer (1953), Sequential Minimax Search for a Maximum.
    """
    low, high, ratio = torch.zeros_like(a), torch.ones_like(a), (math.sqrt(5) - 1) / 2

    def value(y: Tensor) -> Tensor:
        return torch.xlogy(a, y) + torch.special.xlog1py(b, -y)

    for _ in range(60):  # .618^60 = 3e-13
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        rises = value(left) < value(right)
        low, high = torch.where(rises, left, low), torch.where(rises, high, right)
    return (low + high) / 2


def draw_map(
    ax: Axes, D: Tensor, *, reach: float, alpha: Tensor | None = None, levels: Sequence[float] = ()
) -> None:
    """Colours a square of the plane by D, 0 to 1, with lines in ink where it has given levels.

    Args:
        ax: to draw on.
        D: at the points of a `cube` of 2 dimensions, (count^2,).
        reach: of the cube.
        alpha: how opaque the points are, 0 to 1, (count^2,).
        levels: ascending.
    """
    count = math.isqrt(len(D))
    image = D.reshape(count, count).T.numpy()
    opacity = None if alpha is None else alpha.reshape(count, count).T.numpy()
    box = (-reach, reach, -reach, reach)
    ax.imshow(
        image, D_COLOURS, vmin=0, vmax=1, alpha=opacity, extent=box, origin="lower",
        interpolation="none",
    )  # fmt: skip
    if levels:
        ax.contour(image, levels, colors=INK, linewidths=1, extent=box)
    ax.set(xticks=(-2, 0, 2), yticks=(-2, 0, 2))
