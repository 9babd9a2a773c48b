"""The Parzen-window log-likelihood by which Goodfellow et al. (2014) judge samples.

A Gaussian kernel of width sigma sits on every sample; sigma is chosen on validation images, and
the mean log-density of the test images is reported. Images enter as vectors of pixels in [0, 1].
Theis et al. (2016), A Note on the Evaluation of Generative Models, show how far this measure can
be from what a person would call good samples: read it beside the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import checked

GRIDS: dict[str, tuple[float, ...]] = {
    "default": tuple(round(0.10 + 0.01 * i, 2) for i in range(20)),
    "authors": tuple(10 ** (-1 + i / 9) for i in range(10)),  # logspace(-1, 0, 10)
}
"""The widths to choose from: .10 to .29 by .01, and the grid of the authors' published code."""

TILE = 100  # images a tile: tile x samples distances stay near the processor's cache


@dataclass(frozen=True)
class Parzen:
    """Mean log-likelihood of the test images in nats, its standard error, and the width chosen."""

    value: float
    error: float
    sigma: float


def log_likelihood(*, real: Tensor, fake: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Log p(x) of each real image under the kernel density of the samples, for every sigma.

    log p(x) = log mean_i exp(-|x - x_i|^2 / (2 sigma^2)) - d/2 log(2 pi sigma^2).

    Args:
        real: (N, d), pixels in [0, 1], float32 or float64, which is the precision of the work.
        fake: (M, d), likewise.
        sigmas: S kernel widths in the unit of the pixels.

    Returns:
        float64 (S, N), nats. Memory beyond the arguments is bounded: distances live in tiles.

    >>> x = torch.zeros(1, 2)
    >>> log_likelihood(real=x, fake=x, sigmas=[1.0]).exp()  # 1 / (2 pi)
    tensor([[0.1592]], dtype=torch.float64)
    """
    real, fake = checked("parzen", 1, real=real, fake=fake)
    count, d = fake.shape
    centre = fake.mean(0)  # smaller norms cancel less in |x|^2 + |y|^2 - 2 x.y
    fake = fake - centre
    norms = fake.square().sum(1)
    result = torch.empty(len(sigmas), len(real), dtype=torch.float64)
    for start in range(0, len(real), TILE):
        x = real[start : start + TILE] - centre
        distances = torch.addmm(norms, x, fake.T, alpha=-2)  # (tile, M), short of |x|^2
        nearest = distances.amin(1, keepdim=True)
        distances -= nearest
        offset = (nearest.squeeze(1) + x.square().sum(1)).clamp_(min=0).double()
        kernel = torch.empty_like(distances)
        for s, sigma in enumerate(sigmas):
            scale = -1 / (2 * sigma**2)
            # e^-80 is nothing beside the nearest sample's 1; what is far smaller is slow to compute
            torch.mul(distances, scale, out=kernel).clamp_(min=-80).exp_()
            total = kernel.sum(1).double()
            log_density = total.log() + offset * scale - math.log(count)
            result[s, start : start + TILE] = log_density - d / 2 * math.log(math.tau * sigma**2)
    return result


def parzen(
    *, real: Tensor, valid: Tensor, fake: Tensor, grids: Mapping[str, Sequence[float]] = GRIDS
) -> dict[str, Parzen]:
    """The paper's protocol: choose sigma on the validation images, report on the real ones.

    The paper takes 10,000 samples as `fake`, the first 1,000 validation images as `valid` and all
    10,000 test images as `real`; the error is std / sqrt N over these. The distances are computed
    once for all grids.

    Args:
        real, valid, fake: (N, ...), (V, ...), (M, ...), pixels in [0, 1].
        grids: of widths to choose from, by their names.

    Raises:
        FrenemyError: as `log_likelihood`, and for fewer than two real images.
    """
    if len(real) < 2:
        raise FrenemyError(f"parzen: {len(real)} test images: an error bar needs two at least")
    valid, real, fake = (images.flatten(1) for images in (valid, real, fake))
    widths = sorted({sigma for sigmas in grids.values() for sigma in sigmas})
    means = log_likelihood(real=valid, fake=fake, sigmas=widths).mean(1).tolist()
    on_valid = dict(zip(widths, means, strict=True))
    chosen = {name: max(sigmas, key=on_valid.__getitem__) for name, sigmas in grids.items()}
    widths = sorted(set(chosen.values()))
    log_p = log_likelihood(real=real, fake=fake, sigmas=widths)
    results = {
        sigma: Parzen(row.mean().item(), row.std().item() / math.sqrt(len(row)), sigma)
        for sigma, row in zip(widths, log_p, strict=True)
    }
    return {name: results[sigma] for name, sigma in chosen.items()}


def unit_pixels(images: NDArray[np.uint8]) -> Tensor:
    """uint8 pixels as float32 in [0, 1], of the same shape."""
    return torch.from_numpy(np.array(images)).float().div_(255)
