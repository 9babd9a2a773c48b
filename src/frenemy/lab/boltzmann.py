"""Lesson: a Boltzmann machine of few units, beside sums over all its states."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import Round, mix
from frenemy.judge.estimate import Estimate
from frenemy.lab import chains, gibbs_digits
from frenemy.lab.enumeration import (
    biases,
    correlation_time,
    gradient,
    joint,
    probabilities,
    states,
    transitions,
    with_link,
)
from frenemy.lab.lesson import Check, Formula, Result, no_more, sampled
from frenemy.rivals.autocorrelation import integrated_time
from frenemy.rivals.rbm import RBM, Partition, contrasting, exact_log_partition, log_partition

VISIBLE, HIDDEN = 6, 4
SCALE = 1.5  # sd of its weights
LARGE = 20, 12  # units of the machine whose Z is estimated
TEMPERATURES = (4.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.35)
MEASURED = (2.0, 1.0, 0.7)  # of these, where chains are run
ANNEALED = (10, 30, 100, 300, 1000)  # steps of beta
K = 30  # of CD, at most
EXACT = 1e-12  # what float64 leaves of sums of 2^10 terms, of which none is above 1
HINTON = "Hinton (2002), Training Products of Experts by Minimizing Contrastive Divergence"
FORMULAS = (
    Formula(
        r"p(v, h) = \frac{e^{-E(v, h) / T}}{Z}, \qquad"
        r" E(v, h) = -\sum_{ij} v_i W_{ij} h_j - \sum_i b_i v_i - \sum_j c_j h_j",
        "Every link W joins a visible and a hidden unit, and has no direction; none is within a"
        " layer. T is the temperature.",
        "Smolensky (1986), Information Processing in Dynamical Systems",
    ),
    Formula(
        r"p(h \mid v) = \prod_j p(h_j \mid v), \qquad p(v \mid h) = \prod_i p(v_i \mid h)",
        "Without links within a layer, a step of the Gibbs chain draws a whole layer at once.",
        HINTON,
    ),
    Formula(
        r"P(v_{t+1} \mid v_t, v_{t-1}, \ldots) = P(v_{t+1} \mid v_t), \qquad"
        r" \sum_v p(v) \, P(v' \mid v) = p(v')",
        "The Markov property: the next state asks for the present one alone. The stationary"
        " distribution: a step leaves p as it is.",
        "Geman and Geman (1984), Stochastic Relaxation, Gibbs Distributions, and the Bayesian"
        " Restoration of Images",
    ),
    Formula(
        r"\nabla (-\log p(x)) = \nabla F(x) - \mathbb{E}_{v \sim p} \nabla F(v) \approx \nabla F(x)"
        r" - \nabla F(v_k), \qquad F(v) = -\log \sum_h e^{-E(v, h)}",
        "CD-k starts a chain at the data and takes k steps in place of the infinitely many that"
        " come to p.",
        HINTON,
    ),
    Formula(
        r"\log Z \approx \log Z_0 + \log \frac{1}{n} \sum_{i=1}^n \prod_t"
        r" e^{F_t(v_{i,t}) - F_{t+1}(v_{i,t})}",
        "Annealed importance sampling, from a machine whose Z is known.",
        "Salakhutdinov and Murray (2008), On the Quantitative Analysis of Deep Belief Networks",
    ),
)


def boltzmann(
    *,
    seed: Annotated[int, Doc("of the machines, the chains and the games")] = 0,
    walkers: Annotated[int, Doc("chains that are run side by side")] = 400,
    steps: Annotated[int, Doc("of every chain")] = 1000,
    rounds: Annotated[int, Doc("of the games that an RBM and a G play on digits")] = 500,
) -> Result:
    """An RBM has to be sampled by a Markov chain, and CD-k is biased."""
    at_least(0, seed=seed)
    at_least(100, walkers=walkers, steps=steps)
    at_least(1, rounds=rounds)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, 0))
        rbm = two_faced(VISIBLE, HIDDEN)
        walks = {T: walk(rbm, T, walkers, steps) for T in MEASURED}
        slow = [relaxation(rbm, T) for T in TEMPERATURES]
        CD, off = _contrastive_divergence(rbm)
        annealed, exact = _annealed(seed)
    race = gibbs_digits.race(rounds=rounds, steps=steps, seed=mix(seed, 1))
    finest = annealed[ANNEALED[-1]]
    checks = [
        *_structure(rbm),
        *_chain(walks),
        no_more(
            "relaxation time: a temperature's / the next lower one's, largest",
            max(hot / cold for hot, cold in itertools.pairwise(slow)),
            1.0,
        ),
        *CD,
        # .1 nat: the size of differences that papers report
        Check("log Z of 20 x 12 units by AIS", finest.value, exact, 0.1, finest.error),
        sampled("digits, G: passes for an independent sample", race.pushed.value, 1.0,
                race.pushed.error),
        Check("digits, RBM: steps for an independent sample (more than 2)", race.chain.value, 2.0,
              0.0, race.chain.error, "at least"),
    ]  # fmt: skip
    hot, cold = slow[1], slow[-1]
    told = f"""\
A restricted Boltzmann machine is undirected: a link lets both its ends pull at each other, and\
 none lies within a layer, so that given one layer the units of the other are independent. This one\
 has {VISIBLE} + {HIDDEN} binary units, so all {2 ** (VISIBLE + HIDDEN):,} states can be summed.

Its Gibbs chain draws h given v, then v given h. The next state asks for the present one alone (the\
 Markov property; a single unit, watched by itself, has it not), and p is the stationary\
 distribution: whoever waits gets there. How long is a matter of temperature. At T = 2 the chain\
 forgets by 1/e in {hot:.1f} steps, at T = {TEMPERATURES[-1]:g} in {cold:,.0f}: each state has its\
 negative, with an energy barrier between the two.

The gradient of log p(x) asks for the mean over p. CD-k starts at the data and takes k steps; its\
 expected gradient misses the exact one by {off[0]:.2g} at k = 1, by {off[9]:.2g} at 10 and\
 {off[K - 1]:.2g} at {K}: a bias, which no number of data takes away, and which falls as the chain\
 mixes. Z is needed to say how likely anything is: with {LARGE[1]} hidden units it is a sum of\
 {2 ** LARGE[1]:,} terms, and annealed importance sampling finds its logarithm to\
 {abs(finest.value - exact):.2g} nats; with 500 there is no sum.

So on digits: an RBM (CD-1) and a G with two layers of {gibbs_digits.WIDTH} units, {rounds} rounds\
 each. One independent image costs {race.chain} steps of the chain, once that has arrived, and\
 {race.pushed} passes of G. The kernel distances of their samples to held-out digits are\
 {race.kids[0]} and {race.kids[1]}. A GAN needs no Markov chain, neither to train nor to sample;\
 what it lacks is p, up to Z or at all."""
    figures = [
        _mixing(slow, walks, off),
        _partition(annealed, exact),
        gibbs_digits.figure(race),
    ]
    return Result(told, FORMULAS, checks, figures)


def two_faced(visible: int, hidden: int, scale: float = SCALE) -> RBM:
    """An RBM in float64 in which every state has the energy of its negative, 1 - v and 1 - h.

    So it has at least two modes. Its weights are the global generator's.
    """
    rbm = RBM((1, 1, visible), hidden).double()
    with torch.no_grad():
        rbm.W.copy_(scale * torch.randn_like(rbm.W))
        rbm.b.copy_(-rbm.W.sum(1) / 2)
        rbm.c.copy_(-rbm.W.sum(0) / 2)
    return rbm


def relaxation(rbm: RBM, temperature: float) -> float:
    """Steps in which the slowest of what a chain remembers falls to 1/e: -1 / log lambda_2."""
    beta = 1 / temperature
    second = chains.spectrum(transitions(rbm, beta), probabilities(rbm, beta))[1].item()
    return -1 / math.log(second)


@dataclass(frozen=True)
class Walk:
    """Chains at one temperature, watched at the first visible unit, f.

    Attributes:
        exact, tau: f's correlation time, by enumeration and of the chains.
        share: of the states in which it is 1; by symmetry it is 1/2 in the end.
        surprise: the mean of (f_(t+1) - E[f_(t+1) | v_t]) f_(t-1), which is 0 of a Markov chain.
    """

    exact: float
    tau: Estimate
    share: Estimate
    surprise: Estimate


@torch.no_grad()
def walk(rbm: RBM, temperature: float, count: int, steps: int) -> Walk:
    """Runs so many chains, from all visible units off, and leaves out their first half."""
    beta = 1 / temperature
    T, p, f = transitions(rbm, beta), probabilities(rbm, beta), states(VISIBLE)[:, 0]
    v, place = torch.zeros(count, VISIBLE).double(), 2.0 ** torch.arange(VISIBLE - 1, -1, -1)
    seen = list[Tensor]()  # the number of each chain's state
    for step in range(steps):
        v = rbm.gibbs(v, 1, beta)
        if step >= steps // 2:
            seen.append((v @ place.double()).long())
    at = torch.stack(seen)  # (steps / 2, count)
    surprise = (f[at[2:]] - (T @ f)[at[1:-1]]) * (f[at[:-2]] - 0.5)
    return Walk(
        correlation_time(T, p, f),
        integrated_time(f[at]),
        *(Estimate.of(x.mean(0)) for x in (f[at], surprise)),
    )


@torch.no_grad()
def _structure(rbm: RBM) -> list[Check]:
    v, h, T = states(VISIBLE), states(HIDDEN), transitions(rbm)
    both = joint(rbm)
    p, given = both.sum(1), both / both.sum(1, keepdim=True)  # P(h | v)
    flow = p[:, None] * T

    def apart(given: Tensor) -> float:
        """How far P(h | v) is from the product of its units' probabilities."""
        one = given @ h  # P(h_j = 1 | v)
        product = (one[:, None] * h + (1 - one[:, None]) * (1 - h)).prod(-1)
        return (given - product).abs().max().item()

    F = -(both.sum(1).log() + exact_log_partition(rbm))
    # of the first unit alone, over three steps: P(c | a, b) where a is 0 and where it is 1
    on = v[:, 0]
    cells = torch.stack([1 - on, on])
    three = torch.stack([
        torch.stack([((p * a) @ T * b) @ T @ cells.T for b in cells]) for a in cells
    ])  # fmt: skip
    after = three / three.sum(2, keepdim=True)
    memory = (after[0] - after[1]).abs().max().item()
    return [
        Check("F(v) + log Z + log P(v), largest", (rbm.free_energy(v) - F).abs().max().item(), 0.0,
              1e-10),
        Check("P(h | v) − Π P(h_j | v), largest", apart(given), 0.0, EXACT),
        # a visible effect, not rounding
        Check("the same with a link of 1 between h₁ and h₂", apart(with_link(given, h, (0, 1), 1)),
              0.01, 0.0, relation="at least"),
        Check("undirected: p(v) P(v′ | v) − p(v′) P(v | v′), largest",
              (flow - flow.T).abs().max().item(), 0.0, EXACT),
        Check("stationary: p P − p, largest", (p @ T - p).abs().max().item(), 0.0, EXACT),
        Check("v₁ alone is no Markov chain: what the state before tells", memory, 0.01, 0.0,
              relation="at least"),
    ]  # fmt: skip


def _chain(walks: dict[float, Walk]) -> list[Check]:
    checks = []
    for T, w in walks.items():
        checks += [
            sampled(f"T = {T:g}: τ of v₁ along the chain", w.tau.value, w.exact, w.tau.error),
            sampled(f"T = {T:g}: share of states with v₁ = 1", w.share.value, 0.5, w.share.error),
            sampled(f"T = {T:g}: surprise × the state before", w.surprise.value, 0.0,
                    w.surprise.error),
        ]  # fmt: skip
    return checks


def _contrastive_divergence(rbm: RBM) -> tuple[list[Check], list[float]]:
    """On data of three states: CD's bias by enumeration and, for k = 1, as the term has it."""
    v = states(VISIBLE)
    three = [0, 21, 2**VISIBLE - 1]
    data = torch.zeros(len(v), dtype=torch.float64)
    data[three] = 1 / 3
    bias = biases(rbm, data, K)
    off = [b.norm().item() for b in bias]
    second = chains.spectrum(transitions(rbm), probabilities(rbm))[1].item()

    F = rbm.free_energy(v)
    exact = gradient(rbm, (data - probabilities(rbm).detach()) @ F)
    way = bias[0] / bias[0].norm()
    x = rbm.images(v[three].repeat(100, 1)).detach()
    found = []
    for _ in range(100):
        r = Round({"RBM": rbm}, torch.zeros(len(x), 1), lambda: (x, None), ("RBM",))
        found.append((gradient(rbm, contrasting(1)(r).mean()) - exact) @ way)
    of_term = Estimate.of(torch.stack(found))
    return [
        no_more("CD-k's bias / that of k − 1, largest", max(b / a for a, b in
                itertools.pairwise(off)), 1.0),
        Check(f"CD-{K}'s bias / CD-{K - 1}'s, and λ₂", off[-1] / off[-2], second, 1e-3),
        sampled("CD-1's bias as its gradients have it", of_term.value, off[0], of_term.error),
    ], off  # fmt: skip


def _annealed(seed: int) -> tuple[dict[int, Partition], float]:
    torch.manual_seed(mix(seed, 2))
    rbm = two_faced(*LARGE, scale=0.5)
    found = {n: log_partition(rbm, chains=200, temperatures=n, seed=seed) for n in ANNEALED}
    return found, exact_log_partition(rbm).item()


def _mixing(slow: list[float], walks: dict[float, Walk], off: list[float]) -> Figure:
    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        inverse = [1 / T for T in TEMPERATURES]
        left.semilogy(inverse, slow, "o-", color=INK, mfc="none", label="−1 / log λ₂")
        at = [1 / T for T in walks]
        left.errorbar(
            at,
            [w.tau.value for w in walks.values()],
            [4 * w.tau.error for w in walks.values()],
            fmt="s",
            color=VERMILION,
            label="τ of v₁, measured",
        )
        left.plot(at, [w.exact for w in walks.values()], "_", color=BLUE, ms=16, label="exact")
        left.set(xlabel="1 / temperature", ylabel="steps")
        left.legend()
        right.semilogy(range(1, K + 1), off, "o-", color=GREEN, ms=3)
        right.set(xlabel="k", ylabel="bias of CD-k")

    return Figure(
        draw,
        f"The chain's memory grows from {slow[0]:.2g} steps at temperature {TEMPERATURES[0]:g} to"
        f" {slow[-1]:,.0f} at {TEMPERATURES[-1]:g}; CD-k's bias falls from {off[0]:.2g} at k = 1 to"
        f" {off[-1]:.2g} at {K}.",
        "Left: how long the Gibbs chain remembers, against the inverse temperature. Right: how far"
        " CD-k's expected gradient is from that of the likelihood.",
        (8, 3.5),
    )


def _partition(annealed: dict[int, Partition], exact: float) -> Figure:
    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        n = list(annealed)
        gaps = [p.value - exact for p in annealed.values()]
        ax.errorbar(n, gaps, [2 * p.error for p in annealed.values()], fmt="o", color=BLUE)
        ax.axhline(0, color=INK, lw=1)
        for edge in (-0.1, 0.1):
            ax.axhline(edge, color=GREY, ls=":")
        ax.set(xscale="log", xlabel="temperatures between", ylabel="log Z by AIS − exact")

    worst, best = annealed[ANNEALED[0]], annealed[ANNEALED[-1]]
    return Figure(
        draw,
        f"Log Z by AIS is off by {worst.value - exact:+.2g} nats with {ANNEALED[0]} temperatures,"
        f" by {best.value - exact:+.2g} with {ANNEALED[-1]:,}.",
        "Annealed importance sampling beside the sum over all states (bars: 2 standard errors;"
        " dotted: .1 nat).",
        (5, 3.2),
    )
