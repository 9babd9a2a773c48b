"""Autocorrelation against the double loop, and its time against autoregressions."""

import math

import numpy as np
import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.rivals.autocorrelation import autocorrelation, autocorrelation_time, integrated_time


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def autoregression(a, steps, chains, seed=0):
    """x_t = a x_(t - 1) + noise, of variance 1 from its beginning."""
    noise = torch.randn(steps, chains, generator=generator(seed), dtype=torch.float64)
    x = [noise[0]]
    for row in noise[1:]:
        x.append(a * x[-1] + math.sqrt(1 - a * a) * row)
    return torch.stack(x)


def test_autocorrelation_is_the_double_loop():
    f = torch.randn(17, 3, generator=generator(), dtype=torch.float64) + 5
    found = autocorrelation(f, 16)
    centred = f - f.mean()
    for k in range(17):
        products = (centred[: 17 - k] * centred[k:]).mean(0) / centred.square().mean()
        torch.testing.assert_close(found[k], products, rtol=0, atol=1e-13)


def test_the_integrated_time_and_its_error_are_honest():
    a = 0.8
    exact = (1 + a) / (1 - a)
    found = [integrated_time(f) for f in autoregression(a, 2000, 40 * 8).split(8, dim=1)]
    z = np.array([(e.value - exact) / e.error for e in found])
    assert abs(z.mean()) < 4 / math.sqrt(40)
    assert 0.65 < z.std() < 1.35  # within 3 of its standard errors, 1 / sqrt 80


def test_independent_samples_are_worth_themselves():
    tau = integrated_time(torch.randn(5000, 4, generator=generator()).double())
    assert tau.value == pytest.approx(1, abs=4 * tau.error)


def test_what_says_nothing_about_time_is_refused():
    with pytest.raises(FrenemyError, match="no chain moves"):
        integrated_time(torch.ones(100, 2).double())
    with pytest.raises(FrenemyError, match="too short: give more steps"):
        integrated_time(autoregression(0.999, 200, 2))


def test_the_time_of_a_vector_is_that_of_its_entries_by_their_variances():
    a, sd = torch.tensor([0.9, 0.5, 0.0]), torch.tensor([1.0, 3.0, 2.0]).double()
    steps, groups = 4000, 32
    parts = [autoregression(float(a_i), steps, groups, seed=i) for i, a_i in enumerate(a)]
    x = torch.stack(parts, 2) * sd + torch.tensor([5.0, -2.0, 100.0])  # (steps, groups, 3)
    found = np.array([autocorrelation_time(x[:, i : i + 1].float()) for i in range(groups)])
    exact = (sd.square() @ ((1 + a) / (1 - a)).double() / sd.square().sum()).item()
    error = found.std(ddof=1) / math.sqrt(groups)
    # what the window leaves out and what the chain's own mean hides are less than 1 %
    assert abs(found.mean() - exact) < 4 * error + 0.01 * exact
    assert error < 0.02 * exact


def test_a_chain_that_does_not_mix_is_refused():
    with pytest.raises(FrenemyError, match="no chain moves"):
        autocorrelation_time(torch.ones(100, 1, 5))
    moving = autoregression(0.5, 300, 5)[:, None]
    assert 1 < autocorrelation_time(moving) < 6
    leaving = moving + torch.linspace(0, 20, 300)[:, None, None]
    with pytest.raises(FrenemyError, match="chains of 300 steps are too short"):
        autocorrelation_time(leaving)


def slow(tau, steps, chains=8, entries=32):
    """Chains that take so many steps for an independent state of any entry."""
    x = autoregression((tau - 1) / (tau + 1), steps, chains * entries)
    return x.unflatten(1, (chains, entries))


def test_slow_chains_are_not_flattered_by_means_of_their_own():
    # the error of tau sqrt(2 (10 tau + 1) / N) with N = 8 * 32 * 5,000 is 8 % at 400; 3 of them
    assert autocorrelation_time(slow(400, 5000)) == pytest.approx(400, rel=0.24)
    with pytest.raises(FrenemyError, match="too short"):
        autocorrelation_time(slow(2000, 5000))


def test_chains_in_modes_of_their_own_are_refused():
    apart = slow(3, 1000) + torch.linspace(-2, 2, 8)[None, :, None]
    with pytest.raises(FrenemyError, match="too short"):
        autocorrelation_time(apart)


def test_alternating_states_are_worth_more_than_as_many_independent_ones():
    tau = integrated_time(autoregression(-0.5, 5000, 16))
    # of the exact 1/3 the window of 5 lags leaves out 2 * .5^6 / 1.5, six per cent
    assert tau.value == pytest.approx(1 / 3, abs=0.02 + 4 * tau.error)
