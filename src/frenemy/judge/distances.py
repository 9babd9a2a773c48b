"""Euclidean distances between all rows of large sets, a tile at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from frenemy.judge.estimate import TILE, tiles

ROUNDING = 1e-13  # of |x|^2 + |y|^2: some hundred roundings of float64; less is no distance at all
BLOCK = 2**22  # bounds at a time: 16 MiB in float32, which a cache may hold
GROUP = 16  # columns of which only the least is looked at first
EXACT = 2**22  # numbers at a time where distances are computed by differences
FLOAT32_ERROR = 1e-6  # of a product: float32 makes 2e-7, and TF32 3e-4
ROUGH = 2e-3  # of a squared distance: whose bounds lie farther apart is computed exactly


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


def nearest_others(points: Tensor, k: int, count: int) -> tuple[Tensor, Tensor]:
    """As `nearest_rows` of the points among each other, none of which is its own neighbour.

    Args:
        points: (N, d), more than k of them.
        k, count: as there; of fewer points, all others.
    """
    return _nearest(points, points, k, min(count, len(points) - 1), own=True)


def nearest_rows(queries: Tensor, rows: Tensor, k: int, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances of each query to the nearest rows, and which these are.

    They are found by float32 products, whose error is bounded; the k-th, and where the bounds lie
    far apart, are computed in float64. Where so many rows are so near that the bounds do not
    tell which are the k nearest, float64 products find them.

    Args:
        queries: (Q, d).
        rows: (N, d), k of them or more.
        k: which of the distances has to be exact to rounding; the others are so to `ROUGH`.
        count: how many, k or more; of fewer rows, all.

    Returns:
        float64 and int64 (Q, count), in ascending order.
    """
    return _nearest(queries, rows, k, min(count, len(rows)), own=False)


def _nearest(
    queries: Tensor, rows: Tensor, k: int, count: int, *, own: bool
) -> tuple[Tensor, Tensor]:
    squares = queries.new_empty((len(queries), count), dtype=torch.float64)
    index = torch.empty_like(squares, dtype=torch.int64)
    asked, centre = torch.arange(len(queries), device=queries.device), rows.double().mean(0)
    for dtype in precisions(queries.device):
        bounds, unsure = Bounds(queries, rows, centre, dtype), []
        for here in asked.split(max(1, BLOCK // len(rows))):
            lower = bounds.lower(here)
            if own:
                lower[torch.arange(len(here)), here] = torch.inf
            low, near = _smallest(lower, count)
            low = low.double()
            high = low + 2 * bounds.margin(here[:, None], near)
            kth = high.kthvalue(k, 1, keepdim=True).values
            doubtful = (low <= kth) & (high >= low[:, k - 1 : k])
            found = torch.where(high - low > ROUGH * high, torch.nan, (low + high) / 2)
            i, j = (doubtful | ~found.isfinite()).nonzero(as_tuple=True)  # or what overflowed
            found[i, j] = exact_squares(queries, here[i], rows, near[i, j])
            squares[here], order = found.sort(1)
            index[here] = near.gather(1, order)
            if count < len(rows) - own:
                unsure.append(here[~(kth[:, 0] <= low[:, -1]) | ~kth[:, 0].isfinite()])
        if not unsure or not len(asked := torch.cat(unsure)):
            break
    return squares, index


def _smallest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """As `topk` of the smallest in each row, which would look at every number for a long time.

    The least `count` lie in those groups of columns whose own least are the least `count`.
    """
    width = values.shape[1]
    groups = width // GROUP
    if groups < 2 * count:
        return values.topk(count, 1, largest=False)
    grouped = values[:, : groups * GROUP].unflatten(1, (GROUP, groups))
    best = grouped.amin(1).topk(count, 1, largest=False, sorted=False).indices
    members = torch.arange(0, groups * GROUP, groups, device=values.device)
    columns = (best[:, :, None] + members).flatten(1)  # (B, count GROUP)
    rest = torch.arange(groups * GROUP, width, device=values.device).expand(len(values), -1)
    columns = torch.cat([columns, rest], 1)
    found, order = values.gather(1, columns).topk(count, 1, largest=False)
    return found, columns.gather(1, order)


def precisions(device: torch.device) -> tuple[torch.dtype, ...]:
    """In which types to bound distances, one after the other until they are told apart.

    Where torch is told to compute float32 products in any way it likes, the error of one decides.
    """
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    # torch makes this attribute at run time, out of sight of type checkers
    asked = backend.matmul.fp32_precision  # pyright: ignore[reportAttributeAccessIssue]
    if asked not in ("none", "ieee"):
        generator = torch.Generator().manual_seed(0)
        a, b = torch.randn(2, 512, 512, generator=generator).to(device)
        exact = a.double() @ b.double()
        if ((a @ b).double() - exact).norm() > FLOAT32_ERROR * exact.norm():
            return (torch.float64,)
    return torch.float32, torch.float64


class Bounds:
    """Lower bounds of |x - y|^2 for x in `rows` and y in `columns`, as fast as one product.

    A product of d + 2 numbers in any order errs by (d + 2) u of the sum of its parts' sizes, u half
    the type's epsilon (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1).
    So with 2 |x| |y| <= |x|^2 + |y|^2, and what rounding x, y and their norms adds,

        (1 - s) (|x|^2 + |y|^2) - 2 x.y,  s = (2 d + 16) u,

    is computed as a number below |x - y|^2, by at most 2 s (|x|^2 + |y|^2).

    Args:
        rows: (N, d); columns: (M, d).
        centre: (d,) from which x and y are counted: the nearer, the better the bounds.
        dtype: of the product.
    """

    def __init__(self, rows: Tensor, columns: Tensor, centre: Tensor, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.slack = (2 * rows.shape[1] + 16) * torch.finfo(dtype).eps / 2
        x, y = ((points.double() - centre).to(dtype) for points in (rows, columns))
        self._x, self._y = (v.double().square().sum(1) for v in (x, y))
        one, other = ((norms[:, None] * (1 - self.slack)).to(dtype) for norms in (self._x, self._y))
        self._left = torch.cat([-2 * x, one, torch.ones_like(one)], 1)
        self._right = torch.cat([y, torch.ones_like(other), other], 1)

    @property
    def resolves(self) -> float:
        """The least squared distance that most rows' bounds tell to `ROUGH`; infinite if none."""
        if self._x.max() + self._y.max() > torch.finfo(self.dtype).max / 4:
            return torch.inf
        least = 2 * self.widest[0].median().item() / ROUGH
        return max(least, torch.finfo(self.dtype).tiny / ROUGH)

    @property
    def widest(self) -> tuple[Tensor, Tensor]:
        """The largest margin of each row, and of each column."""
        return self.slack * (self._x + self._y.max()), self.slack * (self._y + self._x.max())

    def lower(self, here: Tensor | slice) -> Tensor:
        """Of these rows: (B, M)."""
        return self._left[here] @ self._right.T

    def margin(self, i: Tensor, j: Tensor) -> Tensor:
        """|x_i - y_j|^2 is from the bound to the bound and twice this: float64."""
        return self.slack * (self._x[i] + self._y[j])


def exact_squares(rows: Tensor, i: Tensor, columns: Tensor, j: Tensor) -> Tensor:
    """|x - y|^2 for pairs of rows i (P,) and columns j (P,): float64 (P,)."""
    size = max(1, EXACT // max(1, rows.shape[1]))
    parts = [
        (rows[a].double() - columns[b].double()).square().sum(1)
        for a, b in zip(i.split(size), j.split(size), strict=True)
    ]
    return torch.cat(parts) if parts else rows.new_empty(0, dtype=torch.float64)


def different(rows: Tensor) -> Tensor:
    """Of equal rows (n, d) the first alone, in their order.

    >>> different(torch.tensor([[2.0], [1.0], [2.0]])).tolist()
    [[2.0], [1.0]]
    """
    array = rows.cpu().contiguous().view(torch.uint8).numpy()
    keys = array.view(np.dtype((np.void, array.shape[1]))).ravel()
    first = np.sort(np.unique(keys, return_index=True)[1])
    return rows[torch.from_numpy(first).to(rows.device)]
