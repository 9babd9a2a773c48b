"""The VAE against Gaussians whose likelihood is known, quadrature, and probabilistic PCA."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import bernoulli, kstest, multivariate_normal, norm
from sklearn.decomposition import PCA
from torch import nn

from frenemy.errors import FrenemyError
from frenemy.game import Round
from frenemy.nets.layers import FromUnit, ToUnit
from frenemy.rivals.vae import (
    VAE,
    BinaryVAE,
    elbo,
    importance_bound,
    kl_to_prior,
    log_p_by_quadrature,
    negative_elbo,
    probabilistic_pca,
)

SHAPE = (1, 2, 3)
ROUNDING = {"rel": 1e-10}  # of float64, through a handful of products of small matrices


def double(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def linear_vae(seed=0, variance=0.3):
    """A linear decoder and an encoder of any linear mean and constant variances."""
    torch.manual_seed(seed)
    encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)
    model = VAE(nn.Sequential(ToUnit(), encoder), nn.Sequential(decoder, FromUnit(SHAPE)))
    return with_variance(model, variance).double()


def with_variance(model, variance):
    nn.init.constant_(model.log_variance, math.log(variance))
    return model


def known(model):
    """W, the mean and the variance of a linear model, and the mean and covariance of its x."""
    W, mean = (p.detach().numpy() for p in model.decoder[0].parameters())
    variance = model.log_variance.exp().item()
    return W, mean, variance, W @ W.T + variance * np.eye(6)


def curved_vae():
    """z on the line, two pixels on a curve, and an encoder that is only roughly right."""
    torch.manual_seed(3)
    decoder = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 2), FromUnit((1, 1, 2)))
    model = VAE(nn.Sequential(ToUnit(), nn.Linear(2, 2)), decoder)
    return with_variance(model, 0.05).double()


def binary_vae():
    """z on the line, two binary pixels, and an encoder that is only roughly right."""
    torch.manual_seed(4)
    decoder = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 2), nn.Unflatten(1, (1, 1, 2)))
    return BinaryVAE(nn.Sequential(ToUnit(), nn.Linear(2, 2)), decoder).double()


def pixels(x):
    """Images in [-1, 1] as vectors in [0, 1]."""
    return (x.flatten(1).detach().numpy() + 1) / 2


def cubature(size, count):
    """Epsilons whose mean of any quadratic is the Gaussian's: +-sqrt(size) along each axis.

    Each is repeated for `count` images: (2 size count, size).
    """
    points = math.sqrt(size) * torch.cat([torch.eye(size), -torch.eye(size)]).double()
    return points.repeat_interleave(count, 0)


def exact_elbo(model, x):
    """The ELBO's expectation for a linear decoder, where log p(x | z) is quadratic in z: (B,)."""
    epsilon = cubature(2, len(x))
    with torch.no_grad():
        return elbo(model, x.repeat(4, 1, 1, 1), epsilon).view(4, -1).mean(0).numpy()


# The KL


def test_the_kl_is_that_of_quadrature():
    means, log_variances = double(4, 3), double(4, 3, seed=1)
    found = kl_to_prior(means, log_variances)
    assert found.shape == (4,)
    for i in range(4):
        total = 0.0
        for mean, log_variance in zip(means[i].tolist(), log_variances[i].tolist(), strict=True):
            q = norm(mean, math.exp(log_variance / 2))
            reach = 12 * q.std()

            def density(z, q=q):
                return q.pdf(z) * (q.logpdf(z) - norm.logpdf(z))

            total += quad(density, mean - reach, mean + reach, epsabs=1e-12)[0]
        assert found[i].item() == pytest.approx(total, rel=1e-8)  # quad's own 1e-8


def test_the_kl_vanishes_at_the_prior_and_nowhere_else():
    zero = torch.zeros(1, 2, dtype=torch.float64)
    assert kl_to_prior(zero, zero).item() == 0
    for mean, log_variance in ((1e-4, 0), (0, 1e-4), (0, -1e-4)):
        moved = kl_to_prior(zero + mean, zero + log_variance).item()
        # to second order mean^2 / 2 and log_variance^2 / 4 in each of two dimensions
        assert moved == pytest.approx(mean**2 + log_variance**2 / 2, rel=1e-3)


# The likelihood and the bound


def test_the_log_likelihood_is_scipys_normal():
    model = linear_vae()
    x, z = double(5, *SHAPE), double(5, 2, seed=1)
    means = pixels(model(z))
    for found, u, mean in zip(model.log_likelihood(x, z), pixels(x), means, strict=True):
        expected = norm.logpdf(u, mean, math.sqrt(0.3)).sum()
        assert found.item() == pytest.approx(expected, rel=1e-6)  # log .3 was rounded to float32


def test_the_log_likelihood_of_binary_pixels_is_scipys():
    model = binary_vae()
    x, z = double(5, 1, 1, 2).sign(), double(5, 1, seed=1)
    expected = bernoulli.logpmf(pixels(x), pixels(model(z))).sum(1)
    np.testing.assert_allclose(model.log_likelihood(x, z).detach(), expected, rtol=1e-10)


def test_the_log_likelihood_of_grey_is_the_mean_over_what_it_is_the_probability_of():
    model, z = binary_vae(), double(1, 1, seed=1)
    grey = torch.tensor([[[[0.3, 0.8]]]], dtype=torch.float64)  # of pixels in [0, 1]
    whole = 0.0
    for black_or_white in itertools.product((0.0, 1.0), repeat=2):
        x = torch.tensor(black_or_white, dtype=torch.float64).view(1, 1, 1, 2)
        share = (x * grey + (1 - x) * (1 - grey)).prod()
        whole += share * model.log_likelihood(2 * x - 1, z)
    np.testing.assert_allclose(
        model.log_likelihood(2 * grey - 1, z).item(), whole.item(), rtol=1e-10
    )


def test_the_elbo_falls_short_of_log_p_by_the_kl_from_the_posterior():
    model = linear_vae()
    x = double(5, *SHAPE)
    W, mean, variance, C = known(model)
    u = pixels(x)
    log_p = multivariate_normal(mean, C).logpdf(u)
    precision = np.eye(2) + W.T @ W / variance
    posterior = np.linalg.inv(precision)  # by Bayes' rule; not diagonal, as q is
    centres = (u - mean) @ W @ posterior / variance
    q_mean, q_log_variance = (part.detach().numpy() for part in model.posterior(x))
    found = exact_elbo(model, x)
    for i in range(5):
        S, shift = np.diag(np.exp(q_log_variance[i])), q_mean[i] - centres[i]
        kl = np.trace(precision @ S) + shift @ precision @ shift - 2
        kl = (kl - math.log(np.linalg.det(precision) * np.linalg.det(S))) / 2
        assert found[i] == pytest.approx(log_p[i] - kl, **ROUNDING)
        assert found[i] < log_p[i]


def test_samples_of_the_elbo_have_its_mean():
    model, x, count = linear_vae(), double(1, *SHAPE), 20_000
    with torch.no_grad():
        found = elbo(model, x.expand(count, *SHAPE), double(count, 2, seed=1))
    error = found.std().item() / math.sqrt(count)
    assert abs(found.mean().item() - exact_elbo(model, x)[0]) < 4 * error


def test_z_is_a_sample_of_q():
    model, x = linear_vae(), double(1, *SHAPE).expand(4000, *SHAPE)
    seen = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    elbo(model, x, double(4000, 2, seed=1))
    mean, log_variance = (part[0].detach().numpy() for part in model.posterior(x[:1]))
    for i in range(2):
        q = norm(mean[i], math.exp(log_variance[i] / 2))
        assert kstest(seen[0][:, i].numpy(), q.cdf).pvalue > 0.01


def test_the_term_is_the_elbo_of_every_image_with_the_rounds_z_as_epsilon():
    model, x, z = linear_vae(), double(5, *SHAPE), double(5, 2, seed=1)
    r = Round({"G": model}, z, lambda: (x, None), ("G",))
    found = negative_elbo(r)
    assert found.shape == (5,)
    for i in range(5):  # an image's value does not depend on what else is in the minibatch
        alone = -elbo(model, x[i : i + 1], z[i : i + 1]).item()
        assert found[i].item() == pytest.approx(alone, **ROUNDING)


def test_the_code_is_the_mean_of_q_and_the_model_samples_by_its_decoder():
    model, x, z = linear_vae(), double(5, *SHAPE), double(5, 2, seed=1)
    assert torch.equal(model.encode(x), model.encoder(x)[:, :2])
    assert torch.equal(model(z), model.decoder(z))
    assert torch.equal(model.reconstruct(x), model(model.encode(x)))


# The importance-weighted bound


def test_the_bounds_keep_their_order_and_close_on_log_p_by_quadrature():
    model = curved_vae()
    x = model(double(6, 1)).detach() + 0.3 * double(6, 1, 1, 2, seed=1)
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        means = (model(z).flatten(1) + 1) / 2
        log_p = []
        for u in pixels(x):
            log_joint = norm.logpdf(u, means.numpy(), math.sqrt(0.05)).sum(1) + norm.logpdf(z[:, 0])
            log_p.append(math.log(np.trapezoid(np.exp(log_joint), z[:, 0].numpy())))
        elbos = torch.stack([elbo(model, x, double(6, 1, seed=s)) for s in range(200)])
    assert (elbos.mean(0).numpy() < log_p).all()
    many = importance_bound(model, x.repeat(200, 1, 1, 1), samples=100).view(200, 6).numpy()
    assert elbos.mean() < many.mean() < np.mean(log_p)
    ratios = np.exp(many - log_p)  # unbiased estimates of 1
    errors = ratios.std(0, ddof=1) / math.sqrt(200)
    assert (np.abs(ratios.mean(0) - 1) < 4 * errors).all()
    assert errors.max() < 0.1  # the test could tell 40 % from nothing


def test_the_bounds_of_binary_pixels_keep_their_order():
    model = binary_vae()
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64).view(4, 1, 1, 2)
    x = 2 * x - 1
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        p = pixels(model(z))
        joint = [bernoulli.logpmf(u, p).sum(1) + norm.logpdf(z[:, 0]) for u in pixels(x)]
        log_p = np.log([np.trapezoid(np.exp(each), z[:, 0].numpy()) for each in joint])
        elbos = torch.stack([elbo(model, x, double(4, 1, seed=s)) for s in range(200)])
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-6)  # all images that there are
    many = importance_bound(model, x.repeat(200, 1, 1, 1), samples=100).view(200, 4).numpy()
    errors = many.std(0, ddof=1) / math.sqrt(200)
    assert (elbos.mean(0).numpy() < log_p).all()
    assert elbos.mean() < many.mean()
    assert (many.mean(0) < log_p + 4 * errors).all()


def test_the_bounds_keep_their_order_where_log_p_is_a_gaussians():
    model, x = linear_vae(), double(5, *SHAPE)
    _, mean, _, C = known(model)
    log_p = multivariate_normal(mean, C).logpdf(pixels(x))
    many = importance_bound(model, x.repeat(400, 1, 1, 1), samples=20).view(400, 5)
    errors = many.std(0).numpy() / math.sqrt(400)
    assert (exact_elbo(model, x) < many.mean(0).numpy() - 4 * errors).all()
    assert (many.mean(0).numpy() < log_p + 4 * errors).all()


def test_one_importance_sample_is_the_elbo_on_average():
    model, x = linear_vae(), double(1, *SHAPE)
    found = importance_bound(model, x.expand(20_000, *SHAPE), samples=1)
    error = found.std().item() / math.sqrt(len(found))
    assert abs(found.mean().item() - exact_elbo(model, x)[0]) < 4 * error


def test_the_importance_bound_is_a_function_of_its_seed_and_leaves_the_global_generator_alone():
    model, x = linear_vae(), double(3, *SHAPE)
    torch.manual_seed(5)
    first = importance_bound(model, x, samples=3)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first, importance_bound(model, x, samples=3))
    assert not torch.equal(first, importance_bound(model, x, samples=3, seed=1))
    with pytest.raises(FrenemyError, match="samples is 0"):
        importance_bound(model, x, samples=0)


# Quadrature in the plane


def test_quadrature_is_the_log_likelihood_of_a_linear_model():
    model, x = linear_vae(), double(60, *SHAPE)  # more images than it takes at once
    _, mean, _, C = known(model)
    expected = multivariate_normal(mean, C).logpdf(pixels(x))
    # float64 roundings; the lattice leaves exp(-2 (pi s / .1)^2) < 1e-16
    np.testing.assert_allclose(
        log_p_by_quadrature(model, x, reach=8.0, step=0.1), expected, rtol=1e-10
    )


def test_what_lies_beyond_the_reach_is_missed():
    model, x = linear_vae(), double(5, *SHAPE)
    near, far = (log_p_by_quadrature(model, x, reach=reach, step=0.1) for reach in (0.5, 6.0))
    assert (near < far).all()


# Probabilistic PCA


@pytest.fixture(scope="module")
def cloud():
    u = 0.5 + double(300, 6) @ (double(6, 6, seed=1) * torch.linspace(0.1, 1, 6))
    return (2 * u - 1).view(-1, *SHAPE)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_probabilistic_pca_is_scikit_learns(cloud, size):
    u = pixels(cloud)
    model, reference = probabilistic_pca(cloud, size), PCA(size).fit(u)
    W, mean, variance, C = known(model)
    # scikit-learn divides by N - 1 where the maximum of the likelihood has N
    np.testing.assert_allclose(C * 300 / 299, reference.get_covariance(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mean, reference.mean_, rtol=1e-10)
    log_p = multivariate_normal(mean, C).logpdf(u)
    with torch.no_grad():
        epsilon = math.sqrt(size) * torch.cat([torch.eye(size), -torch.eye(size)]).double()
        found = sum(elbo(model, cloud, e.expand(300, size)) for e in epsilon) / len(epsilon)
    np.testing.assert_allclose(found, log_p, rtol=1e-10)  # its q is the posterior itself
    np.testing.assert_allclose(importance_bound(model, cloud, samples=1), log_p, rtol=1e-10)
    assert variance == pytest.approx(reference.noise_variance_ * 299 / 300, rel=1e-10)
    assert W.shape == (6, size)


def test_no_linear_vae_near_probabilistic_pca_has_a_higher_elbo(cloud):
    model = probabilistic_pca(cloud, 2)
    best = exact_elbo(model, cloud).mean()
    with torch.no_grad():
        for p in model.parameters():
            kept = p.clone()
            for seed in range(5):
                p.copy_(kept + 1e-2 * double(p.numel(), seed=seed).view_as(p))
                assert exact_elbo(model, cloud).mean() < best
            p.copy_(kept)


def test_probabilistic_pca_keeps_the_precision_of_its_images(cloud):
    for dtype in (torch.float32, torch.float64):
        model = probabilistic_pca(cloud.to(dtype), 2)
        assert {p.dtype for p in model.parameters()} == {dtype}
        assert model.reconstruct(cloud.to(dtype)).shape == cloud.shape


def test_probabilistic_pca_refuses_what_it_cannot_do(cloud):
    with pytest.raises(FrenemyError, match="size is 0"):
        probabilistic_pca(cloud, 0)
    with pytest.raises(FrenemyError, match="pixels_left is 0"):
        probabilistic_pca(cloud, 6)
    with pytest.raises(FrenemyError, match="3 components explain all variance"):
        probabilistic_pca(cloud[:4], 3)
    with pytest.raises(FrenemyError, match="4 images that hardly differ"):
        probabilistic_pca(torch.zeros(4, *SHAPE), 2)
