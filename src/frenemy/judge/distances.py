"""Euclidean distances between all rows of large sets, a tile at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from frenemy.judge.estimate import TILE, tiles

ROUNDING = 1e-13  # of |x|^2 + |y|^2: some hundred roundings of float64; less is no distance at all


def squared_distances(
    rows: Tensor, columns: Tensor | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """|x - y|^2 = |x|^2 + |y|^2 - 2 x.y for all x in `rows` and y in `columns`, in tiles.

    The work is done in float64 about the rows' mean, which leaves an error of some 1e-15
    (|x|^2 + |y|^2); in float32 a thousandth of the radius of a cloud would be lost. What is within
    the rounding is 0, so copies are at distance 0 from each other in whatever tile they fall.

    Args:
        rows: (N, d).
        columns: (M, d), or None for the rows against themselves: then a tile below the diagonal
            stands for the one above it too, which does not come.

    Yields:
        Which rows, which columns, and float64 squares of at most `TILE` by `TILE` of them.

    >>> for here, there, squares in squared_distances(torch.tensor([[0.0], [3.0]])):
    ...     print(here, there, squares.tolist())
    slice(0, 2, None) slice(0, 2, None) [[0.0, 9.0], [9.0, 0.0]]
    """
    centre = rows.mean(0).double()
    others = rows if columns is None else columns
    for here in tiles(len(rows), TILE):
        x = rows[here].double() - centre
        for there in tiles(len(others) if columns is not None else here.stop, TILE):
            y = others[there].double() - centre
            norms = x.square().sum(1, keepdim=True) + y.square().sum(1)
            squares = torch.addmm(norms, x, y.T, alpha=-2)
            yield here, there, squares.masked_fill_(squares < ROUNDING * norms, 0)


def kth_nearest(points: Tensor, k: int) -> Tensor:
    """The distance of each point to the k-th nearest of the others.

    Args:
        points: (N, d), more than k of them. A copy of a point is another point, at distance 0.

    Returns:
        float64 (N,).

    >>> kth_nearest(torch.tensor([[0.0], [1.0], [5.0]]), 1)
    tensor([1., 1., 4.], dtype=torch.float64)
    """
    least = torch.full((len(points), k), torch.inf, dtype=torch.float64, device=points.device)

    def update(here: slice, squares: Tensor) -> None:
        here_least = squares.topk(min(k, squares.shape[1]), 1, largest=False).values
        least[here] = torch.cat([least[here], here_least], 1).topk(k, 1, largest=False).values

    for here, there, squares in squared_distances(points):
        if here == there:
            squares.fill_diagonal_(torch.inf)  # no point is its own neighbour
        else:
            update(there, squares.T)
        update(here, squares)
    return least.amax(1).sqrt()
