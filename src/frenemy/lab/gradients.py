"""The gradient that reaches G: of one sample by autograd, of all by quadrature, and in a game."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frenemy.game import Game, Gradient, Player, Prior, Round, Term, Turn, alternating, mix
from frenemy.lab.densities import Mixture, integral, line, minibatches, normal, optimal_logit
from frenemy.lab.discriminators import KnownGenerator, adam, smooth_critic
from frenemy.objectives import minimax_d

MINIBATCH = 512  # points of p_data, and of p_g


class Optimal(nn.Module):
    """D*: points (B, d) -> logits (B,). Goodfellow et al. (2014), Proposition 1."""

    def __init__(self, p_data: Mixture, p_g: Mixture) -> None:
        super().__init__()
        self.p_data = p_data
        self.p_g = p_g

    def forward(self, x: Tensor) -> Tensor:
        return optimal_logit(self.p_data, self.p_g, x)


def slopes(term: Term, D: nn.Module, x: Tensor) -> Tensor:
    """The force d term / d G(z) on each sample, (N,), where G(z) = x, float64 (N, 1).

    >>> from frenemy.objectives import minimax_g
    >>> slopes(minimax_g, nn.Flatten(0), torch.zeros(1, 1).double())  # -sigmoid(0), of logits
    tensor([-0.5000], dtype=torch.float64)
    """
    r = Round({"G": nn.Identity(), "D": copy.deepcopy(D).double()}, x.clone(), _no_data, ())
    return torch.autograd.grad(term(r).sum(), r.Gz)[0][:, 0]


class Push(NamedTuple):
    """The mean of the forces on samples, and their standard deviation."""

    mean: float
    sd: float


def push(term: Term, D: nn.Module, theta: float) -> Push:
    """The gradient d E term / d theta of G(z) = theta + z, z ~ N(0, 1), by quadrature over z."""
    z = line(-12, 12, 4801)
    force, weights = slopes(term, D, theta + z), normal().pdf(z)
    mean = integral(weights * force, z)
    return Push(mean, math.sqrt(integral(weights * (force - mean).square(), z)))


def far_law(theta: float) -> float:
    """The gradient of log(1 - D*) for p_data = N(0, 1) and p_g = N(theta, 1), theta >> pi.

    It is theta times the integral of p_data p_g / (p_data + p_g), which at u from the middle is
    phi(theta / 2) exp(-u^2 / 2) / (2 cosh(theta u / 2)), with phi the density of N(0, 1). The
    moments of 1 / cosh are Euler's numbers E_k = 1, 1, 5, 61, 1385 ..., so that the gradient is

        sqrt(pi / 2) exp(-theta^2 / 8) sum_k (-1)^k E_k / (2^k k!) (pi / theta)^(2 k),

    an asymptotic series, of which this is the sum up to k = 3.
    """
    u = (math.pi / theta) ** 2
    series = 1 - u / 2 + 5 / 8 * u**2 - 61 / 48 * u**3
    return math.sqrt(math.pi / 2) * math.exp(-(theta**2) / 8) * series


def measured(
    terms: Sequence[Term], D: nn.Module, G: KnownGenerator, *, minibatch: int, seed: int
) -> Mapping[str, float]:
    """The gradient that reaches G's mean, by the terms' names, in a game where G's rate is 0.

    The mean of D(G(z)) comes with them, as "D(G(z))".
    """

    def observe(_: Round, turn: Turn, gradients: Mapping[str, Gradient]) -> dict[str, Tensor]:
        (gradient,) = gradients["G"]
        assert gradient is not None  # G(z) depends on its mean
        return {term.__name__: gradient.sum() for term in turn.moves["G"]}

    players = {
        "D": Player(D, torch.optim.SGD(D.parameters())),
        "G": Player(G, torch.optim.SGD([G.means], lr=0.0)),
    }
    turns = [Turn({"G": {term: 1.0}}) for term in terms]
    game = Game(players, turns, Prior("gaussian", 2), minibatch)
    with torch.random.fork_rng():
        record = game.play(_no_data, seed=seed, step=0, observe=observe)
    return {name: value.item() for name, value in record.items()}


class Overtrained(NamedTuple):
    """D after its steps alone.

    Attributes:
        marks: numbers of steps, from 0 to the last.
        gradients: what was `measured` after so many.
        D: the network, and the state of its player.
    """

    marks: list[int]
    gradients: list[Mapping[str, float]]
    D: nn.Module
    state: Mapping[str, Tensor]


def overtrain(
    p_data: Mixture, p_g: Mixture, terms: Sequence[Term], *, steps: int, minibatch: int, seed: int
) -> Overtrained:
    """A game whose only turn is D's, and the gradients that would reach G now and then.

    Args:
        p_data: the data.
        p_g: a normal density, far off.
        terms: of G.
        steps: of D; its rate falls to a tenth.
        minibatch: of the rounds in which gradients are measured.
        seed: of D and the game.
    """
    G = KnownGenerator(p_g)
    players = _players(G, steps, seed)
    turns = [Turn({"D": {minimax_d: 1.0}}, joint=True)]
    game = Game(players, turns, Prior("gaussian", 2), MINIBATCH)
    data = minibatches(p_data.sample, MINIBATCH, seed)
    D, gradients = game.nets["D"], []
    marks = [0, *(2**i for i in range(steps.bit_length()) if 2**i < steps), steps]
    with torch.random.fork_rng():
        for step in range(steps + 1):
            if step in marks:
                found = measured(terms, D, G, minibatch=minibatch, seed=mix(seed, step))
                gradients.append(found)
            if step < steps:
                game.play(data, seed=seed, step=step)
    state = {name: value.clone() for name, value in players["D"].state().items()}
    return Overtrained(marks, gradients, D, state)


def play_on(
    over: Overtrained, p_data: Mixture, p_g: Mixture, term: Term, *, rounds: int, seed: int
) -> list[float]:
    """G's mean in rounds 0, 1, ... of a game that begins with an overtrained D."""
    G, done = KnownGenerator(p_g), over.marks[-1]
    players = _players(G, done, seed)
    players["D"].load(over.state)
    turns = alternating({minimax_d: 1.0}, {term: 1.0})
    game = Game(players, turns, Prior("gaussian", 2), MINIBATCH)
    data = minibatches(p_data.sample, MINIBATCH, seed)
    way = [G.means.item()]
    with torch.random.fork_rng():
        for step in range(done, done + rounds):
            game.play(data, seed=seed, step=step)
            way.append(G.means.item())
    return way


def _players(G: KnownGenerator, steps: int, seed: int) -> dict[str, Player]:
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed))
        D = smooth_critic(1)
    return {
        "D": adam(D, lambda t: 0.01 * max(0.1, 1 - t / steps)),
        # under a force of 1, 50 rounds take G's mean one unit along; its sd stays
        "G": Player(G, torch.optim.SGD([G.means], lr=0.02)),
    }


def _no_data(*_: int) -> tuple[Tensor, None]:
    return torch.empty(0, 1), None  # G's terms here do not look at x
