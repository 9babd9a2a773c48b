"""Sliced Wasserstein distances against matchings and closed forms; orders of their own."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from frenemy.errors import FrenemyError
from frenemy.judge import slices as module
from frenemy.judge.slices import own_order, project, sliced_wasserstein

from .clouds import cloud, modes, shuffled


def by_matching(x, y):
    """W2 of points on a line: the cheapest matching of as many copies of each."""
    count = math.lcm(len(x), len(y))
    x, y = x.repeat(count // len(x)), y.repeat(count // len(y))
    costs = (x[:, None] - y).square().numpy()
    return math.sqrt(costs[linear_sum_assignment(costs)].mean())


def value(real, fake, **options):
    return sliced_wasserstein(real=real, fake=fake, **options).value


# Values


@pytest.mark.parametrize(("n", "m"), [(4, 4), (12, 12), (4, 6), (15, 10), (7, 13), (5, 9)])
def test_on_a_line_it_is_the_cheapest_matching(n, m):
    x, y = cloud(n, 1), 2 * cloud(m, 1, seed=1) + 1
    found = value(x, y)  # every direction is 1 or -1
    assert found == pytest.approx(by_matching(x[:, 0], y[:, 0]), rel=1e-12)  # float64


def test_in_a_plane_it_is_the_mean_over_directions():
    x, y = cloud(12, 2), cloud(8, 2, seed=1) + 1
    generator = torch.Generator().manual_seed(5)
    u = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    u = u / u.norm(dim=1, keepdim=True)
    squares = [by_matching(x @ direction, y @ direction) ** 2 for direction in u]
    expected = math.sqrt(sum(squares) / 30)
    assert value(x, y, projections=30, seed=5) == pytest.approx(expected, rel=1e-12)  # float64


@pytest.mark.parametrize("d", [1, 3, 100])
def test_a_shift_counts_by_its_length_over_root_d(d):
    x, shift = cloud(50, d), cloud(1, d, seed=1)
    found = value(x, x + shift, projections=4000)
    # (u.m)^2 has deviation sqrt 2 |m|^2 / d or less: 4,000 give the root of its mean to 1.1 %
    assert found == pytest.approx(shift.norm().item() / math.sqrt(d), rel=0.04)


@pytest.mark.parametrize(("mean", "deviation"), [(2, 1), (0, 3), (1, 0.5)])
def test_normal_distributions_are_as_far_apart_as_the_closed_form(mean, deviation):
    found = sliced_wasserstein(
        real=cloud(20_000, 1), fake=mean + deviation * cloud(15_000, 1, seed=1), projections=2
    )
    expected = math.hypot(mean, deviation - 1)
    assert abs(found.value - expected) < 3 * found.error
    assert found.error < 0.03


def test_it_is_symmetric_scales_and_ignores_a_common_shift():
    x, y = cloud(30, 5), 2 * cloud(40, 5, seed=1)
    expected = value(x, y)
    assert value(y, x) == pytest.approx(expected, rel=1e-12)  # float64 throughout
    assert value(3 * x, 3 * y) == pytest.approx(3 * expected, rel=1e-12)
    assert value(x + 1e4, y + 1e4) == pytest.approx(expected, rel=1e-9)


def test_identical_sets_are_at_zero_and_it_is_said():
    x = cloud(30, 5)
    found = sliced_wasserstein(real=x, fake=x)
    assert (found.value, found.error) == (0, 0)
    assert "same samples" in found.note
    other = sliced_wasserstein(real=x, fake=x.flip(0))
    assert other.value < 1e-14  # the products may be rounded otherwise
    assert other.error < 1e-7


def test_constant_sets_are_as_far_apart_as_their_constants():
    found = sliced_wasserstein(real=torch.zeros(9, 1), fake=torch.full((5, 1), 2.0))
    assert (found.value, found.error, found.note) == (2, 0, "")


# Direction


def test_collapse_and_noise_cost_distance():
    real, fake = modes(400, 8, 6), modes(400, 8, 6, seed=1)
    good = sliced_wasserstein(real=real, fake=fake)
    for worse in (modes(400, 2, 6, seed=1), fake + 5 * cloud(400, 6, seed=2)):
        bad = sliced_wasserstein(real=real, fake=worse)
        assert bad.value > good.value + 3 * (good.error + bad.error)


# Errors


@pytest.mark.parametrize(
    ("n", "m", "shift", "scale"), [(200, 200, 1, 1), (300, 100, 0, 2), (100, 300, 2, 0.5)]
)
def test_the_error_is_the_deviation_over_other_samples(n, m, shift, scale):
    found = [
        sliced_wasserstein(
            real=cloud(n, 3, seed=s),
            fake=scale * cloud(m, 3, seed=10_000 + s) + shift,
            projections=16,
        )
        for s in range(200)
    ]
    deviation = torch.tensor([estimate.value for estimate in found]).std().item()
    mean = sum(estimate.error for estimate in found) / len(found)
    assert mean == pytest.approx(deviation, rel=0.2)  # 200 deviates: 5 %; the delta method's own


def bootstrap(statistic, sets, *, seed, times):
    """The deviation of the statistic over sets drawn anew from themselves: Efron (1979)."""
    generator = torch.Generator().manual_seed(seed)

    def again(rows):
        return rows[torch.randint(len(rows), (len(rows),), generator=generator)]

    values = [statistic(*(again(rows) for rows in sets)) for _ in range(times)]
    return torch.tensor(values, dtype=torch.float64).std().item()


def test_the_error_is_the_bootstraps():
    real, fake = cloud(300, 3), 1.5 * cloud(200, 3, seed=1) + 1
    expected = bootstrap(lambda x, y: value(x, y, projections=16), [real, fake], seed=0, times=100)
    found = sliced_wasserstein(real=real, fake=fake, projections=16).error
    assert found == pytest.approx(expected, rel=0.3)  # 100 deviates give their deviation to 7 %


def test_of_one_distribution_the_error_is_no_larger_than_the_value():
    found = sliced_wasserstein(real=cloud(500, 3), fake=cloud(500, 3, seed=1))
    assert 0 < found.error < found.value < 0.15  # about 1 / sqrt 500


# What must not matter


@pytest.mark.parametrize("tile", [1, 7, 1000])
def test_tiles_do_not_matter(tile, monkeypatch):
    real, fake = cloud(30, 5), cloud(40, 5, seed=1) + 1
    expected = sliced_wasserstein(real=real, fake=fake, projections=20)
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "SLICES", tile)
    found = sliced_wasserstein(real=real, fake=fake, projections=20)
    assert found.value == pytest.approx(expected.value, rel=1e-12)  # float64
    assert found.error == pytest.approx(expected.error, rel=1e-12)


def test_order_does_not_matter():
    real, fake = cloud(30, 5), cloud(40, 5, seed=1) + 1
    expected = sliced_wasserstein(real=real, fake=fake)
    found = sliced_wasserstein(real=shuffled(real), fake=shuffled(fake))
    assert found.value == pytest.approx(expected.value, rel=1e-12)  # float64
    assert found.error == pytest.approx(expected.error, rel=1e-12)


def test_directions_are_a_function_of_the_seed_alone():
    real, fake = cloud(30, 5), cloud(40, 5, seed=1) + 1
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, other = value(real, fake), value(real, fake, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert first == value(real, fake) != other
    # squares over 128 directions of 5 dimensions deviate by some 10 %
    assert other == pytest.approx(first, rel=0.3)


# Orders


def test_an_own_order_is_one_of_all_rows_and_not_a_sorted_one():
    rows = cloud(500, 3)
    order = own_order(rows, seed=0)
    assert order.sort().values.tolist() == list(range(500))
    for u in (*torch.eye(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)):
        along = project(rows[order], u[None])[0]
        assert abs(torch.corrcoef(torch.stack([along, torch.arange(500.0)]))[0, 1]) < 0.2  # .045


def test_an_own_order_does_not_depend_on_how_the_rows_come():
    rows = torch.cat([cloud(100, 3), cloud(20, 3)])  # with copies
    mixed = shuffled(rows)
    assert torch.equal(rows[own_order(rows, seed=4)], mixed[own_order(mixed, seed=4)])
    assert not torch.equal(rows[own_order(rows, seed=5)], mixed[own_order(mixed, seed=4)])


def test_no_directions_are_refused():
    with pytest.raises(FrenemyError, match=r"^projections is 0: give 1 or more$"):
        sliced_wasserstein(real=cloud(9, 4), fake=cloud(9, 4), projections=0)
