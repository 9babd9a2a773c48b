"""Nearest training images: has the generator memorised?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.judge.estimate import tiles

TILE = 500  # queries in a tile and images in a block: the distances of one are all that is held
BLOCK = 10_000


def nearest(*, queries: Tensor, images: Tensor | NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """The nearest of `images` to each query, by Euclidean distance in pixels.

    Args:
        queries: (Q, ...), pixels in [0, 1], or features.
        images: (N, ...), likewise, or an array of uint8 in [0, 255], which is read by blocks.

    Returns:
        Distances (Q,), float32, and indices (Q,), int64; the first of equals.

    >>> nearest(queries=torch.tensor([[0.9]]), images=torch.tensor([[0.0], [1.0]]))
    (tensor([0.1000]), tensor([1]))
    """
    best = torch.full((len(queries),), torch.inf, device=queries.device)
    index = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
    for start in range(0, len(images), BLOCK):
        part = images[start : start + BLOCK]
        block = part if isinstance(part, Tensor) else torch.from_numpy(np.array(part)) / 255
        block = block.flatten(1).to(queries.device).double()
        norms = block.square().sum(1)
        for here in tiles(len(queries), TILE):
            q = queries[here].flatten(1).double()
            where = torch.addmm(norms, q, block.T, alpha=-2).argmin(1)  # short of |q|^2
            distance = (q - block[where]).norm(dim=1).float()  # exact: no cancellation
            closer = distance < best[here]
            best[here] = torch.where(closer, distance, best[here])
            index[here] = torch.where(closer, where + start, index[here])
    return best, index


@dataclass(frozen=True)
class Comparison:
    """Distances to the nearest training image.

    Attributes:
        index: of the training image nearest to each sample, (M,).
        quantiles: which quantiles of the distances follow.
        fake, test: those of the samples' and of the held-out test images' distances. Copies show
            as samples much closer to the training images than test images are.
    """

    index: NDArray[np.int64]
    quantiles: Sequence[float]
    fake: Sequence[float]
    test: Sequence[float]


def compare_with_training(
    *, fake: NDArray[np.uint8], train: NDArray[np.uint8], test: NDArray[np.uint8]
) -> Comparison:
    """How near samples and held-out images come to the training images, in pixels of [0, 1].

    Args:
        fake, train, test: uint8 (M, C, H, W), (N, C, H, W), (T, C, H, W).
    """
    quantiles = (0.0, 0.01, 0.1, 0.5, 0.9)

    def distances(queries: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(np.array(queries)).float().div_(255)
        return nearest(queries=pixels, images=train)

    (of_fake, index), (of_test, _) = distances(fake), distances(test)
    at = torch.tensor(quantiles)
    return Comparison(
        index.numpy(), quantiles, of_fake.quantile(at).tolist(), of_test.quantile(at).tolist()
    )
