"""Which scores are normal: those of honest images, and when others exceed them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from frenemy.judge.estimate import Estimate
from frenemy.judge.shares import chance, corrected

NEIGHBOURS = 3  # the k of the score log(d_k / d_1)
ALARMS = 0.005  # of honest images that are called, where these are no near-duplicates
RATE = 1e-3  # of false alarms by the law, where some are
DUPLICATES = 0.03  # of honest images that are called at most
HIGHER = (0.01, 0.002, 0.0)  # of them at further thresholds: certain copies are not hidden by many
WORTH = 500  # honest images that the law counts as, at most
CERTAIN = 5e-3  # the chance below which an excess is none
MATTERS = 0.005  # the least share that is called copying


@dataclass(frozen=True)
class Excess:
    """What share of a set is beyond what is normal.

    Attributes:
        share: without false alarms; its `shared` is the honest images' part.
        low, high: its 95 % interval.
        threshold: of the score, beyond which an image was called.
        called: how many were.
        alarms: what share of the honest images is beyond it.
        certain: whether there are more than chance makes, and enough to matter.
    """

    share: Estimate
    low: float
    high: float
    threshold: float
    called: int
    alarms: float
    certain: bool


class Usual:
    """The law of the scores s = log(d_3 / d_1) of honest images, and thresholds beyond it.

    d_k is the distance to the k-th nearest of the training images. Were the nearest drawn like the
    others, in d dimensions (d_1 / d_2)^d would be uniform, wherever and however densely they lie,
    and

        P(s > t) = 1 - (1 - e^(-d t))^2

    (Facco et al. 2017, Estimating the Intrinsic Dimension of Datasets by a Minimal Neighborhood
    Information). The threshold is what 1 in 200 honest images exceed. Near-duplicates of training
    images, which some sets have among those held out, would make it too large: so it is no larger
    than what by the law, with the d of the median, 1 in 1,000 would exceed; nor so small that 3 %
    do. At these and at higher thresholds it is asked whether more samples exceed them than honest
    images and the law let expect; of those where it is so, the one with the largest share counts.

    Args:
        scores: of honest images, (N,).
    """

    def __init__(self, scores: Tensor) -> None:
        self._scores = scores
        self.dimension = _law_inverse(0.5) / max(scores.median().item(), 1e-3)
        by_law = _law_inverse(RATE) / self.dimension
        seldom, at_most, *higher = (
            scores.quantile(1 - share).item() for share in (ALARMS, DUPLICATES, *HIGHER)
        )
        first = min(seldom, by_law)
        self.threshold = max(first, at_most)
        self._levels = sorted({first, *(t for t in (at_most, *higher) if t > first)})
        self.duplicates = (scores > by_law).double().mean().item()

    def excess(self, scores: Tensor) -> Excess:
        """Whether some scores (M,) are beyond what is normal: infinite ones certainly are."""
        limit = CERTAIN / len(self._levels)
        found = [self._at(scores, t) for t in self._levels if self._chance(scores, t) < limit]
        if not found:
            return self._at(scores, self.threshold)
        best = max(found, key=lambda excess: excess.low)
        return replace(best, certain=best.low > MATTERS)

    def _at(self, scores: Tensor, threshold: float) -> Excess:
        called = int((scores > threshold).sum())
        alarms = self._scores > threshold
        share, low, high = corrected(called, len(scores), alarms)
        rate = alarms.double().mean().item()
        return Excess(share, low, high, threshold, called, rate, certain=False)

    def _chance(self, scores: Tensor, threshold: float) -> float:
        """That so many exceed a threshold."""
        alarms, total = int((self._scores > threshold).sum()), len(self._scores)
        by_law = 1 - (1 - math.exp(-self.dimension * threshold)) ** (NEIGHBOURS - 1)
        worth = min(WORTH, 3 / max(by_law, 1e-12))
        a, b = alarms + 1 + worth * by_law, total - alarms + worth * (1 - by_law)
        return chance(int((scores > threshold).sum()), len(scores), a, b)


def _law_inverse(rate: float) -> float:
    """The d t beyond which so many scores lie by the law."""
    return -math.log(1 - (1 - rate) ** (1 / (NEIGHBOURS - 1)))
