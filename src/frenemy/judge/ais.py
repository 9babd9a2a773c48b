"""Likelihood of a generator by annealed importance sampling: the protocol and its figures.

Test images are dequantised, the variance of the Gaussian noise on the generator's pixels is chosen
on validation images, and the figure is the mean over test images of the lower bound on log p(x) of
`annealing`. Its upper bound needs images that the model has made itself, so each figure on real
images comes with the gap measured on simulated ones.

Wu, Burda, Salakhutdinov and Grosse (2017), On the Quantitative Analysis of Decoder-Based Generative
Models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.annealing import Annealing, Decoder, Progress
from frenemy.judge.estimate import Estimate, checked


@dataclass(frozen=True)
class Effort:
    """How much work a figure is made with; results of different ones are not to be compared.

    Attributes:
        images: how many test images, the first ones.
        chains: for each image.
        temperatures: values of beta from 0 to 1, both included.
        simulated: images of the model's own that the gap is measured on.

    >>> FULL.name, QUICK.name
    ('ais1000x16x10000', 'ais100x16x1000-quick')
    """

    images: int
    chains: int
    temperatures: int
    simulated: int

    @property
    def name(self) -> str:
        """Images x chains x temperatures, and whether that is less than the full effort."""
        size = (self.images, self.chains, self.temperatures)
        full = (FULL.images, FULL.chains, FULL.temperatures)
        quick = any(ours < theirs for ours, theirs in zip(size, full, strict=True))
        return "ais" + "x".join(map(str, size)) + ("-quick" if quick else "")


FULL = Effort(images=1000, chains=16, temperatures=10_000, simulated=100)
QUICK = Effort(images=100, chains=16, temperatures=1000, simulated=20)
VARIANCES = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.05, 0.1)


@dataclass(frozen=True)
class AIS:
    """Mean log-likelihood of the test images in nats, and what it rests on.

    Attributes:
        log_p: mean over the images of the lower bound; its error is std / sqrt N over these.
        gap: mean over simulated images of upper minus lower bound: how loose log_p may be.
        variance: of the Gaussian noise on every pixel.
    """

    log_p: Estimate
    gap: Estimate
    variance: float


def _published(value: float, error: float, gap: float, variance: float) -> AIS:
    note = f"Wu et al. (2017): gap {gap:g} nats; variance {variance:g}"
    log_p = Estimate(value, error, note)
    return AIS(log_p, Estimate(gap, math.nan), variance)


WU_ET_AL = {
    "GAN-10": _published(328.8, 5.5, 0.93, 0.025),
    "GAN-50": _published(627.3, 8.8, 10.0, 0.01),
    "GMMN-10": _published(346.7, 5.9, 0.61, 0.025),
    "GMMN-50": _published(593.5, 8.6, 1.1, 0.01),
    "VAE-10": _published(705.4, 7.4, 0.83, 0.03),
    "VAE-50": _published(991.4, 6.5, 1.54, 0.005),
}
"""The paper's figures on 1,000 MNIST test images, by its names: the number is the size of z."""


def default_effort(device: torch.device | str) -> Effort:
    """The full effort on a GPU, the quick one elsewhere.

    >>> default_effort("cpu").name
    'ais100x16x1000-quick'
    """
    return FULL if torch.device(device).type == "cuda" else QUICK


def dequantised(images: NDArray[np.uint8] | Tensor, *, seed: int) -> Tensor:
    """uint8 pixels as a continuous variable in [0, 1]: pixel / 256 + U(0, 1) / 256.

    Densities of discrete values are unbounded without it (Theis et al. 2016).

    Returns:
        float32, of the same shape, on the same device; the noise is a function of the seed.
    """
    pixels = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
    if pixels.dtype != torch.uint8:
        raise FrenemyError(f"ais: images of {pixels.dtype}: dequantise pixels of uint8")
    noise = torch.rand(pixels.shape, generator=torch.Generator().manual_seed(seed))
    return (pixels.float() + noise.to(pixels.device)).div_(256)


def uniform_from_normal(u: Tensor) -> Tensor:
    """Maps a standard normal to the uniform prior on [-sqrt 3, sqrt 3] of the 2014 paper's code.

    sqrt 3 erf(u / sqrt 2): a decoder of uniform z is `lambda u: G(uniform_from_normal(u))`.

    >>> uniform_from_normal(torch.tensor([-9.0, 0.0, 9.0]))
    tensor([-1.7321,  0.0000,  1.7321])
    """
    return math.sqrt(3) * torch.erf(u / math.sqrt(2))


def ais(
    decoder: Decoder,
    *,
    real: Tensor,
    size_of_z: int,
    variance: float,
    effort: Effort | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> AIS:
    """Mean log-likelihood of real images under a decoder, with the gap of its bounds.

    The gap is that of as many images as the effort says, drawn from the model itself: real
    images, which lie off what the model makes, may have a wider one.

    Args:
        decoder: z (B, size_of_z), standard normal -> means (B, ...) shaped as the real images.
        real: (N, ...) in the decoder's unit, [0, 1] by custom: see `dequantised`.
        size_of_z: the prior is standard normal in so many dimensions.
        variance: of the noise on each pixel, such as `choose_variance` gives.
        effort: by default, `default_effort` of the device on which the images are.
        seed: of all chains and simulated images.

    Raises:
        FrenemyError: as `Annealing.lower`, and for fewer images than the effort's.
    """
    effort = effort or default_effort(real.device)
    at_least(2, images=effort.images, simulated=effort.simulated)
    checked(effort.name, effort.images, real=real)
    real, m = real[: effort.images], effort.simulated
    n, whole = len(real), len(real) + 2 * m  # images to be annealed, real and simulated
    model = Annealing(decoder, size_of_z, variance, effort.chains, effort.temperatures, seed)
    log_p = model.lower(real, _part(progress, 0, n / whole))
    x, z = model.simulate(m, like=real)
    upper = model.upper(x, z, _part(progress, n / whole, m / whole))
    gap = Estimate.of(upper - model.lower(x, _part(progress, (n + m) / whole, m / whole)))
    note = f"a lower bound: gap {gap} nats on {m} simulated images; variance {variance:g}"
    return AIS(Estimate.of(log_p, note), gap, variance)


def choose_variance(
    decoder: Decoder,
    *,
    valid: Tensor,
    size_of_z: int,
    candidates: Sequence[float] = VARIANCES,
    chains: int = 4,
    temperatures: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> float:
    """The variance under which validation images are likeliest, by the lower bound of few chains.

    Small variances are harder to anneal to: a shorter schedule leans to larger ones. Twenty images
    tell variances a factor of 1.5 apart, which for 784 pixels are tens of nats from one another.

    Args and errors are those of `ais`, but for `candidates`.
    """
    at_least(1, candidates=len(candidates))
    means = []
    for i, variance in enumerate(candidates):
        model = Annealing(decoder, size_of_z, variance, chains, temperatures, seed)
        part = _part(progress, i / len(candidates), 1 / len(candidates))
        means.append(model.lower(valid, part).mean().item())
    return candidates[means.index(max(means))]


def _part(progress: Progress | None, start: float, size: float) -> Progress | None:
    """Tells `progress` of a part of the work that has a part of its own."""
    return progress and (lambda share: progress(start + share * size))
