"""What G minimises when D is at its best, along three paths of p_g towards p_data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure
from frenemy.game import mix
from frenemy.judge.estimate import Estimate
from frenemy.lab.densities import (
    Mixture,
    jensen_shannon,
    kl,
    line,
    mixture,
    normal,
    optimal_logit,
    sample_mean,
)
from frenemy.lab.discriminators import excess, logits, pair, peak, train_discriminator
from frenemy.lab.fgan import JENSEN_SHANNON
from frenemy.lab.lesson import Check, Formula, Result, sampled
from frenemy.lab.minimisers import f_divergence

LOG_4 = math.log(4)
PAPER = "Goodfellow et al. (2014), Generative Adversarial Nets, "
FORMULAS = (
    Formula(
        r"C(G) = \max_D V(D, G) = \mathbb{E}_{x \sim p_{data}} \log \frac{p_{data}(x)}{p_{data}(x)"
        r" + p_g(x)} + \mathbb{E}_{x \sim p_g} \log \frac{p_g(x)}{p_{data}(x) + p_g(x)}",
        "What is left for G to minimise once D is optimal.",
        PAPER + "equation 4",
    ),
    Formula(
        r"C(G) = -\log 4 + 2 \, JSD(p_{data} \Vert p_g) \geq -\log 4",
        "The minimum is reached at p_g = p_data and nowhere else, for JSD is 0 only there.",
        PAPER + "Theorem 1, equation 6",
    ),
    Formula(
        r"C(G) = -\log 4 + \mathrm{KL}(p_{data} \Vert m) + \mathrm{KL}(p_g \Vert m) \ne -\log 4 +"
        r" \mathrm{KL}(p_{data} \Vert p_g), \qquad m = \tfrac{1}{2} (p_{data} + p_g)",
        "Both KLs are to the mean m of the two densities. Derivations that are passed around write"
        " the right-hand side, which is another function, and has no bound.",
        PAPER + "Theorem 1, equation 5",
    ),
    Formula(
        r"JSD(p_{data} \Vert p_g) \geq \frac{V(D, G) + \log 4}{2} \quad \text{for any } D",
        "A trained D measures JSD from below.",
        PAPER + "Proposition 1 and equation 6",
    ),
    Formula(
        r"C(G_\theta) = -\log 4 + \frac{1}{4} \, \delta^\top I(\theta) \, \delta + O(\delta^3)",
        "Around the optimum θ, at θ + δ, C is a bowl whose curvature is half of Fisher's"
        " information I.",
        "Csiszár and Shields (2004), Information Theory and Statistics: A Tutorial, section 4, of"
        " f-divergences; that of C has f''(1) = 1 / 2",
    ),
)


class Path(NamedTuple):
    """A way of p_g(t) to p_data, where it is at t = 1."""

    name: str
    p_data: Mixture
    p_g: Callable[[float], Mixture]


PATHS = (
    Path("mean", normal(), lambda t: normal(5 * (1 - t), 1)),
    Path("sd", normal(), lambda t: normal(0, 4 ** (1 - t))),
    Path(
        "weights",
        mixture((0.5, -2, 0.6), (0.5, 2, 0.6)),
        lambda t: mixture((0.95 - 0.45 * t, -2, 0.6), (0.05 + 0.45 * t, 2, 0.6)),
    ),
)


class Stop(NamedTuple):
    """One place of a path.

    Attributes:
        t: how far along.
        kl, jsd, C: KL(p_data || p_g), JSD and max_D V(D, G), by quadrature; the best D(x) is
            searched for at each x.
        to_mean: KL(p_data || m) + KL(p_g || m), m being their mean, by quadrature.
        sampled_kl, sampled_C: the same from samples, with the densities and D* known.
        trained: V(D, G) of a trained D, by quadrature.
        excess: of its V(D, G) over that of D*, by the same samples.
        off: the mean of its |D - D*| under (p_data + p_g) / 2.
    """

    t: float
    kl: float
    jsd: float
    C: float
    to_mean: float
    sampled_kl: Estimate
    sampled_C: Estimate
    trained: float
    excess: Estimate
    off: float

    @property
    def bound(self) -> float:
        """JSD from below: (V(D, G) + log 4) / 2."""
        return (self.trained + LOG_4) / 2


def global_optimum(
    *,
    seed: Annotated[int, Doc("of the samples and the games")] = 0,
    stops: Annotated[int, Doc("of each path before p_g = p_data: there, too, D is trained")] = 4,
    samples: Annotated[int, Doc("of p_data and of p_g, for each Monte Carlo estimate")] = 100_000,
    rounds: Annotated[int, Doc("of D's game at each stop")] = 200,
) -> Result:
    """Against the optimal D, G minimises JSD: C(G) = -log 4 at p_g = p_data."""
    at_least(0, seed=seed)
    at_least(1, stops=stops, rounds=rounds)
    at_least(2, samples=samples)
    walks = [
        walk(path, stops=stops, samples=samples, rounds=rounds, seed=mix(seed, n))
        for n, path in enumerate(PATHS)
    ]
    checks = [*_exact(walks), *_estimated(walks), *_trained(walks)]
    ratio = min(stop.bound / stop.jsd for way in walks for stop in way[:-1])
    told = (
        "Three paths lead p_g to p_data: a Gaussian slides by its mean, one shrinks by its sd, and"
        " two modes trade their weights. With D at its best against each p_g, C(G) = max V(D, G)"
        " is all that G has left to minimise, and it is −log 4 + 2 JSD.\n\n"
        "C(G) was found in three ways: by quadrature; by Monte Carlo, from"
        f" {samples:,} samples of each density, both of them known; and from minibatches alone, by"
        f" a game of {rounds} rounds in which only D moves. The trained D's JSD is {ratio:.2%} of"
        " the exact one at worst, and never above it: every D gives a lower bound.\n\n"
        f"All three paths fall to −log 4 = −{LOG_4:.4f}, the value of a D that can say no better"
        " than 1/2, and only p_g = p_data is there. Around it C(G) is a bowl, with half of Fisher's"
        " information as its curvature. KL grows without bound where the densities part; JSD is at"
        " most log 2, so far away C(G) is flat, and G finds little slope to follow.\n\n"
        "A warning: C(G) is often derived as −log 4 + KL(p_data ‖ p_g). It is not. D* has the sum"
        " of both densities below its fraction, so both KLs are to their mean m: −log 4 +"
        f" KL(p_data ‖ m) + KL(p_g ‖ m). At the start of the first path C(G) is"
        f" −{-walks[0][0].C:.2f}, and the wrong formula says {walks[0][0].kl - LOG_4:.2f},"
        " though V, a mean of logarithms of probabilities, is never above 0. The two meet only at"
        " p_g = p_data."
    )
    return Result(told, FORMULAS, checks, (_along(walks), _apart(walks), _warning()))


def walk(path: Path, *, stops: int, samples: int, rounds: int, seed: int) -> list[Stop]:
    """Goes along a path: at each stop p_g is held, and a D trained against it.

    Args:
        path: from t = 0 to t = 1.
        stops: t = 0, 1 / stops, ..., 1.
        samples: of p_data, and of p_g, for each Monte Carlo estimate.
        rounds: of D's game at each stop.
        seed: of the samples and the games.
    """
    found = []
    for i in range(stops + 1):
        p, q = path.p_data, path.p_g(i / stops)
        both = pair(p, q, reach=40, count=8001)
        generator = torch.Generator().manual_seed(mix(seed, i, 0))
        real, fake = p.sample(samples, generator), q.sample(samples, generator)
        ratio = optimal_logit(p, q, real)
        trained = train_discriminator(
            p.sample, q, rounds=rounds, minibatch=1000, rate=0.02, seed=mix(seed, i, 1)
        )
        logit = logits(trained, both.x)
        stop = Stop(
            i / stops,
            kl(p, q, both.x),
            jensen_shannon(p, q, both.x),
            both.value(peak(both.data, both.generated).logit()),
            kls_to_mean(p, q, both.x),
            sample_mean(ratio),
            sample_mean(logsigmoid(ratio), logsigmoid(-optimal_logit(p, q, fake))),
            both.value(logit),
            excess(trained, p, q, real, fake),
            both.distance(logit),
        )
        found.append(stop)
    return found


def kls_to_mean(p: Mixture, q: Mixture, x: Tensor) -> float:
    """KL(p || m) + KL(q || m) by quadrature at x (N, 1), with m = (p + q) / 2 as a mixture."""
    parts = ((p.weights, q.weights), (p.means, q.means), (p.sds, q.sds))
    weights, means, sds = (torch.cat(pair) for pair in parts)
    m = Mixture(weights / 2, means, sds)
    return kl(p, m, x) + kl(q, m, x)


def curvature() -> tuple[Tensor, Tensor]:
    """Gradient (2,) and Hessian (2, 2) of C(G) in G's (mean, log sd) at p_g = p_data = N(0, 1)."""
    jsd = f_divergence(JENSEN_SHANNON, normal(), line(-12, 12))
    at = torch.zeros(2, dtype=torch.float64)
    return 2 * torch.func.grad(jsd)(at), 2 * torch.func.hessian(jsd)(at)


def _exact(walks: Sequence[Sequence[Stop]]) -> list[Check]:
    every = [stop for way in walks for stop in way]
    gradient, hessian = curvature()
    off = max(abs(stop.C + LOG_4 - 2 * stop.jsd) for stop in every)
    to_mean = max(abs(stop.C + LOG_4 - stop.to_mean) for stop in every)
    wrong = max(stop.kl - LOG_4 - stop.C for stop in every)
    goal = max((way[-1].C + LOG_4 for way in walks), key=abs)
    return [
        # of Gaussians, KL = log s + (1 + m^2) / (2 s^2) - 1 / 2; what rounding leaves is far less
        Check("mean: KL by quadrature, t = 0", walks[0][0].kl, 12.5, 1e-9),
        Check("sd: KL by quadrature, t = 0", walks[1][0].kl, LOG_4 + 1 / 32 - 1 / 2, 1e-9),
        # C(G) knows no D*: at each point, D(x) was searched for
        Check("C(G) + log 4 − 2 JSD by quadrature, largest", off, 0.0, 1e-9),
        Check("C(G) + log 4 − KL(p_data ‖ m) − KL(p_g ‖ m), largest", to_mean, 0.0, 1e-9),
        # no other way to write C(G): it is off by nats
        Check("C(G) + log 4 and KL(p_data ‖ p_g): apart by", wrong, 1.0, 0.0, relation="at least"),
        Check("p_g = p_data: C(G) by quadrature", goal - LOG_4, -LOG_4, 1e-9),
        Check("p_g = p_data: gradient of C(G), largest", gradient.abs().max().item(), 0.0, 1e-9),
        Check("p_g = p_data: curvature of C(G) in the mean", hessian[0, 0].item(), 0.5, 1e-6),
        Check("p_g = p_data: curvature of C(G) in log sd", hessian[1, 1].item(), 1.0, 1e-6),
    ]


def _estimated(walks: Sequence[Sequence[Stop]]) -> list[Check]:
    """KL and C(G) where samples are farthest off, in standard errors."""
    checks = []
    for path, way in zip(PATHS, walks, strict=True):
        for name, pairs in {
            "KL": [(stop.t, stop.sampled_kl, stop.kl) for stop in way[:-1]],
            "C(G)": [(stop.t, stop.sampled_C, stop.C) for stop in way[:-1]],
        }.items():
            t, mean, exact = max(pairs, key=lambda p: abs(p[1].value - p[2]) / p[1].error)
            what = f"{path.name}: {name} by samples, t = {t:g}"
            checks.append(sampled(what, mean.value, exact, mean.error))
    return checks


def _trained(walks: Sequence[Sequence[Stop]]) -> list[Check]:
    worst = [min(stop.bound / stop.jsd for stop in way[:-1]) for way in walks]
    most = max((stop.excess for way in walks for stop in way), key=lambda e: e.value / e.error)
    beyond = "V(D, G) − V(D*, G) of the trained D on samples, most"
    off = max(stop.off for way in walks for stop in way)
    half = max(way[-1].off for way in walks)  # there D* is 1/2
    return [
        # a trained D is to give JSD within 2 % of quadrature, and to be within .02 of D*
        *(
            Check(f"{path.name}: JSD by D / exact, worst of the stops", ratio, 1.0, 0.02)
            for path, ratio in zip(PATHS, worst, strict=True)
        ),
        Check("mean |D − D*| of the trained D, worst of the stops", off, 0.0, 0.02),
        Check("p_g = p_data: mean |D − 1/2| of the trained D", half, 0.0, 0.02),
        sampled(beyond, most.value, 0.0, most.error, "at most"),
    ]


def _along(walks: Sequence[Sequence[Stop]]) -> Figure:
    x, shown, times = line(-40, 40, 4001), line(-8, 8, 401), torch.linspace(0, 1, 41).tolist()
    curves = [
        [2 * jensen_shannon(path.p_data, path.p_g(t), x) - LOG_4 for t in times] for path in PATHS
    ]

    def draw(canvas: Canvas) -> None:
        rows = canvas.subplots(3, 2, sharex="col")
        for (left, right), path, way, curve in zip(rows, PATHS, walks, curves, strict=True):
            left.fill_between(shown[:, 0], path.p_data.pdf(shown), color=BLUE, alpha=0.35, lw=0)
            for stop in way[:-1]:
                p_g = path.p_g(stop.t).pdf(shown)
                left.plot(shown, p_g, "--", color=VERMILION, alpha=0.3 + 0.7 * stop.t)
            left.set(yticks=[], ylabel=path.name)
            right.plot(times, curve, color=INK, label="quadrature")
            t = [stop.t for stop in way]
            error = [4 * stop.sampled_C.error for stop in way]
            value = [stop.sampled_C.value for stop in way]
            right.errorbar(t, value, error, fmt="o", color=GREEN, mfc="none", label="samples")
            right.plot(t, [s.trained for s in way], "x", color=VERMILION, label="trained D")
            right.axhline(-LOG_4, color=GREY, ls=":")
            right.set(ylim=(-1.5, 0.05), ylabel="C(G)")
        rows[0, 1].legend()
        rows[2, 0].set_xlabel("x")
        rows[2, 1].set_xlabel("t")

    ends = ", ".join(f"{p.name} from {w[0].C:.2f}" for p, w in zip(PATHS, walks, strict=True))
    return Figure(
        draw,
        f"Left: p_g on three paths to p_data. Right: C(G) falls along them to −log 4: {ends}; the"
        " three ways to find it agree.",
        "Left: p_data (filled) and p_g on its way (dashed, darker as it nears). Right: C(G) by"
        " quadrature, by samples (bars: 4 standard errors) and by a trained D; dotted: −log 4.",
        (8, 8.5),
    )


def _apart(walks: Sequence[Sequence[Stop]]) -> Figure:
    looks = (("o", BLUE), ("s", VERMILION), ("^", GREEN))

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2, sharex=True)
        for path, way, (marker, colour) in zip(PATHS, walks, looks, strict=True):
            t = [stop.t for stop in way[:-1]]
            left.semilogy(t, [s.kl for s in way[:-1]], marker + "--", color=colour, mfc="none")
            left.semilogy(t, [s.jsd for s in way[:-1]], marker + "-", color=colour, label=path.name)
            gap = [s.jsd - s.bound for s in way[:-1]]
            right.semilogy(t, gap, marker, color=colour)
            right.semilogy(t, [0.02 * s.jsd for s in way[:-1]], ":", color=colour)
        left.axhline(LOG_4 / 2, color=GREY, ls=":")
        left.set(xlabel="t", ylabel="nats", ylim=(1e-4, 30))
        left.legend(loc="lower left")
        right.set(xlabel="t", ylabel="JSD − D's bound")

    return Figure(
        draw,
        "KL and JSD fall along the three paths; what a trained D misses of JSD is below 2 % of it.",
        "Left: KL (dashed) and JSD (solid), which is at most log 2 (dotted). Right: what a"
        " trained D leaves of JSD; dotted: 2 % of it.",
        (8, 3.5),
    )


def _warning() -> Figure:
    """C(G) along the first path, and what it is taken for."""
    path, x = PATHS[0], line(-40, 40, 4001)
    times = torch.linspace(0, 1, 41).tolist()
    ways = [(path.p_data, path.p_g(t)) for t in times]
    right = [kls_to_mean(p, q, x) - LOG_4 for p, q in ways]
    wrong = [kl(p, q, x) - LOG_4 for p, q in ways]

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        ax.plot(times, right, color=INK, label="KL(p_data ‖ m) + KL(p_g ‖ m) − log 4")
        ax.plot(times, wrong, "--", color=VERMILION, label="KL(p_data ‖ p_g) − log 4: wrong")
        ax.axhline(-LOG_4, color=GREY, ls=":")
        ax.axhline(0, color=GREY, lw=0.8)
        ax.set(xlabel="t", ylabel="C(G), and what it is not", ylim=(-1.6, 4))
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1))

    return Figure(
        draw,
        "C(G) rises from −log 4 to at most 0 as p_g slides away from p_data; KL(p_data ‖ p_g) − log"
        f" 4 rises to {wrong[0]:.1f}.",
        "Along the first path: C(G), and the formula that it is often mistaken for. V is a mean of"
        " logarithms of probabilities, and never above 0.",
        (6, 4.2),
    )
