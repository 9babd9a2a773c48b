"""Parzen windows against a double loop, scikit-learn and closed forms; their direction."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from sklearn.neighbors import KernelDensity

from frenemy.errors import FrenemyError
from frenemy.judge import parzen as module
from frenemy.judge.estimate import error_of_difference
from frenemy.judge.parzen import GRIDS, TILE, log_likelihood, parzen


def images(count, d, seed=0, dtype=torch.float64):
    """Pixels in [0, 1], (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, d, generator=generator, dtype=torch.float64).to(dtype)


def sparse_images(count, seed=0):
    """28x28 images of mostly black and white pixels, as digits are, float64 (count, 784)."""
    generator = torch.Generator().manual_seed(seed)
    ink = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    strokes = torch.randn(4, 784, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return (4 * (ink @ strokes) - 6).sigmoid()


def double_loop(real, fake, sigma):
    """Log p of each real image with nothing but math."""
    result = []
    for x in real.tolist():
        exponents = [
            -sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / (2 * sigma**2)
            for y in fake.tolist()
        ]
        top = max(exponents)
        mean = sum(math.exp(e - top) for e in exponents) / len(exponents)
        result.append(top + math.log(mean) - len(x) / 2 * math.log(2 * math.pi * sigma**2))
    return torch.tensor(result, dtype=torch.float64)


def by_scikit_learn(real, fake, sigma):
    # one leaf: with several, its bounds cancel and err by hundreds of nats in many dimensions
    density = KernelDensity(bandwidth=sigma, kernel="gaussian", leaf_size=len(fake))
    density.fit(fake.double().numpy())
    return torch.from_numpy(density.score_samples(real.double().numpy()))


def log_p(real, fake, sigma):
    return log_likelihood(real=real, fake=fake, sigmas=[sigma])[0]


# Values


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0, 7.0])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (5, 7, 3), (4, 30, 50)])
def test_log_likelihood_is_the_double_loop(n, m, d, sigma):
    real, fake = images(n, d), images(m, d, seed=1)
    # float64: |x - y|^2 is good to about 1e-15 d, over 2 sigma^2 = .005
    torch.testing.assert_close(
        log_p(real, fake, sigma), double_loop(real, fake, sigma), rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize("sigma", [0.1, 0.2, 1.0])
def test_log_likelihood_in_float64_is_scikit_learns(sigma):
    real, fake = sparse_images(40), sparse_images(300, seed=1)
    torch.testing.assert_close(  # both round sums of 784 float64 squares
        log_p(real, fake, sigma), by_scikit_learn(real, fake, sigma), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("sigma", [0.1, 0.2, 1.0])
def test_log_likelihood_in_float32_is_scikit_learns_to_five_digits(sigma):
    real, fake = sparse_images(40).float(), sparse_images(300, seed=1).float()
    found, expected = log_p(real, fake, sigma), by_scikit_learn(real, fake, sigma)
    assert found.dtype == torch.float64
    # |x|^2 + |y|^2 - 2 x.y rounds by some 10 units of float32, 6e-8, of |x|^2, over 2 sigma^2
    largest = real.square().sum(1).max().item()
    assert (found - expected).abs().max() < 1e-6 * largest / (2 * sigma**2)
    assert abs(found.mean() - expected.mean()) < 1e-5 * expected.abs().mean()


def test_one_sample_is_one_gaussian():
    x, y, sigma, d = torch.zeros(1, 4), torch.full((1, 4), 0.5), 0.3, 4
    expected = -1.0 / (2 * sigma**2) - d / 2 * math.log(2 * math.pi * sigma**2)  # |x - y|^2 = 1
    assert log_p(x, y, sigma).item() == pytest.approx(expected, rel=1e-6)  # float32


def test_no_density_exceeds_its_kernels_peak():
    x = sparse_images(50).float()
    sigma = 1e-3  # rounding of |x - x|^2, a few 1e-5, over 2 sigma^2 is tens of nats
    assert (log_p(x, x, sigma) <= -784 / 2 * math.log(2 * math.pi * sigma**2)).all()


def test_far_images_have_finite_and_right_likelihoods():
    real, fake = torch.tensor([[1000.0]]), torch.tensor([[0.0], [1.0]])
    # the nearer sample alone counts; exp(-(999 / .1)^2 / 2) is 0 in any floating format
    expected = -((999 / 0.1) ** 2) / 2 - math.log(2) - math.log(2 * math.pi * 0.01) / 2
    assert log_p(real, fake, 0.1).item() == pytest.approx(expected, rel=1e-6)  # float32


def test_the_density_integrates_to_one():
    fake = images(5, 1)

    def density(x):
        return log_p(torch.tensor([[x]], dtype=torch.float64), fake, 0.1).exp().item()

    assert quad(density, -1, 2, limit=200)[0] == pytest.approx(1, abs=1e-7)  # quad's own tolerance


# What must not matter


def test_several_widths_at_once_are_each_one_alone():
    real, fake = images(20, 6), images(30, 6, seed=1)
    sigmas = GRIDS["default"]
    together = log_likelihood(real=real, fake=fake, sigmas=sigmas)
    assert together.shape == (len(sigmas), 20)
    alone = torch.stack([log_p(real, fake, s) for s in sigmas])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)  # float64


@pytest.mark.parametrize("tile", [1, 7, 10_000])
def test_tiles_do_not_matter(tile, monkeypatch):
    count = 2 * TILE + 9
    real, fake = images(count, 5), images(40, 5, seed=1)
    expected = log_p(real, fake, 0.2)
    monkeypatch.setattr(module, "TILE", tile)
    found = log_p(real, fake, 0.2)
    # float64 products in tiles of other sizes are summed in another order
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_order_of_samples_and_images_does_not_matter():
    real, fake = images(20, 6), images(30, 6, seed=1)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    expected = log_p(real, fake, 0.2)
    # float64 sums in another order
    torch.testing.assert_close(log_p(real, fake[order], 0.2), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_p(real.flip(0), fake, 0.2).flip(0), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("change", "sigma", "nats"),
    [
        (lambda x: x + 3.0, 0.2, 0.0),
        (lambda x: x.flip(1), 0.2, 0.0),
        (lambda x: x @ torch.linalg.qr(images(6, 6, seed=2))[0], 0.2, 0.0),
        (lambda x: 10 * x, 2.0, -6 * math.log(10)),  # densities go as the inverse volume
    ],
    ids=["shift", "permuted pixels", "rotation", "scale"],
)
def test_the_likelihood_moves_with_the_space(change, sigma, nats):
    real, fake = images(20, 6), images(30, 6, seed=1)
    expected = log_p(real, fake, 0.2) + nats
    found = log_p(change(real), change(fake), sigma)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)  # float64, shifted by 3


def test_each_sample_twice_is_the_same_density():
    real, fake = images(20, 6), images(30, 6, seed=1)
    found = log_p(real, torch.cat([fake, fake]), 0.2)
    torch.testing.assert_close(found, log_p(real, fake, 0.2), rtol=1e-12, atol=1e-12)  # float64


def test_the_arguments_are_left_alone():
    real, fake = images(20, 6), images(30, 6, seed=1)
    log_p(real, fake, 0.2)
    assert torch.equal(real, images(20, 6))
    assert torch.equal(fake, images(30, 6, seed=1))


# The protocol


def test_grids_are_those_that_they_say():
    assert GRIDS["default"] == tuple(i / 100 for i in range(10, 30))
    np.testing.assert_allclose(GRIDS["authors"], np.logspace(-1, 0, 10), rtol=1e-15)  # one rounding


def test_the_width_is_the_best_one_for_the_validation_images_not_for_the_reported_ones():
    fake = images(50, 2)
    valid, real = fake[:20] + 0.02, images(30, 2, seed=1) * 3  # near the samples; far from them
    sigmas = [0.02, 0.1, 0.5, 2.0]
    best = max(sigmas, key=lambda s: by_scikit_learn(valid, fake, s).mean())
    assert best != max(sigmas, key=lambda s: by_scikit_learn(real, fake, s).mean())
    found = parzen(real=real, valid=valid, fake=fake, grids={"": sigmas})[""]
    expected = by_scikit_learn(real, fake, best)
    assert found.sigma == best
    assert found.found.value == pytest.approx(expected.mean().item(), rel=1e-9)  # log_likelihood's
    of_images = np.std(expected.numpy(), ddof=1) / math.sqrt(30)
    assert found.of_images == pytest.approx(of_images, rel=1e-9)
    assert found.found.error > of_images  # samples drawn anew differ, too


def test_images_of_any_shape_are_vectors_of_pixels():
    real, valid, fake = (images(n, 12, seed=n) for n in (5, 6, 7))
    flat = parzen(real=real, valid=valid, fake=fake, grids={"": [0.2, 0.3]})
    deep = parzen(
        real=real.view(-1, 3, 2, 2),
        valid=valid.view(-1, 3, 2, 2),
        fake=fake.view(-1, 3, 2, 2),
        grids={"": [0.2, 0.3]},
    )
    assert flat == deep


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fake: fake[:1].expand(len(fake), -1),
        lambda fake: fake[: len(fake) // 20].repeat(20, 1),
        lambda fake: fake[fake[:, 0] > fake[:, 0].median()].repeat(2, 1),
        lambda fake: images(len(fake), 784, seed=5),
    ],
    ids=["one sample", "a twentieth of the samples", "half of the modes", "noise"],
)
def test_collapse_and_noise_cost_likelihood(spoil):
    real, valid, fake = (sparse_images(n, seed=n) for n in (200, 100, 1000))
    good, bad = (
        parzen(real=real, valid=valid, fake=samples)["default"].found
        for samples in (fake, spoil(fake))
    )
    assert bad.value < good.value - 3 * (good.error + bad.error)  # far beyond the standard errors


# The error


def test_the_error_is_the_deviation_over_samples_and_test_images():
    found, gaps = [], []
    for seed in range(100):
        real, valid, a, b = (
            images(n, 3, seed=4 * seed + i) for i, n in enumerate((400, 20, 50, 50))
        )
        ours, theirs = (  # not the images' density, whose influences would be of second order
            parzen(real=real, valid=valid, fake=0.5 * fake, grids={"": [0.2]})[""].found
            for fake in (a, b)
        )
        found.append(ours)
        gaps.append(
            (ours.value - theirs.value, error_of_difference(ours, theirs, same_images=True))
        )
    # 100 draws give a deviation to 7 %; what depends on pairs is counted twice, of order 1 / NM
    deviation = np.std([e.value for e in found], ddof=1)
    assert np.sqrt(np.mean([e.error**2 for e in found])) == pytest.approx(deviation, rel=0.25)
    apart, claimed = np.array(gaps).T
    assert np.sqrt(np.mean(claimed**2)) == pytest.approx(np.sqrt(np.mean(apart**2)), rel=0.25)


def test_one_sample_has_the_error_of_the_test_images_alone():
    found = parzen(real=images(9, 3), valid=images(9, 3), fake=images(1, 3), grids={"": [0.2]})[""]
    assert found.found.error == found.of_images


# Bad input

X = torch.rand(3, 4)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (X, torch.rand(3, 5)),
        (X, torch.rand(4)),
        (X, torch.rand(3, 2, 2)),
        (X, X[:0]),
        (X[:0], X),
        (X, torch.full((2, 4), math.nan)),
        (torch.full((2, 4), math.inf), X),
    ],
    ids=["pixels", "one vector", "not flat", "no samples", "no images", "nan", "infinite"],
)
def test_bad_input_is_told_in_one_line(real, fake, precision):
    with pytest.raises(FrenemyError, match=r"^parzen: ") as refused:
        log_likelihood(real=real.to(precision), fake=fake.to(precision), sigmas=[0.2])
    assert "\n" not in str(refused.value)
