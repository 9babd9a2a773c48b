"""Paths of p_g to p_data, and C(G) along them: by quadrature, by Monte Carlo, by a trained D.

C(G) = max_D V(D, G) = -log 4 + 2 JSD(p_data || p_g). Goodfellow et al. (2014), Generative
Adversarial Nets, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from frenemy.game import mix
from frenemy.lab.densities import Mixture, kl, line, mixture, normal, optimal_logit
from frenemy.lab.discriminators import logits, pair, train_discriminator

LOG_4 = math.log(4)


class Path(NamedTuple):
    """A way of p_g(t) to p_data, where it is at t = 1."""

    name: str
    p_data: Mixture
    p_g: Callable[[float], Mixture]


PATHS = (
    Path("mean", normal(), lambda t: normal(5 * (1 - t), 1)),
    Path("sd", normal(), lambda t: normal(0, 4 ** (1 - t))),
    Path(
        "weights",
        mixture((0.5, -2, 0.6), (0.5, 2, 0.6)),
        lambda t: mixture((0.95 - 0.45 * t, -2, 0.6), (0.05 + 0.45 * t, 2, 0.6)),
    ),
)


class Mean(NamedTuple):
    """An estimate from samples, and its standard error."""

    value: float
    error: float


class Stop(NamedTuple):
    """One place of a path.

    Attributes:
        t: how far along.
        kl, jsd, C: KL(p_data || p_g), JSD and V(D*, G), by quadrature.
        sampled_kl, sampled_C: the same from samples, with the densities known.
        trained: V(D, G) of a trained D, by quadrature.
        off: the mean of its |D - D*| under (p_data + p_g) / 2.
    """

    t: float
    kl: float
    jsd: float
    C: float
    sampled_kl: Mean
    sampled_C: Mean
    trained: float
    off: float

    @property
    def bound(self) -> float:
        """JSD from below: (V(D, G) + log 4) / 2."""
        return (self.trained + LOG_4) / 2


def walk(path: Path, *, stops: int, samples: int, rounds: int, seed: int) -> list[Stop]:
    """Goes along a path: at each stop p_g is held, and a D trained against it.

    Args:
        path: from t = 0 to t = 1.
        stops: t = 0, 1 / stops, ..., 1.
        samples: of p_data, and of p_g, for each Monte Carlo estimate.
        rounds: of D's game at each stop.
        seed: of the samples and the games.
    """
    found = []
    for i in range(stops + 1):
        p, q = path.p_data, path.p_g(i / stops)
        both = pair(path.name, p, q, reach=40, count=8001)
        generator = torch.Generator().manual_seed(mix(seed, i, 0))
        real, fake = p.sample(samples, generator), q.sample(samples, generator)
        ratio = optimal_logit(p, q, real)
        trained = train_discriminator(
            p.sample, q, rounds=rounds, minibatch=1000, rate=0.02, seed=mix(seed, i, 1)
        )
        logit = logits(trained, both.x)
        stop = Stop(
            i / stops,
            kl(p, q, both.x),
            both.jensen_shannon(),
            both.value(both.best),
            _mean(ratio),
            _mean(logsigmoid(ratio), logsigmoid(-optimal_logit(p, q, fake))),
            both.value(logit),
            both.distance(logit),
        )
        found.append(stop)
    return found


def curvature() -> tuple[Tensor, Tensor]:
    """Gradient (2,) and Hessian (2, 2) of C(G) in G's (mean, log sd) at p_g = p_data = N(0, 1)."""
    x = line(-12, 12)

    def C(theta: Tensor) -> Tensor:
        p = normal()
        q = Mixture(p.weights, theta[:1, None], theta[1:].exp())
        logit = optimal_logit(p, q, x)
        gain = p.pdf(x) * logsigmoid(logit) + q.pdf(x) * logsigmoid(-logit)
        return torch.trapezoid(gain, x[:, 0])

    at = torch.zeros(2, dtype=torch.float64)
    return torch.func.grad(C)(at), torch.func.hessian(C)(at)


def _mean(*parts: Tensor) -> Mean:
    """The sum of the means of independent samples."""
    variance = sum(part.var().item() / len(part) for part in parts)
    return Mean(sum(part.mean().item() for part in parts), math.sqrt(variance))
