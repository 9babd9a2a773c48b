"""Nearest Gaussians against other optimisers, closed forms and dumb double sums."""

import math

import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import norm

from frenemy.lab import fgan
from frenemy.lab.densities import integral, line, mixture, normal
from frenemy.lab.minimisers import (
    f_divergence,
    gaussian,
    minimum,
    mmd,
    quantiles,
    spectral_mmd,
    w2,
)

DATA = mixture((0.7, -2.0, 0.6), (0.3, 2.0, 0.6))
X = line(-20, 20)
MEASURES = {
    "kl": f_divergence(fgan.KL, DATA, X),
    "reverse kl": f_divergence(fgan.REVERSE_KL, DATA, X),
    "jsd": f_divergence(fgan.JENSEN_SHANNON, DATA, X),
    "pearson": f_divergence(fgan.PEARSON, DATA, X),
    "w2": w2(DATA, X),
    "mmd": mmd(DATA, 1.0),
}


def theta(m, s):
    return torch.tensor([m, math.log(s)], dtype=torch.float64)


def test_theta_gives_scipys_gaussian():
    x = torch.linspace(-5, 5, 11).double()
    exact = norm.logpdf(x.numpy(), 0.3, 1.7)
    torch.testing.assert_close(
        gaussian(theta(0.3, 1.7)).log_pdf(x[:, None]), torch.from_numpy(exact)
    )


def test_quantiles_of_a_normal_density_are_linear():
    # the distribution function is known to 1e-16, so its quantile 7 sd off to 1e-16 / phi(7) = 1e-5
    torch.testing.assert_close(
        quantiles(normal(1.0, 2.0), line(-13, 15)), line(-7, 7)[:, 0], atol=1e-4, rtol=0
    )


def test_quantiles_of_a_mixture_invert_its_distribution_function():
    x = line(-4, 4, 81)
    F = 0.7 * norm(-2, 0.6).cdf(x[:, 0].numpy()) + 0.3 * norm(2, 0.6).cdf(x[:, 0].numpy())
    torch.testing.assert_close(quantiles(DATA, x), torch.from_numpy(norm.ppf(F)), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("m", "s"), [(0.0, 1.0), (1.5, 1.0), (-0.5, 3.0)])
def test_w2_of_normal_densities_is_that_of_their_means_and_sds(m, s):
    # W2^2 = (m - 0)^2 + (s - 1)^2; 1e-10 is its tail's share
    value = w2(normal(), X)(theta(m, s)).item() ** 2
    assert value == pytest.approx(m**2 + (s - 1) ** 2, abs=1e-9)


def test_w2_is_the_distance_of_sorted_samples():
    generator = torch.Generator().manual_seed(0)
    count = 200_000
    x = DATA.sample(count, generator)[:, 0].sort().values
    y = (0.5 + 1.5 * torch.randn(count, generator=generator).double()).sort().values
    # the standard error of such a distance is about sd / sqrt n = 0.005
    assert w2(DATA, X)(theta(0.5, 1.5)).item() == pytest.approx(
        (x - y).square().mean().sqrt().item(), abs=0.02
    )


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, 3.0])
def test_mmd_is_a_double_integral_and_a_spectral_one(bandwidth):
    x = line(-12, 12, 601)
    signed = (DATA.pdf(x) - normal(0.5, 1.5).pdf(x)) * 0.04
    kernel = (-(x - x.T).square() / (2 * bandwidth**2)).exp()
    double = (signed @ kernel @ signed).item()
    value = mmd(DATA, bandwidth)(theta(0.5, 1.5)).item() ** 2
    assert value == pytest.approx(double, abs=1e-12)
    assert value == pytest.approx(spectral_mmd(DATA, normal(0.5, 1.5), bandwidth), abs=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_minima_are_those_of_another_optimiser(name):
    measure = MEASURES[name]
    found = minimum(measure, 5.0, 0.45)
    other = minimize(
        lambda t: measure(torch.from_numpy(t)).item(),
        (found + torch.tensor([0.1, -0.1])).numpy(),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-14},
    )
    # where a function is flat to 1e-16, its minimum is known to 1e-8 at best
    assert found.numpy() == pytest.approx(other.x, abs=1e-6)
    grid = [measure(theta(m, s)).item() for m in (-3, -2, -1, 0, 1, 2) for s in (0.5, 0.7, 1, 2, 3)]
    assert measure(found).item() <= min(grid)


def test_kl_is_least_at_the_moments_of_the_data():
    m, log_s = minimum(MEASURES["kl"], 5.0, 0.45).tolist()
    p = DATA.pdf(X)
    mean = integral(p * X[:, 0], X)
    variance = integral(p * (X[:, 0] - mean).square(), X)
    assert m == pytest.approx(mean, abs=1e-12)
    assert math.exp(2 * log_s) == pytest.approx(variance, abs=1e-12)
    assert (mean, variance) == pytest.approx((-0.8, 0.36 + 16 * 0.21), abs=1e-12)


def test_two_gaussians_that_are_equal_have_their_minimum_at_themselves():
    for f in (fgan.KL, fgan.REVERSE_KL, fgan.JENSEN_SHANNON, fgan.PEARSON):
        found = minimum(f_divergence(f, normal(0.3, 1.2), X), 4.0, 0.9)
        torch.testing.assert_close(found, theta(0.3, 1.2), atol=1e-9, rtol=0)
