"""The lesson on likelihood: its checks, against scipy too."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multivariate_normal, norm
from sklearn.decomposition import PCA

from frenemy.data import open_dataset
from frenemy.lab.likelihood import likelihood

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
    assert [c.what for c in result.checks[-2:] if not c.holds] == []
    assert "30 images 5x6 colour" in result.told
    assert "means of the classes" not in result.figures[-1].caption
    assert result.figures[-1].frames[0].shape == (3, 400, 800)


def test_real_faces_have_an_average(real_data):
    result = likelihood(data=real_data / "olivetti" / "olivettifaces.mat", samples=100)
    assert [c.what for c in result.checks[-2:] if not c.holds] == []


def test_another_seed_draws_other_samples(result):
    assert likelihood(seed=1).checks != result.checks
