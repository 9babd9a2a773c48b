"""What a classifier says of samples: the Inception score, and diversity within classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.diversity import distances_to_others
from frenemy.judge.estimate import Estimate, checked
from frenemy.judge.slices import own_order

FEWEST = 3  # samples of a class: the distances among two have no error


def inception_score(*, logits: Tensor, splits: int = 10, seed: int = 0) -> Estimate:
    """The Inception score of samples by a classifier's logits, any classifier's:

        exp of the mean over x of KL(p(y | x) || p(y)),    p(y) = mean over x of p(y | x),

    from 1, where all x have the same p(y | x), to the number of classes, where each x is surely of
    one and all are as many. Samples are shuffled and cut into `splits`, and the value is the mean
    of their scores. It does not look at real images: theirs is the score to compare with. The
    score rises with the size of a split.

    The error is that of samples drawn anew, the classifier held fixed, by the delta method to
    second order: the logarithm of a split's score has the variance of KL(p(y | x) || p(y)) / n,
    in which p(y) as found adds noise of its own, and p(y) has the covariance S, which makes it
    tr(H S H S) / 2 with H = diag(1 / p(y)): all that is left where the classifier is sure and the
    classes are even. Publications give the standard deviation over splits: 3.2 times as much for
    10 of them. The order is a function of the seed and of the rows, in whatever order these come.

    Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen (2016), Improved Techniques for
    Training GANs.

    Args:
        logits: (N, K), unnormalised log p(y | x), two or more for each split.
        splits: 1 or more; publications take 10 of 5,000 samples each.

    Raises:
        FrenemyError: fewer than 2 samples a split, numbers that are not finite.

    >>> print(inception_score(logits=100 * torch.eye(4).repeat(50, 1), splits=1))
    4.000 ± 0.024
    """
    at_least(1, splits=splits)
    (logits,) = checked("inception_score", 2 * splits, logits=logits)
    scores, first, second = [], 0.0, 0.0
    for part in own_order(logits, seed=seed).tensor_split(splits):
        log_p = logits[part].double().log_softmax(1)  # (n, K)
        marginal = log_p.logsumexp(0) - math.log(len(part))
        informations = (log_p.exp() * (log_p - marginal)).sum(1)
        scores.append(informations.mean().exp().item())
        scaled = (log_p.exp() - marginal.exp()) * (-marginal / 2).exp()
        weight = scores[-1] ** 2 / len(part) / splits**2
        first += weight * informations.var().item()
        covariance = scaled.T @ scaled / len(part)  # of p(y), in units of H
        second += weight * covariance.square().sum().item() / len(part)
    size, classes = len(logits) // splits, logits.shape[1]
    note = ""
    if classes == 1:
        note = "a single class: the score of any samples is 1"
    elif size < classes:
        note = f"splits of {size:,} for {classes:,} classes: larger ones would score higher"
    error = math.sqrt(max(0.0, first - second) + second / 2)
    return Estimate(sum(scores) / splits, error, note)


def diversity_within_classes(
    *, real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor
) -> Estimate:
    """How different the fake samples of one class are, beside how different the real ones are.

    It is the mean, over the classes of the real samples, of

        mean distance between two fake samples of the class / that between two real ones.

    1 is as various as the real samples; 0 is one sample a class, over and over, even if every class
    is there. A class of which there are fewer than three fake samples counts 0. One of which there
    are fewer than three real ones, or no two different ones, has no say.

    The error is that of both sets drawn anew, by the delta method: a row of mean distance h to the
    n others of its class moves their mean by 2 (h - mean) / n. The classifier is held fixed.

    Args:
        real, fake: features (N, d), (M, d), two or more of each.
        real_classes, fake_classes: (N,), (M,), integers: the classes that the same classifier
            predicts for them.

    Raises:
        FrenemyError: too few samples, no class to judge by, classes that are not one a sample,
            shapes that differ, numbers that are not finite.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [5.0], [6.0], [7.0]])
    >>> y = torch.tensor([0, 0, 0, 1, 1, 1])
    >>> half = diversity_within_classes(real=x, fake=x / 2, real_classes=y, fake_classes=y)
    >>> half.value
    0.5
    """
    name = "diversity_within_classes"
    real, fake = checked(name, 2, real=real, fake=fake)
    for which, rows, classes in (("real", real, real_classes), ("fake", fake, fake_classes)):
        if classes.shape != rows.shape[:1]:
            raise FrenemyError(
                f"{name}: {which}_classes {tuple(classes.shape)} for {len(rows):,} {which} "
                "samples: give one class a sample"
            )
    ratios, missing, silent = [], [], []
    real_classes, fake_classes = real_classes.to(real.device), fake_classes.to(fake.device)
    of_real = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    of_fake = torch.zeros(len(fake), dtype=torch.float64, device=fake.device)
    for label in real_classes.unique().tolist():
        theirs, ours = real_classes == label, fake_classes == label
        base = distances_to_others(real[theirs]) if theirs.sum() >= FEWEST else of_real[:1]
        if not base.mean() > 0:
            silent.append(label)
        elif ours.sum() < FEWEST:
            missing.append(label)
            ratios.append(0.0)
        else:
            found = distances_to_others(fake[ours])
            ratios.append((found.mean() / base.mean()).item())
            of_fake[ours] = _influence(found, len(fake)) / base.mean()
            of_real[theirs] = -ratios[-1] * _influence(base, len(real)) / base.mean()
    if not ratios:
        raise FrenemyError(
            f"{name}: no class has {FEWEST} real samples that differ: give more real samples"
        )
    notes = []
    if missing:
        notes.append(f"fewer than {FEWEST} fake samples of class {_listed(missing)}")
    if silent:
        notes.append(f"no {FEWEST} different real samples of class {_listed(silent)}: left out")
    if len(ratios) == 1:
        notes.append("a single class")
    many = len(ratios)
    return Estimate.of_influences(
        sum(ratios) / many, fake=of_fake / many, real=of_real / many, note="; ".join(notes)
    )


def _influence(means: Tensor, count: int) -> Tensor:
    """What rows of mean distances (n,) to their class have for influence among `count` of all."""
    n = len(means)  # the jackknife's factor for pairs, so that few are not taken for more
    return 2 * (means - means.mean()) * count / n * (n - 1) / (n - 2)


def _listed(labels: list[int]) -> str:
    """The first ten, for a note."""
    return ", ".join(map(str, labels[:10])) + (", ..." if len(labels) > 10 else "")
