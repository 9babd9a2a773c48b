"""Equilibria, against searches over grids and scipy-free solutions of small games."""

import math

import numpy as np
import pytest

from frenemy.lab import nash
from frenemy.lab.nash import P_DATA, Bimatrix, gain_of_D, gain_of_G, guarantee, zero_sum

from .small import small


def test_every_check_holds():
    assert [check.what for check in small("nash").result.checks if not check.holds] == []


@pytest.mark.parametrize("seed", range(3))
def test_other_seeds_hold(seed):
    assert nash.nash(seed=seed, deviations=200, games=3).holds


def test_gains_are_those_of_the_best_pure_deviation():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 3, 4))
    p, q = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    now = p @ A @ q, p @ B @ q
    best = max(np.eye(3)[i] @ A @ q for i in range(3)), max(p @ B @ np.eye(4)[j] for j in range(4))
    assert Bimatrix(A, B).gains(p, q) == pytest.approx((best[0] - now[0], best[1] - now[1]))


def test_rock_paper_scissors_is_worth_nothing_and_played_evenly():
    value, p = guarantee(np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]))
    assert value == pytest.approx(0, abs=1e-9)
    assert p == pytest.approx([1 / 3] * 3, abs=1e-9)


def test_a_game_of_two_by_two_has_the_known_value():
    a, b, c, d = 3.0, -1.0, -2.0, 4.0  # without a saddle: (ad - bc) / (a + d - b - c)
    value, p = guarantee(np.array([[a, b], [c, d]]))
    assert value == pytest.approx((a * d - b * c) / (a + d - b - c))
    assert p[0] == pytest.approx((d - c) / (a + d - b - c))


def test_best_deviations_of_the_papers_game_are_those_of_a_search():
    rng = np.random.default_rng(1)
    D, p_g = rng.uniform(0.1, 0.9, len(P_DATA)), rng.dirichlet(np.ones(len(P_DATA)))
    grid = np.linspace(1e-4, 1 - 1e-4, 9999)
    best = sum(
        (a * np.log(grid) + b * np.log1p(-grid)).max() for a, b in zip(P_DATA, p_g, strict=True)
    )
    assert gain_of_D(D, p_g) == pytest.approx(best - nash.V(D, p_g), abs=1e-6)
    corners = [nash.V(D, np.eye(len(P_DATA))[i]) for i in range(len(P_DATA))]
    assert gain_of_G(D, p_g) == pytest.approx(nash.V(D, p_g) - min(corners))


def test_only_the_equilibrium_leaves_nobody_a_gain():
    half = np.full(len(P_DATA), 0.5)
    assert gain_of_D(half, P_DATA) == pytest.approx(0, abs=1e-12)
    assert gain_of_G(half, P_DATA) == pytest.approx(0, abs=1e-12)
    near = P_DATA + np.array([0.01, -0.01, 0, 0, 0])
    assert gain_of_D(half, near) > 1e-5
    assert gain_of_G(half + np.array([0.01, 0, 0, 0, 0]), P_DATA) > 1e-3


def test_a_zero_sum_game_pays_what_the_other_loses():
    game = zero_sum(np.array([[1.0, math.pi]]))
    assert (game.A + game.B == 0).all()
