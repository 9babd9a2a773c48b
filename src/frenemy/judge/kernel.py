"""Kernel distances: the maximum mean discrepancy between features, with a kernel on all pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from frenemy.judge.distances import precisions
from frenemy.judge.estimate import Estimate, checked, tiles

TILE = 512  # rows on each side of a block of kernel values: 2 MiB, near the processor's cache
LEAST = 4  # of fewer the variance of a kernel without its means is not known
CMMD_WIDTH, CMMD_SCALE = 10.0, 1000.0

Kernel = Callable[[Tensor, Tensor], Tensor]
"""All pairs of rows, (N, d) and (M, d), to (N, M), of their precision."""


def kid(*, real: Tensor, fake: Tensor) -> Estimate:
    """The kernel distance: the squared maximum mean discrepancy with k(x, y) = (x.y / d + 1)^3.

    See `discrepancy` for the value and its error. Published values are often means over subsets
    that overlap, followed by the standard deviation over these, undivided: their expectation is
    the same.

    Source: Binkowski, Sutherland, Arbel, Gretton (2018), Demystifying MMD GANs.

    Args:
        real, fake: features x (N, d) and y (M, d), four or more of each.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> x = torch.tensor([[0.0], [1.0]]).repeat(2, 1)
    >>> round(kid(real=x, fake=x + 1).value, 9)  # 26 / 12 + 482 / 12 - 2 (1 + 1 + 8 + 27) / 4
    23.833333333
    """
    real, fake = checked("kid", LEAST, real=real, fake=fake)
    return discrepancy(real, fake, _cubic)


def cmmd(*, real: Tensor, fake: Tensor) -> Estimate:
    """CMMD on any features: 1,000 MMD^2 with k(x, y) = exp(-|x - y|^2 / 200), of unit vectors.

    Rows are brought to length 1, as the paper does with CLIP's embeddings; on features of another
    network the number is not the paper's. See `discrepancy` for the value and its error; the
    paper's code keeps the pairs (x, x), which adds some 10 / N + 10 / M at the most.

    Source: Jayasumana, Ramalingam, Veit, Glasner, Chakrabarti, Kumar (2024), Rethinking FID:
    Towards a Better Evaluation Metric for Image Generation.

    Args:
        real, fake: features x (N, d) and y (M, d), four or more of each.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> x = torch.eye(2).repeat(2, 1)
    >>> round(cmmd(real=x, fake=-x).value, 3)  # distances 0 and root 2; root 2 and 2
    16.485
    """
    real, fake = checked("cmmd", LEAST, real=real, fake=fake)
    real, fake = (torch.nn.functional.normalize(rows, dim=1) for rows in (real, fake))
    return discrepancy(real, fake, _gaussian, scale=CMMD_SCALE)


def discrepancy(real: Tensor, fake: Tensor, kernel: Kernel, scale: float = 1.0) -> Estimate:
    """The unbiased estimate of the squared maximum mean discrepancy, by all pairs,

        T = mean of k(x, x') over x != x' + mean of k(y, y') over y != y' - 2 mean of k(x, y).

    Its expectation is 0 where both sets are of one distribution, so it may come out below 0. The
    error is of both sets drawn anew, by Hoeffding's decomposition of this U-statistic:

        Var T = 4 Z_x / N + 4 Z_y / M + 2 Z_xx / N(N-1) + 2 Z_yy / M(M-1) + 4 Z_xy / NM,

    Z_x the variance of x's influence E k(x, x') - E k(x, y), and Z_xx, Z_yy, Z_xy the mean squares
    of the kernel without the means of its rows and columns. Each has an unbiased estimate: Z_xx
    that of the squared distance variance, Z_xy the interaction in an analysis of variance, Z_x the
    influences' variance less Z_xx / (N-2) + Z_xy / M, which the noise of each adds to it. Under
    equal distributions the first two terms are 0 and their estimate may be below: the variance is
    half of the others at the least.

    Sources: Gretton, Borgwardt, Rasch, Scholkopf, Smola (2012), A Kernel Two-Sample Test;
    Hoeffding (1948), A Class of Statistics with Asymptotically Normal Distribution; Szekely, Rizzo
    (2014), Partial Distance Correlation with Methods for Dissimilarities; Sutherland, Deka (2019),
    Unbiased Estimators for the Variance of MMD Estimators.

    Products are of the features' precision, in float32 those that `precisions` allows; sums are
    float64. The kernel's mean is taken off first, which changes nothing but that its rounding, of
    some 1e-7, is that of the kernel's deviations.

    Args:
        real, fake: x (N, d), y (M, d), float32 or float64, four or more of each.
        kernel: positive definite.
        scale: by which T and its error are multiplied.

    Returns:
        T and its error; memory beyond the arguments is bounded.
    """
    n, m = len(real), len(fake)
    if real.dtype != torch.float64 or fake.dtype != torch.float64:
        dtype = precisions(real.device)[0]
        real, fake = real.to(dtype), fake.to(dtype)
    offset = kernel(real[:TILE], fake[:TILE]).mean()

    def centred(x: Tensor, y: Tensor) -> Tensor:
        return kernel(x, y).sub_(offset)

    x_rows, x_squares = _within(real, centred)
    y_rows, y_squares = _within(fake, centred)
    to_fake, to_real, squares = _between(real, fake, centred)
    between = to_fake.sum().item() / (n * m)
    value = (x_rows.mean() / (n - 1) + y_rows.mean() / (m - 1)).item() - 2 * between
    x_influence = x_rows / (n - 2) - to_fake / m
    y_influence = y_rows / (m - 2) - to_real / n
    plugged = 4 * (x_influence.var() / n + y_influence.var() / m).item()
    z_xx, z_yy = _centred(x_rows, x_squares), _centred(y_rows, y_squares)
    means = m * (to_fake / m).square().sum() + n * (to_real / n).square().sum()
    z_xy = (squares - means.item() + n * m * between**2) / ((n - 1) * (m - 1))
    noise = 4 * (z_xx / (n * (n - 2)) + z_yy / (m * (m - 2)) + 2 * z_xy / (n * m))
    second = 2 * (z_xx / (n * (n - 1)) + z_yy / (m * (m - 1)) + 2 * z_xy / (n * m))
    variance = max(second + plugged - noise, second / 2, 0.0)
    part = 2 * scale * math.sqrt(variance / plugged) if plugged > 0 else 0.0
    return Estimate.of_influences(scale * value, real=part * x_influence, fake=part * y_influence)


def _within(rows: Tensor, kernel: Kernel) -> tuple[Tensor, float]:
    """Each row's sum of the kernel with all others (N,), and the sum of all squares."""
    sums, squares = rows.new_zeros(len(rows), dtype=torch.float64), 0.0
    for here in tiles(len(rows), TILE):
        for there in tiles(here.stop, TILE):
            values = kernel(rows[here], rows[there])
            if here == there:
                values.fill_diagonal_(0)
            sums[here] += values.sum(1)
            if here != there:
                sums[there] += values.sum(0)  # of the pairs in the other order, too
            squares += _squares(values) * (1 if here == there else 2)
    return sums, squares


def _between(real: Tensor, fake: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor, float]:
    """The kernel's sums over each real row (N,), each fake one (M,), and that of all squares."""
    to_fake, to_real = (rows.new_zeros(len(rows), dtype=torch.float64) for rows in (real, fake))
    squares = 0.0
    for here in tiles(len(real), TILE):
        for there in tiles(len(fake), TILE):
            values = kernel(real[here], fake[there])
            to_fake[here] += values.sum(1)
            to_real[there] += values.sum(0)
            squares += _squares(values)
    return to_fake, to_real, squares


def _squares(values: Tensor) -> float:
    return torch.dot(values.flatten(), values.flatten()).item()


def _centred(sums: Tensor, squares: float) -> float:
    """Z_xx of `discrepancy`, of the sums of N rows without their diagonal and of all squares."""
    n = len(sums)
    of_rows = 2 * sums.square().sum().item() / (n - 2)
    of_all = sums.sum().item() ** 2 / ((n - 1) * (n - 2))
    return (squares - of_rows + of_all) / (n * (n - 3))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    base = (x @ y.T).div_(x.shape[1]).add_(1)
    return base.square().mul_(base)  # twice as fast as a power


def _gaussian(x: Tensor, y: Tensor) -> Tensor:
    norms = x.square().sum(1, keepdim=True) + y.square().sum(1)
    return torch.addmm(norms, x, y.T, alpha=-2).div_(-2 * CMMD_WIDTH**2).exp_()
