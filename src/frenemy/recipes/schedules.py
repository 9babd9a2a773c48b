"""How a game's settings move from the values that they begin with to those that they keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def cosine(first: float, last: float, share: float) -> float:
    """Along half a cosine from the first value to the last, of which a share in [0, 1] is done.

    Loshchilov and Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts, eq. 5. Huang
    et al. (2024), The GAN is Dead, call it the burn-in, and let all settings go through it at once.

    >>> [round(cosine(1.0, 0.0, share), 6) for share in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def share_done(seen: float, ends: Sequence[tuple[float, float]]) -> float:
    """How much of its schedules a run has behind it, whose end has been moved.

    What was left of the schedules when an end was set is spread over what is left until it.

    Args:
        seen: images so far.
        ends: (images seen when it was set, images at the end), in order.

    Returns:
        In [0, 1]; 1 behind the end.

    >>> ends = [(0, 100), (50, 150)]  # in the middle another 50 images are granted
    >>> [share_done(seen, ends) for seen in (25, 50, 100, 150, 999)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    share = 0.0
    until = [set_at for set_at, _ in ends[1:]] + [math.inf]
    for (set_at, end), (_, next_set) in zip(ends, pairwise([0.0, *until]), strict=True):
        here = min(seen, next_set) - set_at
        share += (1 - share) * min(1.0, max(0.0, here) / max(end - set_at, 1))
    return share
