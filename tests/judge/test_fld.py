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


def test_gaussians_on_two_far_points_have_the_variances_about_these():
    """Then p(x) is known: half and half of two Gaussians, by torch's distributions."""
    centres = torch.tensor([-20.0, 20.0], dtype=torch.float64)[:, None] * torch.ones(D)
    widths = torch.tensor([1.0, 3.0], dtype=torch.float64)[:, None]
    real, train = (
        shuffled(
            (centres[:, None] + widths[:, None] * cloud(300, D, i).view(2, 150, D)).flatten(0, 1)
        )
        for i in (1, 2)
    )
    fake = centres.repeat(25, 1)
    deviation, mean = torch.std_mean(train, 0)
    x, y, at = ((rows - mean) / deviation for rows in (real, train, centres))
    squares = (y[:, None] - at).square().sum(2)  # (300, 2)
    variances = [squares[squares.argmin(1) == k, k].mean() / D for k in range(2)]
    normal = torch.distributions.Normal
    likely = [normal(at[k], variances[k].sqrt()).log_prob(x).sum(1) for k in range(2)]
    log_p = torch.stack(likely).logsumexp(0) - math.log(2)
    expected = 100 / D * (normal(0.0, 1.0).log_prob(x).sum(1) - log_p)
    found = fld(real=real, fake=fake, train=train)
    # squares are kept in float32: 1e-7 of some hundreds, in variances of a hundredth
    assert found.value == pytest.approx(expected.mean().item(), abs=1e-2)


def test_scale_and_shift_of_a_feature_do_not_matter():
    real, fake, train = sets()
    scale, shift = cloud(1, D, 7).abs() + 0.5, cloud(1, D, 8)
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
    for seed in range(0, 120, 3):
        real, fake, train = sets(200, seed)
        found.append(fld(real=real, fake=fake, train=train))
    scatter = torch.tensor([x.value for x in found]).std().item()
    claimed = torch.tensor([x.error for x in found]).square().mean().sqrt().item()
    # 40 values have a deviation that is good to 11 %
    assert 0.8 < claimed / scatter < 1.35


def test_one_image_in_which_a_dead_feature_moves_does_not_decide():
    real, fake, train = (torch.cat([x, 1e-4 * cloud(len(x), 1, 5)], 1) for x in sets())
    expected = fld(real=real, fake=fake, train=train)
    real[0, -1] = 0.5  # 5,000 of its deviations, in a feature that is as good as dead
    found = fld(real=real, fake=fake, train=train)
    assert abs(found.value - expected.value) < expected.error


def test_order_makes_no_difference():
    real, fake, train = sets()
    one = fld(real=real, fake=fake, train=train)
    other = fld(real=real, fake=shuffled(fake), train=shuffled(train))
    assert other.value == pytest.approx(one.value, abs=1e-4)
    assert other.error == pytest.approx(one.error, rel=1e-3)
