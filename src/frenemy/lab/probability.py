"""Probability beside density: a die, an interval, a normal distribution, and counts of heads."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Binomial

from frenemy.figures import BLUE, INK, VERMILION, Canvas, Figure
from frenemy.lab.densities import integral, line, normal
from frenemy.lab.lesson import Check, sampled

REPEATS = 2000  # of an experiment, to see its spread
IQ = normal(100, 24)
STANDARD = normal()
TINY = 1e-12  # an interval's half: what is left of its probability is rounding
EXACT = 1e-12  # what float64 leaves of some dozen terms of 1


def die(samples: int, generator: torch.Generator) -> list[Check]:
    """Expectations, and the bars of a die beside a number from 0 to 6 and its six intervals."""
    faces = torch.arange(1.0, 7.0, dtype=torch.float64)
    sd = math.sqrt(35 / 12)  # of a die
    throws = faces[torch.randint(6, (samples,), generator=generator)]
    spread = faces[torch.randint(6, (REPEATS, 100), generator=generator)].mean(1).std().item() * 10
    x = line(0, 6, 601)
    draws = 6 * torch.rand(samples, generator=generator, dtype=torch.float64)
    near = ((draws - 2).abs() < 0.1).double().mean().item() / 0.2
    error = math.sqrt(1 / 30 * (1 - 1 / 30) / samples) / 0.2
    flat = torch.full((101,), 1 / 6, dtype=torch.float64)
    areas = torch.tensor(
        [integral(flat, line(i, i + 1, 101)) for i in range(6)], dtype=torch.float64
    )
    bar = math.sqrt(5 / 36 / samples)  # standard error of a share of 1/6
    shares = [
        ("die: share of the bar", torch.bincount(throws.long(), minlength=7)[1:] / samples),
        ("0 to 6: share of the interval", torch.histc(draws, 6, 0, 6) / samples),
    ]
    return [
        Check("die: expectation as a sum", (faces / 6).sum().item(), 3.5, EXACT),
        sampled(f"die: mean of {samples:,} throws", throws.mean().item(), 3.5, sd / samples**0.5),
        sampled("die: spread of means of 100 × √100", spread, sd, sd / (2 * REPEATS) ** 0.5),
        *(
            sampled(f"{name} farthest from 1/6", _farthest(found, 1 / 6), 1 / 6, bar)
            for name, found in shares
        ),
        Check("0 to 6: probability of each of six intervals", _farthest(areas, 1 / 6), 1 / 6,
              EXACT),
        Check("0 to 6: expectation as an integral", integral(x[:, 0] / 6, x), 3.0, EXACT),
        Check("0 to 6: draws that are exactly 2", (draws == 2).sum().item(), 0.0, 0.0),
        sampled("0 to 6: density at 2, by counting", near, 1 / 6, error),
    ]  # fmt: skip


def _farthest(values: Tensor, from_: float) -> float:
    return values[(values - from_).abs().argmax()].item()


def points() -> list[Check]:
    """Of N(0, 1), the probability and the likelihood of 0 and of 999: 0 and .4, 0 and 0."""
    one, two = math.erf(1 / math.sqrt(2)), math.erf(2 / math.sqrt(2))

    def iq(low: float, high: float) -> float:
        x = line(low, high, 20_001)  # of step 0.01 at most: off by some 1e-8
        return integral(IQ.pdf(x), x)

    checks = []
    for at, likelihood in ((0.0, 1 / math.sqrt(math.tau)), (999.0, 0.0)):
        x = torch.tensor([[at]], dtype=torch.float64)
        around = (STANDARD.cdf(x + TINY) - STANDARD.cdf(x - TINY)).item()
        checks += [
            # an interval of 2e-12 has at most that much
            Check(f"N(0, 1): probability of x = {at:g}", around, 0.0, 2 * TINY),
            Check(f"N(0, 1): likelihood at x = {at:g}", STANDARD.pdf(x).item(), likelihood, EXACT),
        ]
    far = STANDARD.log_pdf(torch.tensor([[999.0]])).item()
    return [
        *checks,
        Check("N(0, 1): log-likelihood at x = 999", far, -(999**2) / 2 - math.log(math.tau) / 2,
              1e-6),
        Check("IQ: P(100 < x < 124), and erf", iq(100, 124), one / 2, 1e-9),
        Check("IQ: P(76 < x < 124), and erf", iq(76, 124), one, 1e-9),
        Check("IQ: P(x > 148), and erf", iq(148, 340), (1 - two) / 2, 1e-6),
    ]  # fmt: skip


def counts(heads: int, tosses: int, generator: torch.Generator) -> tuple[list[Check], float, float]:
    """So many heads in any order: C(n, h) sequences, of likelihood L(p) each.

    Returns:
        Checks; log C(n, h); and the probability of that count at p = h / n.
    """
    p = heads / tosses
    ways = math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tosses - heads + 1)
    log_L = heads * math.log(p) + (tosses - heads) * math.log1p(-p)
    probability = math.exp(ways + log_L)
    of = Binomial(tosses, torch.tensor(p, dtype=torch.float64))
    again = torch.full((REPEATS,), float(tosses), dtype=torch.float64)
    drawn = torch.binomial(again, torch.full_like(again, p), generator)
    share = (drawn == heads).double().mean().item()
    error = math.sqrt(probability * (1 - probability) / REPEATS)
    exact = of.log_prob(torch.tensor(float(heads), dtype=torch.float64)).exp().item()
    return [
        # lgamma rounds numbers of a size of n log n
        Check(f"count: {tosses}C{heads} × L(p), and the binomial", probability / exact, 1.0, 1e-6),
        sampled(f"count: share of repetitions with {heads:,} heads", share, probability, error),
    ], ways, probability  # fmt: skip


def figure() -> Figure:
    """A die's bars; a density from 0 to 6 in six intervals; N(0, 1) with its table."""

    def draw(canvas: Canvas) -> None:
        left, middle, right = canvas.subplots(1, 3)
        left.bar(range(1, 7), [1 / 6] * 6, width=0.25, color=BLUE)
        left.set(xlabel="face of a die", ylabel="probability", ylim=(0, 0.25), yticks=(0, 1 / 6))
        left.set(xticks=range(1, 7), yticklabels=("0", "1/6"))
        for i in range(6):
            middle.fill_between([i, i + 1], 1 / 6, color=BLUE, alpha=0.25 + 0.2 * (i % 2), lw=0)
            middle.text(i + 0.5, 1 / 12, "1/6", ha="center")
        middle.plot([2, 2], [0, 1 / 6], color=VERMILION)
        middle.annotate("P(x = 2) = 0", (2, 0.18), ha="center", color=VERMILION)
        middle.set(xlabel="number from 0 to 6", ylabel="density", ylim=(0, 0.25), yticks=(0, 1 / 6))
        middle.set(xticks=range(7), yticklabels=("0", "1/6"))
        x = line(-4, 4, 161)
        right.plot(x, STANDARD.pdf(x), color=BLUE)
        right.plot(0, STANDARD.pdf(torch.zeros(1, 1)).item(), "o", color=VERMILION)
        right.set(xlabel="x", ylabel="density of N(0, 1)", ylim=(0, 0.95), yticks=(0, 0.4))
        rows = ("x", "probability", "likelihood"), ("0", "0", "0.4"), ("999", "0", "0")
        for i, row in enumerate(rows):
            for at, word in zip((-3.4, -0.2, 3.0), row, strict=True):
                right.text(at, 0.86 - 0.12 * i, word, ha="center", fontsize=10,
                           color=INK if i else VERMILION)  # fmt: skip

    return Figure(
        draw,
        "Six bars of 1/6; six intervals of 1/6 each under a density, in which the point 2 has"
        " probability 0; N(0, 1) with a table: at x = 0 probability 0 and likelihood 0.4, at 999"
        " 0 and 0.",
        "Left: a die's faces have probabilities. Middle: of a number from 0 to 6 intervals have"
        " them, and points have none. Right: so a point's likelihood, its density, is not its"
        " probability: .4 and 0 at x = 0.",
        (10, 3.3),
    )
