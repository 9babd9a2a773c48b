"""What is exact of games that rotate: methods, their closed forms with sources, and the checks."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from frenemy.game import Term
from frenemy.lab.dynamics import (
    SMALL,
    Method,
    eigenvalue,
    instance_noise,
    largest_stable,
    theta_first,
)
from frenemy.lab.lesson import Check, Formula
from frenemy.objectives import minimax_d, minimax_g, nonsaturating_g, wasserstein_d, wasserstein_g
from frenemy.optimisers import Optimistic, ProximalPoint
from frenemy.penalties import consensus, r1, r2, wgan_gp

STEPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # where spectral radii are measured
INNER = 20  # steps towards the proximal point: h^(2 INNER + 2) / 2 off, which is 2e-7 at h = .7
CLOSED = 1e-6  # bisection stops at 3e-7, and so do the inner steps; all else is exact to 1e-8
TURN = 24  # alternating steps of size 4 sin(pi / 24) that make one turn about the equilibrium
GP = 0.5  # λ, the weight of WGAN-GP's penalty


class Bilinear(NamedTuple):
    """A method for the game x y: its spectral radius at step h, and its largest stable step."""

    name: str
    method: Method
    radius: Callable[[float], float]
    formula: str
    stable: float
    limit: str


def bilinear(c: float) -> list[Bilinear]:
    """Methods for the game x y, with their closed forms; c is the weight of consensus."""
    D, G = {wasserstein_d: 1.0}, {wasserstein_g: 1.0}
    both = partial(Method, D, G)
    in_turn = partial(Method, D, G, theta_first)
    agreement = {consensus(wasserstein_d, wasserstein_g): c}
    agreeing = Method(D | agreement, G | agreement)
    extragradient = both(optimiser=partial(ProximalPoint, inner=2), inner=2)
    proximal = both(optimiser=partial(ProximalPoint, inner=INNER), inner=INNER)
    plus, minus, less = in_turn(momentum=0.5), in_turn(momentum=-0.5), both(momentum=-0.5)
    cubic, square = "((λ − 1)(λ − m))² = −h²λ³", "((λ − 1)(λ − m))² = −h²λ²"

    def extragradient_radius(h: float) -> float:
        return math.sqrt(1 - h**2 + h**4)

    def optimistic_radius(h: float) -> float:  # beyond h = 1/2, the root is imaginary
        root = cmath.sqrt(1 - 4 * h * h)
        return max(abs(1 - 2j * h + root), abs(1 - 2j * h - root)) / 2

    def momentum_radius(m: float, power: int, h: float) -> float:
        polynomial = np.polyadd(np.poly([1, 1, m, m]), [h * h, *[0] * power])
        return float(np.abs(np.roots(polynomial)).max())

    def consensus_radius(h: float) -> float:
        return math.hypot(1 - h * c, h)

    def proximal_radius(h: float) -> float:
        return 1 / math.hypot(1, h)

    return [
        Bilinear("simultaneous", both(), partial(math.hypot, 1), "√(1 + h²)", 0, "none"),
        Bilinear("alternating", in_turn(), lambda h: 1, "1", 2, "2"),
        Bilinear(
            "alternating, momentum ½", plus, partial(momentum_radius, 0.5, 3), cubic, 0, "none"
        ),
        Bilinear(
            "simultaneous, momentum −½", less, partial(momentum_radius, -0.5, 2), square, 0, "none"
        ),
        Bilinear(
            "alternating, momentum −½", minus, partial(momentum_radius, -0.5, 3), cubic, 1, "2(1+m)"
        ),
        Bilinear("extragradient", extragradient, extragradient_radius, "√(1 − h² + h⁴)", 1, "1"),
        Bilinear(
            "optimistic",
            both(optimiser=Optimistic),
            optimistic_radius,
            "√((1 + √(1 − 4h²)) / 2)",
            1 / math.sqrt(3),
            "1/√3",
        ),
        Bilinear(
            "consensus",
            agreeing,
            consensus_radius,
            "√((1 − hc)² + h²)",
            2 * c / (1 + c * c),
            "2c/(1 + c²)",
        ),
        Bilinear(
            "proximal point", proximal, proximal_radius, "1/√(1 + h²)", 1, "1, of the inner steps"
        ),
    ]


class Dirac(NamedTuple):
    """A Dirac-GAN: the leading eigenvalue of its gradient field, and its largest stable step.

    `doubt` is how far off the measured eigenvalue may be.
    """

    name: str
    method: Method
    eigenvalue: complex
    formula: str
    stable: float
    limit: str
    doubt: float = 0.0


def dirac(gamma: float, sd: float, c: float) -> list[Dirac]:
    """Dirac-GANs with their closed forms.

    Args:
        gamma: weight of R1 or R2.
        sd: standard deviation of the instance noise.
        c: weight of consensus.
    """
    D, G = {minimax_d: 1.0}, {minimax_g: 1.0}
    noisy = instance_noise(sd)
    agreement = {consensus(minimax_d, minimax_g): c}

    def leading(damping: float) -> complex:  # of [[0, -1/2], [1/2, -damping]]
        return -damping / 2 + cmath.sqrt(damping**2 / 4 - 1 / 4)

    def stable(damping: float) -> float:
        return 4 * (damping - math.sqrt(max(0, damping**2 - 1)))

    def doubt(damping: float) -> float:
        # third-order terms are SMALL^2 of the matrix: by as much over their distance are its two
        # eigenvalues off, and by the root of it where they meet
        return SMALL**2 / max(SMALL, math.sqrt(abs(damping**2 - 1)))

    def damped(name: str, method: Method, damping: float, formula: str, limit: str) -> Dirac:
        closed = leading(damping), formula, stable(damping), limit
        return Dirac(name, method, *closed, doubt(damping))

    def penalised(name: str, penalty: Term) -> Dirac:
        method = Method(D | {penalty: gamma}, G)
        return damped(name, method, gamma, "−γ/2 + √(γ²/4 − ¼)", "4γ, γ ≤ 1")

    return [
        Dirac("Dirac-GAN", Method(D, G), 0.5j, "i/2", 0, "none"),
        Dirac(
            "Dirac-GAN, non-saturating", Method(D, {nonsaturating_g: 1.0}), 0.5j, "i/2", 0, "none"
        ),
        penalised("Dirac-GAN, R1", r1),
        penalised("Dirac-GAN, R2", r2),
        damped(
            "Dirac-GAN, instance noise",
            Method({noisy.d: 1.0}, {noisy.g: 1.0}),
            sd**2 / 2,
            "−s²/4 + √(s⁴/16 − ¼)",
            "2s², s² ≤ 2",
        ),
        Dirac(
            "Dirac-GAN, consensus",
            Method(D | agreement, G | agreement),
            complex(-c / 4, 0.5),
            "−c/4 + i/2",
            8 * c / (4 + c * c),
            "8c/(4 + c²)",
        ),
    ]


def played(gamma: float, sd: float) -> dict[str, Method]:
    """Dirac-GANs whose trajectories are watched, by name; arguments as of `dirac`."""
    minimax, critic, actor = {minimax_d: 1.0}, {wasserstein_d: 1.0}, {wasserstein_g: 1.0}
    gan, _, r1_gan, _, noisy_gan, _ = (gan.method for gan in dirac(gamma, sd, 1.0))
    return {
        "GAN": gan,
        "NS-GAN, alternating": Method(minimax, {nonsaturating_g: 1.0}, theta_first),
        "R1": r1_gan,
        "instance noise": noisy_gan,
        "WGAN, |ψ| ≤ 1": Method(critic, actor, clip=1.0),
        "WGAN-GP": Method(critic | {wgan_gp: GP}, actor),
    }


def of_linear(methods: Sequence[Bilinear | Dirac]) -> list[Check]:
    """The largest stable steps of all, and the leading eigenvalues of Dirac-GANs."""
    checks: list[Check] = []
    for m in methods:
        what = m.name if isinstance(m, Dirac) else f"xy, {m.name}"
        # h = 2 / |eigenvalue|, of which the larger is 1/2 at least: h is off by 8 times as much
        off = max(CLOSED, 8 * m.doubt) if isinstance(m, Dirac) else CLOSED
        found = largest_stable(m.method)
        checks.append(Check(f"{what}, largest stable step: {m.limit}", found, m.stable, off))
    for m in methods:
        if isinstance(m, Dirac):
            v, what = eigenvalue(m.method), f"{m.name}, eigenvalue {m.formula}"
            off = max(CLOSED, m.doubt)
            checks += [
                Check(f"{what}: real part", v.real, m.eigenvalue.real, off),
                Check(f"{what}: imaginary part", v.imag, m.eigenvalue.imag, off),
            ]
    return checks


def of_radii(methods: Sequence[Bilinear], radii: np.ndarray) -> list[Check]:
    """The spectral radii at STEPS."""
    exact = np.array([[m.radius(h) for h in STEPS] for m in methods])
    momentum, extragradient = 4, 5
    cells = [(i, 2) for i in range(len(methods))] + [(momentum, 0), (momentum, 4)]
    # squared, extragradient's is quadratic in h^2: any three steps would give its lowest point
    a, b, c = np.polyfit(np.square(STEPS), radii[extragradient] ** 2, 2)
    worst = float(np.abs(radii - exact).max())
    rows: list[tuple[str, float, float]] = [
        *(
            (f"xy, {m.name}, radius at h = {STEPS[j]}: {m.formula}", radii[i, j], exact[i, j])
            for i, j in cells
            for m in [methods[i]]
        ),
        (f"xy, all nine methods at {len(STEPS)} steps h: largest deviation", worst, 0),
        ("xy, extragradient, best step: 1/√2", math.sqrt(-b / (2 * a)), math.sqrt(1 / 2)),
        (
            "xy, extragradient, radius at its best: √3/2",
            math.sqrt(c - b * b / (4 * a)),
            math.sqrt(3) / 2,
        ),
    ]
    return [Check(*row, CLOSED) for row in rows]


def of_play(
    ellipse: np.ndarray, walks: Mapping[str, np.ndarray], turn: np.ndarray, h: float
) -> list[Check]:
    """What the trajectories conserve, gain, lose and never reach."""

    def form(path: np.ndarray, step: float) -> np.ndarray:
        return np.square(path).sum(1) - step * path.prod(1)

    energy, gan = form(ellipse, h), walks["GAN"]
    farthest = float(energy[np.abs(energy - energy[0]).argmax()])
    growth = np.square(gan[1:]).sum(1) / np.square(gan[:-1]).sum(1)
    slope = 1 / (1 + np.exp(gan[:-1].prod(1)))  # f'(θψ) of f(t) = -log(1 + exp(-t))
    off = float(np.abs(growth / (1 + np.square(h * slope)) - 1).max())
    eta = 2 * math.sin(math.pi / TURN)  # near the equilibrium the losses' slope 1/2 halves steps
    gain = float(np.diff(1 / form(turn[[0, -1]], eta))[0]) / TURN
    late = {name: walk[len(walk) // 2 :] for name, walk in walks.items()}
    nearest = float(np.hypot(*late["WGAN, |ψ| ≤ 1"].T).min())
    widest = float(np.abs(late["WGAN-GP"][:, 0]).max())
    ns = "Dirac-GAN, non-saturating, alternating: 1/(x² + y² − hxy/2) grows by (h/8)/(1 − h²/16)"
    return [
        Check("xy, alternating, conserved: x² + y² − hxy = 8 − 4h", farthest, 8 - 4 * h, CLOSED),
        Check(
            "Dirac-GAN, simultaneous: r'²/(r²(1 + h²f'(θψ)²)) − 1, farthest from 0", off, 0, CLOSED
        ),
        Check(ns, gain, eta / 4 / (1 - eta**2 / 4), CLOSED),  # next order: r^2 = 1e-7 of it
        # once clipped, |psi| = 1 until theta changes sign, and from there steps move outwards
        Check("WGAN, |ψ| ≤ 1: nearest distance", nearest, 1, CLOSED, relation="at least"),
        # psi changes sign only where |theta| > 2 λ, and settles only there
        Check("WGAN-GP of weight λ: widest |θ|, 2λ", widest, 2 * GP, CLOSED, relation="at least"),
    ]


FORMULAS = (
    Formula(
        r"\min_x \max_y x y, \qquad v(x, y) = \begin{pmatrix} -y \\ x \end{pmatrix}",
        "The game, and the field that gradient steps follow: a rotation about (0, 0).",
        "Goodfellow (2016), NIPS 2016 Tutorial: Generative Adversarial Networks, section 7.2",
    ),
    Formula(
        r"\rho_{\text{simultaneous}} = \sqrt{1 + h^2}, \qquad \rho_{\text{alternating}} = 1"
        r" \quad (h < 2)",
        "By how much a step of size h multiplies the distance from (0, 0), in the long run.",
        "Gidel et al. (2019), Negative Momentum for Improved Game Dynamics",
    ),
    Formula(
        r"x_t^2 + y_t^2 - h x_t y_t = \text{const}",
        "What alternating steps, x first, conserve: an ellipse, if h < 2.",
        "Bailey, Gidel and Piliouras (2020), Finite Regret and Cycles with Fixed Step-Size via "
        "Alternating Gradient Descent-Ascent",
    ),
    Formula(
        r"(\lambda - 1)^2 (\lambda - m)^2 + h^2 \lambda^p = 0",
        "The eigenvalues of a step with momentum m: p = 2 if simultaneous, p = 3 if alternating.",
        "Gidel et al. (2019), Negative Momentum for Improved Game Dynamics",
    ),
    Formula(
        r"w_{t+1} = w_t + h\, v(w_{t+1}), \qquad \rho = \frac{1}{\sqrt{1 + h^2}}",
        "The proximal point. Its fixed-point steps w ← w_t + h v(w) converge if h < 1.",
        "Rockafellar (1976), Monotone Operators and the Proximal Point Algorithm",
    ),
    Formula(
        r"w_{t+1} = w_t + h\, v(w_t + h\, v(w_t)), \qquad \rho = \sqrt{1 - h^2 + h^4}",
        "Extragradient: two of those steps. The best is √3/2, at h = 1/√2.",
        "Korpelevich (1976), The extragradient method for finding saddle points and other problems",
    ),
    Formula(
        r"w_{t+1} = w_t + 2h\, v(w_t) - h\, v(w_{t-1}), \qquad"
        r" \rho^2 = \frac{1 + \sqrt{1 - 4h^2}}{2} \quad (h \le 1/2)",
        "Optimistic steps; they diverge beyond h = 1/√3.",
        "Daskalakis et al. (2018), Training GANs with Optimism",
    ),
    Formula(
        r"L_x + \frac{c}{2} \lVert v \rVert^2, \quad L_y + \frac{c}{2} \lVert v \rVert^2:"
        r" \qquad \rho^2 = (1 - hc)^2 + h^2",
        "Consensus optimisation: both players also descend on the squared field.",
        "Mescheder et al. (2017), The Numerics of GANs",
    ),
    Formula(
        r"f(\theta\psi) + f(0), \quad f(t) = -\log(1 + e^{-t}): \qquad"
        r" r_{t+1}^2 = r_t^2 \left(1 + h^2 f'(\theta_t \psi_t)^2\right)",
        "The Dirac-GAN, with a ψ that is high for samples, and what its simultaneous steps do to "
        "the distance r. Its eigenvalues at (0, 0) are ±i/2.",
        "Mescheder et al. (2018), Which Training Methods for GANs do actually Converge?, section 2",
    ),
    Formula(
        r"\begin{matrix} \lambda_{R_1} = -\frac{\gamma}{2} \pm \sqrt{\frac{\gamma^2}{4} -"
        r" \frac{1}{4}} \\ \lambda_{\text{noise}} = -\frac{s^2}{4} \pm \sqrt{\frac{s^4}{16} -"
        r" \frac{1}{4}} \\ \lambda_{\text{consensus}} = -\frac{c}{4} \pm \frac{i}{2} \end{matrix}",
        "Eigenvalues of what makes the Dirac-GAN converge; R2 has those of R1.",
        "Mescheder et al. (2018), section 3 and supplement",
    ),
    Formula(
        r"\frac{d r^2}{dt} = -2 \theta\psi \tanh \frac{\theta\psi}{2}"
        r" \quad\Rightarrow\quad \frac{1}{r^2} \approx \frac{1}{r_0^2} + \frac{t}{8}",
        "The non-saturating flow decays slower than any exponential, as √(8/t); the second by "
        "averaging over a turn.",
        "Mescheder et al. (2018), section 2, for the game; the rate is derived here",
    ),
)
