"""The feature likelihood divergence: how likely held-out images are under the samples."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from frenemy.judge.distances import squared_distances
from frenemy.judge.estimate import Estimate, checked, tiles
from frenemy.judge.slices import own_order

PARTS, TIMES = 4, 5  # of samples and training images, from which the error is told; and how often
LEAST = 40  # rows: a part holds ten
FLOOR = 1e-4  # of a variance, where a training image's features have variance 1
LIVELY = 0.1  # of the root mean square of the features' deviations
STEPS = 100  # at most
GAIN = 1e-4  # nats a dimension: a smaller one ends the fit


def fld(*, real: Tensor, fake: Tensor, train: Tensor, seed: int = 0) -> Estimate:
    """How much less likely held-out images are under the samples than under one Gaussian:

        100/d mean of (log N(x; 0, I) - log p(x)),  p(x) = mean_j N(x; y_j, s_j^2 I),

    over held-out x, where features are scaled to have mean 0 and variance 1 over the training
    images; those that hardly ever move, to less, or one image in which they do would decide.
    Lower is better. A Gaussian sits on every sample y_j; its variance s_j^2, of `FLOOR` at least,
    is what makes the *training* images likeliest, by expectation maximisation. So a copy of one of
    these gets a variance of nearly none, and no held-out image is likely under it: besides bad
    samples and missing kinds, copies cost too. Copies of training images that are not given count
    as fresh samples.

    It depends on the number of samples and of training images: compare equal counts.

    The error is for samples, training and held-out images drawn anew: from the spread over held-out
    images, and that over quarters of the samples and of the training images, cut in five ways. The
    cuts are a function of the seed and of the rows, in whatever order these come.

    Source: Jiralerspong, Bose, Gemp, Qin, Bachrach, Gidel (2023), Feature Likelihood Divergence:
    Evaluating the Generalization of Generative Models Using Samples. Written from memory of it, and
    never compared with its numbers. The paper subtracts a constant of the data set, for which the
    training images' Gaussian stands here, which moves every value of a data set alike; it fits the
    variances by gradient steps.

    Args:
        real: features of held-out images (N, d), in the order in which others share these.
        fake, train: of samples (M, d), and of training images (L, d), forty or more of each.
            Memory is some 4 M (L + N) bytes.
        seed: of the cuts.

    Raises:
        FrenemyError: too few rows, shapes that differ, numbers that are not finite.
    """
    real, fake, train = checked("fld", LEAST, real=real, fake=fake, train=train)
    deviation, mean = torch.std_mean(train.double(), 0)
    least = LIVELY * deviation.square().mean().sqrt().item()
    deviation = deviation.clamp(min=least or 1.0)
    real, fake, train = ((rows.double() - mean) / deviation for rows in (real, fake, train))
    d = real.shape[1]
    alone = -(real.square().sum(1) + d * math.log(math.tau)) / 2
    to_train, to_real = (_squares(rows, fake) for rows in (train, real))
    gaps = (alone - _log_p(to_real, _variances(to_train, d), d)) * (100 / d)
    spreads = []
    for i in range(TIMES):
        order, other = own_order(fake, seed=seed + i), own_order(train, seed=seed + TIMES + i)
        values = []
        for k in range(PARTS):
            mine, theirs = order[k::PARTS], other[k::PARTS]
            variances = _variances(to_train[theirs][:, mine], d)
            values.append(-_log_p(to_real[:, mine], variances, d).mean() * (100 / d))
        spreads.append(torch.stack(values).var() / PARTS)
    found = Estimate.of_influences(gaps.mean().item(), real=gaps)
    return replace(found, error=math.hypot(found.error, torch.stack(spreads).mean().sqrt().item()))


def _squares(rows: Tensor, columns: Tensor) -> Tensor:
    """|x - y|^2, float32 (N, M)."""
    result = torch.empty(len(rows), len(columns), device=rows.device)
    for here, there, squares in squared_distances(rows, columns):
        result[here, there] = squares.float()
    return result


def _variances(squares: Tensor, d: int) -> Tensor:
    """The variance of each column's Gaussian by which the rows are likeliest: (M,).

    s_j^2 = sum_i r_ij |x_i - y_j|^2 / (d sum_i r_ij), r_ij the share of Gaussian j in p(x_i).

    Args:
        squares: |x_i - y_j|^2, (N, M).
        d: dimensions.
    """
    nearest = squares.amin(1).mean() / d
    variances = nearest.clamp(min=FLOOR).expand(squares.shape[1])
    before = -math.inf
    for _ in range(STEPS):
        log_p = _log_p(squares, variances, d)
        gain, before = log_p.mean().item() - before, log_p.mean().item()
        if gain < GAIN * d:
            break
        parts = []
        for there in tiles(squares.shape[1]):
            log_r = _log_kernel(squares[:, there], variances[there], d) - log_p[:, None]
            parts.append((log_r.softmax(0) * squares[:, there]).sum(0) / d)
        variances = torch.cat(parts).clamp(min=FLOOR)
    return variances


def _log_p(squares: Tensor, variances: Tensor, d: int) -> Tensor:
    """Log p(x_i) of the rows, (N,)."""
    parts = [_log_kernel(squares[here], variances, d).logsumexp(1) for here in tiles(len(squares))]
    return torch.cat(parts) - math.log(len(variances))


def _log_kernel(squares: Tensor, variances: Tensor, d: int) -> Tensor:
    """Log N(x_i; y_j, s_j^2 I), (N, M)."""
    return -(squares / variances + d * (variances.log() + math.log(math.tau))) / 2
