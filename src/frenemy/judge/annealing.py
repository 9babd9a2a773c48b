"""Annealed importance sampling: bounds on log p(x) of a decoder with Gaussian noise on its pixels.

The model is z ~ N(0, I), x = decoder(z) + N(0, variance I), and p(x) its integral over z. Chains
walk from the prior to the posterior of z through p(z) p(x | z)^beta, beta from 0 to 1; what they
gather on the way estimates log p(x) from below. The same chains, walked backwards from an exact
posterior sample, estimate it from above; such samples are known only for images that the model has
made itself.

Neal (2001), Annealed Importance Sampling; Grosse, Ghahramani and Adams (2015), Sandwiching the
Marginal Likelihood Using Bidirectional Monte Carlo; Neal (2011), MCMC Using Hamiltonian Dynamics;
Wu, Burda, Salakhutdinov and Grosse (2017), On the Quantitative Analysis of Decoder-Based Generative
Models, whose settings these are but for two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.estimate import checked, tiles

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


def schedule(temperatures: int) -> list[float]:
    """The beta of each temperature: 0 to 1, slowest at both ends.

    beta_t = (s_t - s_1) / (s_T - s_1), s the logistic function on T even steps from -4 to 4.

    >>> [round(beta, 3) for beta in schedule(5)]
    [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    s = torch.linspace(-RAD, RAD, temperatures, dtype=torch.float64).sigmoid()
    return ((s - s[0]) / (s[-1] - s[0])).tolist()


@dataclass(frozen=True)
class Annealing:
    """A decoder with noise on its pixels, and the chains by which its likelihood is bounded.

    Attributes:
        decoder: z (B, size_of_z), standard normal -> means (B, ...) shaped as images. Batch
            normalisation has to be in evaluation mode.
        size_of_z: of the decoder's argument.
        variance: of the noise on each pixel.
        chains: for each image.
        temperatures: T, 2 or more; with 2 it is importance sampling from the prior.
        seed: image i's random numbers are a function of (seed, i) alone, on whatever device.

    Raises:
        FrenemyError: numbers out of range.

    >>> model = Annealing(lambda z: 0.5 * z, size_of_z=1, variance=0.75, temperatures=100)
    >>> found = model.lower(torch.zeros(1, 1))
    >>> bool((found - -0.5 * math.log(2 * math.pi)).abs() < 0.05)  # x ~ N(0, .5^2 + .75)
    True
    """

    decoder: Decoder
    size_of_z: int
    variance: float
    chains: int = 16
    temperatures: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(0, seed=self.seed)
        at_least(1, size_of_z=self.size_of_z, chains=self.chains)
        at_least(2, temperatures=self.temperatures)
        if not 0 < self.variance < math.inf:
            raise FrenemyError(f"ais: variance is {self.variance}: it has to be above 0")

    def lower(self, x: Tensor, progress: Progress | None = None) -> Tensor:
        """A stochastic lower bound on log p(x) of each image: in expectation it is below.

        For each of an image's chains: z_1 ~ p(z), log w = 0, and for t = 2 ... T
            log w += (beta_t - beta_{t-1}) log p(x | z_{t-1}),
            z_t ~ one transition of `hmc`, which leaves p(z) p(x | z)^beta_t as it is.
        log p(x) ~ log mean_chains w; w itself is unbiased (Neal 2001), but for what the adaptation
        of the step size to the chains' own past adds, which the tests find too small to measure.

        Args:
            x: (N, ...), float32 or float64, which is the precision of the work; the weights are
                summed in float64.
            progress: told the share that is done.

        Returns:
            float64 (N,), nats, on the device of x. Memory beyond (N, chains, size_of_z) is bounded.

        Raises:
            FrenemyError: images that are not finite or not of floating point, or a decoder whose
                output is not finite, has another shape, no gradient, or depends on what else is in
                the batch.
        """
        likelihood, streams = self.likelihood(x), _streams(self.seed, FORWARD, len(x))
        z = _normal(streams, (self.chains, self.size_of_z), x)
        log_w = _anneal(likelihood, z, schedule(self.temperatures), streams, progress)
        return log_w.logsumexp(1) - math.log(self.chains)

    def upper(self, x: Tensor, z: Tensor, progress: Progress | None = None) -> Tensor:
        """A stochastic upper bound on log p(x) of images of known z, as `simulate` makes them.

        All chains of an image start at its z, which is an exact sample of p(z | x), and walk
        through the schedule of `lower` from 1 to 0; the mean of their 1 / w estimates 1 / p(x).

        Args:
            x, progress: as of `lower`, whose are result and errors, too.
            z: (N, size_of_z), those of the images.
        """
        if z.shape != (len(x), self.size_of_z):
            raise FrenemyError(f"ais: {len(x)} images but z of {tuple(z.shape)}: give one a row")
        likelihood, streams = self.likelihood(x), _streams(self.seed, REVERSE, len(x))
        start = z[:, None].repeat(1, self.chains, 1)
        log_w = _anneal(likelihood, start, schedule(self.temperatures)[::-1], streams, progress)
        return math.log(self.chains) - log_w.logsumexp(1)

    @torch.no_grad()
    def simulate(self, count: int, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Exact samples of the model, noise included: x = decoder(z) + N(0, variance I).

        Args:
            count: how many.
            like: a tensor whose precision and device they have; by default float32 on the
                processor.

        Returns:
            x (count, ...) and its z (count, size_of_z). Pair i is a function of (seed, i).
        """
        streams = _streams(self.seed, SIMULATION, count)
        like = torch.empty(0) if like is None else like
        z = _normal(streams, (self.size_of_z,), like)
        means = self.decoder(z)
        return means + math.sqrt(self.variance) * _normal(streams, means.shape[1:], like), z

    def likelihood(self, x: Tensor) -> Likelihood:
        """Log p(x | z) = -|x - decoder(z)|^2 / (2 variance) - d / 2 log(2 pi variance), by z.

        Of z (N, chains, size_of_z); errors are those of `lower`.
        """
        if x.dtype not in (torch.float32, torch.float64):
            raise FrenemyError(f"ais: images of {x.dtype}: make them float32 with `dequantised`")
        checked("ais", 1, images=x)
        _check(self.decoder, x, self.size_of_z)
        d = x[0].numel()
        constant = d / 2 * math.log(2 * math.pi * self.variance)
        images = x.detach().flatten(1)  # (N, d)

        def piece(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
            # also where the caller has switched gradients off
            with torch.inference_mode(False), torch.enable_grad():
                z = z.clone().requires_grad_()
                means = self.decoder(z.flatten(0, 1)).reshape(*z.shape[:2], d)
                if not means.requires_grad:
                    raise FrenemyError("ais: the decoder gives no gradient: is it under no_grad?")
                log_p = (x[:, None] - means).square().sum(-1) / (-2 * self.variance) - constant
                (gradient,) = torch.autograd.grad(log_p.sum(), z)
            return log_p.detach(), gradient

        def likelihood(z: Tensor) -> tuple[Tensor, Tensor]:
            at_once = max(1, ENTRIES // (z.shape[1] * d))
            pieces = [piece(images[here], z[here]) for here in tiles(len(z), at_once)]
            log_p, gradient = zip(*pieces, strict=True)
            return torch.cat(log_p), torch.cat(gradient)

        return likelihood


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
    sequences = (np.random.SeedSequence((seed, use, i)) for i in range(count))
    seeds = (int(sequence.generate_state(1)[0]) for sequence in sequences)
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _normal(streams: Sequence[torch.Generator], shape: Sequence[int], like: Tensor) -> Tensor:
    """The next standard normal numbers of every stream, (streams, *shape), typed as `like`."""
    numbers = torch.empty(len(streams), *shape, dtype=like.dtype)
    for row, stream in zip(numbers, streams, strict=True):
        row.normal_(generator=stream)
    return numbers.to(like.device)
