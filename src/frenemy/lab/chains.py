"""Markov chains that reach a density, and how near they are to it.

Metropolis, Rosenbluth, Rosenbluth, Teller and Teller (1953), Equation of State Calculations by Fast
Computing Machines; Geman and Geman (1984), Stochastic Relaxation, Gibbs Distributions, and the
Bayesian Restoration of Images.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from frenemy.lab import densities


def metropolis(
    log_p: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    steps: int,
    width: float,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """Chains that propose x' = x + width N(0, I) and take it with probability min(1, p(x') / p(x)).

    Where x' is refused, x counts once more. Each step asks for p once for each chain.

    Args:
        log_p: (C, d) -> (C,), up to a constant.
        start: (C, d), one row a chain.
        steps: of every chain.
        width: standard deviation of a proposal.
        generator: of the proposals and the decisions.

    Returns:
        The states after each step, float64 (steps, C, d), and the share of proposals taken.
    """
    x = start.double()
    states = torch.randn(steps, *x.shape, generator=generator, dtype=x.dtype).mul_(width)
    patience = torch.rand(steps, len(x), generator=generator, dtype=x.dtype).log_()
    level, taken = log_p(x), 0
    for k in range(steps):
        proposal = x + states[k]
        proposed = log_p(proposal)
        takes = patience[k] < proposed - level
        x = torch.where(takes[:, None], proposal, x)
        level = torch.where(takes, proposed, level)
        states[k] = x
        taken += int(takes.sum())
    return states, taken / patience.numel()


def gibbs_sweep(x: Tensor, noise: Tensor, rho: float) -> Tensor:
    """x1 from p(x1 | x2) = N(rho x2, 1 - rho^2), then x2 from p(x2 | x1): (C, 2) -> (C, 2).

    Args:
        x: where the chains are; of it only x2 matters.
        noise: standard normal, (C, 2).
        rho: the correlation of x1 and x2, whose means are 0 and variances 1.
    """
    rest = math.sqrt(1 - rho * rho)
    x1 = rho * x[:, 1] + rest * noise[:, 0]
    return torch.stack([x1, rho * x1 + rest * noise[:, 1]], 1)


def gibbs(start: Tensor, *, rho: float, steps: int, generator: torch.Generator) -> Tensor:
    """Chains of Gibbs sweeps on two normal variables: states after each, float64 (steps, C, 2).

    Begun in the target, each coordinate is an autoregression whose correlation at lag k is
    rho^(2 k) (Roberts and Sahu 1997, Updating Schemes, Correlation Structure, Blocking and
    Parameterization for the Gibbs Sampler, section 2).

    Args:
        start: (C, 2), one row a chain.
        rho: the correlation of x1 and x2, whose means are 0 and variances 1.
        steps: how many sweeps.
        generator: of all that is drawn.
    """
    x = start.double()
    states = torch.randn(steps, *x.shape, generator=generator, dtype=x.dtype)
    for k in range(steps):
        x = states[k] = gibbs_sweep(x, states[k], rho)
    return states


def metropolis_matrix(p: Tensor) -> Tensor:
    """Transition matrix (m, m) of the Metropolis chain on a row of m sites.

    It proposes the site to the left or to the right, with probability 1/2 each, and stays where it
    is if there is none or the proposal is refused: P_ij = min(1, p_j / p_i) / 2 for neighbours.

    Args:
        p: what it is to reach, (m,), all above 0.

    >>> metropolis_matrix(torch.tensor([1.0, 2.0]))
    tensor([[0.5000, 0.5000],
            [0.2500, 0.7500]])
    """
    right = (p[1:] / p[:-1]).clamp(max=1) / 2
    left = (p[:-1] / p[1:]).clamp(max=1) / 2
    moves = right.diag(1) + left.diag(-1)
    return moves + (1 - moves.sum(1)).diag()


def spectrum(matrix: Tensor, p: Tensor) -> Tensor:
    """Eigenvalues (m,) of a chain that is reversible under p, the largest, which is 1, first.

    P_ij sqrt(p_i / p_j) has the same ones and is symmetric.
    """
    root = p.sqrt()
    return torch.linalg.eigvalsh(matrix * root[:, None] / root).flip(0)


def approach(matrix: Tensor, p: Tensor, site: int, steps: int) -> Tensor:
    """Total variation between p and a chain that began at `site`, after 0 to `steps` steps.

    It is sum |p - q| / 2, the most that two probabilities can differ.
    """
    here, distances = torch.zeros_like(p), list[Tensor]()
    here[site] = 1
    for _ in range(steps + 1):
        distances.append((here - p).abs().sum(-1) / 2)
        here = here @ matrix
    return torch.stack(distances)


def wasserstein(samples: Tensor, F: Tensor, x: Tensor) -> Tensor:
    """W_1 = integral of |F_n - F| on the line, (R,), of R sets of n samples (R, n).

    For n independent ones it is about integral of sqrt(2 F (1 - F) / (pi n)), since the difference
    at x is nearly normal, with variance F (1 - F) / n.

    Args:
        samples: (R, n), whose distribution function is F_n.
        F: the exact one, (N,), at points x.
        x: ascending, (N,); what lies outside of them is not seen.
    """
    ordered, points = samples.contiguous().sort(1).values, x.expand(len(samples), -1).contiguous()
    count = torch.searchsorted(ordered, points, right=True)
    return densities.wasserstein(count / samples.shape[1], F, x[:, None])
