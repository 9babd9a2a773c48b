"""Can a small classifier tell the samples from real images?"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from frenemy.judge.coverage import share
from frenemy.judge.estimate import Estimate, checked
from frenemy.judge.slices import own_order

HIDDEN = 20  # units, as in the paper
STEPS, BATCH, RATE = 300, 128, 3e-3


def two_sample_test(*, real: Tensor, fake: Tensor, seed: int = 0) -> Estimate:
    """The accuracy of a classifier, trained on half of both sets, on their other halves.

    .5 says that it cannot tell them apart, 1 that it always can. The classifier has one hidden
    layer of 20 ReLU units on standardised features, and takes 300 steps of Adam on minibatches
    of 128. Both sets count equally: of the larger, as many rows are taken as the smaller has. The
    note's p is how often chance alone would reach this accuracy, N(1/2, 1/(4n)) for n test rows.

    Halves, minibatches and weights are a function of the seed and of the rows, in whatever order
    these come; the global generator is left alone.

    Source: Lopez-Paz, Oquab (2017), Revisiting Classifier Two-Sample Tests.

    Args:
        real, fake: features (N, d), (M, d), four or more of each.

    Returns:
        The accuracy and its binomial error: of the halves that are tested on drawn anew, given the
        classifier; `shared` is of the real one of these.

    Raises:
        FrenemyError: too few samples, shapes that differ, numbers that are not finite.

    >>> x = torch.linspace(0, 1, 100)[:, None]
    >>> two_sample_test(real=x, fake=x + 2).value
    1.0
    """
    real, fake = checked("two_sample_test", 4, real=real, fake=fake)
    count = min(len(real), len(fake))
    half = count // 2
    # one seed for both: should they be the same rows, none is in one's training and other's test
    orders = [(rows, own_order(rows, seed=seed)) for rows in (real, fake)]
    train = torch.cat([rows[order[:half]] for rows, order in orders])  # (2 half, d)
    test = torch.cat([rows[order[half:count]] for rows, order in orders])
    deviation, mean = torch.std_mean(train, 0)
    deviation[deviation == 0] = 1
    train, test = (((rows - mean) / deviation).float() for rows in (train, test))
    called_fake = _logits(train, test, seed) > 0
    hits = called_fake == (torch.arange(len(test), device=test.device) >= len(test) // 2)
    accuracy = share(hits)
    sigmas = (accuracy.value - 0.5) * 2 * math.sqrt(len(test))
    note = f"p = {math.erfc(sigmas / math.sqrt(2)) / 2:.2g}"
    if sigmas < -3:
        note += "; worse than chance: do the samples repeat real ones?"
    of_real = Estimate.of_influences(0.0, real=hits[: len(hits) // 2].double() / 2)
    return Estimate(accuracy.value, accuracy.error, note, of_real.shared)


def _logits(train: Tensor, test: Tensor, seed: int) -> Tensor:
    """What a classifier trained on (2h, d), real half first, says of the test rows: log odds."""
    generator = torch.Generator().manual_seed(seed)
    d, device = train.shape[1], train.device
    draws = torch.randint(len(train), (STEPS, BATCH), generator=generator).to(device)
    inner = torch.randn(d, HIDDEN, generator=generator) * math.sqrt(2 / d)
    outer = torch.randn(HIDDEN, generator=generator) * math.sqrt(1 / HIDDEN)
    fake = (torch.arange(len(train), device=device) >= len(train) // 2).float()
    with torch.inference_mode(False), torch.enable_grad():
        theta = [inner, torch.zeros(HIDDEN), outer, torch.zeros(())]
        theta = [weights.to(device, copy=True).requires_grad_() for weights in theta]

        def logits(x: Tensor) -> Tensor:
            return (x @ theta[0] + theta[1]).relu() @ theta[2] + theta[3]

        optimiser = torch.optim.Adam(theta, lr=RATE)
        for index in draws:
            optimiser.zero_grad()
            binary_cross_entropy_with_logits(logits(train[index]), fake[index]).backward()
            optimiser.step()
    with torch.no_grad():
        return logits(test)
