"""Likelihood of a generator with Gaussian noise on its pixels, by annealed importance sampling.

The model is z ~ N(0, I), x = decoder(z) + N(0, variance I), and p(x) its integral over z. Chains
walk from the prior to the posterior of z through p(z) p(x | z)^beta, beta from 0 to 1; what they
gather on the way estimates log p(x) from below. The same chains, walked backwards from an exact
posterior sample, estimate it from above; such samples are known only for images that the model has
made itself, so each figure on real images comes with the gap measured on simulated ones.

Wu, Burda, Salakhutdinov and Grosse (2017), On the Quantitative Analysis of Decoder-Based Generative
Models; Neal (2001), Annealed Importance Sampling; Grosse, Ghahramani and Adams (2015), Sandwiching
the Marginal Likelihood Using Bidirectional Monte Carlo; Neal (2011), MCMC Using Hamiltonian
Dynamics.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.estimate import Estimate, checked, tiles

Decoder = Callable[[Tensor], Tensor]
"""z (B, size) -> means of pixels (B, ...), differentiable; each row of its own z alone."""

Progress = Callable[[float], None]
"""Told the share of the work that is done, in (0, 1], after each temperature."""

Likelihood = Callable[[Tensor], tuple[Tensor, Tensor]]
"""z (N, chains, size) -> log p(x | z) (N, chains), and its gradient in z, shaped as z."""

RAD = 4.0  # the schedule is the logistic function on [-RAD, RAD]
LEAPFROG = 10  # steps of a proposal
STEP_RANGE = 1e-4, 0.5  # limits of the leapfrog step's size
FASTER, SLOWER = 1.02, 0.98  # its factors where acceptance is above the wanted one, and below
ACCEPTANCE, KEPT = 0.65, 0.9  # the wanted one; how much of its running mean a transition keeps
# Two departures from the paper, which leave the bounds valid and tighten them (`benchmarks/ais.py`
# compares). The paper starts at .01, from where a step takes 200 temperatures to fit the prior; and
# it has no jitter, without which trajectories may come back to where they started (Neal 2011).
STEP = 0.1  # the first leapfrog step's size
JITTER = 0.5  # each proposal's step is the adapted one times U(1 - JITTER, 1 + JITTER)
ENTRIES = 2**23  # pixels that the decoder is asked for at once: 32 MiB in float32

FORWARD, REVERSE, SIMULATION = range(3)  # whose random numbers: those of one seed never meet


@dataclass(frozen=True)
class Protocol:
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
        """Images x chains x temperatures, and whether that is less than the full protocol."""
        size = (self.images, self.chains, self.temperatures)
        full = (FULL.images, FULL.chains, FULL.temperatures)
        quick = any(ours < theirs for ours, theirs in zip(size, full, strict=True))
        return "ais" + "x".join(map(str, size)) + ("-quick" if quick else "")


FULL = Protocol(images=1000, chains=16, temperatures=10_000, simulated=100)
QUICK = Protocol(images=100, chains=16, temperatures=1000, simulated=20)
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
    return AIS(Estimate(value, error), Estimate(gap, math.nan), variance)


PUBLISHED = {
    "GAN-10 on MNIST (Wu et al. 2017)": _published(328.8, 5.5, 0.93, 0.025),
    "GAN-50 on MNIST (Wu et al. 2017)": _published(627.3, 8.8, 10.0, 0.01),
    "GMMN-10 on MNIST (Wu et al. 2017)": _published(346.7, 5.9, 0.61, 0.025),
    "GMMN-50 on MNIST (Wu et al. 2017)": _published(593.5, 8.6, 1.1, 0.01),
    "VAE-10 on MNIST (Wu et al. 2017)": _published(705.4, 7.4, 0.83, 0.03),
    "VAE-50 on MNIST (Wu et al. 2017)": _published(991.4, 6.5, 1.54, 0.005),
}
"""The paper's figures on 1,000 MNIST test images, by its names: the number is the size of z."""


def default_protocol(device: torch.device | str) -> Protocol:
    """The full protocol on a GPU, the quick one elsewhere.

    >>> default_protocol("cpu").name
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


def schedule(temperatures: int) -> list[float]:
    """The beta of each temperature: 0 to 1, slowest at both ends.

    beta_t = (s_t - s_1) / (s_T - s_1), s the logistic function on T even steps from -4 to 4.

    >>> [round(beta, 3) for beta in schedule(5)]
    [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    at_least(2, temperatures=temperatures)
    s = torch.linspace(-RAD, RAD, temperatures, dtype=torch.float64).sigmoid()
    return ((s - s[0]) / (s[-1] - s[0])).tolist()


def ais(
    decoder: Decoder,
    *,
    real: Tensor,
    size_of_z: int,
    variance: float,
    protocol: Protocol | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> AIS:
    """Mean log-likelihood of real images under a decoder, with the gap of its bounds.

    The gap is that of as many images as the protocol says, drawn from the model itself: real
    images, which lie off what the model makes, may have a wider one.

    Args:
        decoder: z (B, size_of_z), standard normal -> means (B, ...) shaped as the real images.
        real: (N, ...) in the decoder's unit, [0, 1] by custom: see `dequantised`.
        size_of_z: the prior is standard normal in so many dimensions.
        variance: of the noise on each pixel, such as `choose_variance` gives.
        protocol: by default, `default_protocol` of the device on which the images are.
        seed: of all chains and simulated images.

    Raises:
        FrenemyError: as `log_likelihood`, and for fewer images than the protocol's.
    """
    protocol = protocol or default_protocol(real.device)
    at_least(2, images=protocol.images, simulated=protocol.simulated)
    checked(protocol.name, protocol.images, real=real)
    real, m = real[: protocol.images], protocol.simulated
    n, whole = len(real), len(real) + 2 * m  # images to be annealed, real and simulated
    lower = functools.partial(
        log_likelihood,
        decoder,
        size_of_z=size_of_z,
        variance=variance,
        chains=protocol.chains,
        temperatures=protocol.temperatures,
        seed=seed,
    )
    log_p = lower(real, progress=_part(progress, 0, n / whole))
    x, z = simulate(decoder, m, size_of_z=size_of_z, variance=variance, seed=seed, like=real)
    upper = upper_bound(
        decoder,
        x,
        z,
        variance=variance,
        chains=protocol.chains,
        temperatures=protocol.temperatures,
        seed=seed,
        progress=_part(progress, n / whole, m / whole),
    )
    gap = _mean(upper - lower(x, progress=_part(progress, (n + m) / whole, m / whole)))
    note = f"a lower bound: gap {gap} nats on {m} simulated images; variance {variance:g}"
    return AIS(_mean(log_p, note), gap, variance)


def choose_variance(
    decoder: Decoder,
    *,
    valid: Tensor,
    size_of_z: int,
    candidates: Sequence[float] = VARIANCES,
    chains: int = 4,
    temperatures: int = 300,
    seed: int = 0,
    progress: Progress | None = None,
) -> float:
    """The variance under which validation images are likeliest, by few chains and temperatures.

    Small variances are harder to anneal to, so that a short schedule leans to larger ones.

    Args and errors are those of `ais` and `log_likelihood`, but for `candidates`.
    """
    at_least(1, candidates=len(candidates))
    means = []
    for i, variance in enumerate(candidates):
        log_p = log_likelihood(
            decoder,
            valid,
            size_of_z=size_of_z,
            variance=variance,
            chains=chains,
            temperatures=temperatures,
            seed=seed,
            progress=_part(progress, i / len(candidates), 1 / len(candidates)),
        )
        means.append(log_p.mean().item())
    return candidates[means.index(max(means))]


def log_likelihood(
    decoder: Decoder,
    x: Tensor,
    *,
    size_of_z: int,
    variance: float,
    chains: int = 16,
    temperatures: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """A stochastic lower bound on log p(x) of each image: in expectation it is below.

    For each of an image's chains: z_1 ~ p(z), log w = 0, and for t = 2 ... T
        log w += (beta_t - beta_{t-1}) log p(x | z_{t-1}),
        z_t ~ one transition of `hmc`, which leaves p(z) p(x | z)^beta_t as it is.
    log p(x) ~ log mean_chains w; w itself is unbiased (Neal 2001), but for what the adaptation of
    the step size to the chains' own past adds, which the tests find too small to measure.

    Args:
        decoder: see `ais`. Batch normalisation has to be in evaluation mode.
        x: (N, ...), float32 or float64, which is the precision of the work; the weights are summed
            in float64.
        size_of_z: of the decoder's argument.
        variance: of the noise on each pixel.
        chains: for each image.
        temperatures: T, 2 or more; with 2 it is importance sampling from the prior.
        seed: image i's random numbers are a function of (seed, i) alone, on whatever device.
        progress: told the share that is done.

    Returns:
        float64 (N,), nats, on the device of x. Memory beyond (N, chains, size_of_z) is bounded.

    Raises:
        FrenemyError: numbers out of range, images that are not finite or not of floating point, or
            a decoder whose output is not finite, has another shape, no gradient, or depends on
            what else is in the batch.

    >>> def decoder(z):
    ...     return 0.5 * z
    >>> x = torch.zeros(1, 1)
    >>> found = log_likelihood(decoder, x, size_of_z=1, variance=0.75, temperatures=100)
    >>> bool((found - -0.5 * math.log(2 * math.pi)).abs() < 0.05)  # x ~ N(0, .5^2 + .75)
    True
    """
    likelihood = _likelihood(decoder, x, size_of_z, variance)
    at_least(1, chains=chains)
    streams = _streams(seed, FORWARD, len(x))
    z = _normal(streams, (chains, size_of_z), x)
    log_w = _anneal(likelihood, z, schedule(temperatures), streams, progress)
    return log_w.logsumexp(1) - math.log(chains)


def upper_bound(
    decoder: Decoder,
    x: Tensor,
    z: Tensor,
    *,
    variance: float,
    chains: int = 16,
    temperatures: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """A stochastic upper bound on log p(x) of images whose z is known, as `simulate` makes them.

    All chains of an image start at its z, which is an exact sample of p(z | x), and walk through
    the schedule of `log_likelihood` from 1 to 0; the mean of their 1 / w estimates 1 / p(x).

    Args:
        z: (N, size_of_z), those of the images x.

    The other arguments, result and errors are those of `log_likelihood`.
    """
    if z.ndim != 2 or len(z) != len(x):
        raise FrenemyError(f"ais: {len(x)} images but z of {tuple(z.shape)}: one (N, size) a row")
    likelihood = _likelihood(decoder, x, z.shape[1], variance)
    at_least(1, chains=chains)
    streams = _streams(seed, REVERSE, len(x))
    start = z[:, None].repeat(1, chains, 1)
    log_w = _anneal(likelihood, start, schedule(temperatures)[::-1], streams, progress)
    return math.log(chains) - log_w.logsumexp(1)


@torch.no_grad()
def simulate(
    decoder: Decoder,
    count: int,
    *,
    size_of_z: int,
    variance: float,
    seed: int = 0,
    like: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Exact samples of the model, noise included: x = decoder(z) + N(0, variance I).

    Args:
        decoder, size_of_z, variance: see `ais`.
        count: how many.
        seed: see below.
        like: a tensor whose precision and device they have; by default float32 on the processor.

    Returns:
        x (count, ...) and its z (count, size_of_z). Pair i is a function of (seed, i).
    """
    streams, like = _streams(seed, SIMULATION, count), torch.empty(0) if like is None else like
    z = _normal(streams, (size_of_z,), like)
    means = decoder(z)
    return means + math.sqrt(variance) * _normal(streams, means.shape[1:], like), z


@dataclass(frozen=True)
class Chains:
    """Where the chains are, and what `Likelihood` says there."""

    z: Tensor
    log_p: Tensor
    gradient: Tensor


def hmc(
    likelihood: Likelihood, chains: Chains, beta: float, step: Tensor, noise: Tensor
) -> tuple[Chains, Tensor]:
    """One transition of Hamiltonian Monte Carlo that leaves p(z) p(x | z)^beta as it is.

    Momentum p ~ N(0, I); 10 leapfrog steps of dz/dt = p, dp/dt = -dU/dz with
    U(z) = |z|^2 / 2 - beta log p(x | z), accepted with probability min(1, e^-dH), H = U + |p|^2 / 2
    (Neal 2011).

    Args:
        chains: (N, chains, size).
        step: of the leapfrog before jitter, broadcast to (N, chains, 1).
        noise: standard normal (N, chains, size + 2): the momentum, what jitters the step, and what
            decides on acceptance.

    Returns:
        The chains after it, and the probabilities of acceptance (N, chains).
    """

    def force(at: Chains) -> Tensor:
        return beta * at.gradient - at.z

    def energy(at: Chains, p: Tensor) -> Tensor:
        return (at.z.square() + p.square()).sum(-1) / 2 - beta * at.log_p

    momentum, log_u = noise[..., :-2], torch.special.log_ndtr(noise[..., -1])  # u uniform
    step = step * (1 + JITTER * (2 * torch.special.ndtr(noise[..., -2:-1]) - 1))
    new, p = chains, momentum + step / 2 * force(chains)
    for i in range(LEAPFROG):
        z = new.z + step * p
        new = Chains(z, *likelihood(z))
        p = p + (step if i + 1 < LEAPFROG else step / 2) * force(new)
    log_ratio = energy(chains, momentum) - energy(new, p)
    accepted = log_u < log_ratio  # never where it is NaN, as after a step that was far too large
    probability = log_ratio.clamp(max=0).exp().nan_to_num(0)
    keep = accepted[..., None]
    return Chains(
        torch.where(keep, new.z, chains.z),
        torch.where(accepted, new.log_p, chains.log_p),
        torch.where(keep, new.gradient, chains.gradient),
    ), probability


def _anneal(
    likelihood: Likelihood,
    z: Tensor,
    betas: Sequence[float],
    streams: Sequence[torch.Generator],
    progress: Progress | None,
) -> Tensor:
    """Log weights (N, chains), float64, of chains from z at the first beta to the last one.

    The chains of an image share a step size, which grows where their mean acceptance probability,
    smoothed over the last ten or so transitions, is above .65, and shrinks where it is below.
    """
    chains = Chains(z, *likelihood(z))
    if not torch.isfinite(chains.log_p).all():
        raise FrenemyError("ais: the decoder's output is not finite for some z of the prior")
    step = z.new_full((len(z), 1, 1), STEP)
    mean = torch.full_like(step, ACCEPTANCE)
    log_w = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
    for t in range(1, len(betas)):
        log_w += (betas[t] - betas[t - 1]) * chains.log_p.double()
        if t + 1 < len(betas):  # after the last weight no more z are needed
            noise = _normal(streams, (z.shape[1], z.shape[2] + 2), z)
            chains, probability = hmc(likelihood, chains, betas[t], step, noise)
            mean = KEPT * mean + (1 - KEPT) * probability.mean(1)[:, None, None]
            step = step * torch.where(mean > ACCEPTANCE, FASTER, SLOWER)
            step = step.clamp(*STEP_RANGE)
        if progress:
            progress(t / (len(betas) - 1))
    return log_w


def _likelihood(decoder: Decoder, x: Tensor, size_of_z: int, variance: float) -> Likelihood:
    """Log p(x | z) = -|x - decoder(z)|^2 / (2 variance) - d / 2 log(2 pi variance), checked."""
    if x.dtype not in (torch.float32, torch.float64):
        raise FrenemyError(f"ais: images of {x.dtype}: make them float32 with `dequantised`")
    checked("ais", 1, images=x)
    at_least(1, size_of_z=size_of_z)
    if not 0 < variance < math.inf:
        raise FrenemyError(f"ais: variance is {variance}: it has to be above 0")
    _check(decoder, x, size_of_z)
    d = x[0].numel()
    constant = d / 2 * math.log(2 * math.pi * variance)
    images = x.detach().flatten(1)  # (N, d)

    def piece(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        # also where the caller has switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            z = z.clone().requires_grad_()
            means = decoder(z.flatten(0, 1)).reshape(*z.shape[:2], d)
            if not means.requires_grad:
                raise FrenemyError("ais: the decoder gives no gradient: is it under no_grad?")
            log_p = (x[:, None] - means).square().sum(-1) / (-2 * variance) - constant
            (gradient,) = torch.autograd.grad(log_p.sum(), z)
        return log_p.detach(), gradient

    def likelihood(z: Tensor) -> tuple[Tensor, Tensor]:
        at_once = max(1, ENTRIES // (z.shape[1] * d))
        pieces = [piece(images[here], z[here]) for here in tiles(len(z), at_once)]
        if len(pieces) == 1:
            return pieces[0]
        log_p, gradient = zip(*pieces, strict=True)
        return torch.cat(log_p), torch.cat(gradient)

    return likelihood


@torch.no_grad()
def _check(decoder: Decoder, x: Tensor, size_of_z: int) -> None:
    """Refuses a decoder whose output does not fit the images, or depends on the batch."""
    z = _normal(_streams(0, SIMULATION, 4), (size_of_z,), x)
    means = decoder(z)
    if means.shape != (4, *x.shape[1:]):
        raise FrenemyError(
            f"ais: images of {tuple(x.shape[1:])} but the decoder's of {tuple(means.shape[1:])}"
        )
    change = (decoder(z[:2]) - means[:2]).abs().max()
    if change > 1e-3 * means.abs().max():  # far above rounding, TF32's too
        raise FrenemyError(
            "ais: the decoder's image of a z changes with the batch or from call to call: "
            "put its network in evaluation mode, and fix any noise of its own"
        )


def _streams(seed: int, use: int, count: int) -> list[torch.Generator]:
    """A generator of random numbers for each image, a function of (seed, use, its index).

    They are the processor's, so that the numbers do not depend on the device.
    """
    at_least(0, seed=seed)
    sequences = (np.random.SeedSequence((seed, use, i)) for i in range(count))
    seeds = (int(sequence.generate_state(1)[0]) for sequence in sequences)
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _normal(streams: Sequence[torch.Generator], shape: Sequence[int], like: Tensor) -> Tensor:
    """The next standard normal numbers of every stream, (streams, *shape), typed as `like`."""
    numbers = torch.empty(len(streams), *shape, dtype=like.dtype)
    for row, stream in zip(numbers, streams, strict=True):
        row.normal_(generator=stream)
    return numbers.to(like.device)


def _part(progress: Progress | None, start: float, size: float) -> Progress | None:
    """Tells `progress` of a part of the work that has a part of its own."""
    return progress and (lambda share: progress(start + share * size))


def _mean(values: Tensor, note: str = "") -> Estimate:
    """The mean of independent values with its standard error."""
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(len(values)), note)
