"""Precision, recall, density and coverage: fidelity and diversity told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.errors import at_least
from frenemy.judge.distances import BLOCK, ROUGH, Bounds, exact_squares, nearest_others, precisions
from frenemy.judge.estimate import Estimate, checked, tiles
from frenemy.judge.halves import Balls, Differences, in_first_halves, listed

TIE = 1 - 1e-9  # a point at a ball's radius, but for rounding, is not within it
PAIRS = 2**20  # at a time
DENSE = 1 / 32  # of all pairs near enough: many are then taken at once


@dataclass(frozen=True, eq=False)
class Manifold:
    """A set of points, and the open ball about each that reaches to its k-th nearest other.

    It takes most of the time of `neighbourhoods`, and is the same whatever it is compared with.

    Attributes:
        points: (N, d).
        k: of the neighbour that a ball reaches to.
        squares: of the distances to the nearest others, in ascending order, (N, `listed`).
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
        (points,) = checked("precision and recall", k + 1, features=points)
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
        k: of the neighbour that a ball reaches to.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    precise: Tensor
    recalled: Tensor
    k: int


def precision_recall_density_coverage(*, real: Tensor, fake: Tensor, k: int = 5) -> Neighbourhoods:
    """Precision, recall, density and coverage by balls that reach to the k-th nearest neighbour.

    With B(x) the open ball about x whose radius is the distance to the k-th nearest other point of
    x's own set,

        precision = mean over fake y of [y is in some B(x), x real],
        recall    = mean over real x of [x is in some B(y), y fake],
        density   = mean over fake y of (number of real x with y in B(x)) / k,
        coverage  = mean over real x of [some fake y is in B(x)].

    All but density, which may exceed 1, are in [0, 1]; real samples against real ones have a
    density of about 1 and a coverage of about 1 - 2^-k. Density has no best value: where images are
    blurred, or all are alike, they lie in the middle of the real ones, where many balls overlap,
    so that blurred held-out images of MNIST have one of 11.0, where these themselves have 1.04.

    Compare equal counts: as samples grow fewer, balls grow, and with them precision and recall.
    Normal samples in 64 dimensions with .9 of the deviation of the real ones have a recall of
    .33 by 2,000 of each, .38 by 500 and .46 by 125; those of the same deviation .71, .76 and .80.

    The errors are those of both sets drawn anew. Of each of `SPLITS` random splits of both sets in
    halves the metrics are those of independent sets, so that the square of their difference, over
    4, estimates the variance on whole sets. The share of hits p is smaller or larger on halves: its
    deviation is scaled as sqrt(p (1 - p)), that of density as density. Errors are 1 / n of the
    mean's n terms at the least (of density, 1 / (k M)): n hits in n leave a doubt. Where a half has
    no k-th neighbour, they are NaN.

    Sources: Kynkaanniemi, Karras, Laine, Lehtinen, Aila (2019), Improved Precision and Recall
    Metric for Assessing Generative Models; Naeem, Oh, Uh, Choi, Yoo (2020), Reliable Fidelity and
    Diversity Metrics for Generative Models. The ball is open, as in the latter. Halves: Politis,
    Romano (1994), Large Sample Confidence Regions Based on Subsamples under Minimal Assumptions.

    Args:
        real, fake: features (N, d), (M, d), more than k of each.
        k: of the neighbour that a ball reaches to.

    Raises:
        FrenemyError: too few samples, k below 1, shapes that differ, numbers that are not finite.

    >>> real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> found = precision_recall_density_coverage(real=real, fake=real[:2] + 0.5, k=1)
    >>> found.precision.value, found.recall.value, found.density.value, found.coverage.value
    (1.0, 0.75, 2.0, 0.75)
    >>> found.precise, found.recalled
    (tensor([True, True]), tensor([ True,  True,  True, False]))
    """
    at_least(1, k=k)
    real, fake = checked("precision and recall", k + 1, real=real, fake=fake)
    return neighbourhoods(Manifold.of(real, k), Manifold.of(fake, k))


def neighbourhoods(real: Manifold, fake: Manifold) -> Neighbourhoods:
    """As `precision_recall_density_coverage`, of sets whose balls are known, of the same k."""
    k, n, m = real.k, len(real), len(fake)
    halves: tuple[Balls, ...] | tuple[None, None] = (None, None)
    if min(n, m) // 2 > k:
        x, y = in_first_halves(n, m)
        halves = (
            Balls(k, real.index, real.squares, x, y),
            Balls(k, fake.index, fake.squares, y, x),
        )
    of_real, of_fake = (_Side(*side) for side in zip((real, fake), (m, n), halves, strict=True))
    _compare(of_real, of_fake)
    no_real, no_fake = _empty(real, "real"), _empty(fake, "fake")
    return Neighbourhoods(
        precision=_share(of_real.held, halves[0] and halves[0].share_held().turned(), no_real),
        recall=_share(of_fake.held, halves[1] and halves[1].share_held(), no_fake),
        density=_density(of_real.count, k * m, halves[0] and halves[0].mean_held(), no_real),
        coverage=_share(of_real.hit, halves[0] and halves[0].share_hit(), no_real),
        precise=torch.from_numpy(of_real.held),
        recalled=torch.from_numpy(of_fake.held),
        k=k,
    )


class _Side:
    """What the balls of one set hold of the other's points."""

    def __init__(self, manifold: Manifold, others: int, halves: Balls | None) -> None:
        self.manifold, self.halves = manifold, halves
        self.count = 0  # of pairs
        self.hit, self.held = np.zeros(len(manifold), bool), np.zeros(others, bool)

    @property
    def reach(self) -> NDArray[np.float64]:
        """Squared distance at which a point is in no ball, not even in that of a half."""
        return self.manifold.radii if self.halves is None else self.halves.reach

    def add(
        self, ball: NDArray[np.int64], point: NDArray[np.int64], squares: NDArray[np.float64]
    ) -> None:
        within = squares < self.manifold.radii[ball] * TIE
        self.count += int(within.sum())
        self.hit[ball[within]] = self.held[point[within]] = True
        if self.halves is not None:
            self.halves.add(ball, point, squares)

    def add_dense(self, balls: slice, points: slice, within: NDArray[np.bool_]) -> None:
        self.count += int(within.sum())
        self.hit[balls] |= within.any(1)
        self.held[points] |= within.any(0)
        if self.halves is not None:
            self.halves.add_dense(balls, points, within)


def _compare(of_real: _Side, of_fake: _Side) -> None:
    """Lets both sides see all pairs of a real and a fake point that are near enough."""
    real, fake = of_real.manifold.points, of_fake.manifold.points
    device, m = real.device, len(fake)
    radii, reach = (
        [torch.from_numpy(squares).to(device) for squares in pair]
        for pair in (
            (of_real.manifold.radii * TIE, of_fake.manifold.radii * TIE),
            (of_real.reach, of_fake.reach),
        )
    )
    bounds = Bounds(real, fake, real.double().mean(0), precisions(device)[0])
    if bounds.resolves > radii[0].median():  # or many would be computed twice
        bounds = Bounds(real, fake, real.double().mean(0), torch.float64)
    limits = [(squares * (1 + 1e-6)).to(bounds.dtype) for squares in reach]  # rounded up
    certain = [  # and down: what is below is within
        ((squares - 2 * widest) * (1 - 1e-6)).to(bounds.dtype)
        for squares, widest in zip(radii, bounds.widest, strict=True)
    ]
    for here in tiles(len(real), max(1, BLOCK // m)):
        lower = bounds.lower(here)
        for side in (of_real, of_fake):
            turned = int(side is of_fake)  # its balls are columns
            limit, least = (v[turned] if turned else v[0][here, None] for v in (limits, certain))
            found = lower < limit
            flat = _true(found)
            if len(flat) > DENSE * found.numel():
                within = lower < least
                flat = _true(found & ~within)
                inside, every = within.cpu().numpy(), slice(0, m)
                side.add_dense(*((every, here, inside.T) if turned else (here, every, inside)))
            for part in flat.split(PAIRS):
                x, y = part // m + here.start, part % m
                margin = bounds.margin(x, y)
                squares = lower.flatten()[part].double() + margin
                doubtful = (squares - radii[turned][y if turned else x]).abs() <= margin
                doubtful |= (2 * margin > ROUGH * squares) | ~squares.isfinite()
                these = doubtful.nonzero()[:, 0]
                squares[these] = exact_squares(real, x[these], fake, y[these])
                pair = (y, x) if turned else (x, y)
                side.add(*(v.cpu().numpy() for v in (*pair, squares)))


def _true(found: Tensor) -> Tensor:
    """Indices of what is true, (P,)."""
    if found.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(found.numpy()))  # ten times as fast as torch's
    return found.flatten().nonzero()[:, 0]


def _share(hits: NDArray[np.bool_], found: Differences | None, note: str) -> Estimate:
    """A share of points; its deviation is in proportion to sqrt(p (1 - p))."""
    p = float(hits.mean())
    if found is None:
        return Estimate(p, math.nan, note)
    on_halves = found.mean * (1 - found.mean)
    scale = math.sqrt(p * (1 - p) / on_halves) if on_halves > 0 else 1.0
    return _estimate(p, 1 / len(hits), found, scale, note)


def _density(count: int, ways: int, found: Differences | None, note: str) -> Estimate:
    """A count over `ways`; its deviation is in proportion to it."""
    if found is None:
        return Estimate(count / ways, math.nan, note)
    scale = count / ways / found.mean if found.mean > 0 else 1.0
    return _estimate(count / ways, 1 / ways, found, scale, note)


def _estimate(value: float, least: float, found: Differences, scale: float, note: str) -> Estimate:
    error = max(math.sqrt(found.squared_error(scale)), least)
    return Estimate(value, error, note, found.shared(scale))


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
