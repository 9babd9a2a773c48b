"""The Frechet distance between Gaussians fitted to features: FID, where these are Inception's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frenemy.judge.estimate import TILE, Estimate, checked, tiles, variance_order
from frenemy.judge.slices import own_order

BLOCK = 256  # columns of a block of the covariance; blocks below the diagonal are left out
FLOAT32_ERROR = 1e-6  # of a product of one tile: float32's is 2e-7, TF32's and bfloat16's 1e-3
FIRST = 256  # features that rows are put in a random order by
INFLUENCES = 2**32  # samples whose influence gives the error, times d^2; 1,024 at the least

Influence = Callable[[Tensor], Tensor]
"""Of rows (n, d), float64 (n,)."""


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution of features.

    Attributes:
        count: how many rows it was fitted to.
        mean: float64 (d,).
        factor: F, float64 (k, d), with F^T F the covariance (over count - 1).
    """

    count: int
    mean: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, rows: Tensor) -> Gaussian:
        """The Gaussian with the mean and covariance of `rows`, (n, d), two or more.

        F is the centred rows themselves where n <= d. Otherwise it is the covariance's Cholesky
        factor or, where features depend on each other linearly, its root without the directions
        in which there is no variance. The rows are read by tiles.

        float64 rows are multiplied in float64. Products of float32 rows are rounded to float32,
        and summed in float64, if that is safe: where this machine rounds no worse, and every
        feature has variance of its own, a thousandth at least, that the ones before it do not
        explain. If not, they too are multiplied in float64.
        """
        count, d = rows.shape
        mean = torch.zeros(d, dtype=torch.float64, device=rows.device)
        for here in tiles(count, BLOCK):  # so few rows stay in the processor's cache
            mean += rows[here].double().sum(0) / count
        if count <= d:
            return cls(count, mean, (rows.double() - mean) / math.sqrt(count - 1))
        if rows.dtype != torch.float64 and _float32_is_exact(rows[:TILE].float() - mean.float()):
            covariance = _scatter(rows, mean, torch.float32) / (count - 1)
            factor = _cholesky(covariance, 1e-3)  # the sum's rounding is some 1e-7 of a variance
            if factor is not None:
                return cls(count, mean, factor)
        covariance = _scatter(rows, mean, torch.float64) / (count - 1)
        factor = _cholesky(covariance, 1e-10)
        return cls(count, mean, _root(covariance) if factor is None else factor)

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        return self.factor.square().sum().item()


def frechet(*, real: Tensor, fake: Tensor) -> Estimate:
    """The Frechet distance between the Gaussians fitted to two sets of features:

        |mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)).

    With S = F^T F the last trace is the sum of the singular values of F_r F_f^T, so that no matrix
    root is taken. The error is of both sets drawn anew. By its influence

        2 (mu_f - mu_r).(x - mu_f) + (x - mu_f)^T (I - T) (x - mu_f),    T S_f T = S_r,

    a fake sample x moves the value, and likewise a real one. The delta method's squared error, the
    influences' variance over M plus that over N, is divided by its order (`variance_order`), since
    the moments that influences are made of are estimates. Of a set with more than 1,024 and
    2^32 / d^2 rows so many random ones give the variance, which makes the error good to some 10 %.

    The error does not contain the bias: for any finite sets the value is too large, by about 1 / M
    and 1 / N times something that depends on the model; a note says if that is more than half of
    it. Compare equal counts, or extrapolate (`frechet_infinity`).

    Sources: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017), GANs Trained by a Two
    Time-Scale Update Rule Converge to a Local Nash Equilibrium; Dowson, Landau (1982), The Frechet
    Distance between Multivariate Normal Distributions.

    Args:
        real, fake: features (N, d), (M, d), four or more of each, and more than d for the value to
            be worth anything.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> real = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]])  # mean 0, variance 4 / 3
    >>> round(frechet(real=real, fake=2 * real + 1).value, 6)  # mean 1, variance 16 / 3
    2.333333
    """
    real, fake = checked("frechet", 4, real=real, fake=fake)
    p, q = Gaussian.fit(real), Gaussian.fit(fake)
    found, of_halves = _with_error(p, q, *_in_own_order(real, fake, seed=0))
    notes = [
        f"{len(rows):,} {name} samples for {rows.shape[1]:,} features: the covariance is "
        "rank-deficient and the value mostly bias"
        for name, rows in (("real", real), ("fake", fake))
        if len(rows) <= rows.shape[1]
    ]
    bias = of_halves - found.value  # halves have twice of what falls as 1 / n
    if not notes and bias > found.value / 2 > 0:
        notes.append(f"about {min(bias / found.value, 1):.0%} of it is the bias of few images")
    if found.value <= 1e-9 * (p.variance + q.variance):
        notes.append("the sets have the same mean and covariance: are they the same samples?")
    return replace(found, note="; ".join(notes))


def frechet_infinity(*, real: Tensor, fake: Tensor, seed: int = 0) -> Estimate:
    """The Frechet distance extrapolated to infinitely many images in both sets.

    Both sets are cut into four. With T the distance of the whole sets, H the mean over the halves
    that can be made of the quarters in three ways, and Q the mean over the quarters, a line in 1/n
    gives 2 T - H at 1/n = 0, and a parabola (8 T - 6 H + Q) / 3. The one is too high and the other
    too low where many features have little variance; the value is their mean. It can be below 0
    where the sets are hardly different. Quarters are a function of the seed and of the rows, in
    whatever order these come.

    The error is of both sets drawn anew: that of `frechet`, and a third of the variance over the
    three ways to make halves, which tells how the cut matters.

    Source: Chong, Forsyth (2020), Effectively Unbiased FID and Inception Score and Where to Find
    Them, who extrapolate in the fake samples alone.

    Args:
        real, fake: features (N, d), (M, d), 32 or more of each, and more than 4 d for the quarters
            to have covariances of full rank.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> real, fake = torch.randn(2, 400, 8, generator=torch.Generator().manual_seed(0))
    >>> found = frechet_infinity(real=real, fake=fake)
    >>> abs(found.value) < 3 * found.error < frechet(real=real, fake=fake).value
    True
    """
    real, fake = checked("frechet_infinity", 32, real=real, fake=fake)
    ours, theirs = _in_own_order(real, fake, seed=seed)
    whole, halves = _with_error(Gaussian.fit(real), Gaussian.fit(fake), ours, theirs)
    quarters = list(zip(ours.chunk(4), theirs.chunk(4), strict=True))

    def distance(*which: int) -> float:
        return _distance(
            *(Gaussian.fit(torch.cat([quarters[i][s] for i in which])) for s in (0, 1))
        )

    ways = [halves, (distance(0, 2) + distance(1, 3)) / 2, (distance(0, 3) + distance(1, 2)) / 2]
    half = sum(ways) / 3
    quarter = sum(distance(i) for i in range(4)) / 4
    value = (14 * whole.value - 9 * half + quarter) / 6
    of_cut = sum((way - half) ** 2 for way in ways) / 6
    d = real.shape[1]
    few = [f"{len(x):,} {name}" for name, x in (("real", real), ("fake", fake)) if len(x) <= 4 * d]
    note = f"{' and '.join(few)} images for {d:,} features: needs more than {4 * d:,}; some bias"
    return Estimate(
        value,
        math.hypot(whole.error, math.sqrt(of_cut)),
        f"{note} is left" if few else "",
        whole.shared,
    )


def _in_own_order(real: Tensor, fake: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Both sets in random orders of their own, by their first features: that takes less time."""
    return (
        real[own_order(real[:, :FIRST], seed=seed)],
        fake[own_order(fake[:, :FIRST], seed=seed)],
    )


def _with_error(p: Gaussian, q: Gaussian, real: Tensor, fake: Tensor) -> tuple[Estimate, float]:
    """`frechet`, and the mean of that of halves.

    Args:
        p, q: of all real and of all fake rows.
        real, fake: these, in orders of their own.
    """
    most = max(INFLUENCES // real.shape[1] ** 2, 1024)

    def solved(p: Gaussian, q: Gaussian, real: Tensor, fake: Tensor) -> tuple[float, list[Tensor]]:
        """The distance, and influences whose variance over their number gives the squared error."""
        value, *influences = _solve(p, q)
        parts = [f(rows[:most]) for f, rows in zip(influences, (real, fake), strict=True)]
        counts = len(real), len(fake)
        return value, [x * math.sqrt(len(x) / n) for x, n in zip(parts, counts, strict=True)]

    def squared(parts: list[Tensor]) -> float:
        return sum(x.var().item() / len(x) for x in parts)

    value, parts = solved(p, q, real, fake)
    n, m = len(real) // 2, len(fake) // 2
    halves = [
        solved(Gaussian.fit(ours), Gaussian.fit(theirs), ours, theirs)
        for ours, theirs in ((real[:n], fake[:m]), (real[n:], fake[m:]))
    ]
    order = variance_order(squared(parts), sum(squared(x) for _, x in halves) / 2)
    real_part, fake_part = (x / math.sqrt(order) for x in parts)
    found = Estimate.of_influences(value, real=real_part, fake=fake_part)
    return found, sum(half for half, _ in halves) / 2


def _solve(real: Gaussian, fake: Gaussian) -> tuple[float, Influence, Influence]:
    """The Frechet distance, and the influences of real and of fake rows.

    With the singular value decomposition F_l F_s^T = U s V^T, T of the set s is R^T R with
    R = s^(-1/2) U^T F_l, and T of the set l is R^T R with R = s^(-1/2) V^T F_s.
    """
    small, large = sorted((real, fake), key=lambda gaussian: len(gaussian.factor))
    cross = large.factor @ small.factor.T  # (k_large, k_small)
    squares, v = torch.linalg.eigh(cross.T @ cross)
    s = squares.clamp(min=0).sqrt()
    kept = s > 1e-6 * s[-1:]  # what is less has no part in the variance, and no exact direction
    s, v = s[kept], v[:, kept]
    of_large = (small.factor.T, v / s.sqrt())  # the products that make R^T
    of_small = (large.factor.T, cross, v / s**1.5)

    def influence(own: Gaussian, other: Gaussian) -> Influence:
        root = of_small if own is small else of_large

        def of_rows(rows: Tensor) -> Tensor:
            x = rows.double() - own.mean
            moved = torch.linalg.multi_dot((x, *root))  # in the cheapest order
            return x.square().sum(1) - moved.square().sum(1) + 2 * x @ (own.mean - other.mean)

        return of_rows

    return _assemble(real, fake, cross, squares), influence(real, fake), influence(fake, real)


def _distance(p: Gaussian, q: Gaussian) -> float:
    """The Frechet distance between two Gaussians."""
    small, large = sorted((p, q), key=lambda gaussian: len(gaussian.factor))
    cross = large.factor @ small.factor.T
    return _assemble(p, q, cross, torch.linalg.eigvalsh(cross.T @ cross))


def _assemble(p: Gaussian, q: Gaussian, cross: Tensor, squares: Tensor) -> float:
    """The Frechet distance, from F_p F_q^T or F_q F_p^T and its squared singular values."""
    if len(squares) and squares[0] < 1e-12 * squares[-1]:  # roots would lose half of the digits
        overlap = torch.linalg.svdvals(cross).sum()
    else:
        overlap = squares.sqrt().sum()
    between = (p.mean - q.mean).square().sum()
    return max((between + p.variance + q.variance - 2 * overlap).item(), 0.0)


def _float32_is_exact(x: Tensor) -> bool:
    """Whether this machine multiplies a tile's float32 rows in float32, and not in less."""
    x = x[:, :BLOCK]
    exact = x.double().T @ x.double()
    return bool((x.T @ x - exact).norm() <= FLOAT32_ERROR * exact.norm())


def _scatter(rows: Tensor, mean: Tensor, work: torch.dtype) -> Tensor:
    """The sum of (x - mean)(x - mean)^T over the rows, in float64, by products in `work`."""
    d = rows.shape[1]
    total = torch.zeros(d, d, dtype=torch.float64, device=rows.device)
    for here in tiles(len(rows), TILE):
        x = rows[here].to(work) - mean.to(work)
        for block in tiles(d, BLOCK):
            total[block, block.start :] += x[:, block].T @ x[:, block.start :]
    return total.triu() + total.triu(1).T


def _cholesky(covariance: Tensor, least: float) -> Tensor | None:
    """The upper Cholesky factor, or None if some feature is too nearly a function of others.

    Args:
        covariance: (d, d).
        least: share of a feature's variance that the features before it may leave unexplained.
    """
    lower, failed = torch.linalg.cholesky_ex(covariance)
    own = lower.diagonal().square()  # what the ones before it do not explain
    if failed or not (own > least * covariance.diagonal()).all():
        return None
    return lower.T


def _root(covariance: Tensor) -> Tensor:
    """F, (k, d), with F^T F the covariance of rank k: what is below its rounding is left out."""
    values, vectors = torch.linalg.eigh(covariance)
    rounding = len(values) * torch.finfo(values.dtype).eps * values[-1]
    kept = values > rounding.clamp(min=0)
    return (vectors[:, kept] * values[kept].sqrt()).T
