"""Games on the line, whose p_g can be computed at any moment, and with it D*."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frenemy.game import Game, Player, Prior, alternating, mix
from frenemy.lab.densities import Mixture, jensen_shannon_integrand, wasserstein
from frenemy.lab.discriminators import adam, logits, smooth_critic
from frenemy.objectives import minimax_d, nonsaturating_g

TINY = torch.finfo(torch.float64).tiny  # in place of masses of 0, whose logarithm is infinite
EDGE = math.sqrt(3)  # `Prior("uniform", 1)` draws z from [-EDGE, EDGE]


class LineGenerator(nn.Module):
    """G on the line: z uniform in [-sqrt 3, sqrt 3], (B, 1) -> a n + b + h(n), (B, 1).

    n = Phi^-1((z / sqrt 3 + 1) / 2) is normal, and h a network which starts at 0: p_g starts as
    N(b, a^2) and can become any smooth density.
    """

    def __init__(self, mean: float, sd: float, hidden: int = 16) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(sd))
        self.b = nn.Parameter(torch.tensor(mean))
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.h = nn.Sequential(
            nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), last
        )

    def forward(self, z: Tensor) -> Tensor:
        # float32 knows no nearer neighbours of 0 and 1 that would not round to an infinite n
        n = torch.special.ndtri(((z / EDGE + 1) / 2).clamp(1e-6, 1 - 1e-6))
        return self.a * n + self.b + self.h(n)


def line_nets(seed: int, *, mean: float, sd: float) -> tuple[nn.Module, LineGenerator]:
    """D and G for games on the line, with p_g = N(mean, sd^2) at first."""
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed))
        return smooth_critic(1), LineGenerator(mean, sd)


def line_game(
    D: nn.Module,
    G: nn.Module,
    *,
    k: int,
    minibatch: int,
    d_rate: Callable[[int], float],
    g_rate: Callable[[int], float],
) -> Game:
    """Algorithm 1 on the line: k steps of D by Adam, then one of G by plain gradient descent.

    G maximises log D(G(z)). Plain descent slows down where D's slope fades, as in the paper's
    proof of convergence, which wants small updates of p_g; Adam's steps would not.

    Args:
        k: steps of D in a round.
        minibatch: points of x, and of G(z).
        d_rate, g_rate: round -> rate.
    """
    players = {
        "D": adam(D, d_rate),
        "G": Player(G, torch.optim.SGD(G.parameters()), schedule=lambda t: {"lr": g_rate(t)}),
    }
    turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0}, k)
    return Game(players, turns, Prior("uniform", 1), minibatch)


@dataclass(frozen=True)
class Moment:
    """A game on the line at one moment, in bins.

    Attributes:
        x: the bins' centres, (N,).
        p_data, p_g: mean densities in the bins, (N,).
        D, best: D(x), and D*(x) for this p_g, (N,); D* is 1/2 where neither has mass.
        distance: mean |D - D*| under (p_data + p_g) / 2.
        from_half: mean |D - 1/2| under (p_data + p_g) / 2.
        jsd: JSD(p_data || p_g) of the masses in the bins, in nats.
        w1: the Wasserstein-1 distance of p_data and p_g.
    """

    x: Tensor
    p_data: Tensor
    p_g: Tensor
    D: Tensor
    best: Tensor
    distance: float
    from_half: float
    jsd: float
    w1: float


def moment(D: nn.Module, G: nn.Module, p_data: Mixture, edges: Tensor) -> Moment:
    """Where a game on the line stands: p_g and D* are exact but for the width of the bins.

    Args:
        D, G: the nets; z is uniform in [-sqrt 3, sqrt 3].
        p_data: on the line.
        edges: of the bins, evenly spaced, (N + 1, 1); all mass should lie between them.
    """
    width = (edges[1] - edges[0]).item()
    x = (edges[1:] + edges[:-1]) / 2
    F_data, F_g = p_data.cdf(edges), generated_cdf(G, edges)
    p, q = F_data.diff(), F_g.diff()  # masses, (N,)
    m = (p + q) / 2
    best = torch.where(m > 0, p / (2 * m), 0.5)
    Dx = logits(D, x).sigmoid()
    logs = (mass.clamp_min(TINY).log() for mass in (p, q))
    return Moment(
        x[:, 0],
        p / width,
        q / width,
        Dx,
        best,
        ((Dx - best).abs() * m).sum().item(),
        ((Dx - 0.5).abs() * m).sum().item(),
        jensen_shannon_integrand(*logs).sum().item(),
        wasserstein(F_data, F_g, edges).item(),
    )


@torch.no_grad()
def generated_cdf(G: nn.Module, x: Tensor, cells: int = 1000) -> Tensor:
    """P(G(z) <= x), (N,), at points (N, 1), for z uniform in [-sqrt 3, sqrt 3].

    The interval is cut into cells in each of which G is taken to be linear, so G need not be
    monotone, and no root of it is sought: the share of a cell below x is exact for such a G.
    """
    ends = -torch.linspace(0, math.pi, cells + 1, dtype=torch.float64).cos()  # close to the ends,
    mass = ends.diff() / 2  # where G is steep, the cells are small
    Gz = G(EDGE * ends[:, None].float())[:, 0].double()  # (cells + 1,)
    low, high = torch.minimum(Gz[1:], Gz[:-1]), torch.maximum(Gz[1:], Gz[:-1])
    share = (x.double() - low) / (high - low).clamp_min(1e-12)  # (N, cells)
    return share.clamp_(0, 1) @ mass
