"""The kernel distance against a double loop, torchmetrics and repeated draws; its direction."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from frenemy.errors import FrenemyError
from frenemy.judge import kernel as module
from frenemy.judge.kernel import kid, mmd2


def features(count, d, seed=0):
    """Not negative, float64 (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, d, generator=generator, dtype=torch.float64).relu()


def double_loop(real, fake):
    """The three means with nothing but arithmetic."""

    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    x, y = real.tolist(), fake.tolist()
    within = [
        sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    between = sum(k(a, b) for a in x for b in y) / (len(x) * len(y))
    return sum(within) - 2 * between


class Identity(torch.nn.Module):
    """The features that torchmetrics is given are the images that it is given."""

    num_features = 64

    def forward(self, x):
        return x


# Values


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (5, 9, 3), (12, 4, 30)])
def test_mmd2_is_the_double_loop(n, m, d):
    real, fake = features(n, d), features(m, d, seed=1) + 0.3
    # float64, means that cancel
    assert mmd2(real=real, fake=fake) == pytest.approx(double_loop(real, fake), rel=1e-11)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_mmd2_is_torchmetrics_kid_on_one_subset_of_all_samples():
    real, fake = features(400, 64), features(400, 64, seed=1) + 0.1
    theirs = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=400)
    theirs = theirs.set_dtype(torch.float64)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    # as published; the same sums in another order
    assert mmd2(real=real, fake=fake) == pytest.approx(theirs.compute()[0].item(), rel=1e-5)


def test_float32_features_lose_no_digits():
    real, fake = features(300, 20).float(), features(200, 20, seed=1).float() + 0.1
    expected = mmd2(real=real.double(), fake=fake.double())
    assert mmd2(real=real, fake=fake) == pytest.approx(expected, rel=1e-12)  # float64 inside


def test_mmd2_is_unbiased():
    values = [mmd2(real=features(10, 3, 2 * i), fake=features(8, 3, 2 * i + 1)) for i in range(500)]
    standard = np.std(values, ddof=1) / math.sqrt(500)
    assert abs(np.mean(values)) < 3 * standard
    # the biased estimate would be off by some (mean of k(x, x) - k(x, x')) (1/10 + 1/8)
    assert standard < 0.1


def test_the_value_is_the_mean_over_disjoint_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCKS", 2)
    real, fake = (torch.arange(3.0 * n).view(n, 3) for n in (70, 95))
    blocks = []
    monkeypatch.setattr(
        module, "mmd2", lambda *, real, fake: blocks.append((real, fake)) or float(len(blocks))
    )
    found = kid(real=real, fake=fake, subset=20)
    assert found.value == 2  # of 1, 2 and 3
    assert found.error == pytest.approx(1 / math.sqrt(3), rel=1e-12)
    assert found.note == ""
    for side, rows in enumerate((real, fake)):
        used = torch.cat([block[side] for block in blocks])
        assert used.shape == (60, 3)
        assert len(used.unique(dim=0)) == 60  # none twice
        assert (used[:, None] == rows).all(2).any(1).all()  # and all of the set


def test_a_small_set_makes_ten_smaller_blocks(monkeypatch):
    real, fake = features(55, 3), features(1000, 3, seed=1)
    blocks = []
    monkeypatch.setattr(
        module, "mmd2", lambda *, real, fake: blocks.append((len(real), len(fake))) or 0.0
    )
    kid(real=real, fake=fake)
    assert blocks == [(5, 5)] * 11


def test_the_error_is_the_deviation_over_repeated_draws():
    found = [
        kid(real=features(400, 4, 2 * i), fake=features(400, 4, 2 * i + 1) + 0.3, subset=40)
        for i in range(150)
    ]
    deviation = np.std([e.value for e in found], ddof=1)
    # the deviation of 150 draws is itself good to 1 / sqrt(300) = 6 %; so is that of 10 blocks
    squares = np.mean([e.error**2 for e in found])
    assert math.sqrt(squares) == pytest.approx(deviation, rel=0.2)


# What must not matter


@pytest.mark.parametrize("tile", [1, 7, 100_000])
def test_tiles_do_not_matter(tile, monkeypatch):
    real, fake = features(50, 5), features(37, 5, seed=1) + 0.2
    expected = mmd2(real=real, fake=fake)
    monkeypatch.setattr(module, "TILE", tile)
    assert mmd2(real=real, fake=fake) == pytest.approx(expected, rel=1e-12)  # float64


def test_the_order_of_samples_does_not_matter():
    real, fake = features(300, 5), features(200, 5, seed=1)
    for metric in (mmd2, lambda **sets: kid(**sets, subset=50).value):
        found, expected = metric(real=real.flip(0), fake=fake.flip(0)), metric(real=real, fake=fake)
        assert found == pytest.approx(expected, rel=1e-9)  # float64, small differences of means


def test_real_and_fake_may_be_swapped():
    real, fake = features(30, 5), features(20, 5, seed=1) + 0.3
    # float64 sums in another order
    assert mmd2(real=real, fake=fake) == pytest.approx(mmd2(real=fake, fake=real), rel=1e-12)


def test_rotations_and_shapes_do_not_matter():
    real, fake = features(300, 6), features(200, 6, seed=1) + 0.3
    turn = torch.linalg.qr(features(6, 6, seed=2) - 0.5).Q
    expected = mmd2(real=real, fake=fake)
    assert mmd2(real=real @ turn, fake=fake @ turn) == pytest.approx(expected, rel=1e-10)  # float64
    assert mmd2(real=real.view(-1, 2, 3), fake=fake.view(-1, 2, 3)) == expected


def test_the_seed_alone_decides_the_blocks():
    real, fake = features(100, 5), features(100, 5, seed=1)
    before = torch.get_rng_state()
    found = kid(real=real, fake=fake, subset=20, seed=3)
    assert found == kid(real=real, fake=fake, subset=20, seed=3)
    assert found != kid(real=real, fake=fake, subset=20, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(real, features(100, 5))


# Direction


def test_one_distribution_is_at_no_distance():
    found = kid(real=features(2000, 8), fake=features(2000, 8, seed=1), subset=200)
    assert abs(found.value) < 3 * found.error


def test_identical_sets_are_at_no_distance():
    rows = features(2000, 8)
    found = kid(real=rows, fake=rows, subset=200)
    assert abs(found.value) < 3 * found.error
    constant = torch.ones(50, 3)
    assert kid(real=constant, fake=constant).value == 0
    assert kid(real=constant, fake=constant).error == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, amount: x + amount,
        lambda x, amount: x * (1 - amount),
        lambda x, amount: x[: round(len(x) * (1 - amount))],  # x is sorted
    ],
    ids=["shifted", "smaller", "modes lost"],
)
def test_the_worse_the_samples_the_larger_the_distance(spoil):
    real, fake = features(1000, 8), features(1000, 8, seed=1)
    fake = fake[fake[:, 0].argsort()]
    values = [mmd2(real=real, fake=spoil(fake, a)) for a in (0.0, 0.3, 0.6, 0.9)]
    assert values == sorted(values)
    assert values[1] > abs(values[0])


def test_a_subset_of_one_is_refused():
    x = features(20, 4)
    with pytest.raises(FrenemyError, match=r"^subset is 1: give 2 or more$"):
        kid(real=x, fake=x, subset=1)
