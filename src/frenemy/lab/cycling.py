"""Lesson: games that turn in circles, and what makes them settle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import numpy as np
import torch
from typing_extensions import Doc

from frenemy.errors import FrenemyError, at_least
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Canvas, Figure, rasterised
from frenemy.lab import rotations
from frenemy.lab.lesson import Check, Formula, Result
from frenemy.lab.rotations import MINIMAX, WASSERSTEIN, Known, Method, trajectory
from frenemy.penalties import r1, wgan_gp

STEPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # where spectral radii are measured
CLOSED = 1e-6  # bisection stops at 3e-7, and so do the inner steps; all else is exact to 1e-8
TIME = 90.0  # step size times the rounds of each Dirac-GAN
TURN = 24  # alternating steps of size 4 sin(pi / 24) that make one turn about the equilibrium
GP = 0.5  # λ, the weight of WGAN-GP's penalty
SHOWN = (0, 1, 4, 5, 2, 6, 7, 8)  # methods whose trajectories are drawn; the first four are filmed
COLOURS = (VERMILION, BLUE, GREEN, INK, GREY)
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
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
        r"\lambda_{R_1} = -\frac{\gamma}{2} \pm \sqrt{\frac{\gamma^2}{4} - \frac{1}{4}}, \qquad"
        r" \lambda_{\text{consensus}} = -\frac{c}{4} \pm \frac{i}{2}",
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


def cycling(
    *,
    seed: Annotated[int, Doc("nothing here depends on it")] = 0,
    rate: Annotated[float, Doc("step size h of the trajectories, .05 to 1")] = 0.3,
    steps: Annotated[int, Doc("of the trajectories from (2, 2)")] = 60,
    gamma: Annotated[float, Doc("weight γ of R1 and R2")] = 0.5,
    consensus: Annotated[float, Doc("weight c of consensus optimisation")] = 0.5,
) -> Result:
    """Gradient steps fail on min max xy; penalties and look-ahead converge.

    Each check names the closed form that it tests: the spectral radius of one step of each method
    for xy, the leading eigenvalue of each Dirac-GAN's gradient field, and the largest stable step.

    Raises:
        FrenemyError: an argument is out of its range.
    """
    at_least(0, seed=seed)
    at_least(1, steps=steps)
    at_least(0.05, rate=rate, gamma=gamma, consensus=consensus)
    if rate > 1:
        raise FrenemyError(f"rate is {rate}: give 1 or less")
    methods, gans = rotations.bilinear(consensus), rotations.dirac(gamma, consensus)
    exact = np.array([rotations.radii(h, consensus) for h in STEPS]).T
    turning = Method(rotations.NONSATURATING, in_turn=True)
    watched = {
        "GAN": Method(MINIMAX),
        "NS-GAN, alternating": turning,
        "R1": Method(MINIMAX, {r1: gamma}),
        "WGAN, |ψ| ≤ 1": Method(WASSERSTEIN, clip=1.0),
        "WGAN-GP": Method(WASSERSTEIN, {wgan_gp: GP}),
    }
    with torch.random.fork_rng():  # rounds seed the global generator
        radii = np.array([[rotations.radius(m.method, h) for h in STEPS] for m in methods])
        growth = [rotations.radius(m.method, rate) for m in methods]
        paths = [trajectory(m.method, rate, (2, 2), steps) for m in methods]
        walks = {k: trajectory(m, rate, (1, 1), round(TIME / rate)) for k, m in watched.items()}
        turn = trajectory(turning, 4 * math.sin(math.pi / TURN), (3e-4, 0), TURN)
        checks = _of_steps(methods, gans, radii, exact) + _of_play(paths[1], walks, turn, rate)
    away = {name: math.hypot(*walk[-1]) for name, walk in walks.items()}
    shown = [(methods[i].name, paths[i], growth[i]) for i in SHOWN]
    told = f"""\
G has one number, θ, and D has one, ψ: G(z) = θ for any z, the data are the single point 0, and \
D(x) = ψx is a logit. In the Wasserstein game G then minimises xy and D maximises it, with x = θ \
and y = −ψ. The equilibrium is (0, 0); the players start at (2, 2). With the logistic losses of \
2014 this is the Dirac-GAN.

The gradient field of xy is perpendicular to the way home. Simultaneous steps of size h = {rate:g} \
leave on a spiral: each multiplies the distance by {growth[0]:.4f}, and no h is small enough. \
Alternating steps stay on an ellipse for ever, if h < 2. Momentum, which helps to minimise, makes \
it worse ({growth[2]:.4f} a step); momentum of −1/2 makes it converge ({growth[4]:.4f}), but only \
where the players alternate.

Methods that look ahead converge: extragradient ({growth[5]:.4f} a step of two gradients), \
optimistic ({growth[6]:.4f}, one gradient) and the proximal point, which both approximate \
({growth[8]:.4f}, {rotations.INNER} gradients). \
Consensus optimisation ({growth[7]:.4f}) descends on the squared \
gradients as well. Each has a largest stable step, which bisection on the played games finds.

In the Dirac-GAN the eigenvalues of the gradient field tell the same: ±i/2 for the minimax and for \
the non-saturating losses, a pure rotation. R1, R2 and consensus give them a negative real \
part, and the distance falls exponentially. The non-saturating game settles without one, but as \
√(8/t): at t = {TIME:g} it is still {away["NS-GAN, alternating"]:.2f} away. A critic with clipped \
weights, or with a penalty that wants slope 1 where 0 is needed, circles on: at t = {TIME:g}, WGAN \
is {away["WGAN, |ψ| ≤ 1"]:.2f} and WGAN-GP {away["WGAN-GP"]:.2f} away."""
    figures = [
        Figure(
            partial(_planes, shown),
            f"Trajectories of eight methods from (2, 2), {steps} steps of size {rate:g}. Growth of "
            "the distance in a step: " + "; ".join(f"{name} {r:.3f}" for name, _, r in shown),
            "x across, y upwards. Red diverges from the equilibrium (+), blue keeps its distance, "
            "green converges. ρ is the spectral radius of a step.",
            (6, 11),
        ),
        Figure(
            partial(_curves, [m.name for m in methods], radii, consensus),
            "Measured spectral radii lie on the closed forms: above 1 for simultaneous steps and "
            "the wrong momentum, below 1 for what looks ahead.",
            "Spectral radius of a step against its size h: measured from play (dots), closed forms "
            "(lines).",
            (6, 8),
        ),
        Figure(
            partial(_distances, walks, rate),
            f"Distances from the equilibrium of five Dirac-GANs at t = {TIME:g}: "
            + "; ".join(f"{name} {r:.2g}" for name, r in away.items()),
            "Dirac-GANs: distance from the equilibrium against time t, step size times rounds. "
            "Exponential decay is straight; the thin line is 1 / √(1/2 + t/8).",
            (6, 5.5),
        ),
    ]
    ends = np.linspace(1, steps + 1, min(steps, 30) + 1).round().astype(int)
    moving = [[(name, path[:end], r) for name, path, r in shown[:4]] for end in ends]
    film = Figure(
        [rasterised(partial(_planes, frame), (6, 6.5), dpi=80) for frame in moving],
        f"Four methods move from (2, 2) by {steps} steps of size {rate:g}.",
        "One rotation and what four methods make of it.",
        fps=8.0,
    )
    return Result(told, FORMULAS, checks, figures, film)


def _of_steps(
    methods: Sequence[Known], gans: Sequence[Known], radii: np.ndarray, exact: np.ndarray
) -> list[Check]:
    """The spectral radii, the largest stable steps, and the leading eigenvalues of Dirac-GANs."""
    worst = float(np.abs(radii - exact).max())
    checks = [
        *(
            Check(f"xy, {m.name}, radius at h = 0.3: {m.formula}", r[2], e[2], CLOSED)
            for m, r, e in zip(methods, radii, exact, strict=True)
        ),
        Check(f"xy, all nine methods at {len(STEPS)} steps h: largest deviation", worst, 0, CLOSED),
    ]
    for m in [*(m._replace(name=f"xy, {m.name}") for m in methods), *gans]:
        found = rotations.largest_stable(m.method)
        checks.append(Check(f"{m.name}, largest stable step: {m.limit}", found, m.stable, CLOSED))
    for m in gans:
        what, v = f"{m.name}, eigenvalue {m.formula}", rotations.eigenvalue(m.method)
        checks.append(Check(f"{what}: real part", v.real, m.eigenvalue.real, CLOSED))
        checks.append(Check(f"{what}: imaginary part", v.imag, m.eigenvalue.imag, CLOSED))
    return checks


def _of_play(
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
    late = slice(len(gan) // 2, None)
    nearest = float(np.hypot(*walks["WGAN, |ψ| ≤ 1"][late].T).min())
    widest = float(np.abs(walks["WGAN-GP"][late, 0]).max())
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


def _planes(shown: Sequence[tuple[str, np.ndarray, float]], canvas: Canvas) -> None:
    """One panel of the plane for each (method, path, spectral radius)."""
    axes = canvas.subplots(len(shown) // 2, 2, sharex=True, sharey=True)
    for axis, (name, path, r) in zip(axes.flat, shown, strict=True):
        colour = BLUE if abs(r - 1) < 1e-9 else VERMILION if r > 1 else GREEN
        axis.plot(*path.T, color=colour, lw=1, marker="o", ms=2.5)
        axis.plot(*path[-1], color=colour, marker="o", ms=7, clip_on=True)
        axis.plot(0, 0, color=INK, marker="+", ms=10)
        axis.set(xlim=(-6, 6), ylim=(-6, 6), aspect="equal", xticks=(-4, 0, 4), yticks=(-4, 0, 4))
        axis.set_title(f"{name}\nρ = {r:.3f}", fontsize=12)


def _curves(names: Sequence[str], radii: np.ndarray, c: float, canvas: Canvas) -> None:
    """Spectral radius against step: above, what does not converge, below, what does."""
    h = np.linspace(0, STEPS[-1], 141)
    exact = np.array([rotations.radii(step, c) for step in h]).T
    axes = canvas.subplots(2, 1, sharex=True)
    for axis, rows in zip(axes, (range(4), range(4, 9)), strict=True):
        for i, colour, dash in zip(rows, COLOURS, DASHES, strict=False):
            axis.plot(h, exact[i], color=colour, ls=dash, label=names[i])
            axis.plot(STEPS, radii[i], color=colour, ls="", marker="o", ms=5)
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=11, handlelength=2.5)
        axis.set_ylabel("spectral radius")
    axes[1].set_xlabel("step size h")


def _distances(walks: Mapping[str, np.ndarray], h: float, canvas: Canvas) -> None:
    """Distance from the equilibrium against time, and how the non-saturating flow decays."""
    axis, t = canvas.subplots(), h * np.arange(len(walks["GAN"]))
    for (name, walk), colour, dash in zip(walks.items(), COLOURS, DASHES, strict=True):
        axis.semilogy(t, np.hypot(*walk.T), color=colour, ls=dash, label=name, lw=1.8)
    axis.semilogy(t, (1 / 2 + t / 8) ** -0.5, color=INK, lw=0.8, zorder=1)
    axis.set(xlabel="time t", ylabel="distance", ylim=(1e-3, 10))
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handlelength=2.5)
