"""The Frechet distance against closed forms, scipy, torchmetrics and repeated draws."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from torchmetrics.image.fid import FrechetInceptionDistance

from frenemy.judge import frechet as module
from frenemy.judge.frechet import Gaussian, frechet, frechet_infinity


def random(*shape, seed=0):
    """Standard normal, float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def features(count, d, seed=0):
    """As after a last ReLU: not negative, correlated, of falling variance; float64 (count, d)."""
    scale = torch.arange(1, d + 1, dtype=torch.float64)[:, None] ** -0.7
    mixing = scale * (random(d, d, seed=99) + 0.1 * random(d, d, seed=seed))
    return (random(count, d, seed=seed + 1000) @ mixing / 4 - 0.1).relu()


def white(count, d, seed=0):
    """Rows with mean 0 and covariance I, but for rounding: the moments, not the distribution's."""
    rows = random(count, d, seed=seed)
    rows = torch.linalg.qr(rows - rows.mean(0)).Q
    return rows * math.sqrt(count - 1)


def positive(d, seed=0):
    """A symmetric matrix with eigenvalues from .1 to some 4, (d, d)."""
    root = random(d, d, seed=seed) / math.sqrt(d)
    return root @ root.T + 0.1 * torch.eye(d, dtype=torch.float64)


def by_sqrtm(real, fake):
    """The usual way: covariances and a matrix root."""
    real, fake = real.double().numpy(), fake.double().numpy()
    s_r, s_f = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    between = real.mean(0) - fake.mean(0)
    root = linalg.sqrtm(s_r @ s_f)
    return between @ between + np.trace(s_r) + np.trace(s_f) - 2 * np.trace(root).real


class Identity(torch.nn.Module):
    """The features that torchmetrics is given are the images that it is given."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, x):
        return x


# Values


@pytest.mark.parametrize("n", [400, 30, 15, 4])  # 40 features: more, fewer, twice fewer
def test_the_distance_to_a_linear_image_is_the_closed_form(n):
    # T symmetric and positive is the optimal map of fake on its image, whatever ranks there are
    d, t, shift = 40, positive(40), random(40, seed=1)
    rows = features(n, d, seed=2)
    covariance = torch.cov(rows.T)
    eye = torch.eye(d, dtype=torch.float64)
    expected = shift.square().sum() + ((eye - t) @ covariance @ (eye - t)).trace()
    image = (rows - rows.mean(0)) @ t + rows.mean(0) + shift
    twice = torch.cat([image, image])  # scaled for its other n - 1:
    twice = (twice - twice.mean(0)) * math.sqrt((2 * n - 1) / (2 * n - 2)) + twice.mean(0)
    # float64, with roots of eigenvalues that cancel to some 1e-16 of the largest
    assert frechet(real=image, fake=rows).value == pytest.approx(expected.item(), rel=1e-8)
    assert frechet(real=twice, fake=rows).value == pytest.approx(expected.item(), rel=1e-8)
    assert frechet(real=rows, fake=twice).value == pytest.approx(expected.item(), rel=1e-8)


def test_gaussians_of_known_moments_are_at_their_known_distance():
    d = 12
    basis = torch.linalg.qr(random(d, d, seed=3)).Q
    a, b = torch.linspace(0.1, 3, d).double(), torch.linspace(2, 0.01, d).double()
    real = white(500, d) * a.sqrt() @ basis.T + 1
    fake = white(300, d, seed=1) * b.sqrt() @ basis.T - 1
    expected = 4 * d + (a.sqrt() - b.sqrt()).square().sum().item()
    assert frechet(real=real, fake=fake).value == pytest.approx(expected, rel=1e-12)  # float64


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # sqrtm itself is good to some 1e-9; float32's products add up to 1e-6 of the variances
    [(torch.float64, 1e-8), (torch.float32, 1e-5)],
)
def test_the_distance_is_that_by_scipys_sqrtm(dtype, tolerance):
    real, fake = features(2000, 100).to(dtype), features(1500, 100, seed=1).to(dtype)
    expected = by_sqrtm(real, fake)
    assert frechet(real=real, fake=fake).value == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_distance_is_torchmetrics(dtype):
    real, fake = features(1000, 64).to(dtype), features(800, 64, seed=1).to(dtype)
    theirs = FrechetInceptionDistance(feature=Identity(64)).set_dtype(torch.float64)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    # as published: it takes covariances without centring first
    assert frechet(real=real, fake=fake).value == pytest.approx(theirs.compute().item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[:20].repeat(100, 1),
        lambda rows: rows * (torch.arange(rows.shape[1]) > 20),
        lambda rows: torch.cat([rows[:, :30], 3 * rows[:, :30]], 1),
    ],
    ids=["20 samples, over and over", "dead features", "features twice"],
)
def test_a_rank_that_is_too_low_keeps_the_digits(spoil, dtype):
    real, fake = features(2000, 60).to(dtype), spoil(features(2000, 60, seed=1)).to(dtype)
    rows = [(x.double() - x.double().mean(0)) / math.sqrt(len(x) - 1) for x in (real, fake)]
    spectra = [torch.linalg.qr(x).R for x in rows]  # R^T R is the covariance, to all digits
    overlap = torch.linalg.svdvals(spectra[0] @ spectra[1].T).sum()
    between = (real.double().mean(0) - fake.double().mean(0)).square().sum()
    expected = between + sum(x.square().sum() for x in rows) - 2 * overlap
    # covariances hold half of the digits of a root that is 0; float32's products up to 1e-6
    tolerance = 1e-7 if dtype == torch.float64 else 1e-5
    assert frechet(real=real, fake=fake).value == pytest.approx(expected.item(), rel=tolerance)


def test_a_gaussian_holds_the_mean_and_the_covariance():
    for n in (500, 20):  # more and fewer than d
        rows = features(n, 30)
        found = Gaussian.fit(rows)
        assert found.count == n
        # float64
        torch.testing.assert_close(found.mean, rows.mean(0), rtol=1e-13, atol=1e-15)
        torch.testing.assert_close(
            found.factor.T @ found.factor, torch.cov(rows.T), rtol=1e-11, atol=1e-14
        )
        assert found.variance == pytest.approx(rows.var(0).sum().item(), rel=1e-12)


# The precision of float32 features


def covariance(rows):
    factor = Gaussian.fit(rows).factor
    return factor.T @ factor


@pytest.mark.parametrize(("allowed", "in_float32"), [(math.inf, True), (0.0, False)])
def test_float32_products_are_taken_where_the_machine_rounds_no_worse(
    allowed, in_float32, monkeypatch
):
    monkeypatch.setattr(module, "FLOAT32_ERROR", allowed)
    rows = features(500, 30).float()
    found, expected = covariance(rows), covariance(rows.double())
    error = ((found - expected).norm() / expected.norm()).item()
    # float32 rounds by 6e-8, and sums of 500 products by less than 500 times as much
    assert (1e-11 < error < 3e-5) if in_float32 else error < 1e-13


def test_a_feature_without_variance_of_its_own_is_taken_in_float64(monkeypatch):
    monkeypatch.setattr(module, "FLOAT32_ERROR", math.inf)
    rows = features(500, 30).float()
    rows[:, 7] = rows[:, 3] + 1e-3 * rows[:, 5]
    found, expected = covariance(rows), covariance(rows.double())
    assert (found - expected).norm() < 1e-13 * expected.norm()


def test_a_machine_that_rounds_float32_products_is_found_out():
    rows = features(2000, 30).mul(4).round().float()  # whose products and sums no machine rounds
    assert module._float32_is_exact(rows)
    assert not module._float32_is_exact(1e30 * rows)  # whose squares are no float32


def test_far_from_zero_float32_features_keep_their_digits():
    # apart: near 0 the distance is a difference of traces, whose float32 rounding stays as it is
    rows, other = features(2000, 20).float() + 100, features(2000, 20, seed=1).float() * 1.5 + 100
    assert frechet(real=rows, fake=other).value == pytest.approx(by_sqrtm(rows, other), rel=1e-5)


def test_half_precision_features_are_taken_as_they_are():
    real, fake = features(500, 20).half(), features(500, 20, seed=1).half()
    expected = frechet(real=real.double(), fake=fake.double()).value
    assert frechet(real=real, fake=fake).value == pytest.approx(expected, rel=1e-5)  # float32's


# The error


def skewed(count, seed):
    """Not normal: exponential and uniform parts, mixed; (count, 8)."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(count, 8, generator=generator, dtype=torch.float64)
    parts = torch.cat([-uniform[:, :4].log(), uniform[:, 4:]], 1)
    return parts @ random(8, 8, seed=50) / 3


@pytest.mark.parametrize("draw", [lambda n, s: random(n, 8, seed=s), skewed], ids=["normal", "not"])
@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (3000, 500)])
def test_the_error_is_the_deviation_over_repeated_draws(draw, n, m):
    t = positive(8, seed=4)
    found = [frechet(real=draw(n, 2 * i) @ t + 0.2, fake=draw(m, 2 * i + 1)) for i in range(150)]
    deviation = np.std([e.value for e in found], ddof=1)
    # the deviation of 150 draws is itself good to 1 / sqrt(300) = 6 %
    assert np.mean([e.error for e in found]) == pytest.approx(deviation, rel=0.2)


def test_the_error_of_few_samples_in_many_dimensions_is_the_formula_s_or_less():
    # n <= d: by the definition of T, with pseudo-inverses
    real, fake = features(20, 30), features(25, 30, seed=1)

    def influences(x, own, other):
        root = linalg.sqrtm(own.numpy()).real
        t = np.linalg.pinv(root, rcond=1e-6)
        t = t @ linalg.sqrtm(root @ other.numpy() @ root).real @ t
        centred = (x - x.mean(0)).numpy()
        return ((centred @ (np.eye(30) - t)) * centred).sum(1)

    s_r, s_f = torch.cov(real.T), torch.cov(fake.T)
    between = fake.mean(0) - real.mean(0)
    of_fake = influences(fake, s_f, s_r) + 2 * (fake @ between).numpy()
    of_real = influences(real, s_r, s_f) - 2 * (real @ between).numpy()
    expected = math.sqrt(of_fake.var(ddof=1) / 25 + of_real.var(ddof=1) / 20)
    found = frechet(real=real, fake=fake).error  # its square is divided by the order, 1 to 3
    assert expected / math.sqrt(3) <= found * (1 + 1e-3)  # roots of singular matrices: half of
    assert found <= expected * (1 + 1e-3)  # float64's digits


def test_a_part_of_the_samples_gives_the_error_nearly_as_well(monkeypatch):
    real, fake = features(3000, 20), features(4000, 20, seed=1)
    expected = frechet(real=real, fake=fake)
    monkeypatch.setattr(module, "INFLUENCES", 0)
    found = frechet(real=real, fake=fake)
    assert found.value == expected.value
    assert found.error != expected.error
    # a deviation of 1,024 influences, of kurtosis up to 10: sqrt(9 / 4 / 1024) = 5 %; of these
    # there are six, in a ratio
    assert found.error == pytest.approx(expected.error, rel=0.25)


def test_the_error_falls_with_the_root_of_the_count():
    few = frechet(real=features(1000, 8), fake=features(1000, 8, seed=1) + 0.5).error
    many = frechet(real=features(16_000, 8), fake=features(16_000, 8, seed=1) + 0.5).error
    assert few / many == pytest.approx(4, rel=0.15)  # two errors, each good to 5 %


# What must not matter


@pytest.mark.parametrize("metric", [frechet, frechet_infinity])
def test_the_order_of_samples_does_not_matter(metric):
    real, fake = features(1500, 10), features(1200, 10, seed=1)
    found, expected = metric(real=real.flip(0), fake=fake.flip(0)), metric(real=real, fake=fake)
    # float64 sums in another order
    assert found.value == pytest.approx(expected.value, rel=1e-10)
    assert found.error == pytest.approx(expected.error, rel=1e-6)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # sums in another order: float64's, and float32's of a thousand products
    [(torch.float64, 1e-10), (torch.float32, 1e-5)],
)
@pytest.mark.parametrize(("tile", "block"), [(5, 1), (7, 3), (100_000, 100_000)])
def test_tiles_do_not_matter(tile, block, dtype, tolerance, monkeypatch):
    real, fake = features(1500, 10).to(dtype), features(1200, 10, seed=1).to(dtype)
    expected = frechet(real=real, fake=fake)
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "BLOCK", block)
    found = frechet(real=real, fake=fake)
    assert found.value == pytest.approx(expected.value, rel=tolerance)
    assert found.error == pytest.approx(expected.error, rel=1e-4)  # many of its digits cancel


@pytest.mark.parametrize("n", [15, 500])  # fewer and more than d
def test_real_and_fake_may_be_swapped(n):
    real, fake = features(n, 20), features(300, 20, seed=1)
    there, back = frechet(real=real, fake=fake), frechet(real=fake, fake=real)
    assert there.value == pytest.approx(back.value, rel=1e-9)  # float64, roots of small numbers
    assert there.error == pytest.approx(back.error, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        (lambda x: x + 3.0, 1),
        (lambda x: x.flip(1), 1),
        (lambda x: x @ torch.linalg.qr(random(10, 10, seed=5)).Q, 1),
        (lambda x: 10 * x, 100),  # it is a square
        (lambda x: x.reshape(-1, 5, 2), 1),
    ],
    ids=["shift", "permuted features", "rotation", "scale", "any shape"],
)
def test_the_distance_moves_with_the_space(change, factor):
    real, fake = features(300, 10), features(400, 10, seed=1)
    expected, found = frechet(real=real, fake=fake), frechet(real=change(real), fake=change(fake))
    assert found.value == pytest.approx(factor * expected.value, rel=1e-9)  # float64
    # rows come in another order if features do, and the order of the error is that of halves
    assert found.error == pytest.approx(factor * expected.error, rel=0.25)


def test_the_arguments_and_the_global_generator_are_left_alone():
    real, fake = features(300, 10), features(400, 10, seed=1)
    before = torch.get_rng_state()
    frechet(real=real, fake=fake)
    frechet_infinity(real=real, fake=fake)
    assert torch.equal(real, features(300, 10))
    assert torch.equal(fake, features(400, 10, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


# Direction


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, amount: x + amount,
        lambda x, amount: x + amount * random(*x.shape, seed=7),
        lambda x, amount: x.mean(0) + (1 - amount) * (x - x.mean(0)),
        lambda x, amount: x[: round(len(x) * (1 - amount) ** 2)],  # x is sorted
    ],
    ids=["shifted", "noisy", "less various", "modes lost"],
)
def test_the_worse_the_samples_the_larger_the_distance(spoil):
    real, fake = features(2000, 16), features(2000, 16, seed=1)
    fake = fake[fake[:, 0].argsort()]
    values = [frechet(real=real, fake=spoil(fake, a)).value for a in (0.0, 0.3, 0.6, 0.9)]
    assert values == sorted(values)
    assert values[1] > 1.5 * values[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [10, 1000])  # fewer and more than d
def test_identical_sets_are_at_no_distance_and_it_says_so(n, dtype):
    rows = features(n, 20).to(dtype)
    for fake in (rows, rows.flip(0)):
        found = frechet(real=rows, fake=fake)
        # float64's rounding of a trace of about 5; float32's is of second order where T = I
        assert 0 <= found.value < 1e-9
        assert found.error < 1e-6
        assert "same samples" in found.note


def test_constant_sets_are_at_the_distance_of_their_points():
    one, two = torch.full((50, 3), 0.1), torch.full((50, 3), 0.3)
    assert frechet(real=one, fake=two).value == pytest.approx(0.12, rel=1e-6)  # float32
    assert frechet(real=one, fake=two).error == pytest.approx(0, abs=1e-9)
    assert frechet(real=one, fake=one).value == 0


@pytest.mark.parametrize("n", [4, 50])  # no more, and more, than d
def test_one_sample_over_and_over_is_at_the_distance_of_its_point_and_the_real_variance(n):
    real = features(500, 4)
    fake = real[:1].expand(n, -1)
    expected = (real.mean(0) - fake[0]).square().sum() + real.var(0).sum()
    found = frechet(real=real, fake=fake)
    assert found.value == pytest.approx(expected.item(), rel=1e-7)  # roots of rounding
    assert math.isfinite(found.error)


def test_too_few_samples_for_the_features_are_noted():
    real, fake = features(500, 20), features(20, 20, seed=1)
    assert "of it is the bias" in frechet(real=real, fake=features(21, 20, seed=1)).note
    assert frechet(real=real, fake=features(500, 20, seed=1) + 1).note == ""
    assert "20 fake samples for 20 features" in frechet(real=real, fake=fake).note
    assert "20 real samples for 20 features" in frechet(real=fake, fake=real).note
