"""Mode collapse on mixtures with modes that can be counted, and what was proposed against it."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Literal

from matplotlib.axes import Axes
from torch import Tensor
from typing_extensions import Doc

from frenemy.errors import FrenemyError, at_least
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure, rasterised
from frenemy.game import mix
from frenemy.judge.modes import Modes, kl_floor, quality_ceiling
from frenemy.lab.cures import CURES, FORMULAS, Cure, game
from frenemy.lab.lesson import Check, Result, no_more, sampled
from frenemy.lab.mixtures import PUBLISHED, SAMPLES, TARGETS, Target, Watched, watch

FRAMES = 30
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))


def collapse(
    *,
    seed: Annotated[int, Doc("of data, weights and noise")] = 0,
    data: Annotated[Literal["ring", "grid"], Doc("8 modes in a ring, or 25 in a grid")] = "ring",
    rounds: Annotated[int, Doc("of every game")] = 2000,
    games: Annotated[tuple[Cure, ...], Doc("to compare: standard, ours and others")] = (
        "standard",
        "ours",
    ),
) -> Result:
    """G may drop modes of the data; changes to the game can prevent it."""
    at_least(0, seed=seed)
    at_least(1, rounds=rounds)
    if data not in TARGETS:
        raise FrenemyError(f"data is {data!r}: choose ring or grid")
    if not {"standard", "ours"} <= set(games) <= set(CURES):
        raise FrenemyError(f"games: name standard, ours and any of {', '.join(CURES)}")
    target = TARGETS[data]
    total, ceiling = len(target.centres), quality_ceiling(2)
    played: dict[Cure, Watched] = {
        cure: watch(
            game(cure, seed=seed, rounds=rounds), target, seed=seed, rounds=rounds, looks=FRAMES
        )
        for cure in dict.fromkeys(games)
    }
    exact = target.judge(target.sample(40 * SAMPLES, mix(seed, 6)))
    share, error = _quality(exact)
    caught = {name: p.modes[-1].caught.value for name, p in played.items()}
    best, best_error = _quality(played["ours"].modes[-1])
    standard, standard_error = _quality(played["standard"].modes[-1])
    either = math.hypot(best_error, standard_error)
    checks = [
        Check("exact samples: high-quality share", share, ceiling, 4 * error, error),
        # KL / its mean is chi-squared of K - 1 degrees of freedom over their number: its cube root
        # is nearly normal (Wilson and Hilferty 1931, The Distribution of Chi-Square)
        sampled(
            "exact samples: cube root of reverse KL / its mean",
            (exact.reverse_kl.value / kl_floor(total, 40 * SAMPLES)) ** (1 / 3),
            1 - 2 / (9 * (total - 1)),
            math.sqrt(2 / (9 * (total - 1))),
        ),
        Check("ours: modes caught", caught["ours"], total, 0.0),
        no_more("standard: modes caught, against ours", caught["standard"], caught["ours"]),
        Check(
            "standard: reverse KL, against ours",
            played["standard"].modes[-1].reverse_kl.value,
            played["ours"].modes[-1].reverse_kl.value,
            0.0,
            relation="at least",
        ),
        no_more("standard: high-quality share, against ours", standard, best, either),
    ]
    lines = [f"{name} {_summary(p.modes[-1])}" for name, p in played.items()]
    told = f"""\
The data are {total} Gaussians in the plane, of sd {target.sd} each: which modes G reaches can be\
 counted. G may put all its samples where D errs most at the moment; D learns of it, G moves on and\
 forgets other modes: collapse (the Helvetica scenario of Goodfellow et al. 2014, section 6).

Each game was played for {rounds:,} rounds of nets of the same size. Of {SAMPLES:,} samples:\
 {"; ".join(lines)}. Exact samples reach all modes, with {ceiling:.2%} of high quality.

Packing and minibatch discrimination let D see several samples at once, so that sameness betrays G.\
 Unrolling lets G see the answer to its move. Our game pairs each generated point with a real one:\
 as a function of the samples alone, the loss then has no bad basins in which modes stay away (Sun\
 et al. 2020, Towards a Better Global Loss Landscape of GANs). R1 and R2 with a weight that falls\
 in time keep it stable while D learns modes of sd {target.sd / target.unit:.3f} in units of the\
 data. Beside that it has nets that can be steep, rates that fall and an average of G's weights;\
 the game "ours, standard objective" tells what those do alone.

One seed of so few rounds says little of how the cures compare: benchmarks/collapse.py plays them\
 longer, over seeds. Published, after 400,000 rounds with larger nets (Lin et al. 2018, PacGAN):\
 {"; ".join(f"{name} {modes}" for name, (modes, _, _) in PUBLISHED[data].items())} modes."""
    figures = [_pictures(played, target), _curves(played, total, ceiling)]
    return Result(told, FORMULAS, checks, figures, _film(played, target))


def _quality(modes: Modes) -> tuple[float, float]:
    assert modes.quality is not None  # of mixtures it never is
    return modes.quality.value, modes.quality.error


def _summary(modes: Modes) -> str:
    share = _quality(modes)[0]
    return f"{modes.caught.value:.0f} of {modes.total} modes, {share:.1%} of high quality"


def _points(axes: Axes, x: Tensor, target: Target) -> None:
    axes.plot(*target.centres.T, "o", color=BLUE, ms=14, mfc="none", mew=1.5)
    axes.plot(*x.T, ".", color=VERMILION, ms=1.5, rasterized=True)
    edge = 1.35 * target.centres.abs().max().item()
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    axes.set_axis_off()


def _pictures(played: dict[Cure, Watched], target: Target) -> Figure:
    rows = math.ceil(len(played) / 2)

    def draw(canvas: Canvas) -> None:
        panels = list(canvas.subplots(rows, 2, squeeze=False).flat)
        for axes, (name, p) in zip(panels, played.items(), strict=False):
            _points(axes, p.samples[-1], target)
            modes = p.modes[-1]
            axes.set_title(f"{name}\n{modes.caught.value:.0f} modes, {_quality(modes)[0]:.0%}")
        for axes in panels[len(played) :]:
            axes.remove()

    return Figure(
        draw,
        "Samples of each game over the modes: "
        + "; ".join(f"{name}: {_summary(p.modes[-1])}" for name, p in played.items()),
        f"{SAMPLES:,} samples of each G (dots) over the modes of the data (circles, wider than the"
        " modes are): modes caught, and the share of samples within 3 sd of one.",
        (6, 3.2 * rows),
    )


def _curves(played: dict[Cure, Watched], total: int, ceiling: float) -> Figure:
    colours = (VERMILION, GREEN, GREY, INK)

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        for i, (name, p) in enumerate(played.items()):
            colour = BLUE if name == "ours" else colours[i % len(colours)]
            style = "-" if name == "ours" else STYLES[1 + i % (len(STYLES) - 1)]
            left.plot(p.rounds, [m.caught.value for m in p.modes], ls=style, color=colour)
            right.plot(
                p.rounds, [_quality(m)[0] for m in p.modes], ls=style, color=colour, label=name
            )
        left.axhline(total, color=INK, lw=0.8)
        right.axhline(ceiling, color=INK, lw=0.8)
        left.set(xlabel="rounds", ylabel="modes caught", ylim=(0, total * 1.05))
        right.set(xlabel="rounds", ylabel="high-quality share", ylim=(0, 1.04))
        canvas.legend(loc="outside upper center", ncols=2)

    last = {name: _summary(p.modes[-1]) for name, p in played.items()}
    return Figure(
        draw,
        f"Modes caught and high-quality share over rounds. Ours ends at {last['ours']}, the"
        f" standard game at {last['standard']}.",
        "Left: modes caught; right: share of samples of high quality. Thin lines: exact samples.",
        (8, 4),
    )


def _film(played: dict[Cure, Watched], target: Target) -> Figure:
    pair = played["standard"], played["ours"]

    def draw(i: int, canvas: Canvas) -> None:
        for axes, p, name in zip(canvas.subplots(1, 2), pair, ("standard", "ours"), strict=True):
            _points(axes, p.samples[i], target)
            axes.set_title(f"{name}, round {p.rounds[i]:,}")

    looks = range(len(pair[0].rounds))
    frames = [rasterised(partial(draw, i), (8, 4.2), dpi=80) for i in looks]
    return Figure(
        frames,
        f"Samples of the standard game and of ours in {len(frames)} of the rounds.",
        "Samples of the same noise, as the games are played.",
    )
