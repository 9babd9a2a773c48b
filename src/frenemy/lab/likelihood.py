"""Probability of data given parameters, likelihood of parameters given data."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence
from typing_extensions import Doc

from frenemy.errors import at_least, at_most
from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import mix
from frenemy.lab import features, gaussians, probability
from frenemy.lab.densities import line
from frenemy.lab.lesson import Check, Formula, Result, sampled
from frenemy.lab.probability import IQ, REPEATS

FORMULAS = (
    Formula(
        r"P(a < x < b) = \int_a^b p(x) \, dx, \quad"
        r" \mathbb{E} f(x) = \int f(x) p(x) \, dx \approx \frac{1}{n} \sum_{i=1}^n f(x_i)",
        "Only its integral makes a density a probability; a mean of n samples is off by sd / √n.",
        "definitions",
    ),
    Formula(
        r"L(p) = p^h (1 - p)^{n - h}, \quad \frac{d \log L}{d p} = \frac{h}{p}"
        r" - \frac{n - h}{1 - p} = 0 \iff p = \hat{p} = \frac{h}{n}",
        "The likelihood of a coin, of whose n tosses h were heads.",
        "Fisher (1922), On the Mathematical Foundations of Theoretical Statistics",
    ),
    Formula(
        r"I(p) = -\mathbb{E} \frac{d^2 \log L}{d p^2} = \frac{n}{p (1 - p)}, \quad"
        r" \mathrm{sd}(\hat{p}) = \frac{1}{\sqrt{I(p)}} = \sqrt{\frac{p (1 - p)}{n}}",
        "Fisher information: the sharper the likelihood, the surer the estimate.",
        "Fisher (1922), On the Mathematical Foundations of Theoretical Statistics",
    ),
    Formula(
        r"\mathrm{arg} \max_\theta \mathbb{E}_{x \sim p_\text{data}} \log p_\theta(x)"
        r" = \mathrm{arg} \min_\theta \mathrm{KL}(p_\text{data} \Vert p_\theta)",
        "Maximum likelihood brings the model as near to the data as KL can tell.",
        "Goodfellow (2016), NIPS 2016 Tutorial: Generative Adversarial Networks, section 2.1",
    ),
    Formula(
        r"\hat{\mu} = \frac{1}{N} \sum_n x_n, \quad \hat{\sigma}^2 = \frac{1}{d - q}"
        r" \sum_{j > q} \lambda_j, \quad \hat{W} = U_q (\Lambda_q - \hat{\sigma}^2 I)^{1/2}",
        "Maximum likelihood of x = μ + W z + σ ε for images of d pixels; λ and U are the"
        " eigenvalues and eigenvectors of their covariance, of which q get an axis.",
        "Tipping and Bishop (1999), Probabilistic Principal Component Analysis, section 3.2",
    ),
)


def likelihood(
    *,
    seed: Annotated[int, Doc("of all that is drawn")] = 0,
    heads: Annotated[int, Doc("among the tosses of the coin")] = 400,
    tosses: Annotated[int, Doc("of the coin")] = 1000,
    samples: Annotated[int, Doc("throws of the die; people whose IQ is known")] = 10_000,
    data: Annotated[Path | None, Doc("images to average; the embedded digits if none")] = None,
    faces: Annotated[Path | None, Doc("of people, for two features; emoji if none")] = None,
    size: Annotated[int | None, Doc("side to which images are brought")] = None,
    axes: Annotated[int, Doc("along which images vary, at most")] = 20,
) -> Result:
    """Maximum likelihood chooses the model closest to the data in KL."""
    at_least(0, seed=seed)
    at_least(1, heads=heads, axes=axes)
    at_most(tosses - 1, heads=heads)
    at_least(100, samples=samples)
    generator = torch.Generator().manual_seed(mix(seed, 0))
    thrown = probability.die(samples, generator)
    coin, curve = _coin(heads, tosses, generator)
    counted, ways, of_count = probability.counts(heads, tosses, generator)
    fits, fits_figure = gaussians.fit_samples(samples, generator)
    means, told_of_means, means_figure = gaussians.fit_images(data, size, axes, seed)
    of_features, told_of_features, features_figure = features.fit(faces, size, seed)
    p, error = heads / tosses, math.sqrt(heads / tosses * (1 - heads / tosses) / tosses)
    power = curve(torch.tensor(p).double()).item()
    told = f"""\
A die gives each face probability 1/6. A number between 0 and 6 has density 1/6 everywhere, but\
 only an interval of values has a probability: each of six intervals 1/6, and each point 0. So of\
 N(0, 1), where likelihood is the density at a point: x = 0 has probability 0 and likelihood .4,\
 x = 999 has 0 and (as far as numbers go: its logarithm is −499,001) 0. Expectations are sums,\
 integrals, or means of samples, which are off by sd/√n.

Of {tosses:,} tosses {heads:,} were heads. At p = {p:.4g}, such a sequence has probability\
 L(p) = exp({power:.1f}). As a function of p, at this data, L is the likelihood, which is no\
 density of p. It is largest where its slope is 0, at p = {coin[0].measured:.6f}. As many heads in\
 any order have probability {tosses}C{heads} L(p) = exp({ways:.1f}) L(p), {of_count:.3g} there: the\
 factor knows no p and moves no maximum. The curvature of log L\
 there, the Fisher information, tells how far estimates by {tosses:,} tosses spread: {error:.4f}.

The likeliest Gaussian has the samples' mean, and their mean square about it (divided by n, not\
 n − 1) as its variance; gradient ascent finds the same. A single Gaussian cannot be a density of\
 two modes: maximum likelihood takes the one of least KL(p_data ‖ p_model), which covers both modes\
 and the ground between them, where there is no data.

{told_of_means}

{told_of_features}"""
    checks = [*thrown, *probability.points(), *coin, *counted, *fits, *means, *of_features]
    figures = [
        probability.figure(),
        _curves(curve, p, error, of_count),
        fits_figure,
        means_figure,
        features_figure,
    ]
    return Result(told, FORMULAS, checks, figures)


def _coin(
    heads: int, tosses: int, generator: torch.Generator
) -> tuple[list[Check], Callable[[Tensor], Tensor]]:
    best = heads / tosses

    def log_l(p: Tensor) -> Tensor:
        return heads * p.log() + (tosses - heads) * torch.log1p(-p)

    def quotient(p: Tensor) -> Tensor:
        h = 1e-4 * p * (1 - p)
        return (log_l(p + h) - log_l(p - h)) / (2 * h)

    slope = torch.func.grad(log_l)
    information = tosses / (best * (1 - best))
    observed = -torch.func.grad(slope)(torch.tensor(best, dtype=torch.float64)).item()
    again = torch.full((REPEATS,), float(tosses), dtype=torch.float64)
    spread = torch.binomial(again, torch.full_like(again, best), generator).div(tosses).std().item()
    p = line(0.01, 0.99, 99)[:, 0]
    coin = Bernoulli(torch.tensor(best, dtype=torch.float64))
    above = kl_divergence(coin, Bernoulli(p)) + coin.entropy()
    sum_of_all = (log_l(p) / tosses + above).abs().max().item()
    error = information**-0.5
    return [
        Check("coin: where L is largest, by differences", _zero(quotient), best, 1e-6),
        Check("coin: where L is largest, by autograd", _zero(slope), best, 1e-9),
        # even at p = 1 - 1e-6, float64 knows 1 - p to 1e-10 of itself
        Check("coin: Fisher information, by autograd / exact", observed / information, 1.0, 1e-10),
        sampled("coin: spread of estimates", spread, error, error / math.sqrt(2 * REPEATS)),
        Check("coin: log L / n + KL + entropy, largest", sum_of_all, 0.0, 1e-12),
    ], log_l


def _zero(falling: Callable[[Tensor], Tensor]) -> float:
    """Where a falling function on (0, 1) is 0, by bisection."""
    low, high = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return low.item()


def _curves(
    log_l: Callable[[Tensor], Tensor], best: float, error: float, of_count: float
) -> Figure:
    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        x, inside = line(28, 172, 201), line(100, 124, 51)
        left.plot(x, IQ.pdf(x), color=BLUE)
        left.fill_between(inside[:, 0], IQ.pdf(inside), color=BLUE, alpha=0.3, lw=0)
        left.set(xlabel="IQ, at mean 100 and sd 24", ylabel="density", ylim=(0, None))
        left.annotate("34 %", (112, 0.006), ha="center")
        p = torch.linspace(max(best - 5 * error, 1e-3), min(best + 5 * error, 1 - 1e-3), 201)
        top = log_l(torch.tensor(best))
        right.plot(p, (log_l(p) - top).exp(), color=VERMILION)
        right.plot([best - error, best + error], [math.exp(-0.5)] * 2, "-", color=INK)
        right.axvline(best, ls=":", color=GREY)
        right.set(xlabel="p of the coin, at this data", ylabel="likelihood / its maximum")
        counts = right.secondary_yaxis(
            "right", functions=(lambda y: of_count * y, lambda y: y / of_count)
        )
        counts.set_ylabel("probability of the count")

    return Figure(
        draw,
        f"A normal density, of which the area from 100 to 124 is shaded; the likelihood of a coin,"
        f" largest at {best:.3g}.",
        "Left: probability is an area, at given parameters. Right: likelihood is a curve over the"
        " parameter, at given data; the bar reaches one standard error to both sides. On the right"
        " scale, times the number of orders, the probability of that many heads.",
        (8, 3.5),
    )
