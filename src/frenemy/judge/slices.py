"""Random directions: the sliced Wasserstein distance, and an order that no order changes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from frenemy.errors import at_least
from frenemy.judge.estimate import TILE, Estimate, checked, row_sums, tiles, variance_order

SLICES = 16  # directions whose quantiles are compared at once


def sliced_wasserstein(
    *, real: Tensor, fake: Tensor, projections: int = 128, seed: int = 0
) -> Estimate:
    """The sliced Wasserstein distance of order 2,

        SW^2 = mean over random unit vectors u of W2^2(u.x, u.y),
        W2^2 = integral over t in (0, 1) of (F^-1(t) - G^-1(t))^2,

    with F and G the distributions of the real and the fake samples along u: exact for any counts.
    A shift by m gives |m| / sqrt d on the average of u.

    The error is of both sets drawn anew, for these directions, which are a function of the seed: a
    sample adds its Kantorovich potential to W2^2, so the potentials' variance over the counts,
    divided by its order (`variance_order`), is SW^2's. Two sets from one distribution are at about
    1 / sqrt N, not at 0: see what held-out real samples get.

    Sources: Rabin, Peyre, Delon, Bernot (2012), Wasserstein Barycenter and Its Application to
    Texture Mixing; Bonneel, Rabin, Peyre, Pfister (2015), Sliced and Radon Wasserstein Barycenters
    of Measures; for the error del Barrio, Loubes (2019), Central Limit Theorems for Empirical
    Transportation Cost in General Dimension.

    Args:
        real, fake: (N, d), (M, d), four or more of each.
        projections: how many directions.

    Raises:
        FrenemyError: too few samples or directions, shapes that differ, numbers not finite.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> sliced_wasserstein(real=x, fake=x + 3).value
    3.0
    """
    at_least(1, projections=projections)
    real, fake = checked("sliced_wasserstein", 4, real=real, fake=fake)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(projections, real.shape[1], generator=generator, dtype=torch.float64)
    directions = directions / directions.norm(dim=1, keepdim=True)
    real_at, fake_at = (project(rows, directions) for rows in (real, fake))  # (projections, N or M)
    squared, *parts = _transport(real_at, fake_at)
    if not squared:
        return Estimate(0.0, 0.0, "no difference in any direction: are they the same samples?")
    orders = (own_order(rows, seed=seed).chunk(2) for rows in (real, fake))
    halves = [
        _squared_error(_transport(real_at[:, ours], fake_at[:, theirs])[1:])
        for ours, theirs in zip(*orders, strict=True)
    ]
    order = variance_order(_squared_error(parts), sum(halves) / 2)
    value, deviation = math.sqrt(squared), math.sqrt(_squared_error(parts) / order)  # of SW^2
    # near 0 the root is steeper than any error: its own size bounds it
    slope = 1 / (2 * max(value, math.sqrt(deviation)))
    real_part, fake_part = (part * slope / math.sqrt(order) for part in parts)
    return Estimate.of_influences(value, real=real_part, fake=fake_part)


def _squared_error(parts: Sequence[Tensor]) -> float:
    """The variance of each set's influences, over their number."""
    return sum(part.var().item() / len(part) for part in parts)


def _transport(real_at: Tensor, fake_at: Tensor) -> tuple[float, Tensor, Tensor]:
    """W2^2 and the potentials of all points, on the average of the lines (P, N) and (P, M)."""
    (projections, n), m = real_at.shape, fake_at.shape[1]
    centre = real_at.mean(1, keepdim=True)
    # t from edge to edge, in units of 1 / nm: both quantiles are constant there
    steps = torch.arange(max(n, m), device=real_at.device) + 1
    edges = torch.cat([steps[:n] * m, steps[:m] * n]).unique()
    widths = edges.diff(prepend=edges.new_zeros(1)).double() / (n * m)
    squared = 0.0
    real_part, fake_part = torch.zeros_like(real_at[0]), torch.zeros_like(fake_at[0])
    for some in tiles(projections, SLICES):
        x, x_index = (real_at[some] - centre[some]).sort(1)
        y, y_index = (fake_at[some] - centre[some]).sort(1)
        gaps = x[:, (edges - 1) // m] - y[:, (edges - 1) // n]
        squared += (gaps.square() @ widths).sum().item() / projections
        for part, index, potential in (
            (real_part, x_index, _potential(x, y)),
            (fake_part, y_index, _potential(y, x)),
        ):
            part += torch.empty_like(potential).scatter_(1, index, potential).sum(0) / projections
    return squared, real_part, fake_part


def _potential(x: Tensor, y: Tensor) -> Tensor:
    """The Kantorovich potential of each x on the way to y: x^2 - 2 integral of T, T(x) in y.

    Args:
        x, y: (S, N), (S, M), sorted rows.

    Returns:
        (S, N), up to a constant in each row.
    """
    n, m = x.shape[1], y.shape[1]
    level = torch.arange(1, n, device=x.device) * m  # between two x: t = level / nm
    between = (y[:, level // n] + y[:, (level - 1) // n]) / 2  # F^-1 from the right and the left
    return x.square() - 2 * torch.nn.functional.pad((between * x.diff(dim=1)).cumsum(1), (1, 0))


def project(rows: Tensor, directions: Tensor) -> Tensor:
    """u.x for every direction u and row x: (P, d) and (N, d) to float64 (P, N)."""
    directions = directions.to(rows.device)
    return torch.cat([directions @ rows[here].double().T for here in tiles(len(rows), TILE)], 1)


def own_order(rows: Tensor, *, seed: int) -> Tensor:
    """A random order of the rows that depends on what they are and not on how they come.

    They are sorted along a random direction, then shuffled. Two sets of equal rows get the same
    rows in each place.

    Args:
        rows: (N, d).

    Returns:
        Indices (N,), int64.

    >>> rows = torch.tensor([[1.0], [2.0], [3.0]])
    >>> torch.equal(rows[own_order(rows, seed=0)], rows.flip(0)[own_order(rows.flip(0), seed=0)])
    True
    """
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(rows.shape[1], generator=generator, dtype=torch.float64)
    direction = direction.to(rows.device)
    shuffle = torch.randperm(len(rows), generator=generator).to(rows.device)
    along = [row_sums(rows[here].double() * direction) for here in tiles(len(rows), TILE)]
    return torch.cat(along).argsort()[shuffle]
