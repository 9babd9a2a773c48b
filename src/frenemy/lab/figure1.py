"""Lesson: the game of Figure 1, played."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure, rasterised
from frenemy.game import mix
from frenemy.lab.densities import line, minibatches, normal
from frenemy.lab.lesson import Check, Formula, Result
from frenemy.lab.line_games import EDGE, Moment, line_game, line_nets, moment

P_DATA = normal(0.0, 1.0)
EDGES = line(-6.0, 6.0, 481)
Z = torch.linspace(-EDGE, EDGE, 17)[1:-1, None]  # where arrows start
SHOWN = (-3.2, 4.2)
FORMULAS = (
    Formula(
        r"D^*(x) = \frac{p_{data}(x)}{p_{data}(x) + p_g(x)}",
        "What the inner loop of Algorithm 1 tends to; at the end it is 1/2 everywhere.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, Figure 1 and Proposition 1",
    ),
    Formula(
        r"p_g(x) = \sum_{z : G(z) = x} \frac{p_z(z)}{|G'(z)|}",
        "Why p_g is high where the arrows crowd together.",
        "change of variables",
    ),
)


def figure1(
    *,
    seed: Annotated[int, Doc("of the networks, the data and the noise")] = 0,
    rounds: Annotated[int, Doc("rounds of the game; G rests in the first eighth")] = 160,
    k: Annotated[int, Doc("steps of D in a round")] = 10,
    minibatch: Annotated[int, Doc("points of p_data, and of p_g, in a minibatch")] = 1000,
    d_rate: Annotated[float, Doc("of D's Adam; it falls in the second half")] = 5e-3,
    g_rate: Annotated[float, Doc("of G's gradient descent; it falls in the second half")] = 0.3,
) -> Result:
    """Figure 1 reproduced: D approaches D*, p_g follows, and D ends at 1/2."""
    at_least(20, rounds=rounds)  # fewer would leave the four pictures nothing to show
    at_least(1, k=k, minibatch=minibatch)
    at_least(0, seed=seed, d_rate=d_rate, g_rate=g_rate)
    rest = rounds // 8  # in twice as many again G comes up to its full rate

    def d_rates(t: int) -> float:
        return d_rate * min(1.0, 2 * (1 - t / rounds))

    def g_rates(t: int) -> float:
        return g_rate * min(max(t / rest - 1, 0) / 2, 1.0, 2 * (1 - t / rounds))

    D, G = line_nets(seed, mean=2.2, sd=0.6)
    game = line_game(D, G, k=k, minibatch=minibatch, d_rate=d_rates, g_rate=g_rates)
    data = minibatches(P_DATA.sample, minibatch, mix(seed, 1))
    played = [_frame(D, G, 0)]
    with torch.random.fork_rng():
        for step in range(rounds):
            game.play(data, seed=mix(seed, 2), step=step)
            played.append(_frame(D, G, step + 1))
    told, checks = _told(played, rest, k), _checks(played, rest)
    return Result(told, FORMULAS, checks, _figures(played, rest), _film(played, rest))


@dataclass(frozen=True)
class Frame:
    """The game after a round: its densities, and where G sends the points Z."""

    round: int
    now: Moment
    Gz: Tensor


@torch.no_grad()
def _frame(D: nn.Module, G: nn.Module, rounds: int) -> Frame:
    return Frame(rounds, moment(D, G, P_DATA, EDGES), G(Z)[:, 0])


def _checks(played: list[Frame], rest: int) -> list[Check]:
    end = played[-1].now
    all_the_way = statistics.fmean(f.now.distance for f in played[rest:])
    return [
        # .02: what this project asks of every trained D
        Check(f"(b) mean |D - D*| in round {rest}", played[rest].now.distance, 0.0, 0.02),
        Check("(b) to (d) mean |D - D*| in all rounds", all_the_way, 0.0, 0.02),
        Check("(d) mean |D - D*| at the end", end.distance, 0.0, 0.02),
        Check("(d) mean |D - 1/2| at the end", end.from_half, 0.0, 0.02),
        # a twentieth of p_data's standard deviation; p_g starts at 2.2
        Check("(d) Wasserstein-1 distance of p_data and p_g", end.w1, 0.0, 0.05),
        # C(G) is then within .004 of -log 4; the JSD starts at .5, and is at most log 2
        Check("(d) JSD of p_data and p_g", end.jsd, 0.0, 0.002),
    ]


def _told(played: list[Frame], rest: int, k: int) -> str:
    start, optimal, end = played[0].now, played[rest].now, played[-1].now
    return "\n\n".join(
        (
            "The game of Figure 1, played: p_data (dotted) is N(0, 1), p_g (solid) starts as "
            "N(2.2, 0.6²), D (dashed) starts anywhere. Below, the lower line is z, uniform, and "
            "the upper one x; the arrows are x = G(z). Where they crowd together p_g is high.",
            f"(a) to (b): G rests for {rest} rounds, and D alone learns. Its mean distance from "
            f"D* (grey) falls from {start.distance:.2f} to {optimal.distance:.3f}.",
            f"(c): G follows D's slope to where D takes its samples for data; {k} steps of D to "
            "one of G keep D near D*, which changes with p_g. (d): when p_g has become p_data "
            f"(Wasserstein-1 distance {end.w1:.3f}, {start.w1:.2f} at first), D* is 1/2, and so is "
            f"D, to {end.from_half:.3f} in the mean. No slope is left for G to follow.",
            "p_g is computed from G on a fine grid of z, not estimated from samples. So D is "
            "compared with the D* of the very G that it faces.",
        )
    )


def _figures(played: list[Frame], rest: int) -> list[Figure]:
    half = next((f for f in played if f.now.w1 < played[0].now.w1 / 2), played[-1])
    frames = played[0], played[rest], half, played[-1]
    return [
        Figure(
            lambda canvas: _draw_four(canvas, frames),
            "D untrained; D at D*; p_g half-way to p_data; p_g on p_data, with D at 1/2.",
            "p_data dotted, p_g solid, D dashed, D* wide and grey; below, x = G(z).",
            (8.0, 7.5),
        ),
        Figure(
            lambda canvas: _draw_distances(canvas, played),
            "D stays close to D*, while p_g approaches p_data and D approaches 1/2.",
            "Distances in every round, in the mean. D is close to D* all the way to 1/2.",
        ),
    ]


def _film(played: list[Frame], rest: int) -> Figure:
    """At most 40 frames: G's way there in close steps, the rest in growing ones."""
    last = len(played) - 1
    there = rest + (last - rest) // 6
    numbers = {
        *(round(rest * (i / 8) ** 2) for i in range(9)),
        *(round(rest + (there - rest) * i / 16) for i in range(17)),
        *(round(there * (last / there) ** (i / 13)) for i in range(14)),
    }
    alt = "D rises to D* while p_g rests; then p_g moves over to p_data, and D flattens to 1/2."
    frames = [
        rasterised(lambda canvas, f=played[n]: _draw(canvas, f), (5.0, 4.5), dpi=80)
        for n in sorted(numbers)
    ]
    caption = "Live: p_data dotted, p_g solid, D dashed, D* wide and grey."
    return Figure(frames, alt, caption, fps=6.0)


def _draw(canvas: Canvas, frame: Frame) -> None:
    top, bottom = canvas.subplots(2, 1, height_ratios=(3, 1))
    _draw_frame(top, bottom, frame)
    top.set_title(f"round {frame.round}", loc="left")
    top.legend(loc="upper right", ncols=4, columnspacing=1, handlelength=1.5)


def _draw_four(canvas: Canvas, frames: Sequence[Frame]) -> None:
    axes = canvas.subplots(4, 2, height_ratios=(3, 1, 3, 1))
    for i, (letter, frame) in enumerate(zip("abcd", frames, strict=True)):
        top, bottom = axes[i // 2 * 2, i % 2], axes[i // 2 * 2 + 1, i % 2]
        _draw_frame(top, bottom, frame)
        top.set_title(f"({letter}) round {frame.round}", loc="left")
    canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _draw_frame(top: Axes, bottom: Axes, frame: Frame) -> None:
    now = frame.now
    seen = now.p_data + now.p_g > 2e-3  # D* means nothing where nothing is drawn
    top.plot(now.x[seen], now.best[seen], color=GREY, alpha=0.45, lw=5, label="D*")
    top.plot(now.x, now.p_data, ":", color=INK, lw=2, label="p_data")
    top.plot(now.x, now.p_g, color=GREEN, lw=2, label="p_g")
    top.plot(now.x, now.D, "--", color=BLUE, lw=2, label="D")
    top.set(xlim=SHOWN, ylim=(-0.03, 1.15), yticks=(0, 0.5, 1), xticks=())
    middle, scale = sum(SHOWN) / 2, (SHOWN[1] - SHOWN[0]) / 2 / EDGE
    z = middle + scale * Z[:, 0]  # drawn as long as the line of x
    bottom.hlines((0, 1), *SHOWN, colors=INK, lw=1)
    ones = torch.ones(len(z))
    exact = {"angles": "xy", "scale_units": "xy", "scale": 1}
    bottom.quiver(z, 0 * ones, frame.Gz - z, ones, width=0.004, headwidth=6, color=INK, **exact)
    bottom.set(xlim=SHOWN, ylim=(-0.1, 1.1), yticks=(0, 1), yticklabels=("z", "x"), xticks=())
    bottom.tick_params(length=0)
    bottom.spines[:].set_visible(False)


def _draw_distances(canvas: Canvas, played: list[Frame]) -> None:
    ax, rounds = canvas.subplots(), [f.round for f in played]
    ax.semilogy(rounds, [f.now.w1 for f in played], color=GREEN, label="W1(p_data, p_g)")
    ax.semilogy(rounds, [f.now.from_half for f in played], "--", color=BLUE, label="|D − 1/2|")
    ax.semilogy(rounds, [f.now.distance for f in played], "-.", color=VERMILION, label="|D − D*|")
    ax.set(xlabel="round")
    ax.legend()
