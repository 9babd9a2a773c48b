"""Densities and their divergences against closed forms and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.spatial import distance

from frenemy.lab.densities import (
    Mixture,
    blobs,
    integral,
    jensen_shannon,
    jensen_shannon_integrand,
    kl,
    line,
    minibatches,
    mixture,
    normal,
    optimal_logit,
    sample_mean,
    value_integrand,
    wasserstein,
)

WIDE = line(-30, 30, 6001)


def test_a_mixture_is_the_weighted_sum_of_its_gaussians():
    p = mixture((0.3, -1.0, 0.5), (0.7, 2.0, 1.5))
    x = line(-4, 6, 101)
    expected = 0.3 * stats.norm.pdf(x, -1, 0.5) + 0.7 * stats.norm.pdf(x, 2, 1.5)
    assert p.pdf(x).numpy() == pytest.approx(expected[:, 0], rel=1e-12)


def test_in_the_plane_it_agrees_with_scipy():
    means = torch.tensor([[0.0, 1.0], [2.0, -1.0]], dtype=torch.float64)
    p = Mixture(
        torch.tensor([0.5, 0.5]).double(), means, torch.tensor([0.4, 1.1], dtype=torch.float64)
    )
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parts = [
        stats.multivariate_normal(m.numpy(), float(sd) ** 2 * np.eye(2))  # pyright: ignore
        for m, sd in zip(means, (0.4, 1.1), strict=True)
    ]
    expected = (parts[0].pdf(x.numpy()) + parts[1].pdf(x.numpy())) / 2
    assert p.pdf(x).numpy() == pytest.approx(expected, rel=1e-12)


def test_samples_follow_the_density():
    p = mixture((0.25, -2.0, 0.5), (0.75, 1.0, 1.0))
    x = p.sample(20_000, torch.Generator().manual_seed(1))
    cdf = lambda v: 0.25 * stats.norm.cdf(v, -2, 0.5) + 0.75 * stats.norm.cdf(v, 1, 1)  # noqa: E731
    # a fixed seed; a true sampler falls below this p-value once in a thousand seeds
    assert stats.kstest(x[:, 0].numpy(), cdf).pvalue > 1e-3


def test_the_distribution_function_is_scipys():
    p, t = mixture((0.3, -1, 0.5), (0.7, 2, 1)), line(-4, 4, 9)
    expected = 0.3 * stats.norm.cdf(t[:, 0], -1, 0.5) + 0.7 * stats.norm.cdf(t[:, 0], 2, 1)
    assert p.cdf(t).numpy() == pytest.approx(expected, abs=1e-15)
    aside = torch.stack([p.means[:, 0], torch.tensor([7.0, -3.0], dtype=torch.float64)], 1)
    assert torch.equal(Mixture(p.weights, aside, p.sds).cdf(t), p.cdf(t))


def test_mean_and_variance_are_those_of_quadrature_and_of_samples():
    p = mixture((0.3, -1.0, 0.5), (0.7, 2.0, 1.5))
    at = WIDE[:, 0]
    mean = integral(p.pdf(WIDE) * at, WIDE)
    assert p.mean.tolist() == pytest.approx([mean], abs=1e-12)
    variance = integral(p.pdf(WIDE) * (at - mean).square(), WIDE)
    assert p.variance.tolist() == pytest.approx([variance], abs=1e-12)
    plane = blobs(0.5, (-1.0, 0.0), (1.0, 3.0))
    x = plane.sample(20_000, torch.Generator().manual_seed(0))
    for i in range(2):
        mean = sample_mean(x[:, i])
        assert plane.mean[i].item() == pytest.approx(mean.value, abs=4 * mean.error)
        # 4 standard errors, of less than sqrt(2 / n), as of a normal density
        assert plane.variance[i].item() == pytest.approx(x[:, i].var().item(), rel=0.04)


def test_wasserstein_distance_is_scipys():
    p, q = mixture((0.5, -1, 0.5), (0.5, 1, 0.5)), normal(0.5, 1.5)
    middles = (np.arange(20_000) + 0.5) / 20_000
    samples = [np.interp(middles, r.cdf(WIDE).numpy(), WIDE[:, 0].numpy()) for r in (p, q)]
    found = wasserstein(p.cdf(WIDE), q.cdf(WIDE), WIDE).item()
    # steps of .01 in x and of 1 / 20,000 in the quantiles
    assert found == pytest.approx(stats.wasserstein_distance(*samples), abs=1e-3)
    near, far = (normal(m, 1).cdf(WIDE) for m in (0, 3))
    assert wasserstein(near, far, WIDE).item() == pytest.approx(3, abs=1e-12)


def test_the_mean_of_samples_has_its_standard_error():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(400, 50, generator=generator).double() * s for s in (1.0, 3.0))
    means = [sample_mean(*rows) for rows in zip(x, y, strict=True)]
    z = np.array([m.value / m.error for m in means])  # Student's t of about 50 degrees of freedom
    assert means[0].value == pytest.approx((x[0].mean() + y[0].mean()).item())
    assert stats.kstest(z, stats.norm.cdf).pvalue > 1e-3


def test_the_integrand_of_jsd_is_scipys_of_probabilities_too():
    p, q = (torch.tensor(v, dtype=torch.float64) for v in ([0.1, 0.9, 0.0], [0.2, 0.3, 0.5]))
    found = jensen_shannon_integrand(p.clamp_min(1e-300).log(), q.log()).sum().item()
    assert found == pytest.approx(distance.jensenshannon(p, q) ** 2, abs=1e-12)


def test_the_value_is_largest_at_the_optimal_logit():
    p, q, x = normal(0, 1), normal(1, 2), line(-3, 3, 7)
    best, at = optimal_logit(p, q, x), (p.pdf(x), q.pdf(x))
    D = best.sigmoid()
    expected = at[0] * D.log() + at[1] * (1 - D).log()
    torch.testing.assert_close(value_integrand(*at, best), expected)
    for off in (-0.1, 0.1):
        assert (value_integrand(*at, best + off) < value_integrand(*at, best)).all()


def test_kl_of_two_gaussians_is_its_closed_form():
    exact = math.log(2 / 1.5) + (1.5**2 + 1) / (2 * 2**2) - 0.5
    assert kl(normal(0, 1.5), normal(1, 2), WIDE) == pytest.approx(exact, abs=1e-12)


def test_jensen_shannon_is_symmetric_and_between_0_and_log_2():
    p, q = mixture((0.5, -2, 0.7), (0.5, 2, 0.7)), normal(1, 1)
    one, other = jensen_shannon(p, q, WIDE), jensen_shannon(q, p, WIDE)
    assert one == pytest.approx(other, abs=1e-14)
    assert 0 < one < math.log(2)
    assert jensen_shannon(p, p, WIDE) == pytest.approx(0, abs=1e-15)
    far = jensen_shannon(normal(-15, 0.5), normal(15, 0.5), WIDE)
    assert far == pytest.approx(math.log(2), abs=1e-12)


def test_jensen_shannon_agrees_with_adaptive_quadrature():
    p, q = normal(0, 1), normal(1, 2)

    def integrand(v):
        a, b = stats.norm.pdf(v, 0, 1), stats.norm.pdf(v, 1, 2)
        m = (a + b) / 2
        return (a * math.log(a / m) + b * math.log(b / m)) / 2

    assert jensen_shannon(p, q, WIDE) == pytest.approx(
        integrate.quad(integrand, -20, 20)[0], abs=1e-8
    )


def test_the_optimal_logit_is_that_of_the_ratio():
    p, q, x = normal(0, 1), normal(1, 2), line(-3, 3, 7)
    ratio = p.pdf(x) / (p.pdf(x) + q.pdf(x))
    assert optimal_logit(p, q, x).sigmoid().numpy() == pytest.approx(ratio.numpy(), rel=1e-12)


def test_the_trapezoid_meets_the_integral_of_a_density():
    assert integral(normal(1, 2).pdf(WIDE), WIDE) == pytest.approx(1, abs=1e-12)


def test_minibatches_are_a_function_of_seed_stream_and_number():
    draw = minibatches(normal().sample, 5, seed=3)
    (a, none), (b, _), (c, _) = draw(0, 1), draw(0, 1), draw(1, 1)
    assert none is None and a.shape == (5, 1) and a.dtype == torch.float32
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(a, draw(0, 2)[0])
    assert not torch.equal(a, minibatches(normal().sample, 5, seed=4)(0, 1)[0])
