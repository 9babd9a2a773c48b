"""Games of two numbers, theta and psi: how they are played, and what measures that play.

G gives the point theta for any z and D(x) = psi x is a logit: the Dirac-GAN of Mescheder et al.
(2018), Which Training Methods for GANs do actually Converge?, with its data at 0. In the plane
(x, y) = (theta, -psi), the value of their Wasserstein game is x y.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from frenemy.game import Game, Player, Prior, Round, Term, Turn, alternating, simultaneous
from frenemy.objectives import Objective

SMALL = 1e-5  # distance from the equilibrium at which third-order terms are 1e-10 of the first


class Point(nn.Module):
    """G of the Dirac-GAN: (B, size) -> (B, 1), theta for any z."""

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


class Slope(nn.Module):
    """D of the Dirac-GAN: (B, 1) -> (B,), the logit psi x."""

    def __init__(self, psi: float) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (self.psi * x).squeeze(1)


def origin(stream: int, i: int) -> tuple[Tensor, None]:
    """The data of the Dirac-GAN: one point, (1, 1), at 0."""
    return torch.zeros(1, 1, dtype=torch.float64), None


def theta_first(D: Mapping[Term, float], G: Mapping[Term, float]) -> Sequence[Turn]:
    """Alternating turns of which G takes the first."""
    return alternating(D, G)[::-1]


def sgd(params: Iterable[nn.Parameter], h: float) -> torch.optim.Optimizer:
    """Gradient steps of size h."""
    return torch.optim.SGD(params, lr=h)


@dataclass(frozen=True)
class Method:
    """What the two players minimise, and how they move.

    Attributes:
        D, G: the weighted terms of each player.
        turns: who moves when.
        optimiser: of a player's parameters at step size h.
        momentum: of both players' SGD.
        inner: how many rounds make one step.
        clip: D's weight is clipped to [-clip, clip] after each of its steps.
    """

    D: Mapping[Term, float]
    G: Mapping[Term, float]
    turns: Callable[[Mapping[Term, float], Mapping[Term, float]], Sequence[Turn]] = simultaneous
    optimiser: Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer] = sgd
    momentum: float | None = None
    inner: int = 1
    clip: float = math.inf

    def game(self, h: float, x: float, y: float) -> Game:
        """The game at step size h, with theta = x and psi = -y to begin with."""
        # SGD's constructor refuses negative momentum, which minimisation has no use for. Games
        # have; what a schedule sets is not checked, and SGD computes with any number.
        momentum = self.momentum
        schedule = None if momentum is None else lambda _: {"momentum": momentum}
        nets = {"D": Slope(-y), "G": Point(x)}
        players = {
            name: Player(net, self.optimiser(net.parameters(), h), schedule=schedule)
            for name, net in nets.items()
        }
        if self.clip < math.inf:
            psi = nets["D"].psi

            @torch.no_grad()
            def clipped(*_: object) -> None:
                psi.clamp_(-self.clip, self.clip)

            players["D"].optimiser.register_step_post_hook(clipped)
        return Game(players, self.turns(self.D, self.G), Prior("gaussian", 1), 1)

    def step(self, game: Game, t: int, seed: int = 0) -> None:
        """Step number t of the method: `inner` rounds."""
        for i in range(self.inner):
            game.play(origin, seed=seed, step=t * self.inner + i)


def where(game: Game) -> tuple[float, float]:
    """(theta, -psi) of a game."""
    theta, psi = game.players["G"].theta[0], game.players["D"].theta[0]
    return theta.item(), -psi.item()


def trajectory(
    method: Method, h: float, start: tuple[float, float], steps: int, seed: int = 0
) -> np.ndarray:
    """(theta, -psi) before the first of `steps` steps and after each: float64 (steps + 1, 2)."""
    game = method.game(h, *start)
    points = [where(game)]
    for t in range(steps):
        method.step(game, t, seed)
        points.append(where(game))
    return np.array(points)


def linear_map(method: Method, h: float) -> np.ndarray:
    """The matrix of one step of play near the equilibrium 0, as measured from play.

    The state is all that the players would save: their weights and what their optimisers remember.
    A step is played from each basis state, of size `SMALL`, and what comes of it is a column.

    Returns:
        float64 (n, n).
    """
    game = method.game(h, SMALL, SMALL)
    method.step(game, 0)  # makes the optimisers' memory, which begins empty
    states = {name: player.state() for name, player in game.players.items()}
    # counters come round to where they began within a step, so only what is real is a state
    names = [(p, k) for p, s in states.items() for k, v in s.items() if v.is_floating_point()]
    columns: list[list[float]] = []
    for basis in names:
        for p, player in game.players.items():
            player.load(
                {
                    k: torch.full_like(v, SMALL * ((p, k) == basis)) if (p, k) in names else v
                    for k, v in player.state().items()
                }
            )
        method.step(game, 0)
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


def largest_stable(method: Method, high: float = 4.4, halvings: int = 23) -> float:
    """The largest h with spectral radius <= 1, by bisection of [0, high]."""
    low = 0.0
    for _ in range(halvings):
        h = (low + high) / 2
        # float64 rounds at 1e-16; the slowest to diverge, whose radius is 1 + h^2 / 8, is seen to
        # from h = 3e-7
        low, high = (h, high) if radius(method, h) <= 1 + 1e-14 else (low, h)
    return (low + high) / 2


def instance_noise(sd: float) -> Objective:
    """The minimax game on x + noise and G(z) + noise ~ N(0, sd^2), in expectation over the noise.

    The expectations are Gauss-Hermite sums of 16 nodes. Soenderby et al. (2017), Amortised MAP
    Inference for Image Super-resolution, section 3.3; Arjovsky & Bottou (2017), Towards Principled
    Methods for Training Generative Adversarial Networks, section 3.
    """
    nodes, masses = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(16))
    masses = masses / masses.sum()

    def logits(r: Round, x: Tensor) -> Tensor:  # (B, 1) -> (B, 16)
        return r.D((x + sd * nodes).reshape(-1, 1)).reshape(len(x), -1)

    def noisy_minimax_d(r: Round) -> Tensor:
        return (softplus(-logits(r, r.x)) + softplus(logits(r, r.Gz))) @ masses

    def noisy_minimax_g(r: Round) -> Tensor:
        return -softplus(logits(r, r.Gz)) @ masses

    return Objective(noisy_minimax_d, noisy_minimax_g)
