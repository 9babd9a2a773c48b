"""The kernel distance: the maximum mean discrepancy with a cubic kernel on features."""

from __future__ import annotations

import torch
from torch import Tensor

from frenemy.errors import at_least
from frenemy.judge.estimate import TILE, Estimate, checked, tiles
from frenemy.judge.slices import own_order

BLOCKS = 10  # at least: of fewer values the deviation is hardly known


def mmd2(*, real: Tensor, fake: Tensor) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy,

        mean of k(x, x') over x != x' + mean of k(y, y') over y != y' - 2 mean of k(x, y),

    for the kernel k(x, y) = (x.y / d + 1)^3, in float64. Its expectation is 0 where both sets are
    of one distribution, so it may come out below 0. Memory beyond the arguments is bounded.

    Sources: Gretton, Borgwardt, Rasch, Scholkopf, Smola (2012), A Kernel Two-Sample Test;
    Binkowski, Sutherland, Arbel, Gretton (2018), Demystifying MMD GANs.

    Args:
        real, fake: features x (N, d) and y (M, d), two or more of each.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> x = torch.tensor([[0.0], [1.0]])
    >>> mmd2(real=x, fake=x + 1)  # 1 + 27 - 2 (1 + 1 + 8 + 27) / 4
    9.5
    """
    real, fake = checked("mmd2", 2, real=real, fake=fake)
    between = sum(
        _kernel(real[here], fake[there]).sum().item()
        for here in tiles(len(real), TILE)
        for there in tiles(len(fake), TILE)
    )
    return _within(real) + _within(fake) - 2 * between / (len(real) * len(fake))


def kid(*, real: Tensor, fake: Tensor, subset: int = 1000, seed: int = 0) -> Estimate:
    """The kernel distance: the mean of `mmd2` over disjoint blocks of samples.

    Both sets are shuffled and cut into blocks of `subset`, as many as the smaller gives; block i of
    one is compared with block i of the other. Disjoint blocks are independent, so the error is
    their values' standard deviation over the root of their number. There are ten blocks at least,
    smaller ones of fewer samples: their size changes the spread of a value, not its mean. The order
    is a function of the seed and of the rows, in whatever order these come. Published values are
    often means over subsets that overlap, followed by the standard deviation, undivided.

    Source: Binkowski, Sutherland, Arbel, Gretton (2018), Demystifying MMD GANs.

    Args:
        real, fake: features (N, d), (M, d), twenty or more of each.
        subset: samples in a block, two or more.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite, a subset
            below two.

    >>> real, fake = torch.randn(2, 300, 4, generator=torch.Generator().manual_seed(0))
    >>> found = kid(real=real, fake=fake + 1, subset=100)
    >>> found.value > 5 * found.error, found.note
    (True, '')
    """
    at_least(2, subset=subset)
    real, fake = checked("kid", 2 * BLOCKS, real=real, fake=fake)
    fewer = min(len(real), len(fake))
    size = min(subset, fewer // BLOCKS)
    # a seed each: should the sets be the same rows, no block meets itself
    real_order, fake_order = own_order(real, seed=seed), own_order(fake, seed=seed + 1)
    values = [
        mmd2(real=real[real_order[block]], fake=fake[fake_order[block]])
        for block in tiles(fewer // size * size, size)
    ]
    return Estimate.of(torch.tensor(values, dtype=torch.float64))


def _within(rows: Tensor) -> float:
    """The mean of the kernel over all pairs of different rows."""
    total = 0.0
    for here in tiles(len(rows), TILE):
        for there in tiles(here.stop, TILE):
            values = _kernel(rows[here], rows[there])
            if here == there:
                total += (values.sum() - values.diagonal().sum()).item()
            else:
                total += 2 * values.sum().item()  # of the pairs in the other order, too
    return total / (len(rows) * (len(rows) - 1))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x.y / d + 1)^3 for all pairs of rows, float64."""
    return (x.double() @ y.double().T).div_(x.shape[1]).add_(1).pow_(3)
