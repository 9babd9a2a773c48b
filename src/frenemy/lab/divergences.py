"""A single Gaussian against two modes: what each divergence makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import Doc

from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import mix
from frenemy.lab import fgan
from frenemy.lab.densities import Mixture, line, mixture, normal
from frenemy.lab.lesson import Check, Formula, Result, sampled
from frenemy.lab.minimisers import f_divergence, minimum, mmd, quantiles, spectral_mmd, w2

DUALS = {
    "KL": fgan.KL,
    "reverse KL": fgan.REVERSE_KL,
    "JSD": fgan.JENSEN_SHANNON,
    "Pearson χ²": fgan.PEARSON,
}
Found = Mapping[str, tuple[float, float]]  # (m, s) of the nearest p_g, by each divergence
LINES = (("-", BLUE), ("--", VERMILION), ("-.", GREEN), (":", INK))
FORMULAS = (
    Formula(
        r"D_f(p_{data} \Vert p_g) = \int p_g \, f\left(\frac{p_{data}}{p_g}\right) dx \geq"
        r" \mathbb{E} \, g_f(V(x)) - \mathbb{E} \, f^*(g_f(V(G(z))))",
        "An f-divergence is the most that D can win in its game, and G makes it small.",
        "Nowozin, Cseke and Tomioka (2016), f-GAN: Training Generative Neural Samplers using"
        " Variational Divergence Minimization, equations 4 and 7",
    ),
    Formula(
        r"W_2^2 = \int_0^1 (F^{-1}(u) - m - s \, \Phi^{-1}(u))^2 \, du, \qquad"
        r" m = \mathbb{E} \, x, \quad s = \int \varphi(\Phi^{-1}(F(x))) \, dx",
        "On the line, the cheapest transport takes quantile to quantile; the nearest Gaussian"
        " follows by least squares.",
        "Villani (2003), Topics in Optimal Transportation, Theorem 2.18",
    ),
    Formula(
        r"MMD^2 = \mathbb{E} \, k(x, x') - 2 \, \mathbb{E} \, k(x, y) + \mathbb{E} \, k(y, y'),"
        r" \qquad k(x, y) = e^{-(x - y)^2 / 2 l^2}",
        "For mixtures of Gaussians, in closed form.",
        "Gretton et al. (2012), A Kernel Two-Sample Test, Lemma 6",
    ),
)


def divergences(
    *,
    seed: Annotated[int, Doc("of the games")] = 0,
    weight: Annotated[float, Doc("of the heavier mode, on the left")] = 0.7,
    distance: Annotated[float, Doc("between the modes")] = 4.0,
    sd: Annotated[float, Doc("of both modes")] = 0.6,
    bandwidth: Annotated[float, Doc("of the Gaussian kernel of the MMD")] = 1.0,
    rounds: Annotated[int, Doc("of each game, and as many again of D alone")] = 300,
) -> Result:
    """What a too simple p_g gives up depends on the divergence it minimises."""
    at_least(0, seed=seed)
    at_least(1, rounds=rounds)
    at_least(1e-3, distance=distance, sd=sd, bandwidth=bandwidth)
    at_most(100 * sd, distance=distance)  # by sd / 30 are the densities integrated
    if not 0.5 < weight < 1:
        raise FrenemyError(f"weight is {weight}: give the heavier mode more than 0.5, less than 1")
    p_data = mixture((weight, -distance / 2, sd), (1 - weight, distance / 2, sd))
    reach = distance / 2 + 5 * sd
    x = line(-4 * reach, 4 * reach, 2 * math.ceil(120 * reach / sd) + 1)  # by sd / 30
    measures = {name: f_divergence(f, p_data, x) for name, f in DUALS.items()}
    measures |= {"W2": w2(p_data, x), "MMD": mmd(p_data, bandwidth)}
    # where s < sd / sqrt 2, the tails of p_data make Pearson's chi^2 infinite
    best = {name: minimum(d, reach, 0.75 * sd) for name, d in measures.items()}
    found = {name: (theta[0].item(), theta[1].exp().item()) for name, theta in best.items()}
    games = {
        name: fgan.play(f, p_data, (m + 0.5, 1.4 * s), x, rounds=rounds, seed=mix(seed, n))
        for n, ((name, f), (m, s)) in enumerate(zip(DUALS.items(), found.values(), strict=False))
    }
    s = {name: sd for name, (_, sd) in found.items()}
    kept = {n: "keeps to one mode" if s[n] < s["KL"] / 2 else "covers both modes" for n in s}
    told = (
        f"p_data has two modes of sd {sd:g}, {distance:g} apart; the left one holds {weight:.0%}."
        " p_g is N(m, s²) and cannot have both. Where each of six divergences is least was found"
        " by quadrature and Newton's method.\n\n"
        "KL and Pearson's χ² divide by p_g, which must not vanish where there are data: p_g covers"
        f" both modes and the gap between them, with s = {s['KL']:.3f} and {s['Pearson χ²']:.3f},"
        " and KL's has the mean and variance of the data. Reverse KL divides by p_data: p_g shuns"
        f" the gap, and {kept['reverse KL']} (s = {s['reverse KL']:.3f}). JSD is bounded, so that a"
        f" mode may be given up if the other is met well: p_g {kept['JSD']} (s = {s['JSD']:.3f})."
        f" W2 pays by distance, and p_g {kept['W2']} (s = {s['W2']:.3f}). The MMD blurs both"
        f" densities by its bandwidth of {bandwidth:g}: m = {found['MMD'][0]:.3f},"
        f" s = {s['MMD']:.3f}.\n\n"
        "Each f-divergence is also the value of a game in which D's logits pass an output"
        " activation of their own; that of JSD is the game of 2014. G is m + s z, and began half a"
        f" unit to the right of its minimiser and 1.4 times as wide. After {rounds} rounds it was"
        " held, and D went on for as many. D's bound then was "
        + ", ".join(f"{game.ratios[-1]:.1%} ({name})" for name, game in games.items())
        + " of the exact divergence; it is never above, whatever D has learned."
    )
    worst = max(fgan.force(f, p_data, normal(*found[name])) for name, f in DUALS.items())
    kept_off = measures["reverse KL"](best["reverse KL"]).item() + math.log(weight)
    by_frequencies = spectral_mmd(p_data, normal(*found["MMD"]), bandwidth)
    checks = [
        *_moments(p_data, x, found),
        # p_g = the left mode has log(1 / weight) at most
        Check("reverse KL − log(1 / weight)", kept_off, 0.0, 1e-9, relation="at most"),
        Check("MMD²", measures["MMD"](best["MMD"]).item() ** 2, by_frequencies, 1e-6),
        Check("force of V* on G at the minima of the four duals, largest", worst, 0.0, 1e-6),
        *_trained(games, found),
    ]
    return Result(told, FORMULAS, checks, (_gallery(p_data, found), _ways(games, found)))


def _moments(p_data: Mixture, x: Tensor, found: Found) -> list[Check]:
    means, sds, at = p_data.means[:, 0], p_data.sds, x[:, 0]
    mean, variance = p_data.mean.item(), p_data.variance.item()
    transported = torch.trapezoid(normal().pdf(quantiles(p_data, x)[:, None]), at).item()
    tilted = 2 * p_data.log_pdf(x) - normal(*found["Pearson χ²"]).log_pdf(x)
    p = tilted.softmax(0)  # p_data^2 / p_g, of whose moments Pearson's chi^2 makes p_g's
    centre = p @ at
    spread = (p @ (at - centre).square()).item()
    near = sds[0].item() / 20  # the other mode begins 3 sd away, where p_g still has .1 %
    return [
        Check("KL: m", found["KL"][0], mean, 1e-6),
        Check("KL: s²", found["KL"][1] ** 2, variance, 1e-6),
        Check("W2: m", found["W2"][0], mean, 1e-6),
        Check("W2: s", found["W2"][1], transported, 1e-6),
        Check("Pearson χ²: m", found["Pearson χ²"][0], centre.item(), 1e-6),
        Check("Pearson χ²: s²", found["Pearson χ²"][1] ** 2, spread, 1e-6),
        Check("reverse KL: m, of the left mode", found["reverse KL"][0], means[0].item(), near),
        Check("reverse KL: s, of the left mode", found["reverse KL"][1], sds[0].item(), near),
    ]


def _trained(games: Mapping[str, fgan.Played], found: Found) -> list[Check]:
    off = {name: math.dist(game.path[-1], found[name]) for name, game in games.items()}
    above = [(g.sampled.value - g.exact[-1], g.sampled.error) for g in games.values()]
    excess, error = max(above, key=lambda a: a[0] / a[1])
    return [
        # as for the JSD of any trained D
        *(Check(f"{n}: D's bound / exact", g.ratios[-1], 1.0, 0.02) for n, g in games.items()),
        sampled("D's bound on fresh samples − exact, most", excess, 0.0, error, "at most"),
        # a fifth of the way that G had to go, at least: its last steps follow a noisy D
        *(Check(f"{n}: G's distance to its minimiser", d, 0.0, 0.1) for n, d in off.items()),
    ]


def _gallery(p_data: Mixture, found: Found) -> Figure:
    reach = max(abs(m) + 3 * s for m, s in found.values())
    x = line(-reach, reach, 401)

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(3, 2, sharex=True, sharey=True)
        for axes, name in zip(panels.flat, found, strict=True):
            axes.fill_between(x[:, 0], p_data.pdf(x), color=BLUE, alpha=0.35, lw=0)
            axes.plot(x, normal(*found[name]).pdf(x), "--", color=VERMILION, lw=2)
            axes.set(yticks=[], title=name)
        first = panels[0, 0]
        first.text(0.98, 0.9, "p_data", color=BLUE, ha="right", transform=first.transAxes)
        first.text(0.98, 0.78, "p_g", color=VERMILION, ha="right", transform=first.transAxes)

    return Figure(
        draw,
        "Six panels, one a divergence, with the two modes of p_data and the Gaussian p_g that is"
        " nearest: "
        + ", ".join(f"{n} m = {m:.2f}, s = {s:.2f}" for n, (m, s) in found.items())
        + ".",
        "The Gaussian p_g (dashed) that is nearest to p_data (filled), by six divergences.",
        (8, 8),
    )


def _ways(games: Mapping[str, fgan.Played], found: Found) -> Figure:
    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        for (name, game), (style, colour) in zip(games.items(), LINES, strict=True):
            left.plot(*zip(*game.path, strict=True), style, color=colour, label=name)
            left.plot(*found[name], "X", color=colour, ms=9)
            right.plot(game.rounds, game.ratios, style, color=colour)
            right.axvline(game.rounds[-1] / 2, color=GREY, lw=1)
        left.set(xlabel="m", ylabel="s")
        left.legend()
        right.axhline(1, color=GREY, lw=1)
        right.set(xlabel="round", ylabel="D's bound / exact", ylim=(0.5, 1.03))

    return Figure(
        draw,
        "G's mean and sd come to the minimisers; D's bounds rise to "
        + ", ".join(f"{g.ratios[-1]:.3f} ({n})" for n, g in games.items())
        + " of the exact divergence.",
        "Left: G's (m, s) in four games, from its start to the exact minimiser (cross). Right: D's"
        " bound as a share of the divergence at that time; from the grey line on, G is held.",
        (8, 3.5),
    )
