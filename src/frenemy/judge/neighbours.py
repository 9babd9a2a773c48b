"""Nearest training images: has the generator memorised?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor

from frenemy.judge.estimate import row_sums, tiles
from frenemy.judge.sets import Drawn

TILE = 500  # queries in a tile and images in a block, at most: fewer where they are large
BLOCK = 10_000
QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9)  # of the distances, that are told
BYTES = 2**26  # of a tile, and of a block, in float64
LARGE = 1e36  # squares of which float32 can hold no sum


def nearest(
    *,
    queries: Tensor | NDArray[np.uint8],
    images: Tensor | NDArray[np.uint8] | Drawn,
    own: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The nearest of `images` to each query, by Euclidean distance in pixels.

    Products in float32 tell the candidates, differences in float64 decide among them: the result is
    that of float64. Beside the arguments and the results, a tile of queries, a block of images,
    the distances between the two and a few copies of these are held: memory does not grow with the
    images, as long as one alone is no larger than `BYTES`.

    Args:
        queries: (Q, ...), pixels in [0, 1], or features; or an array of uint8 in [0, 255].
        images: (N, ...), likewise. Arrays may lie on the disk: they are read by parts.
        own: for each query the one that does not count, int64 (Q,), if these are among the images.

    Returns:
        Distances (Q,), float32, and indices (Q,), int64; the first of equals. They are on the
        device of a tensor of queries.

    >>> nearest(queries=torch.tensor([[0.9]]), images=torch.tensor([[0.0], [1.0]]))
    (tensor([0.1000]), tensor([1]))
    """
    device = queries.device if isinstance(queries, Tensor) else torch.device("cpu")
    best = torch.full((len(queries),), torch.inf, dtype=torch.float64, device=device)  # squares
    index = torch.zeros(len(queries), dtype=torch.int64, device=device)
    most = max(1, BYTES // (8 * max(1, math.prod(images.shape[1:]))))  # rows of float64
    for part in tiles(len(images), min(BLOCK, most)):
        block = _Block(_rows(images[part], device), most)
        for here in tiles(len(queries), min(TILE, most)):
            but = None if own is None else own[here].to(device) - part.start
            square, where = block.nearest(_rows(queries[here], device), but)
            closer = square < best[here]
            best[here] = torch.where(closer, square, best[here])
            index[here] = torch.where(closer, where + part.start, index[here])
    return best.sqrt().float(), index


class _Block:
    """Some rows, of which the nearest to queries are looked for.

    Args:
        rows: float64 (B, d).
        most: rows whose differences are taken at once.
    """

    def __init__(self, rows: Tensor, most: int) -> None:
        self._most, self._place, self._differ = most, torch.arange(len(rows) + 1), False
        self._place = self._place.to(rows.device)  # of each row, and of none
        self._hold(rows)

    def _hold(self, rows: Tensor) -> None:
        self._rows, self._centre = rows, rows.mean(0)  # about it there is the least to round
        middle = rows - self._centre
        self._norms = middle.square().sum(1)
        self._largest = self._norms.max()
        self._middle = middle.float() if self._largest < LARGE else middle

    def _hold_different(self) -> None:
        """Of equal rows the first alone: each of the others would be a candidate."""
        rows = np.ascontiguousarray(self._rows.cpu().numpy())
        keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
        first = np.sort(np.unique(keys, return_index=True)[1])
        self._place = self._place[[*first, -1]]
        self._differ = True
        self._hold(self._rows[first])

    def nearest(self, q: Tensor, but: Tensor | None) -> tuple[Tensor, Tensor]:
        """Squares of the distances to the nearest row, and which it is, the first of equals.

        Args:
            q: float64 (Q, d).
            but: the row that does not count for each, (Q,), maybe one of another block.
        """
        middle = q - self._centre
        norms = middle.square().sum(1)
        rows, kind = self._middle, self._middle.dtype
        if norms.max() >= LARGE:
            rows, kind = self._rows - self._centre, torch.float64
        short = torch.addmm(self._norms.to(kind), middle.to(kind), rows.T, alpha=-2)  # of |q|^2
        if but is not None:
            here = ((but >= 0) & (but < len(self._rows))).nonzero().squeeze(1)
            short[here, but[here]] = torch.inf
        # of the rounded rows, of the products' sums and of their difference, twice as much of each
        info, d = torch.finfo(kind), q.shape[1]
        rounding = 2 * (d + 16) * (info.eps * (norms + self._largest) + info.tiny)
        limit = short.amin(1).double() + rounding
        near = short <= limit.to(kind)[:, None]
        row, column = (near & short.isfinite()).nonzero().unbind(1)
        if len(row) > 4 * len(q) and but is None and not self._differ:
            self._hold_different()
            return self.nearest(q, but)
        squares = torch.zeros_like(row, dtype=q.dtype)
        for i in tiles(len(row), self._most):
            squares[i] = row_sums((q[row[i]] - self._rows[column[i]]).square())
        least = q.new_full((len(q),), torch.inf).scatter_reduce_(0, row, squares, "amin")
        first = squares == least[row]
        where = row.new_full((len(q),), len(self._rows))
        where = where.scatter_reduce_(0, row[first], column[first], "amin")
        return least, self._place[where]


def _rows(images: Tensor | NDArray[np.uint8], device: torch.device) -> Tensor:
    """Tensors as they are, uint8 arrays in [0, 1]: (N, ...) -> float64 (N, d)."""
    rows = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images)) / 255
    return rows.flatten(1).to(device).double()


@dataclass(frozen=True)
class Comparison:
    """Distances to the nearest training image.

    Attributes:
        index: of the training image nearest to each sample, (M,).
        tested: how many test images there are; few of them have no low quantiles to speak of.
        fake, test: `QUANTILES` of the samples' and of the held-out test images' distances. Copies
            show as samples much closer to the training images than test images are.
    """

    index: NDArray[np.int64]
    tested: int
    fake: Sequence[float]
    test: Sequence[float]


def compare_with_training(
    *, fake: NDArray[np.uint8], train: NDArray[np.uint8], test: NDArray[np.uint8]
) -> Comparison:
    """How near samples and held-out images come to the training images, in pixels of [0, 1].

    Args:
        fake, train, test: uint8 (M, C, H, W), (N, C, H, W), (T, C, H, W).
    """
    of_fake, index = nearest(queries=fake, images=train)
    of_test, _ = nearest(queries=test, images=train)
    at = torch.tensor(QUANTILES)
    return Comparison(
        index=index.numpy(),
        tested=len(test),
        fake=of_fake.quantile(at).tolist(),
        test=of_test.quantile(at).tolist(),
    )


def distance_table(found: Comparison) -> Table:
    """Distances to the nearest training image, of samples and of test images."""
    table = Table("to the nearest training image", *(f"{q:.0%}" for q in QUANTILES))
    rows = (
        (f"{len(found.index):,} samples", found.fake),
        (f"{found.tested:,} held-out test images", found.test),
    )
    for name, values in rows:
        table.add_row(name, *(f"{value:.2f}" for value in values))
    return table
