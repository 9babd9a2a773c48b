"""Games of two numbers that rotate: how they are played, and what is exact of that play.

G gives the point theta for any z and D(x) = psi x is a logit: the Dirac-GAN of Mescheder et al.
(2018), Which Training Methods for GANs do actually Converge?, with its data at 0. In the plane
(x, y) = (theta, -psi), the value of their Wasserstein game is x y.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from frenemy.game import Game, Player, Prior, Term, alternating, simultaneous
from frenemy.objectives import OBJECTIVES, Objective
from frenemy.optimisers import Optimistic, ProximalPoint
from frenemy.penalties import consensus, r1, r2

SMALL = 1e-5  # distance from the equilibrium at which third-order terms are 1e-10 of the first
INNER = 20  # steps towards the proximal point: h^(2 INNER + 2) / 2 off, which is 2e-7 at h = .7
MINIMAX, NONSATURATING = OBJECTIVES["minimax"], OBJECTIVES["nonsaturating"]
WASSERSTEIN = OBJECTIVES["wasserstein"]
HALVINGS = 23  # of the bisection for the largest stable step, which begins with [0, 4.4]


class OneWeight(nn.Module):
    """A network of one weight w, which gives rule(w, input)."""

    def __init__(self, w: float, rule: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))
        self.rule = rule

    def forward(self, x: Tensor) -> Tensor:
        return self.rule(self.w, x)


@dataclass(frozen=True)
class Method:
    """What the two players minimise, and how they move.

    Attributes:
        objective: of both.
        penalty: of D, weighted.
        agreement: weight of consensus, a penalty of both.
        in_turn: G moves first, and D sees it; otherwise both move at once.
        optimiser: of a player's parameters.
        momentum: of both players' SGD.
        inner: rounds that make one step, towards the proximal point if they are several.
        clip: D's weight is clipped to [-clip, clip] after each of its steps.
    """

    objective: Objective
    penalty: Mapping[Term, float] = field(default_factory=dict)
    agreement: float = 0.0
    in_turn: bool = False
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.SGD
    momentum: float | None = None
    inner: int = 1
    clip: float = math.inf

    def game(self, h: float, x: float, y: float) -> Game:
        """The game at step size h, with theta = x and psi = -y to begin with."""
        # SGD's constructor refuses negative momentum, which minimisation has no use for. Games
        # have; what a schedule sets is not checked, and SGD computes with any number.
        momentum = self.momentum
        schedule = None if momentum is None else lambda _: {"momentum": momentum}
        inner = partial(ProximalPoint, inner=self.inner)
        optimiser = self.optimiser if self.inner == 1 else inner
        D = OneWeight(-y, lambda psi, x: (psi * x).squeeze(1))
        G = OneWeight(x, lambda theta, z: theta.expand(len(z), 1))
        players = {
            name: Player(net, optimiser(net.parameters(), lr=h), schedule=schedule)
            for name, net in {"D": D, "G": G}.items()
        }

        def clip(*_: object) -> None:
            D.w.data.clamp_(-self.clip, self.clip)

        players["D"].optimiser.register_step_post_hook(clip)
        d, g = self.objective.d, self.objective.g
        both = {consensus(d, g): self.agreement} if self.agreement else {}
        losses = {d: 1.0, **self.penalty, **both}, {g: 1.0, **both}
        turns = alternating(*losses)[::-1] if self.in_turn else simultaneous(*losses)
        return Game(players, turns, Prior("gaussian", 1), 1)

    def step(self, game: Game) -> None:
        """One step of the method on data of one point, (1, 1), at 0; nothing in it is random."""
        for _ in range(self.inner):
            game.play(lambda *_: (torch.zeros(1, 1).double(), None), seed=0, step=0)


def trajectory(method: Method, h: float, start: tuple[float, float], steps: int) -> np.ndarray:
    """(theta, -psi) before the first of `steps` steps and after each: float64 (steps + 1, 2)."""
    game, points = method.game(h, *start), [start]
    for _ in range(steps):
        method.step(game)
        theta, psi = (game.players[name].theta[0].item() for name in "GD")
        points.append((theta, -psi))
    return np.array(points, np.float64)


def linear_map(method: Method, h: float) -> np.ndarray:
    """The matrix of one step of play near the equilibrium 0, as measured from play.

    The state is all that the players would save: their weights and what their optimisers remember.
    A step is played from each basis state, of size `SMALL`, and what comes of it is a column.

    Returns:
        float64 (n, n).
    """
    game = method.game(h, SMALL, SMALL)
    method.step(game)  # makes the optimisers' memory, which begins empty
    states = {name: player.state() for name, player in game.players.items()}
    # counters come round to where they began within a step, so only what is real is a state
    names = [(p, k) for p, s in states.items() for k, v in s.items() if v.is_floating_point()]
    columns: list[list[float]] = []
    for basis in names:
        for p, player in game.players.items():
            state = player.state()
            real = {k: v for k, v in state.items() if (p, k) in names}
            bases = {k: torch.full_like(v, SMALL * ((p, k) == basis)) for k, v in real.items()}
            player.load(state | bases)
        method.step(game)
        after = {p: player.state() for p, player in game.players.items()}
        columns.append([after[p][k].item() / SMALL for p, k in names])
    return np.array(columns).T


def radius(method: Method, h: float) -> float:
    """The spectral radius of `linear_map`: by what factor the distance from 0 grows in a step."""
    return float(np.abs(np.linalg.eigvals(linear_map(method, h))).max())


def eigenvalue(method: Method) -> complex:
    """Of the game's gradient field at 0, the eigenvalue with the largest real, then imaginary part.

    One simultaneous step of size 1 is 1 + J, where J is the Jacobian of the field.
    """
    return max(np.linalg.eigvals(linear_map(method, 1.0)) - 1, key=lambda v: (v.real, v.imag))


def largest_stable(method: Method) -> float:
    """The largest h with spectral radius <= 1, by bisection."""
    low, high = 0.0, 4.4
    for _ in range(HALVINGS):
        h = (low + high) / 2
        # float64 rounds at 1e-16; the slowest to diverge, whose radius is 1 + h^2 / 8, is seen to
        # from h = 3e-7
        low, high = (h, high) if radius(method, h) <= 1 + 1e-14 else (low, h)
    return (low + high) / 2


class Known(NamedTuple):
    """A method of which it is known how fast it settles, and up to which step.

    Attributes:
        formula: of the spectral radius at step h for the game x y, which `radii` computes; for a
            Dirac-GAN, of the leading `eigenvalue` of its gradient field.
        stable: the largest stable step, by the formula `limit`.
    """

    name: str
    method: Method
    formula: str
    stable: float
    limit: str
    eigenvalue: complex = 0.0


def bilinear(c: float) -> list[Known]:
    """Methods for the game x y; c is the weight of consensus."""
    both, in_turn = partial(Method, WASSERSTEIN), partial(Method, WASSERSTEIN, in_turn=True)
    extragradient, proximal = both(inner=2), both(inner=INNER)
    plus, minus, less = in_turn(momentum=0.5), in_turn(momentum=-0.5), both(momentum=-0.5)
    optimistic, agreeing = both(optimiser=Optimistic), both(agreement=c)
    root = "√((1 + √(1 − 4h²)) / 2)"
    cubic, square = "((λ − 1)(λ − m))² = −h²λ³", "((λ − 1)(λ − m))² = −h²λ²"
    return [
        Known("simultaneous", both(), "√(1 + h²)", 0, "none"),
        Known("alternating", in_turn(), "1", 2, "2"),
        Known("alternating, momentum ½", plus, cubic, 0, "none"),
        Known("simultaneous, momentum −½", less, square, 0, "none"),
        Known("alternating, momentum −½", minus, cubic, 1, "2(1+m)"),
        Known("extragradient", extragradient, "√(1 − h² + h⁴)", 1, "1"),
        Known("optimistic", optimistic, root, 1 / math.sqrt(3), "1/√3"),
        Known("consensus", agreeing, "√((1 − hc)² + h²)", 2 * c / (1 + c * c), "2c/(1 + c²)"),
        Known("proximal point", proximal, "1/√(1 + h²)", 1, "1, of the inner steps"),
    ]


def radii(h: float, c: float) -> list[float]:
    """The spectral radii of the methods of `bilinear` at step size h."""

    def momentum(m: float, power: int) -> float:
        polynomial = np.polyadd(np.poly([1, 1, m, m]), [h * h, *[0] * power])
        return float(np.abs(np.roots(polynomial)).max())

    root = cmath.sqrt(1 - 4 * h * h)  # beyond h = 1/2, it is imaginary
    return [
        math.hypot(1, h),
        1,
        momentum(0.5, 3),
        momentum(-0.5, 2),
        momentum(-0.5, 3),
        math.sqrt(1 - h**2 + h**4),
        max(abs(1 - 2j * h + root), abs(1 - 2j * h - root)) / 2,
        math.hypot(1 - h * c, h),
        1 / math.hypot(1, h),
    ]


def dirac(gamma: float, c: float) -> list[Known]:
    """Dirac-GANs; gamma is the weight of R1 and R2, c that of consensus."""
    slowest = -gamma / 2 + cmath.sqrt(gamma**2 / 4 - 1 / 4)  # of [[0, -1/2], [1/2, -gamma]]
    stable = 4 * (gamma - math.sqrt(max(0, gamma**2 - 1)))
    damped = "−γ/2 + √(γ²/4 − ¼)", stable, "4γ, γ ≤ 1", slowest
    agreed = "−c/4 + i/2", 8 * c / (4 + c * c), "8c/(4 + c²)", complex(-c / 4, 0.5)
    return [
        Known("Dirac-GAN", Method(MINIMAX), "i/2", 0, "none", 0.5j),
        Known("Dirac-GAN, non-saturating", Method(NONSATURATING), "i/2", 0, "none", 0.5j),
        Known("Dirac-GAN, R1", Method(MINIMAX, {r1: gamma}), *damped),
        Known("Dirac-GAN, R2", Method(MINIMAX, {r2: gamma}), *damped),
        Known("Dirac-GAN, consensus", Method(MINIMAX, agreement=c), *agreed),
    ]
