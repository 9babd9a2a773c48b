"""Sums over all states of small machines, against loops over them."""

import itertools
import math

import pytest
import torch

from frenemy.lab import enumeration
from frenemy.lab.boltzmann import two_faced
from frenemy.lab.chains import spectrum
from frenemy.rivals.autocorrelation import integrated_time


@pytest.fixture(scope="module")
def rbm():
    torch.manual_seed(0)
    return two_faced(3, 2)


def test_the_joint_distribution_is_a_double_loop(rbm):
    W, b, c = (p.detach() for p in (rbm.W, rbm.b, rbm.c))
    weights = {}
    for v in itertools.product((0.0, 1.0), repeat=3):
        for h in itertools.product((0.0, 1.0), repeat=2):
            links = sum(v[i] * W[i, j].item() * h[j] for i in range(3) for j in range(2))
            biases = sum(v[i] * b[i].item() for i in range(3))
            biases += sum(h[j] * c[j].item() for j in range(2))
            weights[v, h] = math.exp(0.5 * (links + biases))
    joint = enumeration.joint(rbm, 0.5)
    for n, v in enumerate(enumeration.states(3).tolist()):
        for m, h in enumerate(enumeration.states(2).tolist()):
            expected = weights[tuple(v), tuple(h)] / sum(weights.values())
            assert joint[n, m].item() == pytest.approx(expected, rel=1e-10)


def test_every_state_is_as_likely_as_its_negative(rbm):
    p = enumeration.probabilities(rbm)
    torch.testing.assert_close(p, p.flip(0), rtol=1e-12, atol=0)


def test_a_step_comes_from_the_joint_distribution(rbm):
    joint = enumeration.joint(rbm, 2.0)
    of_h, of_v = joint / joint.sum(1, keepdim=True), joint / joint.sum(0)
    T = enumeration.transitions(rbm, 2.0)
    torch.testing.assert_close(T, of_h @ of_v.T, rtol=1e-10, atol=1e-14)


def test_the_correlation_time_is_the_sum_over_lags(rbm):
    T, p = enumeration.transitions(rbm).detach(), enumeration.probabilities(rbm).detach()
    f = enumeration.states(3)[:, 1]
    centred = f - p @ f
    lags = [((p * centred) @ T.matrix_power(k) @ centred).item() for k in range(400)]
    expected = 1 + 2 * sum(lags[1:]) / lags[0]
    assert spectrum(T, p)[1] ** 400 < 1e-12
    assert enumeration.correlation_time(T, p, f) == pytest.approx(expected, rel=1e-9)


def test_the_correlation_time_is_that_of_chains(rbm):
    T, p = enumeration.transitions(rbm).detach(), enumeration.probabilities(rbm).detach()
    torch.manual_seed(0)
    v = enumeration.states(3)[torch.multinomial(p, 400, replacement=True)]
    seen = []
    for _ in range(400):
        v = rbm.gibbs(v, 1)
        seen.append(v[:, 1])
    found = integrated_time(torch.stack(seen))
    exact = enumeration.correlation_time(T, p, enumeration.states(3)[:, 1])
    assert found.value == pytest.approx(exact, abs=5 * found.error)


def test_biases_are_what_expected_gradients_miss(rbm):
    data = torch.zeros(8, dtype=torch.float64)
    data[[0, 6]] = 0.5
    F = rbm.free_energy(enumeration.states(3))
    T, p = enumeration.transitions(rbm).detach(), enumeration.probabilities(rbm).detach()
    exact = enumeration.gradient(rbm, (data - p) @ F)
    for k, bias in enumerate(enumeration.biases(rbm, data, 3), 1):
        cd = enumeration.gradient(rbm, (data - data @ T.matrix_power(k)) @ F)
        torch.testing.assert_close(bias, cd - exact, rtol=1e-9, atol=1e-12)


def test_a_link_within_a_layer_takes_independence_away(rbm):
    joint = enumeration.joint(rbm).detach()
    given, h = joint / joint.sum(1, keepdim=True), enumeration.states(2)
    linked = enumeration.with_link(given, h, (0, 1), 0.7)
    torch.testing.assert_close(linked.sum(1), torch.ones(8).double())
    odds = (linked[:, 3] * linked[:, 0]) / (linked[:, 1] * linked[:, 2])
    torch.testing.assert_close(
        odds.log(), torch.full((8,), 0.7, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )
