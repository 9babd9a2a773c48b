"""The lesson on likelihood: its checks, against scipy too."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multivariate_normal, norm
from sklearn.decomposition import PCA

from frenemy.data import open_dataset
from frenemy.errors import FrenemyError
from frenemy.lab import features
from frenemy.lab.likelihood import likelihood
from frenemy.lab.probability import counts

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("likelihood").result


def measured(result, start):
    (check,) = [check for check in result.checks if check.what.startswith(start)]
    return check.measured


def test_every_check_holds(result):
    assert [check.what for check in result.checks if not check.holds] == []


def test_probabilities_of_iq_are_scipys(result):
    iq = norm(100, 24)
    for low, high in ((100, 124), (76, 124)):
        found = measured(result, f"IQ: P({low} < x < {high})")
        assert found == pytest.approx(iq.cdf(high) - iq.cdf(low), abs=1e-8)  # the quadrature's
    assert measured(result, "IQ: P(x > 148)") == pytest.approx(iq.sf(148), abs=1e-8)


def test_a_points_probability_is_not_its_likelihood(result):
    table = {
        at: (
            measured(result, f"N(0, 1): probability of x = {at}"),
            measured(result, f"N(0, 1): likelihood at x = {at}"),
        )
        for at in (0, 999)
    }
    assert table[0] == pytest.approx((0, norm.pdf(0)), abs=1e-11)
    assert table[999] == (0, 0)
    far = measured(result, "N(0, 1): log-likelihood at x = 999")
    assert far == pytest.approx(norm.logpdf(999), rel=1e-12)
    assert measured(result, "0 to 6: probability of each of six intervals") == pytest.approx(1 / 6)


@pytest.mark.parametrize(("heads", "tosses"), [(400, 1000), (1, 3), (2, 5)])
def test_the_count_of_heads_is_scipys(heads, tosses):
    checks, ways, probability = counts(heads, tosses, torch.Generator().manual_seed(0))
    assert probability == pytest.approx(binom.pmf(heads, tosses, heads / tosses), rel=1e-9)
    assert ways == pytest.approx(math.log(math.comb(tosses, heads)), rel=1e-12)
    assert all(check.holds for check in checks)


def test_two_features_are_scikit_learns(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 1), dtype=np.uint8)
    np.save(tmp_path / "mine.npy", pixels)
    checks, told, figure = features.fit(tmp_path / "mine.npy", None, 0)
    assert all(check.holds for check in checks)
    train = open_dataset(tmp_path / "mine.npy").train
    x = train.images.reshape(len(train), -1) / 255 / math.sqrt(30)
    y = PCA(n_components=2).fit_transform(x)
    top = 1 / (2 * math.pi * math.sqrt(np.linalg.det(np.cov(y.T, ddof=0))))
    assert f"density {top:,.1f} at its mean" in told
    assert figure.frames


def test_too_few_faces_are_refused(tmp_path):
    np.save(tmp_path / "few.npy", np.zeros((9, 6, 5, 1), np.uint8))
    with pytest.raises(FrenemyError):
        features.fit(tmp_path / "few.npy", None, 0)


@pytest.mark.parametrize(("heads", "tosses"), [(400, 1000), (1, 3), (999, 1000), (123_456, 10**6)])
def test_the_likeliest_coin_is_scipys(heads, tosses):
    result = likelihood(heads=heads, tosses=tosses, samples=100)
    coin = [check for check in result.checks if check.what.startswith("coin")]
    assert [check.what for check in coin if not check.holds] == []
    found = minimize_scalar(
        lambda p: -binom.logpmf(heads, tosses, p),
        bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10},
    ).x  # fmt: skip # pyright: ignore[reportAttributeAccessIssue]
    # a search by values finds a maximum to the root of float64's precision, as flat as it is
    assert measured(result, "coin: where L is largest, by autograd") == pytest.approx(
        found, abs=1e-5
    )


def test_the_likelihood_of_images_is_scipys(result):
    train = open_dataset(None).train
    x = train.images.reshape(len(train), -1) / 255
    pca = PCA(n_components=20).fit(x)
    cov = pca.get_covariance() * (len(x) - 1) / len(x)
    expected = multivariate_normal(x.mean(0), cov).logpdf(x).mean()
    assert measured(result, "images: log-likelihood") == pytest.approx(expected, abs=1e-8)


def test_images_of_ones_own_in_colour_without_classes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "mine.npy", pixels)
    result = likelihood(data=tmp_path / "mine.npy", samples=100, axes=5)
    assert [c.what for c in result.checks if not c.holds] == []
    assert "30 images 5x6 colour" in result.told
    assert "means of the classes" not in result.figures[-2].caption
    assert result.figures[-2].frames[0].shape == (3, 400, 800)


def test_real_faces_have_an_average(real_data):
    faces = real_data / "olivetti" / "olivettifaces.mat"
    result = likelihood(data=faces, faces=faces, samples=100)
    assert [c.what for c in result.checks if not c.holds and "s: " in c.what] == []
    assert "two features of faces (320 images" in result.told


def test_another_seed_draws_other_samples(result):
    assert likelihood(seed=1).checks != result.checks
