"""f-GAN: every f-divergence is a game, and the game of the 2014 paper one of them.

For a convex f with f(1) = 0 and conjugate f*(t) = sup_u (u t - f(u)),

    D_f(p_data || p_g) = integral of p_g f(p_data / p_g) >= E g_f(V(x)) - E f*(g_f(V(G(z)))),

whatever the network V, whose logits the output activation g_f brings into the domain of f*; the
bound is tight where g_f(V(x)) = f'(p_data(x) / p_g(x)). Nowozin, Cseke and Tomioka (2016), f-GAN:
Training Generative Neural Samplers using Variational Divergence Minimization, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from frenemy.game import Game, Prior, Round, alternating, mix
from frenemy.judge.estimate import Estimate
from frenemy.lab.densities import (
    Mixture,
    integral,
    jensen_shannon_integrand,
    kl_integrand,
    line,
    minibatches,
    normal,
    optimal_logit,
    sample_mean,
)
from frenemy.lab.discriminators import KnownGenerator, adam, logits, smooth_critic
from frenemy.objectives import Objective

LOG_2 = math.log(2)
SAMPLES = 100_000  # of p_data and of p_g, for a bound


class FDivergence(NamedTuple):
    """An f-divergence, pointwise.

    Attributes:
        integrand: of D_f: (log p_data, log p_g) -> p_g f(p_data / p_g).
        reward: the output activation g_f of logits v.
        cost: f*(g_f(v)), in the form that does not overflow.
        optimal: the logits V*(x) of the tight bound, from log(p_data(x) / p_g(x)).
    """

    integrand: Callable[[Tensor, Tensor], Tensor]
    reward: Callable[[Tensor], Tensor]
    cost: Callable[[Tensor], Tensor]
    optimal: Callable[[Tensor], Tensor]

    def terms(self) -> Objective:
        """D maximises the bound, G minimises it. Nowozin et al. (2016), f-GAN, eq. 7."""

        def f_gan_d(r: Round) -> Tensor:
            return self.cost(r.DGz) - self.reward(r.Dx)

        def f_gan_g(r: Round) -> Tensor:
            return -self.cost(r.DGz)

        return Objective(f_gan_d, f_gan_g)


KL = FDivergence(kl_integrand, lambda v: v, lambda v: (v - 1).exp(), lambda log_u: 1 + log_u)
"""KL(p_data || p_g): f(u) = u log u, g_f(v) = v, f*(t) = exp(t - 1)."""

REVERSE_KL = FDivergence(
    lambda log_p, log_q: kl_integrand(log_q, log_p),
    lambda v: -(-v).exp(),
    lambda v: v - 1,
    lambda log_u: log_u,
)
"""KL(p_g || p_data): f(u) = -log u, g_f(v) = -exp(-v), f*(t) = -1 - log(-t)."""

JENSEN_SHANNON = FDivergence(
    jensen_shannon_integrand,
    lambda v: (LOG_2 - softplus(-v)) / 2,
    lambda v: (softplus(v) - LOG_2) / 2,
    lambda log_u: log_u,
)
"""JSD in nats: f(u) = (u log u - (u + 1) log((u + 1) / 2)) / 2, g_f(v) = log(2 sigmoid(v)) / 2,
f*(t) = -log(2 - exp(2 t)) / 2. The bound is (V(D, G) + log 4) / 2 of the 2014 paper's game."""

PEARSON = FDivergence(
    lambda log_p, log_q: (2 * log_p - log_q).exp() - 2 * log_p.exp() + log_q.exp(),
    lambda v: v,
    lambda v: v.square() / 4 + v,
    lambda log_u: 2 * (log_u.exp() - 1),
)
"""Pearson's chi^2, integral of (p_data - p_g)^2 / p_g: f(u) = (u - 1)^2, g_f(v) = v,
f*(t) = t^2 / 4 + t."""


def force(f: FDivergence, p_data: Mixture, p_g: Mixture) -> float:
    """The larger part of E d f*(g_f(V*(G(z)))) / d (m, log s), with V* held, of p_g = N(m, s^2).

    It is D_f's own gradient, so it vanishes where D_f is least: the saddle point of Nowozin et al.
    (2016), f-GAN, section 3.
    """
    z = line(-9, 9)
    parts = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    Gz = p_g.means + parts[0] + p_g.sds * parts[1].exp() * z  # (N, 1)
    V = f.optimal(optimal_logit(p_data, p_g, Gz))
    cost = torch.trapezoid(normal().pdf(z) * f.cost(V), z[:, 0])
    return torch.autograd.grad(cost, parts)[0].abs().max().item()


class Played(NamedTuple):
    """What a game was at some rounds: G's (m, s), D's bound, and the divergence itself.

    `sampled` is the last bound from samples that D has not seen, instead of by quadrature.
    """

    rounds: list[int]
    path: list[tuple[float, float]]
    bounds: list[float]
    exact: list[float]
    sampled: Estimate

    @property
    def ratios(self) -> list[float]:
        """Bound / divergence."""
        return [b / e for b, e in zip(self.bounds, self.exact, strict=True)]


def play(
    f: FDivergence,
    p_data: Mixture,
    start: tuple[float, float],
    x: Tensor,
    *,
    rounds: int,
    seed: int,
    minibatch: int = 512,
) -> Played:
    """A game on the line between D and G(z) = m + s z, z ~ N(0, 1); then D plays on alone.

    Args:
        f: what the game is about.
        p_data: the data.
        start: G's first (m, s).
        x: points (N, 1) of a quadrature, by which the bound is free of sampling error.
        rounds: with G, and as many again of D alone; in the first sixth G waits for D. The rate
            of G falls to 0 linearly, and so does that of D when it is alone.
        seed: of the game.
        minibatch: points in a minibatch.
    """
    log_p = p_data.log_pdf(x)
    at: list[int] = []
    path: list[tuple[float, float]] = []
    bounds: list[float] = []
    exact: list[float] = []
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed))
        D = smooth_critic(1)
    G = KnownGenerator(normal(*start))

    def look(t: int) -> None:
        m, s = G.means.item(), abs(G.sds.item())
        log_q = normal(m, s).log_pdf(x)
        v = logits(D, x)
        at.append(t)
        path.append((m, s))
        bounds.append(integral(log_p.exp() * f.reward(v) - log_q.exp() * f.cost(v), x))
        exact.append(integral(f.integrand(log_p, log_q), x))

    players = {
        "D": adam(D, lambda t: 0.01 * min(1, 2 - t / rounds)),
        "G": adam(G, lambda t: 0.03 * (1 - t / rounds) if t >= rounds / 6 else 0.0),
    }
    terms, prior = f.terms(), Prior("gaussian", 2)
    turns = alternating({terms.d: 1.0}, {terms.g: 1.0})
    both, alone = (Game(players, t, prior, minibatch) for t in (turns, turns[:1]))
    data = minibatches(p_data.sample, minibatch, seed)
    with torch.random.fork_rng():
        for step in range(2 * rounds):
            if step % max(1, rounds // 20) == 0:
                look(step)
            (both if step < rounds else alone).play(data, seed=seed, step=step)
    look(2 * rounds)
    generator = torch.Generator().manual_seed(mix(seed, 2))
    real, fake = (p.sample(SAMPLES, generator) for p in (p_data, normal(*path[-1])))
    fresh = sample_mean(f.reward(logits(D, real)), -f.cost(logits(D, fake)))
    return Played(at, path, bounds, exact, fresh)
