"""Lesson: games that turn in circles, and what makes them settle."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure
from typing_extensions import Doc

from frenemy.errors import FrenemyError, at_least
from frenemy.figures import BLUE, GREEN, GREY, INK, VERMILION, Drawing
from frenemy.lab import rotations
from frenemy.lab.dynamics import radius, trajectory
from frenemy.lab.lesson import Film, Result
from frenemy.lab.rotations import INNER, STEPS, TURN

TIME = 90.0  # step size times the rounds of each Dirac-GAN
SHOWN = (0, 1, 4, 5, 2, 6, 7, 8)  # methods whose trajectories are drawn; the first four are filmed
COLOURS = (VERMILION, BLUE, GREEN, INK, GREY, VERMILION)
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (2, 1)))


def cycling(
    *,
    seed: Annotated[int, Doc("of the rounds; nothing here depends on what they draw")] = 0,
    rate: Annotated[float, Doc("step size h of the trajectories, .05 to 1")] = 0.3,
    steps: Annotated[int, Doc("of the trajectories from (2, 2)")] = 60,
    gamma: Annotated[float, Doc("weight γ of R1 and R2")] = 0.5,
    noise: Annotated[float, Doc("standard deviation s of the instance noise")] = 0.7,
    consensus: Annotated[float, Doc("weight c of consensus optimisation")] = 0.5,
) -> Result:
    """Gradient steps never settle min max xy; penalties and foresight do.

    Each check names the closed form that it tests: the spectral radius of one step of each method
    for xy, the leading eigenvalue of each Dirac-GAN's gradient field, and the largest stable step.

    Raises:
        FrenemyError: an argument is out of its range.
    """
    at_least(0, seed=seed)
    at_least(1, steps=steps)
    at_least(0.05, rate=rate, gamma=gamma, noise=noise, consensus=consensus)
    if rate > 1:
        raise FrenemyError(f"rate is {rate}: give 1 or less")
    methods, gans = rotations.bilinear(consensus), rotations.dirac(gamma, noise, consensus)
    played = rotations.played(gamma, noise)
    with torch.random.fork_rng():  # rounds seed the global generator
        radii = np.array([[radius(m.method, h) for h in STEPS] for m in methods])
        growth = [radius(m.method, rate) for m in methods]
        paths = [trajectory(m.method, rate, (2, 2), steps, seed) for m in methods]
        walks = {
            k: trajectory(m, rate, (1, 1), round(TIME / rate), seed) for k, m in played.items()
        }
        h = 4 * math.sin(math.pi / TURN)
        turn = trajectory(played["NS-GAN, alternating"], h, (3e-4, 0), TURN, seed)
        checks = [
            *rotations.of_radii(methods, radii),
            *rotations.of_linear([*methods, *gans]),
            *rotations.of_play(paths[1], walks, turn, rate),
        ]
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

What looks ahead converges: extragradient ({growth[5]:.4f} a step of two gradients), optimistic \
({growth[6]:.4f}, one gradient) and the proximal point, which both approximate ({growth[8]:.4f}, \
{INNER} gradients). Consensus optimisation ({growth[7]:.4f}) descends on the squared gradients as \
well. Each has a largest stable step, which bisection on the played games finds.

In the Dirac-GAN the eigenvalues of the gradient field tell the same: ±i/2 for the minimax and for \
the non-saturating losses, a pure rotation. R1, R2, instance noise and consensus give them a \
negative real part, and the distance falls exponentially. The non-saturating game settles without \
one, but as √(8/t): at t = {TIME:g} it is still {away["NS-GAN, alternating"]:.2f} away. A critic \
with clipped weights, or with a penalty that wants slope 1 where 0 is needed, circles on: at \
t = {TIME:g}, WGAN is {away["WGAN, |ψ| ≤ 1"]:.2f} and WGAN-GP {away["WGAN-GP"]:.2f} away."""
    drawings = [
        Drawing(
            _planes(shown),
            f"Trajectories of eight methods from (2, 2), {steps} steps of size {rate:g}. Growth of "
            "the distance in a step: " + "; ".join(f"{name} {r:.3f}" for name, _, r in shown),
            "x across, y upwards. Red leaves the equilibrium (+), blue keeps its distance, green "
            "arrives. ρ is the spectral radius of a step.",
            (6, 11),
        ),
        Drawing(
            _curves(methods, radii),
            "Measured spectral radii lie on the closed forms: above 1 for simultaneous steps and "
            "the wrong momentum, below 1 for what looks ahead.",
            "Spectral radius of a step against its size h: measured from play (dots), closed forms "
            "(lines).",
            (6, 8),
        ),
        Drawing(
            _distances(walks, rate),
            f"Distances from the equilibrium of six Dirac-GANs at t = {TIME:g}: "
            + "; ".join(f"{name} {r:.2g}" for name, r in away.items()),
            "Dirac-GANs: distance from the equilibrium against time t, step size times rounds. "
            "Exponential decay is straight; the thin line is 1 / √(1/2 + t/8).",
            (6, 5.5),
        ),
    ]
    frames = [
        Drawing(
            _planes([(k, path[: n + 1], r) for k, path, r in shown[:4]]), "", "", (6, 6.5)
        ).pixels(80)
        for n in np.linspace(0, steps, min(steps, 30) + 1).round().astype(int)
    ]
    alt = f"Four methods move from (2, 2) by {steps} steps of size {rate:g}."
    film = Film(frames, alt, "One rotation and what four methods make of it.", fps=8.0)
    return Result(told, rotations.FORMULAS, checks, drawings, film)


def _planes(shown: Sequence[tuple[str, np.ndarray, float]]) -> Callable[[Figure], None]:
    """One panel of the plane for each (method, path, spectral radius)."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(shown) // 2, 2, sharex=True, sharey=True)
        for axis, (name, path, r) in zip(axes.flat, shown, strict=True):
            colour = BLUE if abs(r - 1) < 1e-9 else VERMILION if r > 1 else GREEN
            axis.plot(*path.T, color=colour, lw=1, marker="o", ms=2.5)
            axis.plot(*path[-1], color=colour, marker="o", ms=7, clip_on=True)
            axis.plot(0, 0, color=INK, marker="+", ms=10)
            axis.set(
                xlim=(-6, 6), ylim=(-6, 6), aspect="equal", xticks=(-4, 0, 4), yticks=(-4, 0, 4)
            )
            axis.set_title(f"{name}\nρ = {r:.3f}", fontsize=12)

    return draw


def _curves(methods: Sequence[rotations.Bilinear], radii: np.ndarray) -> Callable[[Figure], None]:
    """Spectral radius against step: above, what does not converge, below, what does."""

    def draw(figure: Figure) -> None:
        h = np.linspace(0, STEPS[-1], 141)
        axes = figure.subplots(2, 1, sharex=True)
        for axis, rows in zip(axes, (range(4), range(4, 9)), strict=True):
            for i, colour, dash in zip(rows, COLOURS, DASHES, strict=False):
                exact = [methods[i].radius(step) for step in h]
                axis.plot(h, exact, color=colour, ls=dash, label=methods[i].name)
                axis.plot(STEPS, radii[i], color=colour, ls="", marker="o", ms=5)
            axis.legend(
                loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=11, handlelength=2.5
            )
            axis.set_ylabel("spectral radius")
        axes[1].set_xlabel("step size h")

    return draw


def _distances(walks: Mapping[str, np.ndarray], h: float) -> Callable[[Figure], None]:
    """Distance from the equilibrium against time, and how the non-saturating flow decays."""

    def draw(figure: Figure) -> None:
        axis, t = figure.subplots(), h * np.arange(len(walks["GAN"]))
        for (name, walk), colour, dash in zip(walks.items(), COLOURS, DASHES, strict=True):
            axis.semilogy(t, np.hypot(*walk.T), color=colour, ls=dash, label=name, lw=1.8)
        axis.semilogy(t, (1 / 2 + t / 8) ** -0.5, color=INK, lw=0.8, zorder=1)
        axis.set(xlabel="time t", ylabel="distance", ylim=(1e-3, 10))
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handlelength=2.5)

    return draw
