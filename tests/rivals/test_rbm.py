"""The RBM against enumeration: likelihood, its gradient, the chain, Z, contrastive divergence."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest, norm

from frenemy.data import Source
from frenemy.errors import FrenemyError
from frenemy.lab.enumeration import energy, gradient, probabilities, states, transitions
from frenemy.rivals.rbm import (
    RBM,
    contrasting,
    exact_log_partition,
    log_partition,
)

from .enumerated import chi_square, machine, round_of

SHAPE = (1, 2, 2)
ROUNDING = {"rel": 1e-10}  # of float64, through sums of 2^7 terms


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_the_free_energy_is_the_sum_over_hidden_units(kind):
    rbm = machine(kind=kind)
    v = torch.rand(5, 4, dtype=torch.float64)
    summed = -(-energy(rbm, v, states(3))).logsumexp(1)
    assert torch.allclose(rbm.free_energy(v), summed, rtol=1e-12, atol=1e-12)


def test_the_layers_are_independent_given_each_other():
    rbm = machine()
    v, h = states(4), states(3)
    joint = (-energy(rbm, v, h)).exp()
    of_h = joint / joint.sum(1, keepdim=True)
    of_v = joint / joint.sum(0, keepdim=True)
    assert torch.allclose(rbm.mean_h(v), of_h @ h)
    assert torch.allclose(rbm.mean_v(h), of_v.T @ v)


def test_z_is_the_sum_over_all_states():
    rbm = machine()
    whole = (-energy(rbm, states(4), states(3))).flatten().logsumexp(0).item()
    assert exact_log_partition(rbm).item() == pytest.approx(whole, **ROUNDING)


def test_z_of_gaussian_units_makes_a_density():
    rbm = machine(visible=1, hidden=3, kind="gaussian")
    v = torch.linspace(-30, 30, 60_001, dtype=torch.float64)[:, None]
    log_p = -rbm.free_energy(v) - exact_log_partition(rbm)
    assert torch.trapezoid(log_p.exp(), v[:, 0]).item() == pytest.approx(1, rel=1e-9)


def test_more_units_than_can_be_summed_are_refused():
    with pytest.raises(FrenemyError, match="21 hidden units have too many states"):
        exact_log_partition(RBM(SHAPE, 21))


def test_the_likelihoods_gradient_is_data_minus_model():
    rbm = machine()
    v, weights = states(4), torch.rand(16, dtype=torch.float64)
    data = weights / weights.sum()
    likelihood = -(data @ rbm.free_energy(v)) - exact_log_partition(rbm)
    model = probabilities(rbm).detach()
    phases = -(data @ rbm.free_energy(v)) + model @ rbm.free_energy(v)
    assert torch.allclose(gradient(rbm, likelihood), gradient(rbm, phases), rtol=1e-10, atol=1e-12)


def test_the_bias_of_contrastive_divergence_shrinks_with_k():
    """CD-k's expected gradient, known from powers of the transition matrix."""
    rbm = machine(scale=1.5)
    v, T = states(4), transitions(rbm).detach()
    data = torch.zeros(16, dtype=torch.float64)
    data[[0, 5, 15]] = 1 / 3
    F = rbm.free_energy(v)
    exact = gradient(rbm, data @ F - probabilities(rbm).detach() @ F)
    bias, at = [], data
    for _ in range(20):
        at = at @ T
        bias.append((gradient(rbm, (data - at) @ rbm.free_energy(v)) - exact).norm().item())
    assert all(later < earlier for earlier, later in itertools.pairwise(bias))
    assert bias[-1] < 1e-9
    for k in (1, 3):  # and the term's own gradient is that one in the mean
        torch.manual_seed(0)
        parts = [round_of("RBM", rbm, v[[0, 5, 15]].repeat(100, 1)) for _ in range(40)]
        found = torch.stack([gradient(rbm, contrasting(k)(r).mean()) for r in parts])
        mean, sd = found.mean(0), found.std(0)
        expected = gradient(rbm, (data - data @ T.matrix_power(k)) @ rbm.free_energy(v))
        off = (mean - expected) / (sd / math.sqrt(len(parts)) + 1e-12)
        assert off.abs().max() < 4.5  # of 19 normal numbers: beyond that once in 8,000 times


def test_the_chain_comes_to_the_exact_marginals():
    rbm = machine()
    torch.manual_seed(0)
    v = rbm.gibbs(torch.zeros(20_000, 4, dtype=torch.float64), 50)
    assert chi2.sf(chi_square(v, probabilities(rbm).detach()), 15) > 1e-3


def test_gaussian_units_come_to_their_density():
    rbm = machine(visible=1, hidden=2, kind="gaussian")
    torch.manual_seed(0)
    v = rbm.gibbs(torch.zeros(5000, 1, dtype=torch.float64), 50)[:, 0]
    h = states(2)
    at = rbm.mean_v(h)[:, 0].detach()
    weights = (h @ rbm.c + (at.square() - rbm.b.square()) / 2).softmax(0).detach().numpy()

    def cdf(x):
        return sum(w * norm.cdf(x, loc=m) for w, m in zip(weights, at.numpy(), strict=True))

    assert kstest(v.numpy(), cdf).pvalue > 1e-3


def test_tempered_chains_change_between_modes_that_one_chain_never_leaves():
    def apart(temperatures):
        rbm = machine(chains=1000, temperatures=temperatures)
        with torch.no_grad():  # all visible units on, or all off; between them a barrier
            rbm.W.fill_(8.0)
            rbm.b.fill_(-12.0)
            rbm.c.fill_(-16.0)
            rbm.chains.fill_(1.0)
        torch.manual_seed(0)
        for _ in range(300):
            rbm.advance(1)
        on = probabilities(rbm)[-1].item()
        return rbm.chains[0].prod(1).mean().item(), on

    found, on = apart(1)
    assert found == 1.0 and 0.2 < on < 0.8
    found, on = apart(20)
    assert found == pytest.approx(on, abs=4 * math.sqrt(on * (1 - on) / 1000))


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_ais_finds_z(kind):
    rbm = machine(visible=20, hidden=12, kind=kind, scale=0.5)
    found, exact = log_partition(rbm, chains=500, temperatures=1000), exact_log_partition(rbm)
    assert found.value == pytest.approx(exact.item(), abs=0.1)
    assert abs(found.value - exact.item()) < 5 * found.error
    assert log_partition(rbm, chains=500, temperatures=1000) == found


def test_persistent_chains_are_what_the_data_are_compared_with():
    rbm = machine(chains=6)
    v = states(4)
    loss = contrasting(1)(round_of("RBM", rbm, v))
    expected = rbm.free_energy(v) - rbm.free_energy(rbm.chains[0]).mean()
    assert torch.allclose(loss, expected)
    before = rbm.chains.clone()
    assert rbm.advance(3).item() == 1.0
    assert not torch.equal(rbm.chains, before) and set(rbm.chains.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("kind", ["binary", "gaussian"])
def test_it_begins_at_the_mean_image(kind):
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 2, 2), np.uint8)
    images[:, 0, 0, 0] = 0
    rbm = RBM(SHAPE, 3, kind, chains=4)
    with torch.no_grad():
        rbm.begin(Source(images))
        rbm.W.zero_()
        mean = rbm.images(rbm.mean_v(torch.zeros(1, 3)))
    expected = images.mean(0) / 127.5 - 1
    if kind == "binary":
        expected = (50 * (expected + 1) + 1) / 51 - 1  # one image more, of greys
    assert np.allclose(mean[0].numpy(), expected, atol=1e-5)
    v = rbm.visible(torch.from_numpy(images).float() / 127.5 - 1)
    assert torch.allclose(rbm.images(v), torch.from_numpy(images).float() / 127.5 - 1, atol=1e-5)
    if kind == "gaussian":
        assert v.std(0, correction=0).tolist() == pytest.approx([0, 1, 1, 1], abs=1e-5)
