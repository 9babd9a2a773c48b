"""The gradient that reaches G, against how far D is ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import nn
from torch.nn.functional import logsigmoid
from typing_extensions import Doc

from frenemy.errors import at_least, at_most
from frenemy.figures import GREEN, INK, VERMILION, Canvas, Figure
from frenemy.game import Term, mix
from frenemy.lab.densities import line, normal
from frenemy.lab.discriminators import logits, pair
from frenemy.lab.fgan import JENSEN_SHANNON
from frenemy.lab.gradients import Optimal, Overtrained, far_law, overtrain, play_on, push, slopes
from frenemy.lab.lesson import Check, Formula, Result, sampled
from frenemy.lab.minimisers import f_divergence
from frenemy.objectives import minimax_g, nonsaturating_g

DATA = normal()
SAMPLES, LOOK = 100_000, 50_000  # for means over samples, and in a round that measures
TERMS: Mapping[str, Term] = {"log(1 − D)": minimax_g, "−log D": nonsaturating_g}
LOOKS = (("-", "o", VERMILION), ("--", "s", GREEN))
ARJOVSKY = (
    "Arjovsky and Bottou (2017), Towards Principled Methods for Training Generative Adversarial"
    " Networks, "
)
FORMULAS = (
    Formula(
        r"\frac{d}{ds} \log(1 - \sigma(s)) = -\sigma(s), \qquad"
        r" \frac{d}{ds} (-\log \sigma(s)) = -(1 - \sigma(s)), \qquad \sigma(s) = D(G(z))",
        "In D's logit s, one force on a sample fades where D rejects it, the other where D accepts"
        " it. Their ratio is D / (1 − D).",
        "Goodfellow et al. (2014), Generative Adversarial Nets, section 3",
    ),
    Formula(
        r"\nabla_\theta \, \mathbb{E} \log(1 - D^*(G_\theta(z))) = \nabla_\theta \, 2 \, JSD,"
        r" \qquad \nabla_\theta \, \mathbb{E} (-\log D^*(G_\theta(z)))"
        r" = \nabla_\theta (KL(p_g \Vert p_{data}) - 2 \, JSD)",
        "The forces of an optimal D that is held while G moves.",
        ARJOVSKY + "Theorem 2.5",
    ),
    Formula(
        r"\frac{d}{d\theta} \, 2 \, JSD(N(0, 1) \Vert N(\theta, 1)) \approx \sqrt{\frac{\pi}{2}} \,"
        r" e^{-\theta^2 / 8} \left(1 - \frac{\pi^2}{2 \theta^2} + \dots\right)",
        "What JSD leaves of a gradient at a distance θ.",
        "an expansion around θ / 2; compare " + ARJOVSKY + "Theorem 2.4",
    ),
)


def saturation(
    *,
    seed: Annotated[int, Doc("of D, the data and the noise")] = 0,
    distance: Annotated[float, Doc("of p_g from the data, in standard deviations")] = 7,
    steps: Annotated[int, Doc("of D before G moves")] = 512,
    rounds: Annotated[int, Doc("of each of the two games thereafter")] = 300,
) -> Result:
    """Where D is confident, log(1 - D(G(z))) saturates; -log D(G(z)) does not."""
    at_least(0, seed=seed)
    at_least(1, distance=distance, steps=steps, rounds=rounds)
    at_most(1000, distance=distance)  # there the quadrature takes steps of a quarter of an sd
    p_g, terms = normal(distance), list(TERMS.values())
    over = overtrain(DATA, p_g, terms, steps=steps, minibatch=LOOK, seed=mix(seed, 0))
    played = [play_on(over, DATA, p_g, t, rounds=rounds, seed=mix(seed, 1)) for t in terms]
    ways = dict(zip(TERMS, played, strict=True))
    last = over.gradients[-1]
    flat, steep = (abs(last[term.__name__]) for term in TERMS.values())
    times = steep / flat if flat else math.inf  # far off, D(G(z)) is 0 in float32
    gone = {name: 1 - abs(way[-1]) / distance for name, way in ways.items()}
    told = (
        f"p_data is N(0, 1), G(z) = θ + z, and p_g begins {distance:g} standard deviations away."
        f" First only D moves, for {steps} steps. Now and then a round in which G's rate is 0"
        " measures the gradient that would reach θ.\n\n"
        f"In the end the mean of D(G(z)) is {last['D(G(z))']:.2g}: D rejects nearly all. On"
        f" log(1 − D(G(z))) the gradient is {flat:.2g}, on −log D(G(z)) it is {steep:.2g},"
        f" {times:,.0f} times as much; on each sample the ratio is (1 − D) / D. This is the"
        " diminished gradient of the minimax game, and no fault of D's: the better D is, the nearer"
        " the gradient comes to that of 2 JSD, which falls as exp(−θ² / 8). That of −log D depends"
        " on D's slope, of which V(D, G) says little where D is near 0.\n\n"
        "Then both players moved, from the same start with the same D, G by plain descent. In"
        f" {rounds} rounds G came {gone['−log D']:.0%} of the way with −log D(G(z)), and"
        f" {gone['log(1 − D)']:.1%} with log(1 − D(G(z))). Adam, which divides by the"
        " gradient's size, hides much of this."
    )
    checks = [
        *_pointwise(),
        *_at_best(distance, seed),
        *_in_games(over, distance),
        # a twentieth of the way, and all but a twentieth
        Check("log(1 − D): G's share of the way", gone["log(1 − D)"], 0.05, 0, relation="at most"),
        Check("−log D: G's share of the way", gone["−log D"], 0.95, 0, relation="at least"),
    ]
    return Result(told, FORMULAS, checks, (_fading(over, distance, seed), _going(ways)))


def _pointwise() -> list[Check]:
    s = line(-15, 15, 301)
    flat, steep = (slopes(term, nn.Flatten(0), s) for term in TERMS.values())
    D = s[:, 0].sigmoid()
    errors = {
        "d log(1 − σ(s)) / ds + σ(s), largest": flat + D,
        "d −log σ(s) / ds + 1 − σ(s), largest": steep + 1 - D,
        "ratio of the two / (D / (1 − D)) − 1, largest": flat / steep / s[:, 0].exp() - 1,
    }
    return [Check(what, e.abs().max().item(), 0, 1e-9) for what, e in errors.items()]


def _at_best(distance: float, seed: int) -> list[Check]:
    D = Optimal(DATA, normal(distance))
    flat, steep = (push(term, D, distance) for term in TERMS.values())
    jsd = f_divergence(JENSEN_SHANNON, DATA, line(-20, distance + 20, 4001))
    slope = 2 * torch.func.grad(jsd)(torch.tensor([distance, 0.0]).double())[0].item()
    x = normal(distance).sample(SAMPLES, torch.Generator().manual_seed(mix(seed, 2)))
    seen = {name: slopes(term, D, x).abs().mean().item() for name, term in TERMS.items()}
    error = flat.sd / SAMPLES**0.5  # of both: the forces on a sample have a constant sum
    far = push(minimax_g, Optimal(DATA, normal(10)), 10).mean / far_law(10)
    rest = 1385 / 384 * (math.pi / 10) ** 8  # the next term of the series
    return [
        Check("D*: gradient of log(1 − D)", flat.mean, slope, 1e-6),
        # between normal densities of sd 1, KL is θ^2 / 2
        Check("D*: gradient of −log D", steep.mean, distance - slope, 1e-6),
        sampled("D*: mean force of log(1 − D) on samples", seen["log(1 − D)"], flat.mean, error),
        sampled("D*: mean force of −log D on samples", seen["−log D"], steep.mean, error),
        Check("D*: gradient of log(1 − D) / its law, θ = 10", far, 1.0, rest),
    ]


def _in_games(over: Overtrained, distance: float) -> list[Check]:
    both = pair(DATA, normal(distance), reach=distance + 12, count=4001)
    off = both.distance(logits(over.D, both.x))
    exact = {name: push(term, over.D, distance) for name, term in TERMS.items()}
    found = [over.gradients[-1][term.__name__] for term in TERMS.values()]
    return [
        Check("overtrained D: mean |D − D*|", off, 0, 0.02),  # as for every trained D
        *(
            sampled(f"overtrained D: gradient of {n}", g, e.mean, e.sd / LOOK**0.5)
            for g, (n, e) in zip(found, exact.items(), strict=True)
        ),
    ]


def _fading(over: Overtrained, distance: float, seed: int) -> Figure:
    fine, marks = torch.linspace(0.25, 9, 36).tolist(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    D = {d: Optimal(DATA, normal(d)) for d in (*fine, *marks, distance)}
    x = normal().sample(SAMPLES, torch.Generator().manual_seed(mix(seed, 3)))
    exact = [[push(term, D[d], d).mean for d in fine] for term in TERMS.values()]
    seen = [[slopes(term, D[d], d + x).mean() for d in marks] for term in TERMS.values()]

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2, sharey=True)
        for i, (name, term) in enumerate(TERMS.items()):
            style, marker, colour = LOOKS[i]
            sizes = [abs(g[term.__name__]) for g in over.gradients[1:]]
            left.loglog(over.marks[1:], sizes, style + marker, color=colour, label=name)
            left.axhline(push(term, D[distance], distance).mean, color=colour, ls=":")
            right.semilogy(fine, exact[i], style, color=colour)
            right.semilogy(marks, seen[i], marker, color=colour)
        right.semilogy(fine[20:], [far_law(d) for d in fine[20:]], ":", color=INK, lw=3)
        left.set(xlabel="steps of D", ylabel="gradient that reaches θ")
        left.legend()
        right.set(xlabel="distance θ")

    return Figure(
        draw,
        "As D trains, the gradient on log(1 − D) sinks far below that on −log D. With D*, one falls"
        " with the distance as exp(−θ² / 8), and the other grows.",
        f"Left: while D alone trains, at a distance of {distance:g}; dotted: with D*. Right: with"
        " D*, by quadrature (lines) and of samples (marks); dotted: its law.",
        (8, 3.5),
    )


def _going(ways: Mapping[str, list[float]]) -> Figure:
    s = line(-8, 8, 161)[:, 0]
    losses = (logsigmoid(-s), -logsigmoid(s))
    ends = ", ".join(f"{way[-1]:.2f} ({name})" for name, way in ways.items())

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        for (name, way), loss, (style, _, colour) in zip(ways.items(), losses, LOOKS, strict=True):
            left.plot(s, loss, style, color=colour)
            right.plot(way, style, color=colour, label=name)
        left.set(xlabel="logit of D(G(z))", ylabel="what G minimises")
        right.set(xlabel="round", ylabel="θ")
        right.legend()

    return Figure(
        draw,
        "log(1 − D) is flat where D rejects, and −log D is steep there. θ ends at " + ends + ".",
        "Left: what G minimises, over D's logit: below 0, D rejects. Right: G's mean θ in two"
        " games from one start; the data are at 0.",
        (8, 3.5),
    )
