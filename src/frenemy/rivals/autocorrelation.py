"""How much of what a Markov chain draws is new: its autocorrelation, summed over all lags.

Sokal (1997), Monte Carlo Methods in Statistical Mechanics: Foundations and New Algorithms, section
3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate

WINDOW = 5.0  # correlation times to sum over: e^-5 of the sum is left out, at most


def autocorrelation(f: Tensor, lags: int) -> Tensor:
    """rho_k = cov(f_t, f_(t + k)) / var(f) of every chain, (lags + 1, C), from k = 0.

    The mean and the variance are those of all chains together: a chain's own mean would hide from
    it the part of the correlation that is longer than the chain.

    Args:
        f: a function of the states, (steps, C).
        lags: the longest; less than steps.

    >>> autocorrelation(torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), 2).flatten().tolist()
    [1.0, -1.0, 1.0]
    """
    steps = len(f)
    f = f - f.mean()
    power = torch.fft.rfft(f, 2 * steps, dim=0).abs().square()  # padded: no end meets a beginning
    sums = torch.fft.irfft(power, 2 * steps, dim=0)[: lags + 1]
    return sums / torch.arange(steps, steps - lags - 1, -1)[:, None] / f.square().mean()


def integrated_time(f: Tensor) -> Estimate:
    """How many steps of a chain are worth one independent sample: tau = 1 + 2 sum_k rho_k.

    The sum ends at the first lag M >= 5 tau(M), of at least 5, and has the standard error
    tau sqrt(2 (2 M + 1) / N) for N states in all (Sokal 1997, section 3). The effective sample size
    of N states is N / tau.

    Args:
        f: a function of the states, (steps, C), of chains that have reached their target.

    Raises:
        FrenemyError: f does not move, or the chains are shorter than 10 tau.
    """
    if not f.var() > 0:
        raise FrenemyError("integrated time: no chain moves: give more steps or another width")
    tau = 2 * autocorrelation(f, len(f) // 2).mean(1).cumsum(0) - 1
    enough = torch.arange(len(tau)) >= WINDOW * tau.clamp_min(1)
    if not enough.any():
        raise FrenemyError(
            f"integrated time: chains of {len(f):,} steps are too short: give more steps"
        )
    M = int(enough.int().argmax())
    value = tau[M].item()
    return Estimate(value, value * math.sqrt(2 * (2 * M + 1) / f.numel()))


def autocorrelation_time(x: Tensor) -> float:
    """The steps of chains that are worth one independent sample, of states with many entries.

    As `integrated_time`, of the autocovariances and variances of all entries together, each about
    its mean over all chains: x(t) . x(t + k) in place of f(t) f(t + k). Where each of several
    chains stays in a mode of its own, they differ for as long as they run, and are refused; one
    chain alone, or modes that none has found, are not found out.

    Args:
        x: the states after each step, such as pixels, (steps, chains, d).

    Raises:
        FrenemyError: no chain moves, or they are shorter than 10 such times: they do not mix.
    """
    x = x.double().cpu()
    return integrated_time((x - x.mean((0, 1))).flatten(1)).value
