"""Densities that are known: mixtures of Gaussians, and how far two of them are apart.

Integrands are functions of log densities at points, so that sums over them are integrals by any
quadrature, and may be differentiated; of log masses, they are summed as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from frenemy.game import Minibatch, mix
from frenemy.judge.estimate import Estimate


@dataclass(frozen=True)
class Mixture:
    """sum_k w_k N(mean_k, sd_k^2 I) in d dimensions, in float64.

    Attributes:
        weights: (K,), of sum 1.
        means: (K, d).
        sds: (K,).
    """

    weights: Tensor
    means: Tensor
    sds: Tensor

    def log_pdf(self, x: Tensor) -> Tensor:
        """Log p(x), (N,), at points (N, d)."""
        d = self.means.shape[1]
        squares = (x.double()[:, None] - self.means).square().sum(2)  # (N, K)
        norm = d / 2 * math.log(math.tau) + d * self.sds.log()
        return (self.weights.log() - norm - squares / (2 * self.sds.square())).logsumexp(1)

    def pdf(self, x: Tensor) -> Tensor:
        """p(x), (N,), at points (N, d)."""
        return self.log_pdf(x).exp()

    def cdf(self, x: Tensor) -> Tensor:
        """P(x_1 <= t) of the first coordinate, (N,), at points t (N, 1)."""
        return torch.special.ndtr((x.double() - self.means[:, 0]) / self.sds) @ self.weights

    @property
    def mean(self) -> Tensor:
        """Of a sample, (d,)."""
        return self.weights @ self.means

    @property
    def variance(self) -> Tensor:
        """Of each coordinate, (d,): that within the parts, and that of their means.

        >>> mixture((0.5, -1, 2), (0.5, 1, 2)).variance
        tensor([5.], dtype=torch.float64)
        """
        return self.weights @ (self.sds[:, None].square() + (self.means - self.mean).square())

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Points, float64 (count, d)."""
        k = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        return self.means[k] + self.sds[k, None] * noise


def mixture(*parts: tuple[float, float, float]) -> Mixture:
    """A mixture on the line, of parts (weight, mean, sd).

    >>> mixture((0.5, -1, 1), (0.5, 1, 1)).pdf(torch.zeros(1, 1)).item()  # doctest: +ELLIPSIS
    0.2419...
    """
    weights, means, sds = torch.tensor(parts, dtype=torch.float64).T
    return Mixture(weights, means[:, None], sds)


def normal(mean: float = 0.0, sd: float = 1.0) -> Mixture:
    """N(mean, sd^2) on the line."""
    return mixture((1.0, mean, sd))


def blobs(sd: float, *means: tuple[float, ...]) -> Mixture:
    """Gaussians of equal weight and sd, at means in d dimensions.

    >>> blobs(0.5, (-1.0, 0.0), (1.0, 0.0)).means.shape
    torch.Size([2, 2])
    """
    n = len(means)
    ones = torch.ones(n, dtype=torch.float64)
    return Mixture(ones / n, torch.tensor(means, dtype=torch.float64), sd * ones)


def line(low: float, high: float, count: int = 2001) -> Tensor:
    """Evenly spaced points, float64 (count, 1)."""
    return torch.linspace(low, high, count, dtype=torch.float64)[:, None]


def integral(values: Tensor, x: Tensor) -> float:
    """The integral of a function on the line by the trapezoidal rule.

    For densities that vanish with all their derivatives at both ends, its error falls faster than
    any power of the step.

    Args:
        values: (N,).
        x: the points (N, 1), ascending.
    """
    return torch.trapezoid(values, x[:, 0]).item()


def kl_integrand(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The integrand p log(p / q) of KL(p || q), in nats."""
    return log_p.exp() * (log_p - log_q)


def jensen_shannon_integrand(log_p: Tensor, log_q: Tensor) -> Tensor:
    """That of JSD(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2; <= log 2."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (kl_integrand(log_p, log_m) + kl_integrand(log_q, log_m)) / 2


def value_integrand(p: Tensor, q: Tensor, logit: Tensor) -> Tensor:
    """The integrand p log D + q log(1 - D) of V(G, D), from densities and D's logits.

    Goodfellow et al. (2014), Generative Adversarial Nets, equation 3.
    """
    return p * logsigmoid(logit) + q * logsigmoid(-logit)


def kl(p: Mixture, q: Mixture, x: Tensor) -> float:
    """KL(p || q) by quadrature at x (N, 1)."""
    return integral(kl_integrand(p.log_pdf(x), q.log_pdf(x)), x)


def jensen_shannon(p: Mixture, q: Mixture, x: Tensor) -> float:
    """JSD(p || q) by quadrature at x (N, 1)."""
    return integral(jensen_shannon_integrand(p.log_pdf(x), q.log_pdf(x)), x)


def wasserstein(F: Tensor, H: Tensor, x: Tensor) -> Tensor:
    """W_1 on the line: the integral of |F - H|, of distribution functions (..., N) at x (N, 1)."""
    return torch.trapezoid((F - H).abs(), x[:, 0])


def sample_mean(*parts: Tensor) -> Estimate:
    """The sum of the means of independent samples, (n,) each.

    >>> print(sample_mean(torch.tensor([1.0, 3.0]), torch.tensor([5.0, 5.0])))
    7.0 ± 1.0
    """
    variance = sum(part.var().item() / len(part) for part in parts)
    return Estimate(sum(part.mean().item() for part in parts), math.sqrt(variance))


def optimal_logit(p_data: Mixture, p_g: Mixture, x: Tensor) -> Tensor:
    """The logit of D*(x) = p_data(x) / (p_data(x) + p_g(x)), (N,), at points (N, d).

    Goodfellow et al. (2014), Generative Adversarial Nets, Proposition 1; the logit is
    log p_data(x) - log p_g(x).
    """
    return p_data.log_pdf(x) - p_g.log_pdf(x)


def minibatches(
    sample: Callable[[int, torch.Generator], Tensor], count: int, seed: int
) -> Minibatch:
    """A game's data from a sampler: minibatch i of a stream is a function of (seed, stream, i).

    Args:
        sample: draws them.
        count: of points in a minibatch.
        seed: of all of them.

    Returns:
        Whose x are float32 (count, d), without labels.
    """

    def draw(stream: int, i: int) -> tuple[Tensor, None]:
        generator = torch.Generator().manual_seed(mix(seed, stream, i))
        return sample(count, generator).float(), None

    return draw
