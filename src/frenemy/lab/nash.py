"""Lesson: what a Nash equilibrium is, checked by deviations of either player."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from typing_extensions import Doc

from frenemy.errors import at_least
from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure
from frenemy.lab.lesson import Check, Formula, Result, no_more

Numbers = NDArray[np.float64]

LOG_4 = math.log(4)
P_DATA = np.array([0.1, 0.15, 0.2, 0.25, 0.3])  # of five kinds of x
HEADS = 0.4  # p_data(heads) of the coin that is drawn
ROUNDED = 1e-9  # of sums of logarithms, and of linear programs
FORMULAS = (
    Formula(
        r"u_1(a, b) \geq u_1(a', b) \quad \text{and} \quad u_2(a, b) \geq u_2(a, b')"
        r" \quad \text{for all } a', b'",
        "A Nash equilibrium (a, b): no player gains by a deviation while the other stays. Nobody"
        " can bind the other to more: the game is non-cooperative.",
        "Nash (1951), Non-Cooperative Games",
    ),
    Formula(
        r"u_1 + u_2 = 0 \implies \max_a \min_b u_1 = \min_b \max_a u_1 = v",
        "In a zero-sum game what one wins the other loses, and all equilibria, in mixed choices,"
        " have one value v.",
        "von Neumann (1928), Zur Theorie der Gesellschaftsspiele",
    ),
    Formula(
        r"\max_D V(D, G) - V\left(\tfrac{1}{2}, G\right) = 2 \, JSD(p_{data} \Vert p_g)",
        "What D gains by moving away from 1/2: nothing, if and only if p_g = p_data.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, Theorem 1",
    ),
)


class Bimatrix(NamedTuple):
    """A game of two players who choose at once: payoffs A of the row player, B of the other."""

    A: Numbers
    B: Numbers

    def gains(self, p: Numbers, q: Numbers) -> tuple[float, float]:
        """What each player's best deviation wins, if the two play the mixed choices p and q.

        >>> pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
        >>> Bimatrix(pennies, -pennies).gains(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
        (1.0, 0.0)
        """
        row, column = self.A @ q, p @ self.B
        return float(row.max() - p @ row), float(column.max() - column @ q)


def zero_sum(A: Numbers) -> Bimatrix:
    """The game in which the column player pays A to the row player."""
    return Bimatrix(A, -A)


PENNIES = zero_sum(np.array([[1.0, -1.0], [-1.0, 1.0]]))
SPARE = zero_sum(np.array([[0.0, 1.0], [0.0, 2.0]]))  # the row player may do as he likes
DILEMMA = Bimatrix(np.array([[3.0, 0.0], [5.0, 1.0]]), np.array([[3.0, 5.0], [0.0, 1.0]]))
MEETING = Bimatrix(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]))
FIRST, SECOND, EVEN = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.5, 0.5])


def nash(
    *,
    seed: Annotated[int, Doc("of the deviations and the random games")] = 0,
    deviations: Annotated[int, Doc("of either player, and pairs of both, that are tried")] = 5000,
    games: Annotated[int, Doc("random zero-sum games, of 5 by 4 choices")] = 20,
) -> Result:
    """At a Nash equilibrium neither player gains by moving alone."""
    at_least(0, seed=seed)
    at_least(1, deviations=deviations, games=games)
    rng = np.random.default_rng(seed)
    checks = [*_small(), *_minimax(rng, games), *_paper(rng, deviations)]
    together = float(FIRST @ DILEMMA.A @ FIRST)
    alone = float(SECOND @ DILEMMA.A @ SECOND)
    told = f"""\
Two players choose at once. A pair of choices is a Nash equilibrium if neither gains by changing\
 his own while the other stays: to check it, let each deviate. In matching pennies one wins what\
 the other loses (zero-sum), and only tossing fair coins stands the test: any other choice invites\
 a deviation.

Non-cooperative means that no agreement binds. In the prisoners' dilemma both would have\
 {together:g} if they kept quiet and have {alone:g} in the only equilibrium, since each gains by\
 breaking the agreement. That game is not zero-sum; nor is the one of two who want to meet at\
 different places, which has equilibria of different worth.

Of zero-sum games the value is unique, as max min = min max; the choice need not be. In one of them\
 here the row player may do whatever he likes, and the value is 0 all the same; and of two\
 equilibria the first one's row and the other's column are an equilibrium too.

The paper's game is zero-sum: D wins V, and G loses it. At p_g = p_data and D = 1/2 none of\
 {deviations:,} deviations of D gains, and those of G change nothing at all, as D says the same of\
 every x. So G is not held there by its own gain but by D's: at any other p_g, D leaves 1/2 for a\
 gain of 2 JSD. The value, −log 4, is unique, and so are the choices wherever there are data. With\
 −log D(G(z)) for G (the non-saturating game) the payoffs no longer cancel, and the equilibrium is\
 the same.

All this is of players who can choose any D and any p_g. Networks that take gradient steps see the\
 slopes at one place only: see the lesson cycling."""
    return Result(told, FORMULAS, checks, (_saddle(),))


def _small() -> list[Check]:
    """Deviations in games of two by two."""
    mixed = np.array([2 / 3, 1 / 3]), np.array([1 / 3, 2 / 3])
    worth = [float(p @ MEETING.A @ q) for p, q in ((FIRST, FIRST), (SECOND, SECOND), mixed)]
    free = [np.array([p, 1 - p]) for p in np.linspace(0, 1, 11)]
    return [
        Check("pennies: a deviation from fair coins gains", max(PENNIES.gains(EVEN, EVEN)), 0.0,
              ROUNDED),
        Check("pennies: from .6 and .4", max(PENNIES.gains(np.array([0.6, 0.4]), EVEN)), 0.2,
              ROUNDED),
        Check("dilemma: from both telling", max(DILEMMA.gains(SECOND, SECOND)), 0.0, 0.0),
        Check("dilemma: from both quiet, which is better for both", DILEMMA.gains(FIRST, FIRST)[0],
              2.0, 0.0),
        Check("meeting: from any of its three equilibria",
              max(max(MEETING.gains(p, q)) for p, q in
                  ((FIRST, FIRST), (SECOND, SECOND), mixed)), 0.0, ROUNDED),
        Check("meeting: worth of these to one player differs by", max(worth) - min(worth), 4 / 3,
              ROUNDED),
        Check("spare choice: from any row, against the first column",
              max(max(SPARE.gains(p, FIRST)) for p in free), 0.0, 0.0),
        Check("spare choice: the value, most", max(float(p @ SPARE.A @ FIRST) for p in free), 0.0,
              0.0),
    ]  # fmt: skip


def guarantee(A: Numbers) -> tuple[float, Numbers]:
    """Max_p min_q p A q, the most that the row player can make sure of, and the p that does.

    A linear program: the largest v for which (p A)_j >= v at every column j.
    """
    rows, columns = A.shape
    found = linprog(
        [*[0.0] * rows, -1.0],
        A_ub=np.hstack([-A.T, np.ones((columns, 1))]),
        b_ub=np.zeros(columns),
        A_eq=[[*[1.0] * rows, 0.0]],
        b_eq=[1.0],
        bounds=[*[(0, None)] * rows, (None, None)],
    )
    return float(found.x[-1]), found.x[:-1]


def _minimax(rng: np.random.Generator, games: int) -> list[Check]:
    apart, gain = 0.0, 0.0
    for _ in range(games):
        A = rng.normal(size=(5, 4))
        (low, p), (high, q) = guarantee(A), guarantee(-A.T)
        apart = max(apart, abs(low + high))
        gain = max(gain, *zero_sum(A).gains(p, q))
    return [
        Check(f"{games} random zero-sum games: max min − min max, most", apart, 0.0, ROUNDED),
        Check("their solutions: a deviation gains, most", gain, 0.0, ROUNDED),
    ]


def V(D: Numbers, p_g: Numbers, p_data: Numbers = P_DATA) -> Numbers:
    """The paper's V of D and p_g on finitely many kinds of x: (..., K), (..., K) -> (...)."""
    return (p_data * np.log(D) + p_g * np.log1p(-D)).sum(-1)


def gain_of_D(D: Numbers, p_g: Numbers) -> Numbers:
    """What D's best deviation, D* = p_data / (p_data + p_g), wins."""
    return V(P_DATA / (P_DATA + p_g), p_g) - V(D, p_g)


def gain_of_G(D: Numbers, p_g: Numbers) -> Numbers:
    """What G's best deviation, all of p_g where D is largest, wins."""
    losses = np.log1p(-D)
    return (p_g * losses).sum(-1) - losses.min(-1)


def _paper(rng: np.random.Generator, deviations: int) -> list[Check]:
    half = np.full(len(P_DATA), 0.5)
    Ds = rng.uniform(1e-3, 1 - 1e-3, (deviations, len(P_DATA)))
    p_gs = rng.dirichlet(np.ones(len(P_DATA)), deviations)
    m = (P_DATA + p_gs) / 2
    jsd = ((P_DATA * np.log(P_DATA / m) + p_gs * np.log(p_gs / m)) / 2).sum(-1)
    either = np.maximum(gain_of_D(Ds, p_gs), gain_of_G(Ds, p_gs))

    def both(D: Numbers, p_g: Numbers) -> Numbers:
        """What D and G together win in the non-saturating game, where G wins log D(G(z))."""
        return V(D, p_g) + (p_g * np.log(D)).sum(-1)

    at = float(both(half, P_DATA))
    return [
        Check("paper's game: V at p_g = p_data and D = 1/2", float(V(half, P_DATA)), -LOG_4,
              ROUNDED),
        no_more(f"D's gain by the best of {deviations:,} deviations",
                float(V(Ds, P_DATA).max()) + LOG_4, 0.0),
        Check("G's gain by any deviation, most", float(np.abs(V(half, p_gs) + LOG_4).max()), 0.0,
              ROUNDED),
        Check("D's gain at other p_g − 2 JSD, most",
              float(np.abs(gain_of_D(half, p_gs) - 2 * jsd).max()), 0.0, ROUNDED),
        # so none of them is an equilibrium
        Check(f"{deviations:,} other pairs: the larger of the two gains, least",
              float(either.min()), 0.0, 0.0, relation="at least"),
        Check("non-saturating: the payoffs' sum is not constant: spread",
              float(np.abs(both(Ds, P_DATA) - at).max()), 0.01, 0.0, relation="at least"),
    ]  # fmt: skip


def _saddle() -> Figure:
    """V of a coin, where D is 1/2 at tails and G's p_g(heads) and D(heads) are free."""
    q, d = np.linspace(0.01, 1, 100), np.linspace(0.05, 0.95, 181)
    p = np.array([HEADS, 1 - HEADS])

    def value(d: Numbers, q: Numbers) -> Numbers:
        D = np.stack([d, np.full_like(d, 0.5)], -1)
        return V(D, np.stack([q, 1 - q], -1), p)

    both = value(*np.meshgrid(d, q, indexing="ij"))  # (d, q)
    best_D = HEADS / (HEADS + q)
    of_D = value(best_D, q) - value(np.full_like(q, 0.5), q)
    of_G = value(d, np.full_like(d, HEADS)) - np.minimum(value(d, 0 * d), value(d, 0 * d + 1))
    levels = -LOG_4 + np.array([-0.4, -0.2, -0.1, -0.03, 0.0, 0.03, 0.1])

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        left.contour(q, d, both, levels=levels, colors=GREY, linestyles="-", linewidths=0.8)
        left.plot(q, best_D, color=BLUE, lw=2, label="D's best reply")
        left.plot([0, 0, 1, 1], [0.05, 0.5, 0.5, 0.95], color=VERMILION, lw=2,
                  label="G's best reply")  # fmt: skip
        left.plot(HEADS, 0.5, "o", color=INK, ms=8)
        left.set(
            xlabel="G: p_g(heads)", ylabel="D: D(heads)", xlim=(-0.02, 1.02), ylim=(0.05, 0.95)
        )
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
        right.plot(q, of_D, color=BLUE, label="D leaves 1/2, at this p_g")
        right.plot(d, of_G, color=VERMILION, label="G leaves p_data, at this D")
        for at in (HEADS, 0.5):
            right.axvline(at, color=GREY, ls=":")
        right.set(xlabel="p_g(heads), or D(heads)", ylabel="gain by deviating", ylim=(-0.01, 0.5))
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))

    return Figure(
        draw,
        f"The best replies of D and G cross at p_g(heads) = {HEADS} and D = 1/2; there alone"
        " neither gains by a deviation.",
        f"A coin with p_data(heads) = {HEADS}; D is 1/2 at tails. Left: V(D, G) (contours) and each"
        " player's best reply to the other, which cross at the equilibrium. Right: what a player"
        " gains by deviating.",
        (8, 4),
    )
