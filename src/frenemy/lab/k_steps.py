"""Lesson: how many steps D should take before G takes one."""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREEN, INK, VERMILION, Canvas, Figure
from frenemy.game import mix
from frenemy.lab.densities import blobs, line, minibatches, normal, optimal_logit
from frenemy.lab.discriminators import (
    Pair,
    cube,
    draw_map,
    logits,
    pair,
    train_discriminator,
)
from frenemy.lab.lesson import Check, Formula, Result, no_more
from frenemy.lab.line_games import Moment, line_game, line_nets, moment

KS = (1, 2, 5, 20)
STYLES = ((VERMILION, "-"), (BLUE, "--"), (GREEN, "-."), (INK, ":"))  # of these k
SIZES = (20, 100, 1000, 100_000)
P_DATA = normal(0.0, 1.0)
EDGES = line(-6.0, 6.0, 241)
MINIBATCH = 1000
FORMULAS = (
    Formula(
        r"\theta_d \leftarrow \theta_d + \eta \nabla_{\theta_d} \frac{1}{m} \sum_{i=1}^m "
        r"\left[ \log D(x^{(i)}) + \log(1 - D(G(z^{(i)}))) \right] \quad k \text{ times}",
        "Then one step of G. The authors use k = 1, the least expensive option.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, Algorithm 1",
    ),
    Formula(
        r"\frac{1}{n} \sum_{i=1}^n \log \frac{D(x^{(i)})}{D^*(x^{(i)})} - "
        r"\mathbb{E}_{x \sim p_{data}} \log \frac{D(x)}{D^*(x)}",
        "The gap: by how much more D wins on its n points than on fresh ones. For D* it is 0.",
        "overfitting, of which section 3 of Goodfellow et al. (2014) warns",
    ),
)


@dataclass(frozen=True)
class Play:
    """A game with one k: after `rounds[i]` rounds it stood at `moments[i]`."""

    k: int
    rounds: list[int]
    moments: list[Moment]
    seconds: float  # that a round takes, without the measuring

    def lag(self, first: int) -> float:
        """The mean distance of D from D* in the first rounds."""
        return statistics.fmean(m.distance for m in self.moments[1 : first + 1])


@dataclass(frozen=True)
class Fit:
    """D after training on n points; p_g is known to it as well as it likes.

    Attributes:
        D, points: the discriminator, and its points, (n, 2).
        trained: V(G, D), with the mean of log D over the n points in place of its expectation.
        fresh: V(G, D).
        gap: by how much `trained` exceeds what D* wins on the same points, plus that by which
            `fresh` falls short of V(G, D*). For D* it is 0, whichever the points.
    """

    D: nn.Module
    points: Tensor
    trained: float
    fresh: float
    gap: float


def k_steps(
    *,
    seed: Annotated[int, Doc("of the networks, the data and the noise")] = 0,
    steps: Annotated[int, Doc("steps of D in each game, however many go to a round")] = 600,
    d_rate: Annotated[float, Doc("of D's Adam in these games")] = 5e-3,
    g_rate: Annotated[float, Doc("of G's gradient descent in these games")] = 0.1,
    fits: Annotated[int, Doc("steps of a D that is trained on n points")] = 400,
) -> Result:
    """More D steps per G step keep D closer to D*, but leave G fewer steps."""
    at_least(max(KS), steps=steps)
    at_least(1, fits=fits)
    at_least(0, seed=seed, d_rate=d_rate, g_rate=g_rate)
    common = steps // max(KS)  # the rounds that are played with every k
    nets = line_nets(seed, mean=2.2, sd=0.6)
    _play(nets, 200, 1, d_rate, 0.0, mix(seed, 1))  # all games start with D near D*

    def play(k: int, rounds: int, g_rate: float) -> Play:
        return _play(copy.deepcopy(nets), k, rounds, d_rate, g_rate, mix(seed, 2))

    plays = [play(k, steps // k, g_rate) for k in KS]
    slow = play(1, common, g_rate / 4)
    plane = two_modes()
    fitted = [fit(plane, n, steps=fits, seed=mix(seed, 3)) for n in SIZES]
    return Result(
        _told(plays, slow, fitted, common),
        FORMULAS,
        _checks(plays, slow, fitted, common, plane.value(plane.best)),
        _figures(plays, fitted, common),
    )


def _play(
    nets: tuple[nn.Module, nn.Module], k: int, rounds: int, d_rate: float, g_rate: float, seed: int
) -> Play:
    """Algorithm 1 from where the nets are, measured in every round at first, later less."""
    D, G = nets
    game = line_game(
        D, G, k=k, minibatch=MINIBATCH, d_rate=lambda t: d_rate, g_rate=lambda t: g_rate
    )
    data = minibatches(P_DATA.sample, MINIBATCH, seed)
    played, moments, seconds = [0], [moment(D, G, P_DATA, EDGES)], []
    often = max(1, rounds // 60)
    with torch.random.fork_rng():
        for step in range(rounds):
            start = time.perf_counter()
            game.play(data, seed=seed, step=step)
            seconds.append(time.perf_counter() - start)
            if step < rounds * k // max(KS) or (step + 1) % often == 0:
                played.append(step + 1)
                moments.append(moment(D, G, P_DATA, EDGES))
    return Play(k, played, moments, statistics.median(seconds))


def two_modes() -> Pair:
    """Two modes of p_data on one of p_g."""
    return pair(blobs(0.7, (-1, 0), (1, 0)), blobs(1.0, (0, 0)), reach=7.0, count=201)


def fit(p: Pair, n: int, *, steps: int, seed: int) -> Fit:
    """D trained on n points of p_data, drawn with replacement, and on fresh points of p_g."""
    points = p.p_data.sample(n, torch.Generator().manual_seed(mix(seed, n)))

    def sample(count: int, generator: torch.Generator) -> Tensor:
        return points[torch.randint(n, (count,), generator=generator)]

    D = train_discriminator(
        sample, p.p_g, hidden=64, rounds=steps, minibatch=500, rate=2e-2, seed=seed
    )

    def empirical(logit: Tensor, at_points: Tensor) -> float:
        """V with the mean over the points in place of the expectation."""
        of_data = (p.data * logsigmoid(logit)).sum().item() * p.cell
        return p.value(logit) - of_data + logsigmoid(at_points).mean().item()

    logit = logits(D, p.x)
    trained, fresh = empirical(logit, logits(D, points)), p.value(logit)
    best = optimal_logit(p.p_data, p.p_g, points)
    gap = trained - empirical(p.best, best) + p.value(p.best) - fresh
    return Fit(D, points, trained, fresh, gap)


def _checks(
    plays: list[Play], slow: Play, fitted: list[Fit], common: int, best: float
) -> list[Check]:
    lags = {play.k: play.lag(common) for play in plays}
    pairs, (few, *_, many) = itertools.pairwise(KS), fitted
    return [
        *(no_more(f"mean |D - D*|: k = {b} below k = {a}", lags[b], lags[a]) for a, b in pairs),
        no_more("mean |D - D*|: k = 1, G 4 times slower", slow.lag(common), lags[1]),
        # in every game p_g comes nine tenths of its way
        *(
            no_more(f"W1 at the end, k = {p.k}", p.moments[-1].w1, p.moments[0].w1 / 10)
            for p in plays
        ),
        Check(f"V on {SIZES[0]} points, above V(D*)", few.trained, best, 0, relation="at least"),
        # -log 4 is won by D = 1/2, that is, by knowing nothing
        no_more("V on fresh points instead, below -log 4", few.fresh, -math.log(4)),
        *(
            no_more(f"gap: n = {len(b.points):,} below n = {len(a.points):,}", b.gap, a.gap)
            for a, b in itertools.pairwise(fitted)
        ),
        # what this project asks of every trained D; one standard error of the points is .002
        Check(f"V on {SIZES[-1]:,} points, near V(D*)", many.trained, best, 0.02),
    ]


def _told(plays: list[Play], slow: Play, fitted: list[Fit], common: int) -> str:
    lags = ", ".join(f"{play.lag(common):.3f} with k = {play.k}" for play in plays)
    ends = ", ".join(f"{p.moments[-1].w1:.3f} after {p.rounds[-1]} rounds" for p in plays)
    gaps = ", ".join(f"{fit.gap:.3g} (n = {len(fit.points):,})" for fit in fitted)
    return "\n\n".join(
        (
            "Algorithm 1 takes k steps of D for one of G, so that D stays near its optimum while G "
            "moves slowly. All games here start from one D, close to D*, and one G, whose p_g has "
            "to go from N(2.2, 0.6²) to N(0, 1).",
            f"In the first {common} rounds D's mean distance from D* is {lags}. If D falls behind, "
            "G follows a slope that is out of date, and overshoots. A G four times slower helps "
            f"as well: {slow.lag(common):.3f} with k = 1.",
            "But steps of D are what a game costs. After as many of them in each game, the "
            f"Wasserstein-1 distance of p_g from p_data is {ends}: with a large k, G took few "
            "steps. The authors use k = 1, the least expensive option; then G has to be slow.",
            "Nor can D be trained to its end where the data are few: of n points of p_data it "
            "learns which places are occupied. The gap between what it wins on them and on fresh "
            f"points grows as n falls: {gaps}. On {SIZES[0]} points D wins "
            f"V = {fitted[0].trained:.2f}, more than any D can on the whole of p_data; there it "
            f"wins {fitted[0].fresh:.2f}, and had better say 1/2 everywhere, for −1.39.",
        )
    )


def _figures(plays: list[Play], fitted: list[Fit], common: int) -> list[Figure]:
    return [
        Figure(
            lambda canvas: _draw_plays(canvas, plays, common),
            "The larger k, the closer D is to D*, and the fewer steps G takes in the same time.",
            "The same games by rounds, by steps of D, and by seconds on the machine at hand.",
            (8.0, 7.0),
        ),
        Figure(
            lambda canvas: _draw_fits(canvas, fitted),
            "The gap falls with n; and D after training on few points, high around each of them.",
            "Left: how much more D wins on its own points than on fresh ones. Right: D after "
            f"training on {SIZES[0]} points (dots).",
            (8.0, 3.5),
        ),
    ]


def _draw_plays(canvas: Canvas, plays: list[Play], common: int) -> None:
    (lag, by_round), (by_step, by_second) = canvas.subplots(2, 2)
    for play, (colour, dashes) in zip(plays, STYLES, strict=True):
        w1 = [m.w1 for m in play.moments]
        for ax, values, unit in (
            (lag, [m.distance for m in play.moments], 1),
            (by_round, w1, 1),
            (by_step, w1, play.k),
            (by_second, w1, play.seconds),
        ):
            x = [n * unit for n in play.rounds]
            ax.plot(x, values, dashes, color=colour, label=f"k = {play.k}")
    lag.set(ylabel="mean |D − D*|", xlabel="rounds", xlim=(0, common))
    by_round.set(ylabel="W1(p_data, p_g)", xlabel="rounds", xlim=(0, 4 * common), yscale="log")
    by_step.set(ylabel="W1(p_data, p_g)", xlabel="steps of D", yscale="log")
    by_second.set(ylabel="W1(p_data, p_g)", xlabel="seconds", yscale="log")
    canvas.legend(*lag.get_legend_handles_labels(), loc="outside lower center", ncols=len(plays))


def _draw_fits(canvas: Canvas, fits: list[Fit]) -> None:
    """The gap against n, and the map of the D that was trained on the fewest points."""
    left, right = canvas.subplots(1, 2)
    left.loglog([len(f.points) for f in fits], [f.gap for f in fits], "o-", color=VERMILION)
    left.set(xlabel="points n", ylabel="gap")
    few = min(fits, key=lambda f: len(f.points))
    draw_map(right, logits(few.D, cube(2, 3.2, 141)).sigmoid(), reach=3.2)
    right.plot(*few.points.T, "o", color=INK, ms=4)
    canvas.colorbar(right.images[0], ax=right, ticks=(0, 0.5, 1), label="D")
