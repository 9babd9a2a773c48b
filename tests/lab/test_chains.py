"""Chains against double loops, closed forms, scipy, and what they are to reach."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm, wasserstein_distance

from frenemy.lab.chains import (
    approach,
    gibbs,
    gibbs_sweep,
    metropolis,
    metropolis_matrix,
    spectrum,
    wasserstein,
)
from frenemy.lab.densities import line, mixture, normal

TWO_MODES = mixture((0.3, -1.5, 0.7), (0.7, 1.5, 0.7))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sites(count, *, uniform=False):
    p = torch.ones(count).double() if uniform else TWO_MODES.pdf(line(-3, 3, count))
    return p / p.sum()


def test_metropolis_is_the_double_loop():
    start, steps, width = torch.tensor([[0.0], [2.0], [-1.0]]), 40, 1.3
    states, taken = metropolis(
        TWO_MODES.log_pdf, start, steps=steps, width=width, generator=generator()
    )
    source = generator()
    proposals = torch.randn(steps, 3, 1, generator=source, dtype=torch.float64)
    luck = torch.rand(steps, 3, generator=source, dtype=torch.float64)
    moved = 0
    for c in range(3):
        x = start[c].double()
        for k in range(steps):
            y = x + width * proposals[k, c]
            ratio = (TWO_MODES.pdf(y[None]) / TWO_MODES.pdf(x[None])).item()
            if luck[k, c] < min(1.0, ratio):
                x, moved = y, moved + 1
            assert states[k, c] == x
    assert taken == moved / (3 * steps)


def test_metropolis_reaches_its_target_from_elsewhere():
    start = torch.full((4000, 1), 4.0)
    states, _ = metropolis(TWO_MODES.log_pdf, start, steps=300, width=2.0, generator=generator())

    def F(x):
        return 0.3 * norm.cdf(x, -1.5, 0.7) + 0.7 * norm.cdf(x, 1.5, 0.7)

    assert kstest(states[-1, :, 0].numpy(), F).pvalue > 0.01  # 4,000 chains are independent
    assert kstest(states[2, :, 0].numpy(), F).pvalue < 1e-9  # they had not yet


def test_chains_without_width_stay_where_they_are():
    start = torch.tensor([[0.5], [1.0]])
    states, taken = metropolis(TWO_MODES.log_pdf, start, steps=5, width=0.0, generator=generator())
    assert (states == start).all()
    assert taken == 1


def test_gibbs_is_the_loop_over_its_conditionals():
    rho, steps, start = -0.6, 30, torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    states = gibbs(start, rho=rho, steps=steps, generator=generator())
    noise = torch.randn(steps, 2, 2, generator=generator(), dtype=torch.float64)
    for c in range(2):
        x2 = start[c, 1].item()
        for k in range(steps):
            x1 = norm.ppf(norm.cdf(noise[k, c, 0]), rho * x2, math.sqrt(1 - rho**2))
            x2 = norm.ppf(norm.cdf(noise[k, c, 1]), rho * x1, math.sqrt(1 - rho**2))
            assert states[k, c].tolist() == pytest.approx([x1, x2], abs=1e-9)  # ppf of cdf


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.99])
def test_a_gibbs_sweep_keeps_the_normal_distribution_and_forgets_by_rho_squared(rho):
    cov = torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)
    zeros, one = torch.zeros(2, 2).double(), torch.eye(2).double()
    A = gibbs_sweep(one, zeros, rho).T
    B = gibbs_sweep(zeros, one, rho).T
    torch.testing.assert_close(A @ cov @ A.T + B @ B.T, cov, rtol=0, atol=1e-15)
    assert (A @ A @ cov)[0, 0].item() == pytest.approx(rho**4, abs=1e-15)


@pytest.mark.parametrize("count", [2, 5, 20])
def test_metropolis_on_sites_is_reversible_under_its_target(count):
    p = sites(count)
    P = metropolis_matrix(p)
    flow = p[:, None] * P
    torch.testing.assert_close(P.sum(1), torch.ones(count).double(), rtol=0, atol=1e-15)
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=1e-15)
    assert (P >= 0).all()


@pytest.mark.parametrize("count", [2, 5, 20])
def test_on_equal_sites_the_eigenvalues_are_cosines(count):
    p = sites(count, uniform=True)
    expected = torch.cos(math.pi * torch.arange(count).double() / count)
    torch.testing.assert_close(spectrum(metropolis_matrix(p), p), expected, rtol=0, atol=1e-14)


def test_the_spectrum_is_that_of_the_matrix_itself():
    p = sites(12)
    P = metropolis_matrix(p)
    expected = np.sort(np.linalg.eigvals(P.numpy()).real)[::-1]
    np.testing.assert_allclose(spectrum(P, p).numpy(), expected, rtol=0, atol=1e-13)


def test_chains_approach_their_target_by_the_powers_of_their_matrix():
    p = sites(9)
    P = metropolis_matrix(p)
    tv = approach(P, p, 2, 30)
    for k in (0, 1, 30):
        row = np.linalg.matrix_power(P.numpy(), k)[2]
        assert tv[k].item() == pytest.approx(np.abs(row - p.numpy()).sum() / 2, abs=1e-15)
    assert (tv.diff() <= 1e-15).all()


def test_wasserstein_is_scipys():
    samples = torch.randn(3, 400, generator=generator(), dtype=torch.float64) * 1.5 + 0.3
    x = line(-8, 8, 8001)[:, 0]
    found = wasserstein(samples, torch.special.ndtr(x), x)
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for row, value in zip(samples, found, strict=True):
        # steps of 0.002 in x and of 1 / 20,000 in the quantiles
        assert value.item() == pytest.approx(wasserstein_distance(row, quantiles), abs=1e-3)


def test_the_distance_of_independent_samples_is_its_asymptotic_mean():
    target, x = normal(), line(-8, 8, 1601)
    F = torch.special.ndtr(x[:, 0])
    n = 1000
    drawn = target.sample(200 * n, generator()).view(200, n)
    found = wasserstein(drawn, F, x[:, 0])
    expected = torch.trapezoid((2 * F * (1 - F) / math.pi / n).sqrt(), x[:, 0]).item()
    # 4 standard errors, and a share of 1 / n for what is not yet asymptotic
    assert found.mean().item() == pytest.approx(
        expected, abs=4 * found.std().item() / math.sqrt(200) + expected / n
    )
