"""Probabilistic PCA against scipy, scikit-learn and what is near it."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from frenemy.errors import FrenemyError
from frenemy.rivals.ppca import log_likelihood, principal


def points(count, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scales = torch.logspace(0.5, -1, d, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    return torch.randn(count, d, generator=generator, dtype=torch.float64) * scales @ turn + 3


@pytest.mark.parametrize(("d", "axes"), [(2, 1), (6, 2), (6, 5)])
def test_the_log_likelihood_is_scipys_and_the_closed_form(d, axes):
    x = points(200, d)
    fit = principal(x, axes)
    cov = (fit.W @ fit.W.T + fit.variance * torch.eye(d, dtype=x.dtype)).numpy()
    density = multivariate_normal(fit.mean.numpy(), cov)  # pyright: ignore[reportArgumentType]
    expected = density.logpdf(x.numpy())
    found = log_likelihood(x, fit.mean, fit.W, fit.variance)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    assert fit.best == pytest.approx(expected.mean(), abs=1e-10)


def test_all_axes_but_one_make_the_whole_covariance():
    x = points(200, 5)
    fit = principal(x, 4)
    expected = np.cov(x.numpy().T, bias=True)
    found = fit.W @ fit.W.T + fit.variance * torch.eye(5, dtype=x.dtype)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-13)


def test_axes_are_scikit_learns():
    x = points(200, 6)
    fit, pca = principal(x, 3), PCA(n_components=3).fit(x.numpy())
    np.testing.assert_allclose(fit.eigenvalues[:3], pca.explained_variance_ * 199 / 200, rtol=1e-12)
    found = (fit.W / fit.W.norm(dim=0)).T.numpy()
    np.testing.assert_allclose(abs(found @ np.asarray(pca.components_).T), np.eye(3), atol=1e-12)
    assert fit.variance == pytest.approx(pca.noise_variance_ * 199 / 200)


def test_nothing_near_the_fit_is_likelier():
    x = points(100, 5)
    fit = principal(x, 2)
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        near = [
            t + 1e-3 * torch.randn(t.shape, generator=generator, dtype=t.dtype)
            for t in (fit.mean, fit.W, fit.variance)
        ]
        assert log_likelihood(x, *near).mean().item() < fit.best


def test_fewer_points_than_dimensions_still_have_a_density():
    x = points(4, 10)
    fit = principal(x, 20)
    assert fit.W.shape == (10, 2)  # four points differ in three directions: one is left for noise
    found = log_likelihood(x, fit.mean, fit.W, fit.variance).mean().item()
    assert found == pytest.approx(fit.best, abs=1e-10)


def test_points_that_hardly_differ_are_refused():
    for x in (torch.ones(5, 3).double(), points(2, 3)):
        with pytest.raises(FrenemyError, match="hardly differ"):
            principal(x, 2)
    with pytest.raises(FrenemyError, match="axes is 0"):
        principal(points(10, 3), 0)
