"""The Frechet distance between Gaussians fitted to features: FID, where these are Inception's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frenemy.judge.estimate import TILE, Estimate, checked, tiles
from frenemy.judge.slices import own_order

BLOCK = 256  # columns of a block of the covariance; blocks below the diagonal are left out
FLOAT32_ERROR = 1e-6  # of a product of one tile: float32's is 2e-7, TF32's and bfloat16's 1e-3
INFLUENCES = 2**32  # samples whose influence gives the error, times d^2; 1,024 at the least
POINTS = 15  # on the line of the extrapolation


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
    root is taken. The error is the delta method's: by its influence

        2 (mu_f - mu_r).(x - mu_f) + (x - mu_f)^T (I - T) (x - mu_f),    T S_f T = S_r,

    a fake sample x moves the value, and likewise a real one; the squared error is the influences'
    variance over M plus that over N. Of a set with more than 1,024 and 2^32 / d^2 rows so many
    random ones give the variance, which makes the error good to some 10 %.

    The error does not contain the bias: for any finite sets the value is too large, by about 1 / M
    and 1 / N times something that depends on the model. Compare equal counts, or extrapolate
    (`frechet_infinity`).

    Sources: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017), GANs Trained by a Two
    Time-Scale Update Rule Converge to a Local Nash Equilibrium; Dowson, Landau (1982), The Frechet
    Distance between Multivariate Normal Distributions.

    Args:
        real, fake: features (N, d), (M, d), two or more of each, and more than d for the value to
            be worth anything.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> real = torch.tensor([[0.0], [1.0], [2.0]])  # mean 1, variance 1
    >>> round(frechet(real=real, fake=2 * real + 1).value, 6)  # mean 3, variance 4
    5.0
    """
    real, fake = checked("frechet", 2, real=real, fake=fake)
    p, q = Gaussian.fit(real), Gaussian.fit(fake)
    value, error = _value_and_error((real, p), (fake, q))
    notes = [
        f"{len(rows):,} {name} samples for {rows.shape[1]:,} features: the covariance is "
        "rank-deficient and the value mostly bias"
        for name, rows in (("real", real), ("fake", fake))
        if len(rows) <= rows.shape[1]
    ]
    if value <= 1e-9 * (p.variance + q.variance):
        notes.append("the sets have the same mean and covariance: are they the same samples?")
    return Estimate(value, error, "; ".join(notes))


def frechet_infinity(*, real: Tensor, fake: Tensor, seed: int = 0) -> Estimate:
    """The Frechet distance extrapolated to infinitely many fake samples.

    Its expectation is close to a line in 1 / M, so it is computed on 15 random subsets of the fake
    samples, of sizes evenly spaced from M / 10 (or 2 d, but no more than M / 2) to M, and the least
    squares line through the values is read at 1 / M = 0. Subsets are a function of the seed and of
    the rows, in whatever order these come. The bias of finite `real` stays. The value can be below
    0 where the sets are hardly different.

    The squared error is the sum of two: that of the line at 0, by its residuals, which tells how
    the draw of subsets matters; and that of `frechet` on all samples, which tells how these do.

    Source: Chong, Forsyth (2020), Effectively Unbiased FID and Inception Score and Where to Find
    Them.

    Args:
        real, fake: features (N, d), (M, d), 30 or more of each; M should be well above 2 d.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> real, fake = torch.randn(2, 400, 8, generator=torch.Generator().manual_seed(0))
    >>> frechet_infinity(real=real, fake=fake).value < frechet(real=real, fake=fake).value
    True
    """
    real, fake = checked("frechet_infinity", 2 * POINTS, real=real, fake=fake)
    count, d = fake.shape
    least = max(count // 10, min(2 * d, count // 2))
    sizes = torch.linspace(least, count, POINTS, dtype=torch.float64).round()
    order, generator = own_order(fake, seed=seed), torch.Generator().manual_seed(seed)
    p, q = Gaussian.fit(real), Gaussian.fit(fake)
    whole, deviation = _value_and_error((real, p), (fake, q))
    values = []
    for size in sizes[:-1].int().tolist():
        drawn = torch.randperm(count, generator=generator)[:size].to(fake.device)
        values.append(_distance(p, Gaussian.fit(fake[order[drawn]])))
    y = torch.tensor([*values, whole], dtype=torch.float64)
    x = 1 / sizes
    spread = (x - x.mean()).square().sum()
    slope = (x - x.mean()) @ y / spread
    value = y.mean() - slope * x.mean()
    scatter = (y - value - slope * x).square().sum() / (POINTS - 2)
    of_line = (scatter * (1 / POINTS + x.mean().square() / spread)).sqrt()
    notes = []
    if least <= d:
        notes.append(
            f"{count:,} fake samples for {d:,} features: subsets are rank-deficient, and their "
            "values not on a line"
        )
    if len(real) <= d:
        notes.append(f"{len(real):,} real samples for {d:,} features: the value is mostly bias")
    return Estimate(value.item(), math.hypot(of_line.item(), deviation), "; ".join(notes))


def _distance(p: Gaussian, q: Gaussian) -> float:
    """The Frechet distance between two Gaussians."""
    small, large = sorted((p, q), key=lambda gaussian: len(gaussian.factor))
    cross = large.factor @ small.factor.T
    return _assemble(p, q, cross, torch.linalg.eigvalsh(cross.T @ cross))


def _value_and_error(*sets: tuple[Tensor, Gaussian]) -> tuple[float, float]:
    """The Frechet distance and its standard error, for rows and the Gaussian fitted to them, twice.

    With the singular value decomposition F_l F_s^T = U s V^T, T of the set s is R^T R with
    R = s^(-1/2) U^T F_l, and T of the set l is R^T R with R = s^(-1/2) V^T F_s.
    """
    (small_rows, small), (large_rows, large) = sorted(sets, key=lambda pair: len(pair[1].factor))
    cross = large.factor @ small.factor.T  # (k_large, k_small)
    squares, v = torch.linalg.eigh(cross.T @ cross)
    value = _assemble(small, large, cross, squares)
    s = squares.clamp(min=0).sqrt()
    kept = s > 1e-6 * s[-1:]  # what is less has no part in the variance, and no exact direction
    s, v = s[kept], v[:, kept]
    of_large = (small.factor.T, v / s.sqrt())  # the products that make R^T
    of_small = (large.factor.T, cross, v / s**1.5)
    squared = 0.0
    for rows, own, other, root in (
        (small_rows, small, large, of_small),
        (large_rows, large, small, of_large),
    ):
        most = max(INFLUENCES // rows.shape[1] ** 2, 1024)
        if len(rows) > most:
            rows = rows[own_order(rows[:, :BLOCK], seed=0)[:most]]  # by so many features: time
        x = rows.double() - own.mean
        moved = torch.linalg.multi_dot((x, *root))  # in the cheapest order
        influence = x.square().sum(1) - moved.square().sum(1) + 2 * x @ (own.mean - other.mean)
        squared += influence.var().item() / own.count
    return value, math.sqrt(squared)


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
