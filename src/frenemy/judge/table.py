"""The Parzen table: a model beside the true distribution and what was published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.judge.parzen import GRIDS, Parzen, parzen_on_grids
from frenemy.run import write_atomically

PUBLISHED = {
    (1, 28, 28): ("adversarial nets on MNIST (Goodfellow et al. 2014)", Parzen(225, 2, None)),
    (1, 48, 48): ("adversarial nets on TFD (Goodfellow et al. 2014)", Parzen(2057, 26, None)),
}
"""Table 1 of the paper, by the shape of the images; the paper does not give sigma."""


@dataclass(frozen=True)
class Row:
    """One line of the table: whose samples, how many, on which grid of sigma, and the result."""

    name: str
    samples: int
    grid: str
    result: Parzen


def parzen_table(
    *,
    name: str,
    fake: NDArray[np.uint8],
    train: NDArray[np.uint8],
    valid: NDArray[np.uint8],
    test: NDArray[np.uint8],
    grids: Iterable[str] = GRIDS,
) -> list[Row]:
    """The samples' rows, those of training images in their place, and the published one.

    Training images as samples are the true distribution's score: what an ideal model would get.

    Args:
        name: of the model.
        fake: its samples, uint8 (M, C, H, W).
        train: as many training images, if there are so many.
        valid: images to choose sigma on; test: images to report on.
        grids: names from `GRIDS`.
    """
    real, chosen = unit_pixels(test), unit_pixels(valid)
    rows, sigmas = [], {grid: GRIDS[grid] for grid in grids}
    for label, images in ((name, fake), ("training images as samples", train)):
        results = parzen_on_grids(real=real, valid=chosen, fake=unit_pixels(images), grids=sigmas)
        rows += [Row(label, len(images), grid, result) for grid, result in results.items()]
    if test.shape[1:] in PUBLISHED:
        label, result = PUBLISHED[test.shape[1:]]
        rows.append(Row(label, 10_000, "authors", result))
    return rows


def save_table(rows: Sequence[Row], path: Path) -> Path:
    """Writes the rows as a JSON list."""
    text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
    return write_atomically(path, lambda part: part.write_text(text, "utf-8"))


def unit_pixels(images: NDArray[np.uint8]) -> Tensor:
    """uint8 pixels as float32 in [0, 1], of the same shape."""
    return torch.from_numpy(np.array(images)).float().div_(255)
