"""How many samples there are of each class, beside how many are due: which kinds are lost.

A classifier that is right 99 times in 100 hands stray samples to every class, so that a lost class
is found all the same. What it finds is compared with what it would find among honest samples, and
what is there is estimated through its confusions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate
from frenemy.judge.modes import classes_caught, error_of_count, refuse_classes

LEVEL = 0.01  # of a finding: one honest set in a hundred, over all its classes together
THERE = 0.05  # a class is there if stray samples alone would be so many no more often than this
LOST = 0.1  # of what is due: a class that is found less often is not there
SURELY = 0.5  # of what is due: a lost class has less, by its interval
EXPECTED = 10.0  # images, at least, of each term of a chi squared: of 5, .01 came out as .025
MANY = 1e7  # images: of more the logarithms of factorials lose the digits that matter
STEPS = 2000  # of expectation maximisation, at most
WIDTH = 1.96  # standard errors on either side: 95 %

Finding = Literal["", "lost", "rare", "frequent"]


@dataclass(frozen=True)
class ClassShare:
    """One class among the samples.

    Attributes:
        name: of the class.
        due: how many of the samples would be of it, if they had the shares of the real images.
        corrected: how many are of it, as far as the classifier's confusions tell.
        low, high: 95 % interval of `corrected`.
        found: how many the classifier puts into it.
        p: how often an honest set has a class, any of all, that is so far from what is due.
        there: whether more are found than strays of the other classes explain, and at least a tenth
            of what is due.
    """

    name: str
    due: float
    corrected: float
    low: float
    high: float
    found: int
    p: float
    there: bool

    @property
    def finding(self) -> Finding:
        """What p < .01 says of it; a lost class is not there, and has surely less than half."""
        if self.p >= LEVEL:
            return ""
        if self.corrected >= self.due:
            return "frequent"
        return "rare" if self.there or self.high >= SURELY * self.due else "lost"


@dataclass(frozen=True)
class ClassShares:
    """All classes of the samples.

    Attributes:
        classes: in their order.
        caught: how many of them are there.
        p: of the chi-squared test that all shares are those of the real images.
        samples: how many were judged.
        corrected: whether the classifier's confusions were taken into account.
    """

    classes: Sequence[ClassShare]
    caught: Estimate
    p: float
    samples: int
    corrected: bool

    @property
    def missing(self) -> list[str]:
        """Classes that are lost, or certainly rare and not half as frequent as is due, by name."""
        rare = [c for c in self.named("rare") if c.corrected < c.due / 2]
        return [c.name for c in (*self.named("lost"), *rare)]

    def named(self, finding: Finding) -> list[ClassShare]:
        """The classes of which this was found, the most of what was due first."""
        return sorted((c for c in self.classes if c.finding == finding), key=lambda c: -c.due)


def class_shares(
    *,
    fake_classes: Tensor,
    real_classes: Tensor,
    names: Sequence[str],
    confusion: Tensor | None = None,
    true: bool = False,
) -> ClassShares:
    """Samples of each class against those that are due, by a classifier that errs.

    With C_jk = P(found k | true j) from images of known classes, samples of shares pi are found in
    the shares q = C' pi. Two things are told of them.

    Whether pi differs from the real images' shares is tested on what is found, n of M samples: by
    sum (n_k / M - q_k)^2 / w_k over all classes, w the pooled shares, which is a multiple of a
    chi squared under the hypothesis (Rao and Scott 1984, On Chi-Squared Tests for Multiway
    Contingency Tables with Cell Proportions Estimated from Survey Data), and for each class by
    Fisher's exact test, two-sided, times the number of classes. Classes of which fewer than 10 are
    expected on either side are one class in the sum. If the same classifier saw the real images, q
    are the shares of what it found there, and C has no part in the test: it is that of two samples'
    homogeneity. If these are known by their true classes, q = C' pi, and the variance that C has
    from images in finite number is added to the real ones'.

    How many samples are of each class is the maximum of the likelihood, by expectation maximisation

        pi_j <- pi_j / M sum over k of n_k C_jk / sum over i of pi_i C_ik

    (Saerens, Latinne and Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori
    Probabilities), with Wilson's interval, widened to the variance of the estimate C'^-1 n / M. A
    class is there if it is found more often than strays of the others explain, at the level 5 %,
    and a tenth as often as is due. Without a confusion it is there if it is found at all, as is
    usual for the thousand classes of stacked digits.

    It is assumed that the classifier errs on the samples as on real images that it never saw.

    Args:
        fake_classes: (M,), integers from 0: the classes in which the classifier puts the samples.
        real_classes: (N,), those of the real images.
        names: of the K classes.
        confusion: (K, K), how many images of each class (rows) were put into each (columns), on
            images that the classifier was not trained on. None: it is taken never to err.
        true: the real images' classes are their true ones and not what the classifier says; so is
            best where it was trained on these images, and knows them too well.

    Raises:
        FrenemyError: no samples or real images, classes out of range, or a confusion of another
            shape or without images.

    >>> real, fake = torch.arange(10).repeat(100), torch.arange(9).repeat(100)
    >>> found = class_shares(fake_classes=fake, real_classes=real, names="0123456789")
    >>> print(found.caught, found.caught.note)
    9 ± 0 lost: 9 (0 of 90 expected), p < 1e-10
    """
    count = len(names)
    for which, classes in (("fake", fake_classes), ("real", real_classes)):
        if classes.ndim != 1 or not len(classes):
            raise FrenemyError(
                f"class_shares: {which}_classes of shape {tuple(classes.shape)}: needs one or more,"
                " one for each image"
            )
        refuse_classes(classes, count)
    n, r = (x.cpu().long().bincount(minlength=count).double() for x in (fake_classes, real_classes))
    table = None if confusion is None else _table(confusion, count)
    samples, images = len(fake_classes), len(real_classes)
    q = due = r / images
    variance, pi, needed = _multinomial(q, images), n / samples, torch.ones(count)
    v, slope = pi * (1 - pi) / samples, needed.double() / samples
    if table is not None:
        likely, tested = _smoothed(table)
        if true:
            q = likely.T @ due
            variance = likely.T @ variance @ likely + _doubt(due, likely, tested)
        else:
            due = _shares_behind(r, likely)
        pi = _shares_behind(n, likely)
        v, slope = _spread(pi, likely, tested, samples)
        needed = _needed(pi, table, samples).maximum(LOST * samples * due)
    low, high = _interval(pi, v, slope)
    p_class = (count * _exact(n, q, variance.diagonal(), images)).clamp(max=1)
    caught = _caught(n, needed)
    rows = zip(due.tolist(), pi.tolist(), low.tolist(), high.tolist(), strict=True)
    classes = [
        ClassShare(name, *(samples * x for x in row), found=k, p=p, there=there)
        for name, row, k, p, there in zip(
            names, rows, n.long().tolist(), p_class.tolist(), (n >= needed).tolist(), strict=True
        )
    ]
    found = ClassShares(classes, caught, _overall(n, q, variance), samples, table is not None)
    return replace(found, caught=replace(caught, note=_told(found)))


def _told(found: ClassShares) -> str:
    """Which classes are lost or rare, and of which nobody can say whether they are there."""
    parts = []
    for finding in ("lost", "rare"):
        if these := found.named(finding):
            parts.append(f"{finding}: {_listed(these)}, p {_chance(max(c.p for c in these))}")
    if unsure := [c for c in found.classes if not c.there and c.finding != "lost" and c.due >= 0.5]:
        parts.append(f"too few to say: {_listed(unsure)}")
    return "; ".join(parts)


def _listed(classes: Sequence[ClassShare]) -> str:
    """The first five, for a note."""
    shown = ", ".join(f"{c.name} ({c.corrected:.0f} of {c.due:.0f} expected)" for c in classes[:5])
    return shown + (f" and {len(classes) - 5:,} more" if len(classes) > 5 else "")


def _chance(p: float) -> str:
    return f"= {p:.0g}" if p > 1e-10 else "< 1e-10"


# Confusions


def _table(confusion: Tensor, count: int) -> Tensor:
    """The table of confusions in float64, (K, K)."""
    table = confusion.cpu().double()
    if table.shape != (count, count) or not (table >= 0).all() or not table.sum() > 0:
        raise FrenemyError(
            f"class_shares: confusion of shape {tuple(table.shape)}: needs counts of images, a row "
            f"and a column for each of the {count} classes"
        )
    return table


def _smoothed(table: Tensor) -> tuple[Tensor, Tensor]:
    """P(found k | true j), (K, K), and of how many images each row is.

    Each row has one image more, as the average image of all classes: right as often, and otherwise
    put where images are put by mistake.
    """
    right = (table.trace() + 0.5) / (table.sum() + 1)
    wrong = (table - table.diagonal().diag()).sum(0) + 1 / len(table)
    elsewhere = wrong.expand_as(table).clone().fill_diagonal_(0)
    elsewhere = elsewhere / elsewhere.sum(1, keepdim=True).clamp(min=1e-300)
    added = table + right * torch.eye(len(table)).double() + (1 - right) * elsewhere
    images = added.sum(1)
    return added / images[:, None], images


def _multinomial(shares: Tensor, images: float) -> Tensor:
    """The covariance of the shares (K,) that so many images have."""
    return (shares.diag() - shares.outer(shares)) / images


def _doubt(pi: Tensor, likely: Tensor, images: Tensor) -> Tensor:
    """The covariance (K, K) of C' pi that the rows of C have from images in finite number."""
    weights = pi.square() / images
    return (weights @ likely).diag() - likely.T @ (weights[:, None] * likely)


def _shares_behind(n: Tensor, likely: Tensor) -> Tensor:
    """The shares pi of the maximum likelihood of what was found, (K,) counts.

    That is C'^-1 n / M, wherever this has no share below 0.
    """
    pi = torch.linalg.lstsq(likely.T, (n / n.sum())[:, None]).solution[:, 0]
    if pi.min() >= 0:
        return pi
    pi = pi.clamp(min=1e-3 / len(n))
    pi = pi / pi.sum()
    for _ in range(STEPS):
        before, q = pi, (likely.T @ pi).clamp(min=1e-300)
        pi = pi * (likely @ (n / q)) / n.sum()
        if (pi - before).abs().max() * n.sum() < 1e-6:  # of a sample
            break
    return pi


def _spread(pi: Tensor, likely: Tensor, images: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """The variances of the estimates C'^-1 n / M, (K,), and how they grow with the shares."""
    inverse = torch.linalg.pinv(likely)
    covariance = _multinomial(likely.T @ pi, samples) + _doubt(pi, likely, images)
    growth = (likely * inverse.T.square()).sum(1) / samples
    return (inverse.T @ covariance @ inverse).diagonal().clamp(min=0), growth


def _interval(pi: Tensor, v: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Ends of the 95 % intervals, (K,): |x - pi| = 1.96 sqrt(v + (x - pi) slope).

    The variance at x decides, as in Wilson's, so that none found in M leaves up to 3.8 / M.
    """
    root = (WIDTH**2 * slope.square() / 4 + v).sqrt() * WIDTH
    middle = pi + WIDTH**2 * slope / 2
    return (middle - root).clamp(min=0), (middle + root).clamp(max=1)


# Tests


def _overall(n: Tensor, q: Tensor, variance: Tensor) -> float:
    """How likely it is that samples of the shares q are found so far from these, or farther.

    Args:
        n: how often each class is found among the samples, (K,).
        q: of sum 1.
        variance: the covariance (K, K) of q.
    """
    samples = n.sum()
    share = q.clamp(min=1e-300)
    degrees = int((q > 0).sum()) - 1
    trace = (variance.diagonal() / share).sum().item()
    images = degrees / trace if trace > 0 else math.inf  # as many as would have this covariance
    pooled = q + (n / samples - q) / (1 + images / samples.item())
    smaller = pooled * min(samples.item(), images)
    order = smaller.argsort()
    few = int((smaller < EXPECTED).sum())
    while 0 < few < len(n) and smaller[order[:few]].sum() < EXPECTED:
        few += 1
    groups = torch.eye(len(n), dtype=torch.float64)[order]
    groups = torch.cat([groups[:few].sum(0, keepdim=True), groups[few:]]) if few else groups
    pooled = groups @ pooled
    if len(pooled) < 2:
        return 1.0
    gap = groups @ (n / samples - q)
    spread = _multinomial(pooled, samples.item()) + groups @ variance @ groups.T
    scaled = spread / pooled[:, None]
    mean, square = scaled.trace().item(), (scaled @ scaled).trace().item()
    half = torch.tensor([mean**2 / square / 2, (gap.square() / pooled).sum() * mean / square / 2])
    return torch.special.gammaincc(*half.double()).item()


def _exact(n: Tensor, q: Tensor, variance: Tensor, images: int) -> Tensor:
    """Fisher's exact p, two-sided, for each class: (K,).

    Args:
        n: counts of the samples, (K,).
        q, variance: shares among real images and their variances, (K,), which say of how many.
        images: as many, where the variance is 0.
    """
    samples, p = int(n.sum()), []
    for count, share, v in zip(n.tolist(), q.tolist(), variance.tolist(), strict=True):
        of = round(share * (1 - share) / v) if v > 0 else images
        real = math.ceil(share * of - 1e-9)
        fewer, more = (
            _at_most(int(count), samples, real, of),
            _at_most(real, of, int(count), samples),
        )
        p.append(min(1.0, 2 * min(fewer, more)))
    return torch.tensor(p, dtype=torch.float64)


def _at_most(found: int, samples: int, real: float, images: float) -> float:
    """How likely at most so many of the samples are of a class that `real` of the images have."""
    return _tail(found, samples, real, images)[-1].clamp(max=1).item() if real > 0 else 1.0


def _tail(found: int, samples: int, real: float, images: float) -> Tensor:
    """How likely at most 0, 1, ... `found` of the samples are of a class: (found + 1,).

    A beta-binomial of alpha = real > 0, beta = images - real + 1. For whole numbers its lower tail
    is that of Fisher's exact test of two binomial counts (Altham 1969, Exact Bayesian Analysis of a
    "2 x 2" Contingency Table, and Fisher's "Exact" Significance Test).
    """
    i = torch.arange(found + 1, dtype=torch.float64)
    a, b, rest = real, images - real + 1, samples - i
    logs = torch.lgamma(i + a) + torch.lgamma(rest + b) - math.lgamma(samples + a + b)
    logs = logs + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    logs = logs + math.lgamma(samples + 1) - torch.lgamma(i + 1) - torch.lgamma(rest + 1)
    return logs.logcumsumexp(0).exp()


def _needed(pi: Tensor, table: Tensor, samples: int) -> Tensor:
    """How often a class has to be found to be there, (K,): strays are so many in 5 % of sets."""
    images, needed = table.sum(1).clamp(min=1), torch.ones(len(pi))
    likely = table / images[:, None]
    for k in range(len(pi)):
        others = pi.index_fill(0, torch.tensor(k), 0)
        others = others / others.sum().clamp(min=1e-300)
        strays = (others @ likely[:, k]).item()
        v = (others.square() * likely[:, k] * (1 - likely[:, k]) / images).sum().item()
        if v > 0:
            of = min(strays * (1 - strays) / v, MANY)
            needed[k] += (_tail(samples, samples, strays * of, of) < 1 - THERE).sum()
    return needed


def _caught(n: Tensor, needed: Tensor) -> Estimate:
    """How many classes are there, with the deviation over sets of as many samples as these.

    Of samples alone: the classifier and what is known of its confusions are the same for all.
    """
    if (needed == 1).all():
        return classes_caught(n.long())
    samples, variance = int(n.sum()), 0.0
    for share, least in zip((n / samples).tolist(), needed.tolist(), strict=True):
        again = torch.distributions.Binomial(samples, torch.tensor(share, dtype=torch.float64))
        missed = again.log_prob(torch.arange(math.ceil(least)).double()).logsumexp(0).exp().item()
        variance += missed * (1 - missed)
    return Estimate(float((n >= needed).sum()), error_of_count(variance))
