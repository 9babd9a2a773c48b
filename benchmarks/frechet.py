"""Time and precision of the Frechet distance beside the usual route by a matrix root.

    OMP_NUM_THREADS=1 python benchmarks/frechet.py

50,000 real and as many fake float32 features of 2,048 numbers are given; covariances count. The
usual route is numpy's covariances and scipy's sqrtm of their product, in float64, which gives no
error bar; ours does. Then the same by the parts that could be done in another way. Features are as
a network's are: not negative, dependent on each other, a few directions with most of the variance.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import scipy
import torch
import tyro
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from frenemy.engine import choose_device
from frenemy.judge.frechet import Gaussian, frechet


def features(count: int, dim: int, seed: int) -> Tensor:
    """Features as after a last ReLU, (count, dim): other seeds, slightly other distributions."""
    shared = torch.Generator().manual_seed(0)
    scale = torch.arange(1, dim + 1).pow(-0.6)[:, None]  # variances fall as k^-1.2
    mixing = scale * torch.randn(dim, dim, generator=shared)
    generator = torch.Generator().manual_seed(seed)
    mixing += 0.1 * scale * torch.randn(dim, dim, generator=generator)
    rows = torch.empty(count, dim)
    for part in rows.split(1000):
        part.copy_((torch.randn(len(part), dim, generator=generator) @ mixing / 4 - 0.1).relu_())
    return rows


def usual(real: NDArray[np.float32], fake: NDArray[np.float32]) -> float:
    """|mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)) as it is usually computed."""
    s_r, s_f = (np.cov(rows.astype(np.float64), rowvar=False) for rows in (real, fake))
    between = real.mean(0, dtype=np.float64) - fake.mean(0, dtype=np.float64)
    root = np.asarray(linalg.sqrtm(s_r @ s_f))
    return float(between @ between + np.trace(s_r) + np.trace(s_f) - 2 * np.trace(root).real)


def timed(function: Callable[[], float]) -> tuple[float, float]:
    """Seconds, and the number that comes out."""
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def main(samples: int = 50_000, dim: int = 2048, repetitions: int = 1) -> None:
    """Prints seconds, their ratio and the relative differences.

    Args:
        samples: in each of the two sets.
        dim: numbers in a feature.
        repetitions: of each timing, of which the least counts.
    """
    choose_device("cpu")
    real, fake = features(samples, dim, 1), features(samples, dim, 2)
    arrays = real.numpy(), fake.numpy()
    p, q = Gaussian.fit(real), Gaussian.fit(fake)
    cross = p.factor @ q.factor.T
    wide = real.double(), fake.double()
    measured: dict[str, Callable[[], float]] = {
        "numpy cov, scipy sqrtm": lambda: usual(*arrays),
        "frechet, with its error": lambda: frechet(real=real, fake=fake).value,
        "float64 features": lambda: frechet(real=wide[0], fake=wide[1]).value,
        "both Gaussians alone": lambda: Gaussian.fit(real).variance + Gaussian.fit(fake).variance,
        "singular values": lambda: torch.linalg.svdvals(cross).sum().item(),
        "by eigenvalues": lambda: torch.linalg.eigvalsh(cross.T @ cross).sqrt().sum().item(),
    }
    found = {
        name: min(timed(function) for _ in range(repetitions))
        for name, function in measured.items()
    }
    print(f"{samples:,} x {dim:,} features, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, numpy {np.__version__}, scipy {scipy.__version__}")
    for name, (seconds, number) in found.items():
        print(f"{name:24s} {seconds:7.2f} s   {number:.12g}")
    (slow, expected), (quick, value) = list(found.values())[:2]
    print(f"error bar {frechet(real=real, fake=fake).error:.2g}")
    print(f"1/{slow / quick:.1f} of the usual time, relative difference {value / expected - 1:.1e}")


if __name__ == "__main__":
    tyro.cli(main)
