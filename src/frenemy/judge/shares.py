"""Shares of a set: their intervals, what false alarms leave of them, and whether that is chance."""

from __future__ import annotations

import math

from scipy import stats
from torch import Tensor

from frenemy.judge.estimate import Estimate, half_signs, shared_of

Z = 1.959964  # of a normal deviate, of which 95 % lie within


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference.

    >>> [round(x, 3) for x in wilson(0, 100)], [round(x, 3) for x in wilson(50, 100)]
    ([0.0, 0.037], [0.404, 0.596])
    """
    share, z2 = count / of, Z**2 / of
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(share * (1 - share) * z2 + z2**2 / 4) / (1 + z2)
    return middle - half if count else 0.0, middle + half if count < of else 1.0


def corrected(count: int, of: int, alarms: Tensor, note: str = "") -> tuple[Estimate, float, float]:
    """A share without those that a detector calls falsely, and its 95 % interval.

    If a share a of the honest is called falsely and p of all are called, pi = (p - a) / (1 - a)
    are called rightly. The interval of p - a is Newcombe's, of two Wilson intervals, and the
    error half of it by 1.96. What is negative is 0 then: fewer called than among the honest are a
    share of 0, but no certain one.

    Source: Rogan, Gladen (1978), Estimating Prevalence from the Results of a Screening Test;
    Newcombe (1998), Interval Estimation for the Difference between Independent Proportions.

    Args:
        count, of: called, and of how many.
        alarms: of honest ones, whether each is called: bool (N,).
        note: of the estimate.

    Returns:
        The estimate, whose `shared` is the honest ones' part, and the interval.
    """
    total, called = len(alarms), int(alarms.sum())
    p, a = count / of, called / total
    (p_low, p_high), (a_low, a_high) = wilson(count, of), wilson(called, total)
    low = p - a - math.hypot(p - p_low, a_high - a)
    high = p - a + math.hypot(p_high - p, a - a_low)
    left = max(1 - a, 1 / total)
    error = (high - low) / (2 * Z * left)
    value, low, high = ((min(1.0, max(0.0, x / left))) for x in (p - a, low, high))
    part = (1 - p) / left**2 * math.sqrt(max(a * (1 - a), 0.25 / total) / total)
    halves = half_signs(total).double() @ (alarms.double() - a).cpu()
    return Estimate(value, error, note, shared_of(halves, min(part, error))), low, high


def chance(count: int, of: int, a: float, b: float) -> float:
    """How likely so many or more of `of` are called by chance, if the rate is Beta(a, b).

    The count is beta-binomial. With a = k + 1 and b = n - k it is how many of a new set exceed the
    threshold that k of n honest ones do (Gumbel, von Schelling 1950, The Distribution of the Number
    of Exceedances).

    >>> chance(1, 100, 1, 1000) > 0.09, chance(5, 100, 1, 1000) < 1e-4
    (True, True)
    """
    return 1.0 if count == 0 else float(stats.betabinom(of, a, b).sf(count - 1))
