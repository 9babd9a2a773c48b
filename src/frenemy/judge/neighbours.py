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
EPS = torch.finfo(torch.float64).eps


def nearest(
    *, queries: Tensor | NDArray[np.uint8], images: Tensor | NDArray[np.uint8] | Drawn
) -> tuple[Tensor, Tensor]:
    """The nearest of `images` to each query, by Euclidean distance in pixels.

    Beside the arguments and the results, a tile of queries, a block of images, the distances
    between the two and a few copies of these are held: memory does not grow with the images, as
    long as one alone is no larger than `BYTES`.

    Args:
        queries: (Q, ...), pixels in [0, 1], or features; or an array of uint8 in [0, 255].
        images: (N, ...), likewise. Arrays may lie on the disk: they are read by parts.

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
        block = _rows(images[part], device)
        norms = block.square().sum(1)
        for here in tiles(len(queries), min(TILE, most)):
            square, where = _nearest(_rows(queries[here], device), block, norms, most)
            closer = square < best[here]
            best[here] = torch.where(closer, square, best[here])
            index[here] = torch.where(closer, where + part.start, index[here])
    return best.sqrt().float(), index


def _nearest(q: Tensor, block: Tensor, norms: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Squares of the distances to the nearest row of a block, and which it is, the first of equals.

    Products tell the candidates, but for their rounding; among these the differences decide.

    Args:
        q, block: float64 (Q, d), (B, d).
        norms: |x|^2 of the block's rows.
        most: rows whose differences are taken at once.
    """
    short = torch.addmm(norms, q, block.T, alpha=-2)  # of |q|^2
    rounding = 2 * (q.shape[1] + 2) * EPS * (q.square().sum(1) + norms.max())  # of two of them
    candidates = short <= (short.amin(1) + rounding)[:, None]
    row, column = candidates.nonzero().unbind(1)
    squares = torch.cat(
        [row_sums((q[row[i]] - block[column[i]]).square()) for i in tiles(len(row), most)]
    )
    least = q.new_full((len(q),), torch.inf).scatter_reduce_(0, row, squares, "amin")
    first = squares == least[row]
    where = row.new_full((len(q),), len(block))
    return least, where.scatter_reduce_(0, row[first], column[first], "amin")


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
