"""The lesson of the three games: its oracles and its measures."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from frenemy.data import open_dataset
from frenemy.lab import codes, decoders
from frenemy.lab.autoencoder_is_not_a_gan import linear_checks

from .small import small

OF_ANY_LENGTH = (  # what holds however few rounds are played
    "linear autoencoder",
    "probabilistic PCA",
    "variances doubled",
    "importance samples",
    "quadrature",
)


@pytest.fixture(scope="module")
def short():
    return small("autoencoder-is-not-a-gan").result


def test_what_holds_of_any_nets_holds_of_untrained_ones(short):
    for part in OF_ANY_LENGTH:
        found = [check for check in short.checks if part in check.what]
        assert found and all(check.holds for check in found), part


def test_pca_is_scikit_learns(short):
    u = open_dataset(None).train.images.reshape(-1, 64) / 255
    pca = PCA(2).fit(u)
    left = ((u - pca.inverse_transform(pca.transform(u))) ** 2).sum(1).mean()
    error, elbo, _ = short.checks[:3]
    assert error.exact == pytest.approx(left, rel=1e-7)  # pixels in float32
    # at scikit-learn's covariance, over N - 1: its score is below the maximum by d / (4 N^2)
    assert elbo.exact == pytest.approx(pca.score(u), abs=64 / len(u) ** 2)


def test_the_error_of_too_few_dimensions_is_told_from_pcas():
    torch.manual_seed(0)
    x = torch.randn(50, 1, 2, 3, dtype=torch.float64)
    error, elbo, loss = linear_checks(x)
    assert elbo.holds and loss.holds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frenemy.lab.autoencoder_is_not_a_gan.ROUNDS", 3)
        error, _, _ = linear_checks(x)
    assert error.measured > error.exact and not error.holds


# The measures and pictures of codes


def test_codes_from_the_prior_are_near_it_and_others_as_far_as_the_closed_form_says():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 2, generator=generator, dtype=torch.float64)
    # of 2 N KL, which is chi-squared with 5 degrees of freedom, the 99.9 % quantile is 20.5
    assert 0 <= codes.from_prior(z) < 20.5 / 40_000
    z = (z - z.mean(0)) @ torch.linalg.cholesky(torch.cov(z.T, correction=0).inverse())  # exact
    moved = z * torch.tensor([3.0, 0.5]) + torch.tensor([1.0, -2.0])
    expected = (9 + 0.25 + 5 - 2 - math.log(9 * 0.25)) / 2
    assert codes.from_prior(moved) == pytest.approx(expected, rel=1e-9)  # float64 roundings
    # Gaussians of variance .25 each, with such means: their mixture's variances are the sum
    log_variance = torch.full_like(moved, math.log(0.25))
    expected = (9.25 + 0.5 + 5 - 2 - math.log(9.25 * 0.5)) / 2
    assert codes.from_prior(moved, log_variance) == pytest.approx(expected, rel=1e-9)


def test_sharpness_is_a_loop_over_neighbours_and_blur_lowers_it():
    x = torch.rand(3, 1, 5, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    unit = ((x + 1) / 2)[:, 0]
    for image, found in zip(unit, codes.sharpness(x), strict=True):
        down = sum((image[i + 1, j] - image[i, j]) ** 2 for i in range(4) for j in range(4))
        across = sum((image[i, j + 1] - image[i, j]) ** 2 for i in range(5) for j in range(3))
        assert found.item() == pytest.approx(float(down + across), rel=1e-5)  # float32
    blurred = nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    assert (codes.sharpness(blurred) < codes.sharpness(x)).all()


def test_the_plane_is_read_as_a_picture():
    z = codes.plane(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([5.0, 6.0]))
    expected = [[0, 6], [1, 6], [2, 6], [0, 5], [1, 5], [2, 5]]
    np.testing.assert_array_equal(z, expected)


@pytest.mark.parametrize("rate", [0.0, 1e-2])
def test_the_three_games_begin_with_one_decoder_and_move_it_apart(rate):
    torch.manual_seed(0)
    source = open_dataset(None).train
    nets = decoders.train(source, seed=0, rounds=3, width=8, rate=rate, gamma=0.3)
    z = decoders.PRIOR(4)
    with torch.no_grad():
        x = [net(z) for net in nets]
    assert {u.shape for u in x} == {(4, 1, 8, 8)}
    alike = [torch.equal(x[i], x[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert all(alike) if rate == 0 else not any(alike)
