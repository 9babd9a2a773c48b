"""Probabilistic PCA: the Gaussian of few axes that is likeliest for given points.

Tipping & Bishop (1999), Probabilistic Principal Component Analysis, section 3.2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from frenemy.errors import FrenemyError, at_least


class Principal(NamedTuple):
    """x = mean + W z + sd ε with z and ε standard normal: a Gaussian of d dimensions and q axes.

    Attributes:
        mean: (d,).
        W: (d, q), the axes, each as long as the sd that z adds along it.
        variance: of the noise, which all dimensions have alike.
        eigenvalues: of the data's covariance, (d,), falling.
    """

    mean: Tensor
    W: Tensor
    variance: Tensor
    eigenvalues: Tensor

    @property
    def best(self) -> float:
        """Mean log-likelihood of the data, in nats a point, in closed form.

        -(d log 2 pi + sum_(j <= q) log lambda_j + (d - q) log variance + d) / 2
        """
        d, q = self.W.shape
        logs = self.eigenvalues[:q].log().sum() + (d - q) * self.variance.log()
        return -(d * math.log(math.tau) + logs.item() + d) / 2


def principal(x: Tensor, axes: int) -> Principal:
    """The maximum-likelihood Gaussian with at most so many axes, of points (N, d).

    With eigenvalues lambda_j and eigenvectors U of the covariance (divided by N), the variance is
    the mean of the lambda_j that get no axis, and W = U_q (Lambda_q - variance I)^(1/2). Unlike a
    full covariance, it has a density even where there are fewer points than dimensions.

    Raises:
        FrenemyError: the points differ in less than two directions, which leaves no noise.

    >>> principal(torch.tensor([[0.0, 1], [0, -1], [2, 0], [-2, 0]]).double(), 1).W.abs()
    tensor([[1.2247],
            [0.0000]], dtype=torch.float64)
    """
    at_least(1, axes=axes)
    mean, (N, d) = x.mean(0), x.shape
    _, scales, directions = torch.linalg.svd(x - mean, full_matrices=False)
    eigenvalues = torch.zeros(d, dtype=x.dtype)
    eigenvalues[: len(scales)] = scales.square() / N
    rank = int((eigenvalues > 1e-12 * eigenvalues[0]).sum())
    if rank < 2:
        raise FrenemyError(f"{N:,} images that hardly differ have no Gaussian: give more of them")
    q = min(axes, rank - 1)
    variance = eigenvalues[q:].sum() / (d - q)
    W = directions[:q].T * (eigenvalues[:q] - variance).clamp(min=0).sqrt()
    return Principal(mean, W, variance, eigenvalues)


def log_likelihood(x: Tensor, mean: Tensor, W: Tensor, variance: Tensor) -> Tensor:
    """Log N(x; mean, W W^T + variance I) of points (N, d), in nats: (N,)."""
    return LowRankMultivariateNormal(mean, W, variance.expand(len(mean))).log_prob(x)
