"""The feature likelihood divergence: its parts by hand, its directions, its error."""

import math

import pytest
import torch

from frenemy.judge.fld import fld

from .clouds import cloud, shuffled

D, KINDS = 16, 10


def kinds(count, kinds=KINDS, seed=0, spread=1.0):
    """Points about as many centres, near to planes of four dimensions that differ between these."""
    which = torch.arange(count) % kinds
    planes = cloud(KINDS * 4, D, 77).view(KINDS, 4, D)
    inside = (spread * cloud(count, 4, seed)[:, None] @ planes[which]).squeeze(1)
    return shuffled(3 * cloud(KINDS, D, 99)[which] + inside + 0.1 * cloud(count, D, seed + 1000))


def sets(count=400, seed=0):
    """Held-out images, fresh samples and training images of the same distribution."""
    return (kinds(count, seed=seed + i) for i in range(3))


def test_where_every_sample_is_the_mean_it_is_the_cost_of_one_variance():
    """Gaussians on one point are one Gaussian, whose variance is the mean square: by hand."""
    real, train = cloud(300, D, 1), cloud(400, D, 2)
    fake = train.mean(0).expand(50, -1)
    deviation, mean = torch.std_mean(train, 0)
    x, y = (((rows - mean) / deviation).square().sum(1) for rows in (real, train))
    variance = y.mean() / D  # the likeliest
    alone = -(x + D * math.log(math.tau)) / 2
    as_told = -(x / variance + D * (math.log(math.tau) + variance.log())) / 2
    expected = 100 / D * (alone - as_told)
    found = fld(real=real, fake=fake, train=train)
    # squares are kept in float32: 1e-7 of them, and 100 / d of that
    assert found.value == pytest.approx(expected.mean().item(), abs=1e-4)


def test_scale_and_shift_of_a_feature_do_not_matter():
    real, fake, train = sets()
    scale, shift = cloud(1, D, 7).abs() + 0.1, cloud(1, D, 8)
    moved = (x * scale + shift for x in (real, fake, train))
    expected = fld(real=real, fake=fake, train=train)
    found = fld(**dict(zip(("real", "fake", "train"), moved, strict=True)))
    assert found.value == pytest.approx(expected.value, abs=1e-2)  # float32 squares, as above
    assert expected.value < -5  # far likelier than under one Gaussian, as there are ten kinds


@pytest.mark.parametrize("how", ["copies", "near copies", "half copies", "noisy", "blurred", "few"])
def test_what_is_wrong_costs(how):
    real, fake, train = sets()
    worse = {
        "copies": train,
        "near copies": train + 0.05 * cloud(len(train), D, 5),
        "half copies": torch.cat([fake[::2], train[::2]]),
        "noisy": fake + cloud(len(fake), D, 5),
        "blurred": kinds(len(fake), seed=1, spread=0.4),
        "few": kinds(len(fake), KINDS // 2, seed=1),
    }[how]
    fresh, found = (fld(real=real, fake=x, train=train) for x in (fake, worse))
    assert found.value - fresh.value > 4 * math.hypot(fresh.error, found.error)


def test_error_is_that_of_drawing_all_anew():
    found = []
    for seed in range(0, 180, 3):
        real, fake, train = sets(200, seed)
        found.append(fld(real=real, fake=fake, train=train))
    scatter = torch.tensor([x.value for x in found]).std().item()
    claimed = torch.tensor([x.error for x in found]).square().mean().sqrt().item()
    # 60 values have a deviation that is good to 9 %
    assert 0.8 < claimed / scatter < 1.35


def test_order_makes_no_difference():
    real, fake, train = sets()
    one = fld(real=real, fake=fake, train=train)
    other = fld(real=real, fake=shuffled(fake), train=shuffled(train))
    assert other.value == pytest.approx(one.value, abs=1e-4)
    assert other.error == pytest.approx(one.error, rel=1e-3)
