"""What a classifier says of samples: the Inception score, and diversity within classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frenemy.errors import FrenemyError, at_least
from frenemy.judge.diversity import pairwise_distance
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

    The error is the standard deviation over splits divided by the root of their number, NaN for one
    split. Publications give the standard deviation itself: 3.2 times as much for 10 splits. The
    order is a function of the seed and of the rows, in whatever order these come.

    Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen (2016), Improved Techniques for
    Training GANs.

    Args:
        logits: (N, K), unnormalised log p(y | x), two or more for each split.
        splits: 1 or more; publications take 10 of 5,000 samples each.

    Raises:
        FrenemyError: fewer than 2 samples a split, numbers that are not finite.

    >>> print(inception_score(logits=100 * torch.eye(4).repeat(50, 1), splits=1))
    4
    """
    at_least(1, splits=splits)
    (logits,) = checked("inception_score", 2 * splits, logits=logits)
    scores = []
    for part in own_order(logits, seed=seed).tensor_split(splits):
        log_p = logits[part].double().log_softmax(1)  # (n, K)
        marginal = log_p.logsumexp(0) - math.log(len(part))
        scores.append((log_p.exp() * (log_p - marginal)).sum(1).mean().exp())
    size, classes = len(logits) // splits, logits.shape[1]
    note = ""
    if classes == 1:
        note = "a single class: the score of any samples is 1"
    elif size < classes:
        note = f"splits of {size:,} for {classes:,} classes: larger ones would score higher"
    return Estimate.of(torch.stack(scores), note)


def diversity_within_classes(
    *, real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor
) -> Estimate:
    """How different the fake samples of one class are, beside how different the real ones are.

    It is the mean, over the classes of the real samples, of

        mean distance between two fake samples of the class / that between two real ones.

    1 is as various as the real samples; 0 is one sample a class, over and over, even if every class
    is there. A class of which there are fewer than three fake samples counts 0. One of which there
    are fewer than three real ones, or no two different ones, has no say.

    The error is that of the mean distances, by `pairwise_distance`'s jackknife, and does not
    contain the classifier's mistakes.

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
    ratios, squares, missing, silent = [], [], [], []
    real_classes, fake_classes = real_classes.to(real.device), fake_classes.to(fake.device)
    for label in real_classes.unique().tolist():
        ours, theirs = fake[fake_classes == label], real[real_classes == label]
        base = pairwise_distance(fake=theirs) if len(theirs) >= FEWEST else None
        if base is None or not base.value:
            silent.append(label)
        elif len(ours) < FEWEST:
            missing.append(label)
            ratios.append(0.0)
        else:
            found = pairwise_distance(fake=ours)
            ratios.append(found.value / base.value)
            squares.append(found.error**2 + (ratios[-1] * base.error) ** 2)
            squares[-1] /= base.value**2
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
    error = math.sqrt(sum(squares)) / len(ratios)
    return Estimate(sum(ratios) / len(ratios), error, "; ".join(notes))


def _listed(labels: list[int]) -> str:
    """The first ten, for a note."""
    return ", ".join(map(str, labels[:10])) + (", ..." if len(labels) > 10 else "")
