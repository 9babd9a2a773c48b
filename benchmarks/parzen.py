"""Time and precision of the Parzen judge at the paper's size.

    python benchmarks/parzen.py

10,000 samples, 10,000 test and 1,000 validation images of 784 pixels, 20 widths. Precision is the
relative difference between float32 and float64 of the mean log-likelihood, on images that are as
far apart as MNIST's digits are: sparse and clipped.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
import tyro
from torch import Tensor

from frenemy.data import open_dataset
from frenemy.engine import choose_device
from frenemy.judge.parzen import GRIDS, parzen

GRID = {"default": GRIDS["default"]}


def images(count: int, seed: int) -> Tensor:
    """Smooth random blobs, (count, 784), pixels in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 1, 7, 7, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (28, 28), mode="bilinear")
    return fine.clamp(0, 1).flatten(1)


def main(data: Path | None = None, repetitions: int = 5) -> None:
    """Prints seconds and relative error.

    Args:
        data: a folder with MNIST, whose training images then stand for samples; else blobs.
        repetitions: of the timing, of which the median counts.
    """
    choose_device("cpu")
    if data is None:
        fake, real, valid = images(10_000, 0), images(10_000, 1), images(1_000, 2)
    else:
        parts = open_dataset(data)
        arrays = (parts.train.random(10_000, 0), parts.test.images, parts.valid.images[:1000])
        fake, real, valid = (torch.tensor(a).float().div(255).flatten(1) for a in arrays)
    seconds, single = [], None
    for _ in range(repetitions):
        begun = time.perf_counter()
        single = parzen(real=real, valid=valid, fake=fake, grids=GRID)["default"]
        seconds.append(time.perf_counter() - begun)
    assert single is not None
    double = parzen(real=real.double(), valid=valid.double(), fake=fake.double(), grids=GRID)
    double = double["default"]
    print(f"float32: {single.found}, sigma {single.sigma}")
    print(f"float64: {double.found}, sigma {double.sigma}")
    print(f"{statistics.median(seconds):.2f} s (median of {repetitions})")
    print(f"relative error {abs(single.found.value / double.found.value - 1):.1e}")


if __name__ == "__main__":
    tyro.cli(main)
