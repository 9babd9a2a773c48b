"""One target of two modes: Metropolis chains, which have to mix between them, and a trained G."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure, rasterised
from frenemy.game import Game, Prior, mix
from frenemy.judge.estimate import Estimate
from frenemy.lab import chains
from frenemy.lab.densities import Mixture, line, minibatches, mixture
from frenemy.lab.discriminators import adam
from frenemy.lab.lesson import Check
from frenemy.nets.mlp import critic, perceptron
from frenemy.objectives import pairing_d, pairing_g
from frenemy.penalties import lazily
from frenemy.rivals.autocorrelation import integrated_time

SD = 0.8
TARGET = Mixture(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-2, 0], [2, 0]], dtype=torch.float64),
    torch.tensor([SD, SD], dtype=torch.float64),
)
RIGHT = 1 - TARGET.cdf(torch.zeros(1, 1)).item()  # its share where x1 > 0
WIDTH = 0.8  # sd of Metropolis' proposals
WALKERS = 256  # chains side by side
FRAMES = 20  # of the film
REPEATS = 64  # sets of G's samples
X = line(-7, 7, 1401)  # where distribution functions along x1 are compared


@dataclass(frozen=True)
class Row:
    """The Metropolis chain on 21 sites from -5 to 5, begun in the left one of two modes.

    Attributes:
        stationary: largest entry of p P - p, which is 0.
        second: the second eigenvalue of P.
        tv: total variation to p after 0 to `steps` steps.
        bound: of tv, by sqrt((1 - p_i) / p_i) lambda^k / 2, with the largest modulus lambda of all
            eigenvalues but 1 (Diaconis and Stroock 1991, Geometric Bounds for Eigenvalues of Markov
            Chains, Proposition 3).
    """

    stationary: float
    second: float
    tv: Tensor
    bound: Tensor

    def checks(self, name: str) -> list[Check]:
        """That p is stationary, that the second eigenvalue sets the pace, and that the bound holds.

        Once every other eigenvector has died out, a step shrinks tv by the second eigenvalue.
        """
        ratio, share = (self.tv[-1] / self.tv[-2]).item(), (self.tv / self.bound).max().item()
        return [
            Check(f"{name} modes: p P − p, largest", self.stationary, 0.0, 1e-12),
            Check(f"{name} modes: last TV / the one before, and λ₂", ratio, self.second, 1e-6),
            Check(f"{name} modes: TV / bound, largest", share, 1.0, 1e-12, relation="at most"),
        ]


def row(sd: float, steps: int) -> Row:
    """The chain for two modes of that sd, at -2 and 2, with 0.3 and 0.7 of the mass."""
    p = mixture((0.3, -2, sd), (0.7, 2, sd)).pdf(line(-5, 5, 21))
    p, start = p / p.sum(), 6  # that site is -2
    P = chains.metropolis_matrix(p)
    values = chains.spectrum(P, p)
    rate = torch.maximum(values[1], -values[-1])
    bound = ((1 - p[start]) / p[start]).sqrt() / 2 * rate ** torch.arange(steps + 1, dtype=p.dtype)
    tv = chains.approach(P, p, start, steps)
    return Row((p @ P - p).abs().max().item(), values[1].item(), tv, bound)


@dataclass(frozen=True)
class Race:
    """`TARGET` by Metropolis and by G, measured along x1.

    Attributes:
        states: float64 (steps, WALKERS, 2), from the left mode on.
        taken: the share of proposals that became states.
        tau: steps of a chain that are worth one independent sample.
        right: the share of states in the right mode, once the first third of them has passed; its
            error comes from the spread between chains.
        samples: of G, float64 (REPEATS * steps, 2).
        off: Wasserstein-1 distance of all of G's samples from the target.
        unit: that of n independent samples from the target, times sqrt n.
        counts: of evaluations; chain, pushed: mean distance after so many steps, or passes of G.
        seconds: of a step of one chain, of the whole training, of one sample of G.
    """

    states: Tensor
    taken: float
    tau: Estimate
    right: Estimate
    samples: Tensor
    off: float
    unit: float
    counts: Sequence[int]
    chain: Sequence[float]
    pushed: Sequence[float]
    seconds: tuple[float, float, float]

    @property
    def worth(self) -> float:
        """How many independent samples are as far off as G."""
        return (self.unit / self.off) ** 2


def race(steps: int, rounds: int, seed: int) -> Race:
    """Runs the chains, trains G, and measures both."""
    generator = torch.Generator().manual_seed(mix(seed, 0))
    clock = [time.perf_counter()]
    start = TARGET.means[:1].expand(WALKERS, 2)
    states, taken = chains.metropolis(
        TARGET.log_pdf, start, steps=steps, width=WIDTH, generator=generator
    )
    clock.append(time.perf_counter())
    G = train(rounds, seed)
    clock.append(time.perf_counter())
    with torch.no_grad():
        samples = G(torch.randn(REPEATS * steps, 2, generator=generator)).double()
    clock.append(time.perf_counter())
    walking, training, making = (b - a for a, b in itertools.pairwise(clock))

    settled = states[steps // 3 :, :, 0]  # before, they remember where they began
    right = (settled > 0).double().mean(0)  # (WALKERS,)
    F, x, made = TARGET.cdf(X), X[:, 0], samples[:, 0].view(REPEATS, -1)
    counts = torch.logspace(1, math.log10(steps), 12).int().tolist()
    return Race(
        states,
        taken,
        integrated_time(settled),
        Estimate(right.mean().item(), right.std().item() / math.sqrt(WALKERS)),
        samples,
        chains.wasserstein(made.reshape(1, -1), F, x).item(),
        torch.trapezoid((2 * F * (1 - F) / math.pi).sqrt(), x).item(),
        counts,
        [chains.wasserstein(states[:n, :, 0].T, F, x).mean().item() for n in counts],
        [chains.wasserstein(made[:, :n], F, x).mean().item() for n in counts],
        (walking / (steps * WALKERS), training, making / len(samples)),
    )


def train(rounds: int, seed: int) -> nn.Module:
    """The average of G's weights in a game on samples of `TARGET`, with two Gaussian z."""

    def rate(t: int) -> float:
        return 2e-3 * min(1.0, (1 - t / rounds) / 0.7)

    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, 1))
        D, G = critic(2, 64, 64, slope=0.2), perceptron(2, 64, 64, 2)
        players = {
            "D": adam(D, rate, (0.0, 0.99)),
            "G": adam(G, rate, (0.0, 0.99), averaging=0.995),
        }
        turns = lazily({pairing_d: 1.0}, {pairing_g: 1.0}, gamma=0.05)
        game = Game(players, turns, Prior("gaussian", 2), 256)
        data = minibatches(TARGET.sample, 256, seed)
        for step in range(rounds):
            game.play(data, seed=seed, step=step)
    return players["G"].best


def figure(race: Race) -> Figure:
    """Where a chain and G have been, and how far from the target each is for its cost."""

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        _plane(left)
        left.plot(*race.samples[:300].T, ".", color=VERMILION, ms=3)
        left.plot(*race.states[:100, 0].T, "-", color=INK, lw=0.8)
        n = torch.tensor(race.counts)
        right.loglog(n, race.chain, "o-", color=INK, ms=3, label="Metropolis")
        right.loglog(n, race.pushed, "s-", color=VERMILION, ms=3, label="G")
        for tau in (race.tau.value, 1.0):
            right.loglog(n, race.unit * (tau / n).sqrt(), ":", color=GREY)
        right.set(xlabel="steps, or passes", ylabel="distance to the target")
        right.legend()

    return Figure(
        draw,
        "100 steps of a Metropolis chain, which stay in the left mode, and 300 samples of G, which"
        " lie in both; the distance to the target falls with the number of steps or passes, for G"
        f" down to {race.off:.3f}.",
        "Left: the target (contours), a chain's first 100 steps (line), samples of G (dots). Right:"
        " Wasserstein-1 distance along x₁; dotted: of n / τ (above) and of n independent samples.",
        (8, 3.5),
    )


def film(states: Tensor) -> Figure:
    """The chains at `FRAMES` times, evenly spaced in the logarithm."""
    share = (states[:, :, 0] > 0).double().mean(1)  # (steps,)

    def draw(k: int, canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        _plane(left)
        left.plot(*states[k - 1].T, ".", color=INK, ms=3)
        right.plot(range(1, k + 1), share[:k], color=INK)
        right.axhline(TARGET.weights[1].item(), ls="--", color=BLUE)
        right.set(xlim=(1, len(states)), ylim=(0, 1), xscale="log")
        right.set(xlabel="steps", ylabel="share in the right mode")

    shown = torch.logspace(0, math.log10(len(states)), FRAMES).round().int().tolist()
    return Figure(
        [rasterised(partial(draw, k), (8, 3.5), dpi=80) for k in shown],
        f"{WALKERS} Metropolis chains that begin in the left mode, and the share of them in the"
        " right one, which rises to 0.7.",
        "Chains cross to the second mode one by one; dashed: its share of the target.",
        fps=4.0,
    )


def _plane(axes: Axes) -> None:
    x, y = line(-5, 5, 101)[:, 0], line(-3, 3, 61)[:, 0]
    p = TARGET.pdf(torch.cartesian_prod(x, y)).view(101, 61).T
    axes.contour(x, y, p, levels=5, colors=BLUE, linewidths=0.8)
    axes.set(xlim=(-5, 5), ylim=(-3, 3), xlabel="x₁", ylabel="x₂")
