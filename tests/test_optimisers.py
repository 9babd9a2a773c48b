"""Optimisers for games, against linear algebra and dumb loops, and their exact resumption."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, simultaneous
from frenemy.objectives import minimax_d, nonsaturating_g
from frenemy.optimisers import Optimistic, ProximalPoint

A = np.random.default_rng(0).normal(size=(5, 5)) / 4
W0 = np.arange(1.0, 6.0)


def play(optimiser, h, steps, **settings):
    """Steps of an optimiser on the field g(w) = A w, split over two tensors of one group."""
    tensors = [torch.tensor(part, requires_grad=True) for part in (W0[:2], W0[2:])]
    moves = optimiser(tensors, lr=h, **settings)
    path = [W0]
    for _ in range(steps):
        g = A @ path[-1]
        for p, part in zip(tensors, (g[:2], g[2:]), strict=True):
            p.grad = torch.tensor(part)
        moves.step()
        path.append(torch.cat([p.detach() for p in tensors]).numpy().copy())
    return path


def close(a, b, tolerance=1e-12):  # float64 roundings of a few dozen steps
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_one_inner_step_is_gradient_descent_to_the_bit():
    w = play(ProximalPoint, 0.3, 10, inner=1)
    np.testing.assert_array_equal(w, play(torch.optim.SGD, 0.3, 10))


def test_two_inner_steps_are_the_extragradient():
    path, h = play(ProximalPoint, 0.3, 10), 0.3
    w = W0
    for t in range(5):
        half = w - h * A @ w
        close(path[2 * t + 1], half)
        w = w - h * A @ half
        close(path[2 * t + 2], w)


def test_many_inner_steps_are_the_proximal_point():
    h, inner = 0.5, 60
    assert h * np.linalg.norm(A, 2) < 0.6  # the steps contract by this: .6^60 = 5e-14 remains
    path = play(ProximalPoint, h, 3 * inner, inner=inner)
    w = W0
    for t in range(1, 4):
        w = np.linalg.solve(np.eye(5) + h * A, w)
        close(path[t * inner], w, 1e-11)


def test_optimistic_steps_extrapolate_the_gradient():
    path, h = play(Optimistic, 0.3, 10), 0.3
    g = [A @ w for w in path]
    close(path[1], W0 - h * g[0])
    for t in range(1, 10):
        close(path[t + 1], path[t] - 2 * h * g[t] + h * g[t - 1])


def test_the_rate_may_change_within_a_step():
    w = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimiser = ProximalPoint([w], lr=0.5)
    for lr in (0.5, 0.25):
        optimiser.param_groups[0]["lr"] = lr
        w.grad = w.detach().clone()
        optimiser.step()
    assert w.item() == 1 - 0.25 * (1 - 0.5)


@pytest.mark.parametrize("optimiser", [ProximalPoint, Optimistic])
def test_what_has_no_gradient_stays_and_is_not_remembered(optimiser):
    still, moved = (torch.ones(2, requires_grad=True) for _ in range(2))
    optimiser = optimiser([still, moved], lr=0.1)
    moved.grad = torch.ones(2)
    optimiser.step()
    assert torch.equal(still, torch.ones(2))
    assert not torch.equal(moved, torch.ones(2))
    assert still not in optimiser.state or not optimiser.state[still]


@pytest.mark.parametrize("optimiser", [ProximalPoint, Optimistic])
def test_a_closure_is_evaluated_with_gradients_first(optimiser):
    w = torch.ones(1, requires_grad=True)
    optimiser = optimiser([w], lr=0.5)

    def closure():
        loss = w.square().sum() / 2
        loss.backward()
        return loss.item()

    assert optimiser.step(closure) == 0.5
    assert w.item() == 0.5


@pytest.mark.parametrize("optimiser", [ProximalPoint, Optimistic])
def test_bad_arguments_are_told_in_a_line(optimiser):
    with pytest.raises(FrenemyError, match=r"lr is -0\.1: give 0 or more"):
        optimiser([torch.ones(1, requires_grad=True)], lr=-0.1)
    with pytest.raises(FrenemyError, match="inner is 0: give 1 or more"):
        ProximalPoint([torch.ones(1, requires_grad=True)], inner=0)


# Resumed through a game


def game_of(optimiser):
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    D = nn.Sequential(nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0))
    players = {
        name: Player(net, optimiser(net.parameters(), lr=0.05))
        for name, net in (("D", D), ("G", G))
    }
    return Game(
        players, simultaneous({minimax_d: 1.0}, {nonsaturating_g: 1.0}), Prior("uniform", 3), 6
    )


def minibatch(stream, i):
    return torch.rand(6, 4, generator=torch.Generator().manual_seed(i)), None


def state_of(game):
    return {n: {k: v.clone() for k, v in p.state().items()} for n, p in game.players.items()}


def same(a, b):
    return all(
        a[n].keys() == b[n].keys() and all(torch.equal(a[n][k], b[n][k]) for k in a[n]) for n in a
    )


@pytest.mark.parametrize("stop", range(1, 7))  # after each of the inner steps
@pytest.mark.parametrize(
    "optimiser", [ProximalPoint, partial(ProximalPoint, inner=3), Optimistic], ids=str
)
def test_a_game_is_resumed_to_the_bit(optimiser, stop):
    whole = game_of(optimiser)
    for step in range(8):
        if step == stop:
            saved = copy.deepcopy(state_of(whole))
        whole.play(minibatch, seed=0, step=step)
    resumed = game_of(optimiser)
    resumed.play(minibatch, seed=9, step=0)  # what loading has to replace
    for name, player in resumed.players.items():
        player.load(saved[name])
        player.to(torch.device("cpu"))
    assert same(state_of(resumed), saved)
    for step in range(stop, 8):
        resumed.play(minibatch, seed=0, step=step)
    assert same(state_of(resumed), state_of(whole))


def test_between_two_steps_of_the_method_nothing_is_kept():
    game = game_of(partial(ProximalPoint, inner=3))
    remembered = []
    for step in range(6):
        game.play(minibatch, seed=0, step=step)
        remembered.append(any(k.startswith("optimiser") for k in game.players["D"].state()))
    assert remembered == [True, True, False, True, True, False]
