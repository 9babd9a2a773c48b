"""Which modes of a known distribution samples reach, and how evenly.

Two games have modes that can be counted: mixtures of Gaussians in the plane, and stacked MNIST,
whose 1,000 modes are three digits in the colour channels. Metz, Poole, Pfau and Sohl-Dickstein
(2017), Unrolled Generative Adversarial Networks; Srivastava et al. (2017), VEEGAN: Reducing Mode
Collapse in GANs using Implicit Variational Learning; Lin et al. (2018), PacGAN: The Power of Two
Samples in Generative Adversarial Networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.coverage import share
from frenemy.judge.estimate import TILE, Estimate, checked, half_signs, shared_of, tiles

RADIUS = 3.0  # standard deviations within which a sample of a mixture is of high quality


@dataclass(frozen=True)
class Modes:
    """How samples spread over the modes of a known distribution.

    Attributes:
        total: how many modes there are.
        caught: how many of them the samples reach.
        reverse_kl: KL(the samples' shares of the modes || the true shares), nats; 0 is best, and
            the fewer the samples, and the real images if the true shares are theirs, the higher it
            is for exact ones: see `kl_floor`.
        forward_kl: KL(the true shares || the samples'), nats: a lost mode costs the more the more
            images are of it. A mode without a sample counts as half a sample; without that it would
            be infinite, as its note then says.
        quality: the share of the samples near a mode; None where nearness has no meaning.
    """

    total: int
    caught: Estimate
    reverse_kl: Estimate
    forward_kl: Estimate
    quality: Estimate | None = None


def mixture_modes(
    *, centres: Tensor, sd: float, fake: Tensor, real_weights: Tensor | None = None
) -> Modes:
    """Modes of a mixture of K Gaussians N(centre, sd^2 I) that the samples catch.

    Every sample belongs to the centre nearest to it, the first of equals. It is of high quality if
    that is at most 3 sd away: of exact samples a share of `quality_ceiling` is. A mode is caught if
    at least one high-quality sample belongs to it; the reverse KL counts all samples, far or near.

    Args:
        centres: (K, d).
        sd: of every mode.
        fake: (M, d).
        real_weights: (K,), in proportion to the true shares of the modes; by default all equal.

    Raises:
        FrenemyError: no samples, differing dimensions, numbers that are not finite, an sd or a
            weight that is not above 0, or centres that coincide.

    >>> centres = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> found = mixture_modes(centres=centres, sd=0.01, fake=centres[:2])
    >>> found.caught.value, round(found.reverse_kl.value, 3)  # half of the modes: log 2
    (2.0, 0.693)
    """
    centres, fake = checked("modes", 1, centres=centres, fake=fake)
    centres, fake = centres.double().to(fake.device), fake.double()
    if not 0 < sd < math.inf:
        raise FrenemyError(f"modes: sd is {sd}: it has to be above 0")
    if len(centres.unique(dim=0)) < len(centres):
        raise FrenemyError("modes: two centres coincide: name each mode once")
    total = len(centres)
    everyone, caught = torch.zeros(2, total, dtype=torch.int64, device=fake.device)
    near: list[Tensor] = []
    for rows in tiles(len(fake), TILE):
        # differences, not products, which would cancel where sd is far below the distances
        distances = torch.cdist(
            fake[rows], centres, compute_mode="donot_use_mm_for_euclid_dist"
        )  # (tile, K)
        distance, nearest = distances.min(1)
        everyone += nearest.bincount(minlength=total)
        near.append(distance <= RADIUS * sd)
        caught += nearest[near[-1]].bincount(minlength=total)
    return Modes(
        total,
        classes_caught(caught),
        *_divergences(everyone, _shares(total, real_weights)),
        quality=share(torch.cat(near)),
    )


def class_modes(
    *,
    fake_classes: Tensor,
    count: int,
    real_weights: Tensor | None = None,
    real_classes: Tensor | None = None,
) -> Modes:
    """Modes of a set whose modes are classes, from the classes that a classifier gives samples.

    A class is caught if at least one sample has it: `class_shares` takes the classifier's mistakes
    into account.

    Args:
        fake_classes: integers (M,), from 0 to count - 1; of stacked digits 100 a + 10 b + c.
        count: of the classes, 1,000 for stacked MNIST.
        real_weights: (count,), in proportion to the true shares; by default all equal.
        real_classes: integers (N,), the classes of real images, where the true shares are not
            known: then both KL are between two samples, with an error of both drawn anew, and a
            class of which no real image is counts as half an image.

    Raises:
        FrenemyError: no samples or real images, classes out of range, or a weight not above 0.

    >>> found = class_modes(fake_classes=torch.tensor([0, 0, 1, 1]), count=4)
    >>> found.caught.value, round(found.reverse_kl.value, 3)  # half of the classes: log 2
    (2.0, 0.693)
    """
    at_least(1, count=count)
    for classes in (fake_classes, real_classes):
        if classes is not None and (classes.ndim != 1 or not len(classes)):
            raise FrenemyError(
                f"modes: classes of shape {tuple(classes.shape)}: needs one or more, (M,), one for "
                "each image"
            )
        if classes is not None:
            refuse_classes(classes, count)
    histogram = fake_classes.long().bincount(minlength=count)
    if real_classes is not None:
        real_weights = real_classes.long().bincount(minlength=count).clamp(min=0.5)
    shares = _shares(count, real_weights)
    return Modes(count, classes_caught(histogram), *_divergences(histogram, shares, real_classes))


def quality_ceiling(d: int) -> float:
    """Share of an isotropic Gaussian in d dimensions that is within 3 sd: P(chi^2_d <= 9).

    In the plane, 1 - exp(-4.5). Other modes close by would raise it.

    >>> round(quality_ceiling(2), 5)
    0.98889
    """
    at_least(1, d=d)
    half = torch.tensor([d / 2, RADIUS**2 / 2], dtype=torch.float64)
    return torch.special.gammainc(half[0], half[1]).item()


def kl_floor(modes: int, samples: int, real_count: int | None = None) -> float:
    """What the reverse KL of so many exact samples is in the mean, to first order in 1 / samples.

    (modes - 1) / (2 samples), for many samples a mode (Miller 1955, Note on the Bias of Information
    Estimates). Where the true shares are estimated too, from real_count images, these add
    (modes - 1) / (2 real_count): twice the KL, over 1 / samples + 1 / real_count, is then the chi
    squared of two samples' homogeneity, of modes - 1 degrees (Kullback 1959, Information Theory and
    Statistics).

    >>> round(kl_floor(1000, 26_000), 4), round(kl_floor(1000, 26_000, 26_000), 4)
    (0.0192, 0.0384)
    """
    at_least(1, modes=modes, samples=samples)
    if real_count is None:
        return (modes - 1) / (2 * samples)
    at_least(1, real_count=real_count)
    return (modes - 1) / 2 * (1 / samples + 1 / real_count)


def refuse_classes(classes: Tensor, count: int) -> None:
    """Refuses what is no class from 0 to count - 1."""
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise FrenemyError(f"modes: classes of {classes.dtype}: they have to be integers")
    if classes.numel() and not 0 <= int(classes.min()) <= int(classes.max()) < count:
        raise FrenemyError(
            f"modes: classes from {int(classes.min())} to {int(classes.max())}: "
            f"they have to be from 0 to {count - 1}"
        )


def _shares(total: int, weights: Tensor | None) -> Tensor:
    """The true shares of the modes, float64 (total,), of sum 1."""
    if weights is None:
        return torch.full((total,), 1 / total, dtype=torch.float64)
    weights = weights.double().cpu()
    if weights.shape != (total,) or not ((weights > 0) & weights.isfinite()).all():
        raise FrenemyError(
            f"modes: real_weights of shape {tuple(weights.shape)}: give each of the {total} modes "
            "one that is above 0"
        )
    return weights / weights.sum()


def classes_caught(histogram: Tensor) -> Estimate:
    """How many modes have a sample, with the error that resampling the samples would give.

    With shares p of M samples, the indicators of modes i and j being missed have the covariance
    (1 - p_i - p_j)^M - (1 - p_i)^M (1 - p_j)^M, and (1 - p_i)^M (1 - (1 - p_i)^M) on the diagonal.
    Modes that were missed stay missed in it: 0 if all that are caught are caught many times. Modes
    with equally many samples have equal covariances, and different counts are at most sqrt(2 M).
    """
    samples = int(histogram.sum())
    counts, modes = histogram[histogram > 0].cpu().unique(return_counts=True)
    p, modes = counts.double() / samples, modes.double()
    missed = (1 - p) ** samples
    covariance = (1 - p[:, None] - p).clamp(min=0) ** samples - missed[:, None] * missed
    own = missed * (1 - missed) - covariance.diagonal()  # what the variance of a mode has beyond it
    variance = (modes @ covariance @ modes + modes @ own).item()
    return Estimate(modes.sum().item(), error_of_count(variance))


def error_of_count(variance: float) -> float:
    """The error of a count of modes: 0 if it is below a hundredth of one, which nobody can see."""
    return math.sqrt(variance) if variance > 1e-4 else 0.0


def _divergences(
    histogram: Tensor, shares: Tensor, real_classes: Tensor | None = None
) -> tuple[Estimate, Estimate]:
    """Reverse and forward KL of samples' counts (K,) from true shares, or those of real images."""
    n = histogram.cpu().double()
    half = n.clamp(min=0.5)
    fake = _Side(n, n / n.sum())
    smoothed = _Side(n, half / half.sum())
    if real_classes is None:
        images, real, beside = None, _Side(None, shares), ""
    else:
        real_classes, images = real_classes.cpu().long(), len(real_classes)
        real = _Side(real_classes.bincount(minlength=len(n)).double(), shares)
        beside = f", beside {images:,} real images,"
    floor = kl_floor(len(n), int(n.sum()), images)
    about = f"exact samples of this many{beside} have about {floor:.2g}"
    empty = int((n == 0).sum())
    reverse, forward = (
        _divergence(p, q, real, real_classes) for p, q in ((fake, real), (real, smoothed))
    )
    if reverse.value < 3 * floor:
        reverse = replace(reverse, note=about)
    if empty:
        lost = f"classes without a sample: {empty:,}, counted as half a sample each: without that ∞"
        forward = replace(forward, note=lost)
    elif forward.value < 3 * floor:
        forward = replace(forward, note=about)
    return reverse, forward


@dataclass(frozen=True)
class _Side:
    """Shares of the modes (K,), and the counts that they were estimated from, if they were."""

    counts: Tensor | None
    shares: Tensor

    @property
    def drawn(self) -> tuple[Tensor, float]:
        """Shares of which another draw would be, and 1 / the images of a draw."""
        if self.counts is None:
            return self.shares, 0.0
        return self.counts / self.counts.sum(), 1 / self.counts.sum().item()


def _divergence(p: _Side, q: _Side, real: _Side, real_classes: Tensor | None) -> Estimate:
    """KL(p || q) with the error that it has when both are drawn anew, to second order.

    With gradient g and Hessian H the variance is g' S g + tr(H S H S) / 2, where S is the
    covariance of the shares; g as found contains noise of its own, which adds tr(H S H S) to
    g' S g in the mean and is subtracted. Where p = q the first term vanishes, and the second is
    (K - 1) (1 / M + 1 / N)^2 / 2, that of a chi squared.
    """
    ratio = torch.where(p.shares > 0, p.shares / q.shares, 0)
    log = ratio.clamp(min=torch.finfo(torch.float64).tiny).log()
    value = (p.shares * log).sum().item()  # 0 log 0 = 0
    (a, each_a), (b, each_b) = p.drawn, q.drawn
    h = torch.where(p.shares > 0, 1 / p.shares.clamp(min=1e-300), 0)
    own_p = _trace(h, a, a) * each_a**2
    own_q = _trace(ratio / q.shares, b, b) * each_b**2
    both = _trace(1 / q.shares, a, b) * each_a * each_b
    first_p, first_q = _spread(log, a) * each_a, _spread(ratio, b) * each_b
    second = own_p + 2 * both + own_q
    error = math.sqrt(max(first_p + first_q - second, 0.0) + second / 2)
    if real_classes is None:
        return Estimate(max(value, 0.0), error)
    first, own, influence = (first_p, own_p, log) if p is real else (first_q, own_q, -ratio)
    part = min(error, math.sqrt(max(first - own - both, 0.0) + own / 2))
    centred = (influence - influence @ real.drawn[0])[real_classes]
    halves = half_signs(len(real_classes)).double() @ centred
    return Estimate(max(value, 0.0), error, shared=shared_of(halves, part))


def _spread(influence: Tensor, shares: Tensor) -> float:
    """The variance of what a single image of these shares (K,) has for influence."""
    return max((shares @ influence.square() - (shares @ influence) ** 2).item(), 0.0)


def _trace(h: Tensor, a: Tensor, b: Tensor) -> float:
    """tr(diag(h) S_a diag(h) S_b) with S_p = diag(p) - p p', all (K,)."""
    square = (h.square() * a * b * (1 - a - b)).sum() + (h * a * b).sum() ** 2
    return max(square.item(), 0.0)
