"""How much a set of samples varies, without looking at the real ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frenemy.judge.distances import squared_distances
from frenemy.judge.estimate import TILE, Estimate, checked, tiles, variance_order
from frenemy.judge.slices import own_order


def vendi(*, fake: Tensor) -> Estimate:
    """The Vendi score: how many kinds of sample there are, by the eigenvalues l of K / n,

        VS = exp(- sum of l log l),    K_ij = cosine of the angle between x_i and x_j.

    It is 1 when all samples are alike and n when they are orthogonal; it grows with n, so compare
    equal counts. Where n > d the eigenvalues are those of the d x d matrix mean x x^T / |x|^2. A
    vector of zeros has no direction: all such are alike, and like no other.

    The error is of the samples drawn anew: no real image has a part in the value. The entropy's
    derivative by a sample of direction u is - u.log(mean u u^T) u; their variance over n, divided
    by its order (`variance_order`), is the entropy's. (Resampling would count repeats as lost
    kinds.) Memory: min(n, d)^2.

    Source: Friedman, Dieng (2023), The Vendi Score: A Diversity Evaluation Metric for Machine
    Learning.

    Args:
        fake: features (n, d), four or more.

    Raises:
        FrenemyError: too few samples, or numbers that are not finite.

    >>> round(vendi(fake=torch.eye(3).repeat(100, 1)).value, 6)
    3.0
    """
    (fake,) = checked("vendi", 4, fake=fake)
    entropies, n = _entropies(fake), len(fake)
    halves = [_entropies(fake[half]) for half in own_order(fake, seed=0).chunk(2)]
    squared = entropies.var().item() / n
    order = variance_order(squared, sum(half.var().item() / len(half) for half in halves) / 2)
    value = math.exp(entropies.mean().item())
    many = f"{value:.3g} kinds among {n:,} samples: more samples may show more"
    return Estimate(value, value * math.sqrt(squared / order), many if value > n / 2 else "")


def _entropies(fake: Tensor) -> Tensor:
    """What each sample (n, d) adds to the entropy of the eigenvalues, times n: float64 (n,)."""
    n, d = fake.shape
    tiny = torch.finfo(torch.float64).tiny  # 0 log 0 = 0, and rounding leaves no more than 0
    if n > d:
        moment = torch.zeros(d + 1, d + 1, dtype=torch.float64, device=fake.device)
        for here in tiles(n, TILE):
            u = _directions(fake[here])
            moment += u.T @ u / n
        spread, axes = torch.linalg.eigh(moment)
        logs = spread.clamp(min=tiny).log()
        parts = [(_directions(fake[here]) @ axes).square() @ logs for here in tiles(n, TILE)]
        return -torch.cat(parts)
    u = _directions(fake)
    spread, vectors = torch.linalg.eigh(u @ u.T / n)
    logs = spread.clamp(min=tiny).log()
    return -vectors.square() @ (n * spread * logs)  # (u.axis)^2 = n l vector^2


def _directions(rows: Tensor) -> Tensor:
    """Unit vectors, float64 (N, d + 1): the last entry is 1 for rows of zeros alone."""
    rows = rows.double()
    norms = rows.norm(dim=1, keepdim=True)
    zero = (norms == 0).double()
    return torch.cat([rows / (norms + zero), zero], 1)


def distances_to_others(rows: Tensor) -> Tensor:
    """The mean distance of each row (n, d) to the others: float64 (n,)."""
    sums = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    for here, there, squares in squared_distances(rows):
        distances = squares.sqrt_()
        sums[here] += distances.sum(1)
        if here != there:
            sums[there] += distances.sum(0)
    return sums / (len(rows) - 1)
