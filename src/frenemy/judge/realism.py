"""Realism: how real a single image looks, beside real ones."""

from __future__ import annotations

import torch
from torch import Tensor

from frenemy.errors import at_least
from frenemy.judge.coverage import Manifold
from frenemy.judge.distances import squared_distances
from frenemy.judge.estimate import checked


def realism(*, real: Tensor, fake: Tensor, k: int = 3) -> Tensor:
    """The realism score of each fake image, float64 (M,): 1 and more within some real one's ball.

    The largest ratio, over real images, of the radius of the ball about it, which reaches to its
    k-th nearest other, to its distance from the fake one; infinite for a copy. Only balls that are
    no larger than the median are asked. Kynkäänniemi et al. (2019), Improved Precision and Recall
    Metric for Assessing Generative Models, section 5, eq. 3.

    Args:
        real, fake: features, (N, d) and (M, d), more than k of the real ones.
        k: of the neighbour that a ball reaches to.

    Raises:
        FrenemyError: too few real ones, no fake ones, rows of different lengths, k below 1, or
            numbers that are not finite.

    >>> line = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
    >>> realism(real=line, fake=torch.tensor([[2.5], [5.0], [1.0]]), k=1)
    tensor([2.0000, 0.3333,    inf], dtype=torch.float64)
    """
    at_least(1, k=k)
    (real,) = checked("realism", k + 1, real=real)
    real, fake = checked("realism", 1, real=real, fake=fake)
    radii = torch.from_numpy(Manifold.of(real, k).radii).to(real.device)  # squared
    small = radii <= radii.median()
    centres, radii = real[small], radii[small]
    best = torch.zeros(len(fake), dtype=torch.float64, device=real.device)
    for here, there, squares in squared_distances(fake, centres):
        ratios = (radii[there] / squares).masked_fill_(squares == 0, torch.inf)
        best[here] = best[here].maximum(ratios.amax(1))
    return best.sqrt()
