"""Precision, recall, density and coverage: fidelity and diversity told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.errors import at_least
from frenemy.judge.distances import BLOCK, ROUGH, Bounds, exact_squares, nearest_others, precisions
from frenemy.judge.estimate import Estimate, checked, tiles
from frenemy.judge.halves import Halves, listed

TIE = 1 - 1e-9  # a point at a ball's radius, but for rounding, is not within it
PAIRS = 2**20  # at a time


@dataclass(frozen=True, eq=False)
class Manifold:
    """A set of points, and the open ball about each that reaches to its k-th nearest other.

    It takes most of the time of `neighbourhoods`, and is the same whatever it is compared with.

    Attributes:
        points: (N, d).
        k: of the neighbour that a ball reaches to.
        squares: distances to the nearest others, squared, in ascending order, (N, `listed`).
        index: which these are.
    """

    points: Tensor
    k: int
    squares: NDArray[np.float64]
    index: NDArray[np.int64]

    @classmethod
    def of(cls, points: Tensor, k: int = 5) -> Manifold:
        """Of points (N, d), more than k of them.

        Raises:
            FrenemyError: too few, k below 1, numbers that are not finite.
        """
        at_least(1, k=k)
        (points,) = checked("manifold", k + 1, points=points)
        squares, index = nearest_others(points, k, listed(k))
        return cls(points, k, squares.cpu().numpy(), index.cpu().numpy())

    def __len__(self) -> int:
        return len(self.points)

    @property
    def radii(self) -> NDArray[np.float64]:
        """Of the balls, squared: (N,)."""
        return self.squares[:, self.k - 1]


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """What is found of fake images among the neighbourhoods of real ones, and the reverse.

    Attributes:
        precision, recall, density, coverage: as `precision_recall_density_coverage` has them.
        precise: which fake images lie within some real one's ball, bool (M,).
        recalled: which real images lie within some fake one's ball, bool (N,).
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    precise: Tensor
    recalled: Tensor


def precision_recall_density_coverage(
    *, real: Tensor, fake: Tensor, k: int = 5
) -> Neighbourhoods:
    """Precision, recall, density and coverage by balls that reach to the k-th nearest neighbour.

    With B(x) the open ball about x whose radius is the distance to the k-th nearest other point of
    x's own set,

        precision = mean over fake y of [y is in some B(x), x real],
        recall    = mean over real x of [x is in some B(y), y fake],
        density   = mean over fake y of (number of real x with y in B(x)) / k,
        coverage  = mean over real x of [some fake y is in B(x)].

    TODO
    """
    at_least(1, k=k)
    real, fake = checked("precision and recall", k + 1, real=real, fake=fake)
    return neighbourhoods(Manifold.of(real, k), Manifold.of(fake, k))


def neighbourhoods(real: Manifold, fake: Manifold) -> Neighbourhoods:
    """As `precision_recall_density_coverage`, of sets whose balls are known."""
    k, n, m = real.k, len(real), len(fake)
    halves = None
    reaches = real.radii, fake.radii
    if min(n, m) // 2 > k:
        halves = Halves(k, (real.index, real.squares), (fake.index, fake.squares))
        reaches = halves.real.reach, halves.fake.reach
    precise, recalled, covered = np.zeros(m, bool), np.zeros(n, bool), np.zeros(n, bool)
    balls = 0
    for x, y, squares in _near(real, fake, *reaches):
        within = squares < real.radii[x] * TIE
        balls += int(within.sum())
        covered[x[within]] = precise[y[within]] = True
        recalled[x[squares < fake.radii[y] * TIE]] = True
        if halves is not None:
            halves.add(x, y, squares)
    values = {
        "precision": (precise.mean(), m),
        "recall": (recalled.mean(), n),
        "density": (balls / (k * m), k * m),
        "coverage": (covered.mean(), n),
    }
    differences = None if halves is None else halves.differences()
    estimates = {}
    for name, (value, count) in values.items():
        note = _empty(fake, "fake") if name == "recall" else _empty(real, "real")
        error, shared = math.nan, ()
        if differences is not None:
            found = differences[name]
            error = max(math.sqrt(found.squared_error), 1 / count)
            shared = found.shared
        estimates[name] = Estimate(float(value), error, note, shared)
    return Neighbourhoods(
        **estimates, precise=torch.from_numpy(precise), recalled=torch.from_numpy(recalled)
    )


def _near(
    real: Manifold,
    fake: Manifold,
    real_reach: NDArray[np.float64],
    fake_reach: NDArray[np.float64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Pairs of a real and a fake point that are nearer than either's reach, and some others.

    Yields:
        Indices of real and of fake points, and their squared distances: on which side of a radius
        they lie is exact; else they are so to `ROUGH`.
    """
    device, d = real.points.device, real.points.shape[1]
    radii, reach = (
        [torch.from_numpy(v).to(device) for v in pair]
        for pair in ((real.radii, fake.radii), (real_reach, fake_reach))
    )
    centre = real.points.double().mean(0)
    for dtype in precisions():
        bounds = Bounds(real.points, fake.points, centre, dtype)
        every = torch.arange(min(len(real), len(fake)), device=device)
        if bounds.margin(every, every).median() < ROUGH * radii[0].median():
            break
    limit_x, limit_y = ((v * (1 + 1e-6)).to(dtype) for v in reach)  # rounded up
    m = len(fake)
    for here in tiles(len(real), max(1, BLOCK // m)):
        lower = bounds.lower(here)
        found = (lower < limit_x[here, None]).logical_or_(lower < limit_y)
        flat = torch.from_numpy(np.flatnonzero(found.numpy())) if device.type == "cpu" else found.flatten().nonzero()[:, 0]
        for part in flat.split(PAIRS):
            x, y = part // m + here.start, part % m
            margin = bounds.margin(x, y)
            squares = lower.flatten()[part].double() + margin
            doubtful = 2 * margin > ROUGH * squares
            for radius in (radii[0][x], radii[1][y]):
                doubtful |= (squares - radius * TIE).abs() <= margin
            these = (doubtful | ~squares.isfinite()).nonzero()[:, 0]
            squares[these] = exact_squares(real.points, x[these], fake.points, y[these])
            yield x.cpu().numpy(), y.cpu().numpy(), squares.cpu().numpy()


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


def _empty(manifold: Manifold, name: str) -> str:
    """What to say of balls without a radius, in which nothing can be."""
    count = int((manifold.radii == 0).sum())
    if not count:
        return ""
    k, n = manifold.k, len(manifold)
    return f"{count:,} of {n:,} {name} samples have {k} copies: nothing is nearer to them"
