"""Algorithm 1 by lines, against the loop written out."""

import itertools

import pytest
import torch

from frenemy.game import mix
from frenemy.lab import algorithm1
from frenemy.lab.algorithm1 import P_DATA, RATE, line_by_line, play, weights
from frenemy.lab.densities import minibatches

from .small import small

K, M = 3, 8


@pytest.fixture(scope="module")
def moves():
    game = line_by_line(0, k=K, minibatch=M)
    data = minibatches(P_DATA.sample, M, mix(0, 1))
    return [move for step in range(2) for move in play(game, data, 0, step)]


def test_a_round_has_k_steps_of_D_and_one_of_G(moves):
    assert [(move.round, move.player) for move in moves] == [
        (t, player) for t in (0, 1) for player in ("D", "D", "D", "G")
    ]
    assert all(len(move.z) == M for move in moves)
    assert all((move.x is None) == (move.player == "G") for move in moves)


def test_each_move_begins_where_the_last_one_ended(moves):
    for last, move in itertools.pairwise(moves):
        for name in ("D", "G"):
            for key, theta in move.before[name].items():
                assert torch.equal(theta, last.after[name][key])


def test_it_is_the_loop_written_out(moves):
    """With the very minibatches, by plain autograd."""
    game = line_by_line(0, k=K, minibatch=M)
    D, G = game.nets["D"], game.nets["G"]
    for move in moves:
        DGz = torch.sigmoid(D(G(move.z)))
        V = torch.log(1 - DGz).mean()
        net, sign = (D, 1) if move.player == "D" else (G, -1)
        if move.x is not None:
            V = V + torch.log(torch.sigmoid(D(move.x))).mean()
        theta = list(net.parameters())
        gradient = torch.autograd.grad(V, theta)
        with torch.no_grad():
            for p, g in zip(theta, gradient, strict=True):
                p += sign * RATE * g
        for name, w in weights(game).items():
            for key, p in w.items():
                torch.testing.assert_close(p, move.after[name][key], rtol=1e-5, atol=1e-6)


def test_every_check_holds():
    result = small("algorithm1").result
    assert [check.what for check in result.checks if not check.holds] == []


def test_a_game_that_cheats_is_caught(monkeypatch):
    """If D's step moved G too, the lesson would say so."""

    def cheat(seed, *, k, minibatch):
        game = line_by_line(seed, k=k, minibatch=minibatch)
        D, G = game.players["D"], game.players["G"]

        def hook(*_):
            with torch.no_grad():
                G.theta[0].add_(0.1)

        D.optimiser.register_step_post_hook(hook)
        return game

    monkeypatch.setattr(algorithm1, "line_by_line", cheat)
    result = algorithm1.algorithm1(rounds=2, minibatch=8)
    failed = [check.what for check in result.checks if not check.holds]
    assert "D's steps: weights of G that moved" in failed
