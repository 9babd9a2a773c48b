"""Precision, recall, density and coverage: fidelity and diversity told apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frenemy.errors import at_least
from frenemy.judge.distances import kth_nearest, squared_distances
from frenemy.judge.estimate import Estimate, checked

TIE = 1 - 1e-9  # a point at a ball's radius, but for rounding, is not within it


def precision_recall_density_coverage(
    *, real: Tensor, fake: Tensor, k: int = 5
) -> dict[str, Estimate]:
    """Precision, recall, density and coverage by balls that reach to the k-th nearest neighbour.

    With B(x) the open ball about x whose radius is the distance to the k-th nearest other point of
    x's own set,

        precision = mean over fake y of [y is in some B(x), x real],
        recall    = mean over real x of [x is in some B(y), y fake],
        density   = mean over fake y of (number of real x with y in B(x)) / k,
        coverage  = mean over real x of [some fake y is in B(x)].

    All but density, which may exceed 1, are in [0, 1]; real samples against real ones have a
    density of about 1 and a coverage of about 1 - 2^-k. Recall falls as samples grow fewer: compare
    equal counts. The errors are those of the means, given the balls: how these would change with
    other samples is not in them.

    Sources: Kynkaanniemi, Karras, Laine, Lehtinen, Aila (2019), Improved Precision and Recall
    Metric for Assessing Generative Models; Naeem, Oh, Uh, Choi, Yoo (2020), Reliable Fidelity and
    Diversity Metrics for Generative Models. The ball is open, as in the latter.

    Args:
        real, fake: features (N, d), (M, d), more than k of each.

    Raises:
        FrenemyError: too few samples, k below 1, shapes that differ, numbers that are not finite.

    >>> real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> found = precision_recall_density_coverage(real=real, fake=real[:2] + 0.5, k=1)
    >>> {name: estimate.value for name, estimate in found.items()}
    {'precision': 1.0, 'recall': 0.75, 'density': 2.0, 'coverage': 0.75}
    """
    at_least(1, k=k)
    real, fake = checked("precision and recall", k + 1, real=real, fake=fake)
    real_radii, fake_radii = kth_nearest(real, k), kth_nearest(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.float64, device=fake.device)  # real, about each fake
    recalled, covered = torch.zeros(2, len(real), dtype=torch.bool, device=real.device)
    for here, there, squares in squared_distances(real, fake):
        within = squares < real_radii[here, None].square() * TIE
        balls[there] += within.sum(0)
        covered[here] |= within.any(1)
        recalled[here] |= (squares < fake_radii[there].square() * TIE).any(1)
    by_real, by_fake = _empty(real_radii, "real", k), _empty(fake_radii, "fake", k)
    return {
        "precision": share(balls > 0, by_real),
        "recall": share(recalled, by_fake),
        "density": Estimate.of(balls / k, by_real),
        "coverage": share(covered, by_real),
    }


def share(hits: Tensor, note: str = "") -> Estimate:
    """The share of hits, with its binomial error sqrt(p (1 - p) / n).

    For the error p is 1 / n from 0 and from 1 at the least: n hits in n leave a doubt.

    Args:
        hits: bool (n,), two or more.

    >>> print(share(torch.tensor([True, False, False, False])))
    0.25 ± 0.22
    """
    p, n = hits.double().mean().item(), len(hits)
    return Estimate(p, math.sqrt(max(p * (1 - p), (n - 1) / n**2) / n), note)


def _empty(radii: Tensor, name: str, k: int) -> str:
    """What to say of balls without a radius, in which nothing can be."""
    count = int((radii == 0).sum())
    if not count:
        return ""
    return f"{count:,} of {len(radii):,} {name} samples have {k} copies: nothing is nearer to them"
