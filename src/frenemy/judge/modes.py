"""Which modes of a known distribution samples reach, and how evenly.

Two games have modes that can be counted: mixtures of Gaussians in the plane, and stacked MNIST,
whose 1,000 modes are three digits in the colour channels. Metz, Poole, Pfau and Sohl-Dickstein
(2017), Unrolled Generative Adversarial Networks; Srivastava et al. (2017), VEEGAN: Reducing Mode
Collapse in GANs using Implicit Variational Learning; Lin et al. (2018), PacGAN: The Power of Two
Samples in Generative Adversarial Networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.coverage import share
from frenemy.judge.estimate import TILE, Estimate, checked, tiles

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
        quality: the share of the samples near a mode; None where nearness has no meaning.
    """

    total: int
    caught: Estimate
    reverse_kl: Estimate
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
        _caught(caught, len(fake)),
        _reverse_kl(everyone, _shares(total, real_weights)),
        quality=share(torch.cat(near)),
    )


def class_modes(
    *,
    fake_classes: Tensor,
    count: int,
    real_weights: Tensor | None = None,
    real_count: int | None = None,
) -> Modes:
    """Modes of a set whose modes are classes, from the classes that a classifier gives samples.

    A class is caught if at least one sample has it.

    Args:
        fake_classes: integers (M,), from 0 to count - 1; of stacked digits 100 a + 10 b + c.
        count: of the classes, 1,000 for stacked MNIST.
        real_weights: (count,), in proportion to the true shares; by default all equal.
        real_count: of how many real images the weights are the shares, where the true ones are not
            known: then the reverse KL is between two samples, and its error that of both.

    Raises:
        FrenemyError: no samples, classes out of range, or a weight or real_count not above 0.

    >>> found = class_modes(fake_classes=torch.tensor([0, 0, 1, 1]), count=4)
    >>> found.caught.value, round(found.reverse_kl.value, 3)  # half of the classes: log 2
    (2.0, 0.693)
    """
    at_least(1, count=count)
    if real_count is not None:
        at_least(1, real_count=real_count)
    if fake_classes.ndim != 1 or not len(fake_classes):
        raise FrenemyError(
            f"modes: classes of shape {tuple(fake_classes.shape)}: needs (M,), one for each sample"
        )
    _refuse_classes(fake_classes, count)
    histogram = fake_classes.long().bincount(minlength=count)
    kl = _reverse_kl(histogram, _shares(count, real_weights), real_count)
    return Modes(count, _caught(histogram, len(fake_classes)), kl)


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


def _refuse_classes(classes: Tensor, count: int) -> None:
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


def _caught(histogram: Tensor, samples: int) -> Estimate:
    """How many modes have a sample, with the error that resampling the samples would give.

    With shares p of M samples, the indicators of modes i and j being missed have the covariance
    (1 - p_i - p_j)^M - (1 - p_i)^M (1 - p_j)^M, and (1 - p_i)^M (1 - (1 - p_i)^M) on the diagonal.
    Modes that were missed stay missed in it: 0 if all that are caught are caught many times. Modes
    with equally many samples have equal covariances, and different counts are at most sqrt(2 M).
    """
    counts, modes = histogram[histogram > 0].cpu().unique(return_counts=True)
    p, modes = counts.double() / samples, modes.double()
    missed = (1 - p) ** samples
    covariance = (1 - p[:, None] - p).clamp(min=0) ** samples - missed[:, None] * missed
    own = missed * (1 - missed) - covariance.diagonal()  # what the variance of a mode has beyond it
    variance = (modes @ covariance @ modes + modes @ own).item()
    return Estimate(modes.sum().item(), math.sqrt(max(variance, 0.0)))


def _reverse_kl(histogram: Tensor, shares: Tensor, real_count: int | None = None) -> Estimate:
    """KL(p || q) of the samples' shares p from the true q, with its error by the delta method.

    Variance (sum p log^2(p / q) - KL^2) / M, and where q are the shares of N real images
    (sum p^2 / q - 1) / N more, since dKL / dq = - p / q. Where p is close to q this is of second
    order in 1 / M and 1 / N, and up to sqrt 2 too large.
    """
    histogram = histogram.cpu()
    samples = int(histogram.sum())
    p = histogram.double() / samples
    log_ratio = (p / shares).clamp(min=torch.finfo(torch.float64).tiny).log()  # 0 log 0 = 0
    value = (p * log_ratio).sum().item()
    variance = max((p * log_ratio.square()).sum().item() - value**2, 0.0) / samples
    beside = ""
    if real_count is not None:
        variance += max((p.square() / shares).sum().item() - 1, 0.0) / real_count
        beside = f", beside {real_count:,} real images,"
    floor = kl_floor(len(p), samples, real_count)
    note = f"exact samples of this many{beside} have about {floor:.2g}" if value < 3 * floor else ""
    return Estimate(max(value, 0.0), math.sqrt(variance), note)
