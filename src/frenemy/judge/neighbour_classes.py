"""Classes by the nearest real images, where these have labels and no classifier was trained."""

from __future__ import annotations

import torch
from torch import Tensor

from frenemy.judge.estimate import TILE, checked, tiles

NEIGHBOURS = 5  # that vote
MOST = 2000  # images of each set that are worth looking at


def classes_by_neighbours(*, real: Tensor, labels: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The class most frequent among the 5 nearest labelled real images; the nearest decides ties.

    Of each real image its own label has no vote, so that the classifier errs on these as on samples
    of the same distribution, and its confusions are known: `labels` beside what is returned.

    Source: Cover, Hart (1967), Nearest Neighbor Pattern Classification.

    Args:
        real, fake: features (N, d), (M, d), N above 5.
        labels: int64 (N,), from 0.

    Returns:
        Classes of the samples (M,) and of the real images (N,).

    Raises:
        FrenemyError: too few images, shapes that differ, numbers that are not finite.

    >>> labels = torch.arange(20) // 10
    >>> real = (torch.arange(20) + 50 * labels).float()[:, None]
    >>> fake, again = classes_by_neighbours(real=real, labels=labels, fake=torch.tensor([[3.0]]))
    >>> fake.tolist(), torch.equal(again, labels)
    ([0], True)
    """
    (real,) = checked("classes by neighbours", NEIGHBOURS + 1, real=real)
    (fake,) = checked("classes by neighbours", 1, fake=fake)
    labels = labels.to(real.device)
    return _voted(fake, real, labels, own=False), _voted(real, real, labels, own=True)


def every(count: int) -> slice:
    """At most `MOST` of so many images, evenly spaced: a set may be in the order of its classes.

    >>> every(2000), every(5000)
    (slice(None, None, 1), slice(None, None, 3))
    """
    return slice(None, None, max(1, -(-count // MOST)))


def _voted(queries: Tensor, real: Tensor, labels: Tensor, *, own: bool) -> Tensor:
    count = int(labels.max()) + 1
    parts = []
    for here in tiles(len(queries), TILE):
        distances = torch.cdist(queries[here].double(), real.double())
        if own:
            rows = torch.arange(len(distances), device=distances.device)
            distances[rows, rows + here.start] = torch.inf
        near = labels[distances.topk(NEIGHBOURS, largest=False).indices]  # (B, 5)
        votes = torch.nn.functional.one_hot(near, count).sum(1).double()
        votes.scatter_add_(1, near[:, :1], torch.full_like(votes[:, :1], 0.5))
        parts.append(votes.argmax(1))
    return torch.cat(parts)
