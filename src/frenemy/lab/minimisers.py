"""The Gaussian on the line that is nearest to a mixture, by six measures of nearness."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, hessian, vmap
from torch.special import ndtri

from frenemy.lab.densities import Mixture, integral, line, normal
from frenemy.lab.fgan import FDivergence

Divergence = Callable[[Tensor], Tensor]
"""Of p_data to p_g = N(m, s^2), a number, as a function of theta = (m, log s)."""


def gaussian(theta: Tensor) -> Mixture:
    """N(m, s^2) of theta = (m, log s), differentiable in it."""
    return Mixture(torch.ones_like(theta[:1]), theta[:1, None], theta[1:].exp())


def f_divergence(f: FDivergence, p_data: Mixture, x: Tensor) -> Divergence:
    """D_f(p_data || p_g) by quadrature at ascending points x (N, 1)."""
    log_p, at = p_data.log_pdf(x), x[:, 0]
    return lambda theta: torch.trapezoid(f.integrand(log_p, gaussian(theta).log_pdf(x)), at)


def quantiles(p: Mixture, x: Tensor) -> Tensor:
    """Phi^-1(F(x)), (N,), at points (N, 1): where transport to N(0, 1) brings them, F being p's."""
    below, above = p.cdf(x), Mixture(p.weights, -p.means, p.sds).cdf(-x)
    return torch.where(below < 0.5, ndtri(below), -ndtri(above))  # 1 - F keeps the upper tail


def w2(p_data: Mixture, x: Tensor) -> Divergence:
    """W2, the root of the least mean of squared distances, by quadrature at points x (N, 1).

    On the line the best transport is monotone. Villani (2003), Topics in Optimal Transportation,
    Theorem 2.18.
    """
    x = x[quantiles(p_data, x).abs() < 8]  # 1e-15 of p_data is beyond, where F rounds to 0 or 1
    p, to, at = p_data.pdf(x), quantiles(p_data, x), x[:, 0]

    def root(theta: Tensor) -> Tensor:
        return torch.trapezoid(p * (at - theta[0] - theta[1].exp() * to).square(), at).sqrt()

    return root


def mmd(p_data: Mixture, bandwidth: float) -> Divergence:
    """The maximum mean discrepancy with kernel exp(-|x - x'|^2 / (2 l^2)), in closed form.

    Gretton et al. (2012), A Kernel Two-Sample Test, Lemma 6; its means are those of N(d, v), for
    which E exp(-x^2 / (2 l^2)) = l / sqrt(l^2 + v) exp(-d^2 / (2 (l^2 + v))).
    """
    signed = torch.cat([p_data.weights, -torch.ones_like(p_data.weights[:1])])

    def discrepancy(theta: Tensor) -> Tensor:
        means = torch.cat([p_data.means[:, 0], theta[:1]])
        variances = torch.cat([p_data.sds.square(), (2 * theta[1:]).exp()])
        total = bandwidth**2 + variances[:, None] + variances
        kernel = (-(means[:, None] - means).square() / (2 * total)).exp() / total.sqrt()
        return (bandwidth * signed @ kernel @ signed).sqrt()

    return discrepancy


def spectral_mmd(p: Mixture, q: Mixture, bandwidth: float) -> float:
    """MMD^2 of the same kernel, by quadrature: the mean of |phi_p - phi_q|^2, of characteristic
    functions, over frequencies ~ N(0, 1 / bandwidth^2). Bochner's theorem.
    """
    omega = line(-9 / bandwidth, 9 / bandwidth)

    def phi(p: Mixture) -> Tensor:
        decay = (-(omega * p.sds).square() / 2).exp()  # (N, K)
        return torch.polar(decay, omega * p.means[:, 0]) @ p.weights.to(torch.complex128)

    squares = (phi(p) - phi(q)).abs().square()
    return integral(squares * normal(0.0, 1 / bandwidth).pdf(omega), omega)


def minimum(divergence: Divergence, reach: float, least: float) -> Tensor:
    """(m, log s) where a divergence is least, by a grid and by Newton's method from its best point.

    Args:
        divergence: smooth around its minimum.
        reach: the grid has m from -reach to reach, and s up to reach.
        least: s of the grid; where the tails of p_data outweigh those of p_g, integrals diverge.
    """
    m = torch.linspace(-reach, reach, 41, dtype=torch.float64)
    log_s = torch.linspace(math.log(least), math.log(reach), 31, dtype=torch.float64)
    grid = torch.cartesian_prod(m, log_s)
    theta = grid[vmap(divergence, chunk_size=100)(grid).argmin()]
    for _ in range(20):
        step = torch.linalg.solve(hessian(divergence)(theta), grad(divergence)(theta))
        theta = theta - step
    return theta
