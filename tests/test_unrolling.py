"""Unrolling against closed forms, finite differences and a game without it."""

import pytest
import torch
from torch import nn

from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, Round, Turn
from frenemy.nets.mlp import critic, perceptron
from frenemy.objectives import (
    minimax_d,
    minimax_g,
    nonsaturating_g,
    pairing_d,
    pairing_g,
    wasserstein_d,
    wasserstein_g,
)
from frenemy.penalties import on_share, r1
from frenemy.unrolling import unrolled

OBJECTIVES = pytest.mark.parametrize(
    ("d", "g"), [(minimax_d, nonsaturating_g), (minimax_d, minimax_g), (pairing_d, pairing_g)]
)


def nets():
    """Smooth ones, so that finite differences meet no kinks."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    D = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)).double()
    return {"G": G, "D": D}


X, Z = torch.randn(2, 16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def g_round(players, joint=False):
    return Round(players, Z, lambda: (X, None), ("G",), joint)


def value(players, term):
    return term(g_round(players)).mean()


@OBJECTIVES
def test_without_steps_it_is_the_term_of_g(d, g):
    players = nets()
    term = unrolled(d, g, k=0, rate=0.5)
    assert torch.equal(term(g_round(players)), g(g_round(players)))
    assert term.__name__ == g.__name__


def penalised(r):
    """With a term that plays a part of the minibatch, which the round keeps."""
    return minimax_d(r) + 3 * on_share(r1, 0.5)(r).mean()


@pytest.mark.parametrize(("d", "g"), [*OBJECTIVES.args[1], (penalised, nonsaturating_g)])
@pytest.mark.parametrize("joint", [False, True])
def test_its_value_is_that_of_g_after_d_took_the_steps(d, g, joint):
    players = nets()
    unrolled_value = unrolled(d, g, k=3, rate=0.3)(g_round(players, joint)).mean().item()
    D = players["D"]
    for _ in range(3):
        loss = d(Round(players, Z, lambda: (X, None), ("D",))).mean()
        with torch.no_grad():
            for p, step in zip(
                D.parameters(), torch.autograd.grad(loss, list(D.parameters())), strict=True
            ):
                p -= 0.3 * step
    assert unrolled_value == pytest.approx(value(players, g).item(), rel=1e-12)


@OBJECTIVES
@pytest.mark.parametrize("k", [1, 4])
def test_its_gradient_runs_through_the_steps_of_d(d, g, k):
    players = nets()
    theta = list(players["G"].parameters())
    term = unrolled(d, g, k=k, rate=0.5)
    gradient = torch.autograd.grad(value(players, term), theta)
    direct = torch.autograd.grad(value(players, g), theta)
    torch.manual_seed(2)
    along = [torch.randn_like(p) for p in theta]
    values = []
    h = 1e-5
    for sign in (1, -1):
        with torch.no_grad():
            for p, v in zip(theta, along, strict=True):
                p += sign * h * v
        values.append(value(players, term).item())
        with torch.no_grad():
            for p, v in zip(theta, along, strict=True):
                p -= sign * h * v
    slope = sum((a * v).sum() for a, v in zip(gradient, along, strict=True)).item()
    # central differences: h^2 and rounding / h are both about 1e-10
    assert slope == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6, abs=1e-8)
    without = sum((a * v).sum() for a, v in zip(direct, along, strict=True)).item()
    assert abs(slope - without) > 1e-3 * abs(slope)


def test_of_the_linear_game_it_is_its_closed_form():
    """D(x) = psi x, G(z) = theta: after k steps D has psi - k eta (theta - c)."""
    theta, psi, c, eta, k = 0.7, -0.4, 2.0, 0.1, 5

    class Product(nn.Linear):
        def forward(self, input):
            return super().forward(input).squeeze(1)

    D, G = Product(1, 1, bias=False).double(), Product(1, 1, bias=False).double()
    nn.init.constant_(D.weight, psi)
    nn.init.constant_(G.weight, theta)
    one = torch.ones(4, 1, dtype=torch.float64)
    G.forward = lambda z: z @ G.weight.T  # (B, 1), as x is
    r = Round({"G": G, "D": D}, one, lambda: (c * one, None), ("G",))
    loss = unrolled(wasserstein_d, wasserstein_g, k=k, rate=eta)(r).mean()
    (gradient,) = torch.autograd.grad(loss, [G.weight])
    assert loss.item() == pytest.approx(-(psi - k * eta * (theta - c)) * theta, rel=1e-12)
    assert gradient.item() == pytest.approx(-psi + k * eta * (2 * theta - c), rel=1e-12)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_d_may_unroll_a_penalty_too(joint, asked):
    players = nets()

    def penalised(r):
        return minimax_d(r) + r1(r)

    r = g_round(players, joint)
    if asked:  # as D's own terms do in a turn of both
        penalised(r)
    found = unrolled(penalised, nonsaturating_g, k=2, rate=0.3)(r).mean().item()
    D = players["D"]
    for _ in range(2):
        step = torch.autograd.grad(penalised(g_round(players)).mean(), list(D.parameters()))
        with torch.no_grad():
            for p, g in zip(D.parameters(), step, strict=True):
                p -= 0.3 * g
    assert found == pytest.approx(value(players, nonsaturating_g).item(), rel=1e-12)  # float64


def game(term):
    torch.manual_seed(0)
    G, D = perceptron(2, 8, 2), critic(2, 8)
    players = {
        name: Player(net, torch.optim.SGD(net.parameters(), lr=0.1))
        for name, net in {"G": G, "D": D}.items()
    }
    turns = [Turn({"D": {minimax_d: 1.0}}, joint=True), Turn({"G": {term: 1.0}})]
    return Game(players, turns, Prior("gaussian", 2), 16)


def test_a_game_with_no_step_ahead_is_the_game_without_unrolling():
    plain, zero, five = (
        game(t)
        for t in (
            nonsaturating_g,
            unrolled(minimax_d, nonsaturating_g, k=0, rate=1.0),
            unrolled(minimax_d, nonsaturating_g, k=5, rate=1.0),
        )
    )
    for each in (plain, zero, five):
        for step in range(3):
            record = each.play(lambda *_: (X.float(), None), seed=0, step=step)
            assert "G/nonsaturating_g" in record
    same, other = (
        all(
            torch.equal(a, b)
            for a, b in zip(plain.nets["G"].parameters(), g.nets["G"].parameters(), strict=True)
        )
        for g in (zero, five)
    )
    assert same
    assert not other


def test_d_keeps_its_weights():
    players = nets()
    before = [p.clone() for p in players["D"].parameters()]
    value(players, unrolled(minimax_d, nonsaturating_g, k=5, rate=0.5)).backward()
    for old, new in zip(before, players["D"].parameters(), strict=True):
        assert torch.equal(old, new)


def test_negative_numbers_are_refused():
    with pytest.raises(FrenemyError, match="k is -1"):
        unrolled(minimax_d, nonsaturating_g, k=-1, rate=0.1)
    with pytest.raises(FrenemyError, match=r"rate is -0\.1"):
        unrolled(minimax_d, nonsaturating_g, k=1, rate=-0.1)
