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
from frenemy.lab.densities import (
    Mean,
    Mixture,
    jensen_shannon,
    kl,
    line,
    mixture,
    normal,
    optimal_logit,
    sample_mean,
)
from frenemy.lab.discriminators import excess, logits, pair, peak, train_discriminator
from frenemy.lab.fgan import JENSEN_SHANNON
from frenemy.lab.minimisers import f_divergence

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


class Stop(NamedTuple):
    """One place of a path.

    Attributes:
        t: how far along.
        kl, jsd, C: KL(p_data || p_g), JSD and max_D V(D, G), by quadrature; the best D(x) is
            searched for at each x.
        sampled_kl, sampled_C: the same from samples, with the densities and D* known.
        trained: V(D, G) of a trained D, by quadrature.
        excess: of its V(D, G) over that of D*, by the same samples.
        off: the mean of its |D - D*| under (p_data + p_g) / 2.
    """

    t: float
    kl: float
    jsd: float
    C: float
    sampled_kl: Mean
    sampled_C: Mean
    trained: float
    excess: Mean
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
            jensen_shannon(p, q, both.x),
            both.value(peak(both.data, both.generated).logit()),
            sample_mean(ratio),
            sample_mean(logsigmoid(ratio), logsigmoid(-optimal_logit(p, q, fake))),
            both.value(logit),
            excess(trained, p, q, real, fake),
            both.distance(logit),
        )
        found.append(stop)
    return found


def curvature() -> tuple[Tensor, Tensor]:
    """Gradient (2,) and Hessian (2, 2) of C(G) in G's (mean, log sd) at p_g = p_data = N(0, 1)."""
    jsd = f_divergence(JENSEN_SHANNON, normal(), line(-12, 12))
    at = torch.zeros(2, dtype=torch.float64)
    return 2 * torch.func.grad(jsd)(at), 2 * torch.func.hessian(jsd)(at)
