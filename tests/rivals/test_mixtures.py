"""Mixtures, kernels and clusters against scikit-learn, and the moments of what they draw."""

import math

import numpy as np
import pytest
import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from frenemy.data import Source
from frenemy.errors import FrenemyError
from frenemy.experiment import from_pixels
from frenemy.nets.layers import ToUnit
from frenemy.rivals import mixtures
from frenemy.rivals.mixtures import Centroids, Gaussians, Kernels

SHAPE = (1, 3, 4)
DRAWS = 40_000


@pytest.fixture(scope="module")
def source():
    """300 images in three clusters."""
    rng = np.random.default_rng(0)
    middles = rng.integers(60, 196, (3, *SHAPE))
    images = middles[np.arange(300) % 3] + rng.normal(0, 12, (300, *SHAPE))
    return Source(images.clip(0, 255).astype(np.uint8))


def vectors(source):
    return source.images.reshape(len(source), -1) / 255.0


def in_float32(images):
    """The same, and rounded as the package rounds them."""
    return ToUnit()(from_pixels(torch.from_numpy(images))).numpy()


def images_of(source):
    return torch.from_numpy(source.images).double() / 127.5 - 1


def fitted(net, source, seed=0):
    torch.manual_seed(seed)
    said = list(net.begin(source))
    return net.double(), said


def drawn(net, size):
    """Vectors of many samples, in [0, 1] or beyond."""
    z = torch.randn(DRAWS, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return net(z).flatten(1).numpy() / 2 + 0.5


def agree(x, mean, covariance):
    """Moments of samples within five standard errors, were they Gaussian."""
    variances = np.diag(covariance)
    assert np.all(np.abs(x.mean(0) - mean) < 5 * np.sqrt(variances / DRAWS) + 1e-6)
    errors = np.sqrt((np.outer(variances, variances) + covariance**2) / DRAWS)
    assert np.all(np.abs(np.cov(x.T) - covariance) < 5 * errors + 1e-6)


def test_the_gaussians_are_those_of_scikit_learn(source, monkeypatch):
    net, said = fitted(Gaussians(SHAPE, 3, 5), source)
    torch.manual_seed(0)
    seed = int(torch.randint(2**31, ()))
    x = in_float32(source.random(len(source), seed))
    axes = PCA(5, random_state=seed).fit(x)
    u = axes.transform(x)
    least, most = mixtures.LEAST_VARIANCE * float(u.var(0).mean()), mixtures.MOST_STEPS
    expected = GaussianMixture(3, random_state=seed, reg_covar=least, max_iter=most).fit(u)
    assert "nats" in said[-1]
    np.testing.assert_allclose(np.sort(net.shares), np.sort(expected.weights_), atol=1e-3)
    np.testing.assert_allclose(net.W, axes.components_, atol=1e-6)  # float32
    # log p(x) by a dense Gaussian of each of its components, in all directions
    W, d = net.W.numpy(), math.prod(SHAPE)
    rest = net.variance.item() * (np.eye(d) - W.T @ W)
    full = GaussianMixture(3, covariance_type="full")
    full.weights_, full.means_ = net.shares.numpy(), net.mean.numpy() + net.means.numpy() @ W
    factors = net.factors.numpy()
    full.covariances_ = W.T @ (factors @ factors.transpose(0, 2, 1)) @ W + rest
    inverses = np.linalg.inv(full.covariances_)
    full.precisions_cholesky_ = np.linalg.cholesky(inverses)
    found = net.log_likelihood(images_of(source)).numpy()
    np.testing.assert_allclose(found, full.score_samples(vectors(source)), rtol=1e-6)


def test_noise_of_fewer_images_than_pixels_is_in_all_directions_alike(source):
    few = Source(source.images[:9])
    net, _ = fitted(Gaussians(SHAPE, 1, 4), few)
    x, W, d = vectors(few), net.W.numpy(), math.prod(SHAPE)
    left = np.trace(np.cov(x.T)) - np.trace(np.cov((x @ W.T).T))
    assert len(x) < d
    assert net.variance.item() == pytest.approx(left / (d - 4), rel=1e-4)  # of float32 images


def test_images_that_differ_along_the_axes_alone_have_no_density(source):
    few = Source(source.images[:4])
    net, _ = fitted(Gaussians(SHAPE, 1, 4), few)
    net.variance.zero_()  # which rounding keeps above
    with pytest.raises(FrenemyError, match="have no density"):
        net.log_likelihood(images_of(few))


def test_samples_of_the_gaussians_have_their_moments(source):
    net, _ = fitted(Gaussians(SHAPE, 3, 5), source)
    shares, means, F = (t.numpy() for t in (net.shares, net.means, net.factors))
    mean = shares @ means
    covariance = np.einsum("k,kij->ij", shares, F @ F.transpose(0, 2, 1))
    covariance += (means - mean).T @ (shares[:, None] * (means - mean))
    u = (drawn(net, 6) - net.mean.numpy()) @ net.W.numpy().T
    agree(u, mean, covariance)


@pytest.mark.parametrize("bandwidth", [0.0, 0.2])
def test_the_kernel_density_is_that_of_scikit_learn(source, bandwidth):
    net, said = fitted(Kernels(SHAPE, 200, bandwidth), source)
    assert len(said) == (bandwidth == 0)
    h = net.bandwidth.item()
    assert 0.1 <= h < 0.3
    centres = net.centres.numpy() / 255
    expected = KernelDensity(bandwidth=h).fit(centres)
    found = net.log_likelihood(images_of(source))
    np.testing.assert_allclose(found, expected.score_samples(vectors(source)), rtol=1e-6)
    assert {c.tobytes() for c in net.centres.numpy()} <= {
        image.tobytes() for image in source.images
    }
    noise = h**2 * np.eye(centres.shape[1])
    agree(drawn(net, 13), centres.mean(0), np.cov(centres.T, bias=True) + noise)


def test_the_open_width_is_the_likeliest_for_other_images(source):
    net, _ = fitted(Kernels(SHAPE, 200), source)
    known = {c.tobytes() for c in net.centres.numpy()}
    others = [x for x in source.images if x.tobytes() not in known]
    x = np.stack(others).reshape(len(others), -1) / 255
    centres = net.centres.numpy() / 255
    sigmas = [round(0.10 + 0.01 * i, 2) for i in range(20)]
    best = max(sigmas, key=lambda h: KernelDensity(bandwidth=h).fit(centres).score(x))
    assert net.bandwidth.item() == pytest.approx(best)


def test_the_centroids_are_those_of_scikit_learn(source):
    net, _ = fitted(Centroids(SHAPE, 3), source)
    torch.manual_seed(0)
    seed = int(torch.randint(2**31, ()))
    expected = MiniBatchKMeans(3, init="random", random_state=seed, reassignment_ratio=0)
    for i in range(mixtures.PASSES):
        expected.partial_fit(in_float32(source.batch(seed, i, len(source))[0]))
    np.testing.assert_allclose(net.means, expected.cluster_centers_, atol=1e-6)  # float32
    nearest = expected.predict(in_float32(source.images))
    np.testing.assert_allclose(net.shares, np.bincount(nearest, minlength=3) / 300, atol=1e-6)


def test_centroids_are_drawn_as_often_as_their_clusters_are_large(source):
    net, _ = fitted(Centroids(SHAPE, 3), source)
    x = drawn(net, 1)
    counts = np.array([(np.abs(x - m).max(1) < 1e-9).sum() for m in net.means.numpy()])
    assert counts.sum() == DRAWS
    p = net.shares.numpy()
    assert np.all(np.abs(counts / DRAWS - p) <= 5 * np.sqrt(p * (1 - p) / DRAWS) + 1e-6)


@pytest.mark.parametrize(
    "net", [Centroids(SHAPE, 20), Kernels(SHAPE, 20), Gaussians(SHAPE, 4, 5)], ids=repr
)
def test_a_fit_is_a_function_of_the_seed(net, source):
    states = []
    for seed in (1, 1, 2):
        net.float()
        net, _ = fitted(net, source, seed)
        states.append({name: value.clone() for name, value in net.state_dict().items()})
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
