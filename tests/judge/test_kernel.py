"""Kernel distances against double loops, torchmetrics and scikit-learn, and over repeated draws."""

import math

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF
from torchmetrics.image.kid import KernelInceptionDistance

from frenemy.judge import kernel as module
from frenemy.judge.estimate import error_of_difference
from frenemy.judge.kernel import cmmd, kid

METRICS = [kid, cmmd]


def features(count, d, seed=0):
    """Not negative, float64 (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, d, generator=generator, dtype=torch.float64).relu()


def means(within_real, within_fake, between):
    """The three means of MMD^2 of matrices of kernel values."""
    n, m = between.shape
    return (
        (within_real.sum() - np.trace(within_real)) / (n * (n - 1))
        + (within_fake.sum() - np.trace(within_fake)) / (m * (m - 1))
        - 2 * between.mean()
    )


def double_loop(real, fake):
    """The cubic kernel with nothing but arithmetic."""

    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    x, y = real.tolist(), fake.tolist()
    return means(
        *(np.array([[k(a, b) for b in t] for a in s]) for s, t in ((x, x), (y, y), (x, y)))
    )


class Identity(torch.nn.Module):
    """The features that torchmetrics is given are the images that it is given."""

    num_features = 64

    def forward(self, x):
        return x


# Values


@pytest.mark.parametrize(("n", "m", "d"), [(4, 4, 1), (5, 9, 3), (12, 4, 30)])
def test_kid_is_the_double_loop(n, m, d):
    real, fake = features(n, d), features(m, d, seed=1) + 0.3
    # float64, means that cancel
    assert kid(real=real, fake=fake).value == pytest.approx(double_loop(real, fake), rel=1e-11)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_kid_is_torchmetrics_on_one_subset_of_all_samples():
    real, fake = features(400, 64), features(400, 64, seed=1) + 0.1
    theirs = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=400)
    theirs = theirs.set_dtype(torch.float64)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    # as published; the same sums in another order
    assert kid(real=real, fake=fake).value == pytest.approx(theirs.compute()[0].item(), rel=1e-5)


def test_cmmd_is_scikit_learns_kernel_on_unit_vectors():
    real, fake = features(60, 8) + 0.1, features(50, 8, seed=1) * torch.arange(8) + 0.1
    x, y = (rows / rows.norm(dim=1, keepdim=True) for rows in (real, fake))
    expected = 1000 * means(*(RBF(10.0)(*pair) for pair in ((x, x), (y, y), (x, y))))
    # float64: kernel values near 1 cancel to a thousandth
    assert cmmd(real=real, fake=fake).value == pytest.approx(expected, rel=1e-9)
    assert cmmd(real=3 * real, fake=fake).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_float32_features_lose_no_digit_that_counts(metric):
    real, fake = (features(count, 20, seed).float() + 5 for seed, count in enumerate((3000, 2000)))
    found, exact = metric(real=real, fake=fake), metric(real=real.double(), fake=fake.double())
    # what rounding of 6e-8 makes of means of a kernel of up to 400, over millions of pairs
    assert abs(found.value - exact.value) < 1e-3 * exact.error
    assert found.error == pytest.approx(exact.error, rel=1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_it_is_unbiased(metric):
    found = [
        metric(real=features(10, 3, 2 * i), fake=features(8, 3, 2 * i + 1)) for i in range(400)
    ]
    standard = np.std([e.value for e in found], ddof=1) / math.sqrt(400)
    assert abs(np.mean([e.value for e in found])) < 3.5 * standard


# The error


def test_the_variance_is_hoeffdings_by_brute_force():
    # a distribution of few points, whose kernel's moments can be summed
    x, y = features(5, 3), features(6, 3, seed=1) + 1
    k_xx, k_yy, k_xy = ((a @ b.T / 3 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))

    def of_one(within, between):
        influence = within.mean(1) - between.mean(1)
        centred = within - within.mean(0) - within.mean(1, keepdim=True) + within.mean()
        return influence.var(correction=0), centred.square().mean()

    (z_x, z_xx), (z_y, z_yy) = of_one(k_xx, k_xy), of_one(k_yy, k_xy.T)
    z_xy = (k_xy - k_xy.mean(0) - k_xy.mean(1, keepdim=True) + k_xy.mean()).square().mean()
    n, m = 40, 30
    variance = 4 * z_x / n + 4 * z_y / m + 4 * z_xy / (n * m)
    variance += 2 * z_xx / (n * (n - 1)) + 2 * z_yy / (m * (m - 1))
    generator = torch.Generator().manual_seed(0)
    found = [
        kid(
            real=x[torch.randint(5, (n,), generator=generator)],
            fake=y[torch.randint(6, (m,), generator=generator)],
        )
        for _ in range(600)
    ]
    squares = np.array([e.error**2 for e in found])
    # unbiased where the first two terms are far above 0
    assert abs(squares.mean() - variance) < 3.5 * squares.std() / math.sqrt(600)
    deviation = np.std([e.value for e in found], ddof=1)
    assert deviation == pytest.approx(variance.sqrt().item(), rel=0.1)  # 600 give 3 %


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "m", "d", "shift"), [(100, 100, 20, 0.0), (200, 60, 20, 0.1), (60, 60, 20, 1.0)]
)
def test_the_error_is_the_deviation_over_pairs_of_sets(metric, n, m, d, shift):
    values, errors, gaps = [], [], []
    for i in range(150):
        real = features(n, d, 3 * i)
        a, b = (metric(real=real, fake=features(m, d, 3 * i + s) + shift) for s in (1, 2))
        values.append(a.value)
        errors.append(a.error)
        gaps.append((a.value - b.value, error_of_difference(a, b, same_images=True)))
    # 150 draws give a deviation to 6 %; at equal distributions the bound adds some 15 %
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.3)
    apart, claimed = np.array(gaps).T
    assert math.sqrt(np.mean(claimed**2)) == pytest.approx(np.sqrt(np.mean(apart**2)), rel=0.3)


# What must not matter


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tile", [1, 7, 100_000])
def test_tiles_do_not_matter(metric, tile, monkeypatch):
    real, fake = features(50, 5), features(37, 5, seed=1) + 0.2
    expected = metric(real=real, fake=fake)
    monkeypatch.setattr(module, "TILE", tile)
    found = metric(real=real, fake=fake)
    # float64: differences of means, and of sums of squares
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.error == pytest.approx(expected.error, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_samples_does_not_matter(metric):
    real, fake = features(300, 5), features(200, 5, seed=1)
    found, expected = metric(real=real, fake=fake.flip(0)), metric(real=real, fake=fake)
    assert found.value == pytest.approx(expected.value, rel=1e-8)  # float64, differences of means
    assert found.error == pytest.approx(expected.error, rel=1e-6)
    # which real images make the halves is by their order, to four digits
    assert found.shared == pytest.approx(expected.shared, rel=1e-3, abs=1e-3 * expected.error)


@pytest.mark.parametrize("metric", METRICS)
def test_real_and_fake_may_be_swapped(metric):
    real, fake = features(30, 5), features(20, 5, seed=1) + 0.3
    there, back = metric(real=real, fake=fake), metric(real=fake, fake=real)
    assert there.value == pytest.approx(back.value, rel=1e-9)  # float64 sums in another order
    assert there.error == pytest.approx(back.error, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_rotations_and_shapes_do_not_matter(metric):
    real, fake = features(300, 6), features(200, 6, seed=1) + 0.3
    turn = torch.linalg.qr(features(6, 6, seed=2) - 0.5).Q
    expected = metric(real=real, fake=fake)
    found = metric(real=real @ turn, fake=fake @ turn)
    assert found.value == pytest.approx(expected.value, rel=1e-8)  # float64
    assert metric(real=real.view(-1, 2, 3), fake=fake.view(-1, 2, 3)) == expected


def test_the_arguments_are_left_alone():
    real, fake = features(100, 5), features(100, 5, seed=1)
    for metric in METRICS:
        metric(real=real, fake=fake)
    assert torch.equal(real, features(100, 5))
    assert torch.equal(fake, features(100, 5, seed=1))


# Direction


@pytest.mark.parametrize("metric", METRICS)
def test_one_distribution_is_at_no_distance(metric):
    found = metric(real=features(1000, 8), fake=features(1000, 8, seed=1))
    assert abs(found.value) < 3 * found.error


@pytest.mark.parametrize("metric", METRICS)
def test_constant_sets_are_at_no_distance_without_error(metric):
    constant = torch.ones(50, 3)
    found = metric(real=constant, fake=constant)
    assert found.value == pytest.approx(0, abs=1e-10)  # float64's rounding of a thousand times 1
    assert found.error == pytest.approx(0, abs=1e-4)  # and of its root


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, amount: x + amount,
        lambda x, amount: x + amount * features(*x.shape, seed=5),
        lambda x, amount: x[: round(len(x) * (1 - amount))],  # x is sorted
    ],
    ids=["shifted", "noisy", "modes lost"],
)
def test_the_worse_the_samples_the_larger_the_distance(metric, spoil):
    real, fake = features(1000, 8), features(1000, 8, seed=1)
    fake = fake[fake[:, 0].argsort()]
    values = [metric(real=real, fake=spoil(fake, a)).value for a in (0.0, 0.2, 0.4)]
    assert values == sorted(values)
    assert values[1] > abs(values[0])
