"""Forces on G against finite differences, scipy's quadrature and an asymptotic law."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import nn

from frenemy.lab.densities import line, normal, optimal_logit
from frenemy.lab.discriminators import KnownGenerator, smooth_critic
from frenemy.lab.gradients import Optimal, far_law, measured, overtrain, play_on, push, slopes
from frenemy.objectives import minimax_g, nonsaturating_g, wasserstein_g

TERMS = [minimax_g, nonsaturating_g]


@pytest.fixture(scope="module")
def D():
    torch.manual_seed(0)
    return smooth_critic(1)


def test_slopes_of_logits_are_the_closed_forms():
    s = line(-15, 15, 61)
    D = s[:, 0].sigmoid()
    torch.testing.assert_close(slopes(minimax_g, nn.Flatten(0), s), -D, atol=1e-15, rtol=0)
    torch.testing.assert_close(slopes(nonsaturating_g, nn.Flatten(0), s), D - 1, atol=1e-15, rtol=0)


@pytest.mark.parametrize("term", [*TERMS, wasserstein_g])
def test_slopes_are_finite_differences(term, D):
    x, h = line(-3, 3, 13), 1e-5
    losses = {
        minimax_g: lambda s: (1 - s.sigmoid()).log(),
        nonsaturating_g: lambda s: -s.sigmoid().log(),
        wasserstein_g: lambda s: -s,
    }
    D64 = smooth_critic(1).double()
    D64.load_state_dict(D.state_dict())
    with torch.no_grad():
        high, low = (losses[term](D64(x + side)) for side in (h, -h))
    # the error of central differences is of order h^2 + 1e-16 / h
    torch.testing.assert_close(slopes(term, D, x), (high - low) / (2 * h), atol=1e-9, rtol=1e-7)


def test_slopes_leave_their_arguments_alone(D):
    x = line(-1, 1, 5)
    slopes(minimax_g, D, x)
    assert not x.requires_grad
    assert next(D.parameters()).dtype == torch.float32
    assert next(D.parameters()).grad is None


@pytest.mark.parametrize("theta", [0.5, 3.0, 7.0])
def test_push_of_the_optimal_d_is_an_integral(theta):
    # s(x) = θ^2 / 2 - θ x, so the force of log(1 - D) is θ D
    def force(x):
        return theta / (1 + math.exp(theta * x - theta**2 / 2))

    points = [theta / 2]
    mean, _ = quad(lambda x: force(x) * norm.pdf(x, theta), -6, 16, points=points, epsabs=1e-14)
    square, _ = quad(lambda x: force(x) ** 2 * norm.pdf(x, theta), -6, 16, points=points)
    D = Optimal(normal(), normal(theta))
    flat, steep = (push(term, D, theta) for term in TERMS)
    assert flat.mean == pytest.approx(mean, rel=1e-8)
    assert steep.mean == pytest.approx(theta - mean, rel=1e-8)
    assert flat.sd == pytest.approx(math.sqrt(square - mean**2), rel=1e-6)
    assert steep.sd == pytest.approx(flat.sd, rel=1e-6)


@pytest.mark.parametrize("theta", [8.0, 10.0, 14.0])
def test_the_law_of_far_densities_is_off_by_less_than_its_next_term(theta):
    exact = push(minimax_g, Optimal(normal(), normal(theta)), theta).mean
    following = 1385 / 384 * (math.pi / theta) ** 8
    assert 0 < exact / far_law(theta) - 1 < following * 1.1  # the terms fall by 1 / θ^2, not to 0


def test_measured_gradients_are_those_of_quadrature(D):
    G = KnownGenerator(normal(2.0))
    found = measured(TERMS, D, G, minibatch=20_000, seed=5)
    for term in TERMS:
        exact = push(term, D, 2.0)
        # 4 standard errors
        assert found[term.__name__] == pytest.approx(exact.mean, abs=4 * exact.sd / 20_000**0.5)
    assert G.means.item() == 2.0  # measuring moves no one
    assert 0 < found["D(G(z))"] < 1


@pytest.fixture(scope="module")
def over():
    return overtrain(normal(), normal(4.0), TERMS, steps=48, minibatch=2000, seed=1)


def test_d_gets_ahead(over):
    assert over.marks == [0, 1, 2, 4, 8, 16, 32, 48]
    beliefs = [found["D(G(z))"] for found in over.gradients]
    assert len(beliefs) == 8
    assert beliefs[-1] < 0.2 < beliefs[0]
    x = line(-3, 7, 101)
    with torch.no_grad():
        logit = over.D(x.float()).double()
    off = (logit.sigmoid() - optimal_logit(normal(), normal(4.0), x).sigmoid()).abs()
    assert off.mean() < 0.1


def test_marks_are_powers_of_2_and_the_last_step():
    found = overtrain(normal(), normal(4.0), TERMS, steps=1, minibatch=10, seed=1)
    assert found.marks == [0, 1]


def test_overtraining_is_a_function_of_its_arguments(over):
    again = overtrain(normal(), normal(4.0), TERMS, steps=48, minibatch=2000, seed=1)
    assert again.gradients == over.gradients
    assert again.state.keys() == over.state.keys()
    assert all(torch.equal(over.state[k], again.state[k]) for k in over.state)


def test_games_begin_with_the_same_d_and_leave_it_alone(over):
    before = {k: v.clone() for k, v in over.state.items()}
    ways = [play_on(over, normal(), normal(4.0), t, rounds=5, seed=2) for t in TERMS]
    again = play_on(over, normal(), normal(4.0), TERMS[1], rounds=5, seed=2)
    assert all(torch.equal(before[k], over.state[k]) for k in before)
    assert again == ways[1]
    assert [len(way) for way in ways] == [6, 6]
    # both go to the data, at 0, the one faster
    assert ways[1][-1] < ways[0][-1] < ways[0][0] == ways[1][0] == 4.0
