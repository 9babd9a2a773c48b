"""Sampling: independent points, chains that remember, and one pass through a trained G."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from matplotlib.patches import Circle
from typing_extensions import Doc

from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.figures import BLUE, GREEN, INK, VERMILION, Canvas, Figure
from frenemy.game import mix
from frenemy.judge.estimate import Estimate
from frenemy.lab import chains, minibatch, mixing
from frenemy.lab.lesson import Check, Formula, Result, no_more, sampled
from frenemy.rivals.autocorrelation import autocorrelation, integrated_time

SPREAD = math.sqrt(math.pi * (4 - math.pi))  # of 4 for a hit and 0 for a miss
LAGS = 40
WIDE, NARROW = 1.0, 0.6  # sds of two modes on a row of sites
FORMULAS = (
    Formula(
        r"4 \frac{\text{hits}}{n} \to \pi, \qquad \text{error} = \sqrt{\frac{\pi (4 - \pi)}{n}}",
        "A point of the square hits the circle with probability π / 4, whatever the others do.",
        "standard error of a share",
    ),
    Formula(
        r"P(x \to x') = q(x' \mid x) \min \left( 1, \frac{p(x')}{p(x)} \right)",
        "A Metropolis chain needs ratios of p only, and leaves p as it is.",
        "Metropolis et al. (1953), Equation of State Calculations by Fast Computing Machines",
    ),
    Formula(
        r"\mathbb{E} \, \frac{1}{m} \sum_{i \in B} g_i = \frac{1}{N} \sum_{i=1}^N g_i, \qquad"
        r" \text{error} = \sqrt{\frac{S}{m} \left(1 - \frac{m}{N}\right)}",
        "The minibatch as stochastic sampling: the gradient of m examples drawn from N is that of"
        " all on average. S is the variance of theirs.",
        "Cochran (1977), Sampling Techniques, Theorem 2.2",
    ),
    Formula(
        r"\rho_k = \rho^{2k}, \quad"
        r" \tau = 1 + 2 \sum_{k \geq 1} \rho_k = \frac{1 + \rho^2}{1 - \rho^2}",
        "Gibbs sweeps over two normal variables of correlation ρ: autocorrelation, and how many of"
        " them are worth one independent sample.",
        "Geman and Geman (1984), Stochastic Relaxation, Gibbs Distributions, and the Bayesian"
        " Restoration of Images; Sokal (1997), Monte Carlo Methods in Statistical Mechanics, 3",
    ),
    Formula(
        r"\mathrm{TV}_k = \frac{1}{2} \sum_j \lvert (P^k)_{ij} - p_j \rvert"
        r" \leq \frac{1}{2} \sqrt{\frac{1 - p_i}{p_i}} \, \lambda^k",
        "From site i, a reversible chain nears p by a factor λ a step, the modulus of P's second"
        " eigenvalue.",
        "Diaconis and Stroock (1991), Geometric Bounds for Eigenvalues of Markov Chains, Prop. 3",
    ),
)


def monte_carlo(
    *,
    seed: Annotated[int, Doc("of all that is drawn")] = 0,
    points: Annotated[int, Doc("most points that are thrown at the circle at once")] = 4096,
    repetitions: Annotated[int, Doc("throws of each number of points")] = 1000,
    rho: Annotated[float, Doc("correlation of the two variables of the Gibbs chain")] = 0.9,
    steps: Annotated[int, Doc("of every chain")] = 6000,
    rounds: Annotated[int, Doc("that G is trained")] = 1000,
) -> Result:
    """MCMC is exact in the limit; one pass through G is approximate but fast."""
    at_least(0, seed=seed)
    at_least(64, points=points)
    at_most(2**20, points=points)
    at_least(2, repetitions=repetitions)
    at_least(1000, steps=steps)
    at_least(1, rounds=rounds)
    if not 0 <= rho < 1:
        raise FrenemyError(f"rho is {rho}: give a correlation from 0 to less than 1")
    generator = torch.Generator().manual_seed(mix(seed, 2))
    circle, circle_figure = _circle(points, repetitions, generator)
    batches = minibatch.checks(repetitions, generator)
    memory, seen = _memory(rho, steps, generator)
    wide, narrow = mixing.row(WIDE, 1000), mixing.row(NARROW, 1000)
    checks = circle + batches + memory + wide.checks("wide") + narrow.checks("narrow")
    race = mixing.race(steps, rounds, seed)
    right, tau = race.right, race.tau
    checks += [
        sampled("Metropolis: share in the right mode", right.value, mixing.RIGHT, right.error),
        # a twentieth of the target's sd along x1, which is 2
        no_more("G: Wasserstein-1 distance along x₁", race.off, 0.1),
    ]
    step, training, each = race.seconds
    told = f"""\
A Monte Carlo estimate is a mean of samples: 4 × the share of points in the circle gives\
 π = {circle[0].measured:.4f} ± {circle[0].error:.4f}. Its error falls as 1/√n in any dimension,\
 so that one more digit costs 100 times the points; and the points have to be independent. A\
 minibatch is such an estimate, of the gradient of all data: right on average, off by as much as\
 its size allows. That is the stochastic in stochastic gradient descent.

A Markov chain draws its next state knowing the present one and nothing before (the Markov\
 property), so that a density can be its stationary distribution: one that a step leaves as it is.\
 It reaches any density known up to a constant, from anywhere; but each state resembles the last:\
 n Gibbs sweeps at ρ = {rho} have an effective sample size of n / {memory[2].measured:.1f}. Between\
 modes it has to cross ground of low density. On 21 sites,\
 its distance to the target falls to 1/e in {-1 / math.log(wide.second):,.0f} steps if the modes\
 have sd {WIDE:g}, in {-1 / math.log(narrow.second):,.0f} if sd {NARROW}: chains need a\
 density that is somewhat blurry (Goodfellow et al. 2014, section 6).

In the plane, with modes of sd {mixing.SD}, Metropolis takes {race.taken:.0%} of its proposals and\
 forgets in τ = {tau} steps: an independent sample costs {tau.value:.0f} evaluations of p, here\
 {step * tau.value * 1e6:.0f} µs. Training G took {training:.1f} s, the time of\
 {training / (step * tau.value):,.0f} such samples. Now each costs one pass, {each * 1e6:.2g} µs,\
 and is independent of all others.

But G stays {race.off:.3f} away from the target however many samples it makes: as far as\
 {race.worth:,.0f} independent samples are on average, or {race.worth * tau.value:,.0f} steps of a\
 chain, which comes ever nearer. And a chain asks for p, where G has seen samples only. Adversarial\
 nets need no Markov chain, neither to train nor to sample, and know no density (their Table 2)."""
    figures = [circle_figure, _nearing(rho, seen, wide, narrow), mixing.figure(race)]
    return Result(told, FORMULAS, checks, figures, mixing.film(race.states[:2000]))


def _circle(
    points: int, repetitions: int, generator: torch.Generator
) -> tuple[list[Check], Figure]:
    sizes = [n for n in (16 * 4**k for k in range(12)) if n <= points]
    hits, errors = 0, []
    for n in sizes:
        parts = torch.arange(repetitions).split(max(1, 2**21 // n))  # bounded memory
        throws = (torch.rand(2, len(part), n, generator=generator) * 2 - 1 for part in parts)
        inside = torch.cat([(x.square().sum(0) < 1).sum(1) for x in throws])  # (repetitions,)
        errors.append((4 * inside / n - math.pi).square().mean().sqrt().item())
        hits += int(inside.sum())
    count = repetitions * sum(sizes)
    t, y = torch.tensor([sizes, errors]).double().log()
    t = t - t.mean()
    slope, scale = (t @ y / (t @ t)).item(), errors[-1] * sizes[-1] ** 0.5
    relative = 1 / math.sqrt(2 * repetitions)  # standard error of the log of a root mean square
    checks = [
        sampled(f"4 × share of {count:,} points", 4 * hits / count, math.pi, SPREAD / count**0.5),
        sampled(f"error × √n at n = {sizes[-1]:,}", scale, SPREAD, SPREAD * relative),
        sampled("slope of log error against log n", slope, -0.5, relative / (t @ t).sqrt().item()),
    ]
    x = torch.rand(2, 800, generator=generator) * 2 - 1
    outside = x.square().sum(0) >= 1

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        left.plot(*x[:, ~outside], ".", color=BLUE, ms=3)
        left.plot(*x[:, outside], "x", color=VERMILION, ms=3)
        left.add_patch(Circle((0, 0), 1, fill=False, color=INK))
        left.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        right.loglog(sizes, [SPREAD / n**0.5 for n in sizes], "--", color=INK, label="√(π(4−π)/n)")
        right.loglog(sizes, errors, "o", color=BLUE, label="measured")
        right.set(xlabel="points n", ylabel="error of π")
        right.legend()

    return checks, Figure(
        draw,
        "Points in a square, most of them in its circle; the error of 4 times their share falls"
        f" with slope {slope:.3f} from {sizes[0]} to {sizes[-1]:,} points.",
        "Left: 800 points. Right: root mean square error, measured and exact.",
        (8, 3.5),
    )


def _memory(rho: float, steps: int, generator: torch.Generator) -> tuple[list[Check], list[float]]:
    cov = torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)
    start = torch.randn(64, 2, generator=generator).double() @ torch.linalg.cholesky(cov).T
    x = chains.gibbs(start, rho=rho, steps=steps, generator=generator)[:, :, 0]
    seen, tau = autocorrelation(x, LAGS), integrated_time(x)  # (LAGS + 1, 64)
    A = chains.gibbs_sweep(torch.eye(2).double(), torch.zeros(2, 2).double(), rho).T
    k = torch.arange(LAGS + 1, dtype=torch.float64)
    exact = torch.stack([torch.linalg.matrix_power(A, int(i)) @ cov for i in k])[:, 0, 0]
    five, exact_tau = Estimate.of(seen[5]), (1 + rho**2) / (1 - rho**2)
    most = (exact - rho ** (2 * k)).abs().max().item()
    return [
        Check("Gibbs: Aᵏ Σ of its map A − ρ²ᵏ, largest", most, 0.0, 1e-12),
        sampled("Gibbs: autocorrelation at lag 5", five.value, rho**10, five.error),
        sampled("Gibbs: τ, sweeps for an independent sample", tau.value, exact_tau, tau.error),
    ], seen.mean(1).tolist()


def _nearing(rho: float, seen: list[float], wide: mixing.Row, narrow: mixing.Row) -> Figure:
    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        left.plot([rho ** (2 * k) for k in range(LAGS + 1)], "--", color=INK, label="ρ²ᵏ")
        left.plot(seen, ".", color=BLUE, label="measured")
        left.set(xlabel="lag k (sweeps)", ylabel="autocorrelation")
        left.legend()
        at = range(0, len(wide.tv), 10)
        for row, colour, name, k in (
            (wide, GREEN, f"sd {WIDE:g}", 350),
            (narrow, VERMILION, f"sd {NARROW}", 700),
        ):
            right.semilogy(at, row.tv[at], color=colour)
            right.semilogy(at, row.bound[at], "--", color=colour)
            right.annotate(name, (k, row.tv[k].item() / 9), color=colour, ha="right")
        right.set(xlabel="steps k", ylabel="total variation")

    return Figure(
        draw,
        "Autocorrelation of Gibbs sweeps falls as ρ²ᵏ. Total variation to two modes falls to"
        f" {wide.tv[-1]:.2g} in 1,000 steps if they are wide, to {narrow.tv[-1]:.2g} if narrow.",
        "Left: memory of Gibbs sweeps. Right: how far a Metropolis chain on 21 sites, begun in the"
        " left mode, is from its target; dashed: the bound.",
        (8, 3.5),
    )
