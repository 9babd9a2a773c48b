"""Precision, recall, density and coverage against prdc and closed forms; their direction."""

import math

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from frenemy.errors import FrenemyError
from frenemy.judge import coverage, distances
from frenemy.judge.coverage import (
    Manifold,
    neighbourhoods,
    precision_recall_density_coverage,
    share,
)
from frenemy.judge.estimate import SPLITS, error_of_difference, half_signs

from .clouds import cloud, modes, shuffled

NAMES = ("precision", "recall", "density", "coverage")


def estimates(real, fake, k=5):
    found = precision_recall_density_coverage(real=real, fake=fake, k=k)
    return {name: getattr(found, name) for name in NAMES}


def values(real, fake, k=5):
    return {name: estimate.value for name, estimate in estimates(real, fake, k).items()}


def plain(real, fake, k):
    """The four, and who is within, with nothing but float64 differences."""

    def squares(x, y):
        return (x.double()[:, None] - y.double()).square().sum(2)

    def radii(x):
        return squares(x, x).sort(1).values[:, k]

    between = squares(real, fake)
    held = between < radii(real)[:, None] * (1 - 1e-9)
    back = between < radii(fake) * (1 - 1e-9)
    found = {
        "precision": held.any(0).double().mean().item(),
        "recall": back.any(1).double().mean().item(),
        "density": held.sum().item() / (k * len(fake)),
        "coverage": held.any(1).double().mean().item(),
    }
    return found, held.any(0), back.any(1)


# Values


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(40, 40, 2), (150, 60, 5), (60, 150, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_prdcs(n, m, d, k, dtype):
    real, fake = cloud(n, d).to(dtype), (0.8 * cloud(m, d, seed=1) + 0.3).to(dtype)
    expected = compute_prdc(real.double().numpy(), fake.double().numpy(), k)
    assert values(real, fake, k) == pytest.approx(expected, rel=1e-12)  # counts, over counts


@pytest.mark.parametrize("k", [1, 3, 5])
def test_real_samples_are_covered_as_often_as_chance_has_it(k):
    real, fake = cloud(1500, 3), cloud(1500, 3, seed=1)
    found = estimates(real, fake, k)
    n, m = len(real), len(fake)
    # Naeem et al.: no fake one is among the k nearest of n + m - 1 others
    expected = 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    assert abs(found["coverage"].value - expected) < 4 * found["coverage"].error
    assert abs(found["density"].value - 1) < 4 * found["density"].error


def test_identical_sets_have_everything():
    real = cloud(300, 4)
    for fake in (real, shuffled(real)):
        assert values(real, fake) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_sets_far_apart_have_nothing():
    found = values(cloud(50, 3), cloud(50, 3, seed=1) + 100)
    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_points_without_a_neighbourhood_are_told():
    same = torch.ones(20, 3)
    found = estimates(same, same)
    assert {estimate.value for estimate in found.values()} == {0}  # open balls of radius 0
    assert all(found[name].note.startswith("20 of 20 real") for name in found if name != "recall")
    assert found["recall"].note.startswith("20 of 20 fake")
    found = estimates(cloud(20, 3), same)
    assert [bool(estimate.note) for estimate in found.values()] == [False, True, False, False]


COPIES = torch.cat([cloud(40, 6, seed=3).repeat(9, 1), cloud(60, 6, seed=4)])
SETS = {
    "digits of float32 do not tell them": (
        1e-4 * cloud(300, 2) + 1e3,
        1e-4 * cloud(300, 2, 1) + 1e3,
    ),
    "on a lattice": (cloud(400, 3).round(), cloud(350, 3, seed=1).round()),
    "copies": (COPIES, shuffled(COPIES)[:200]),
    "one far away": (torch.cat([cloud(200, 9), 1e6 + cloud(1, 9)]), cloud(200, 9, seed=1)),
    "far apart clumps": (
        modes(300, 9, 20),
        1e-4 * cloud(300, 20) + modes(300, 3, 20) - cloud(300, 20),
    ),
    "all in one place": (cloud(300, 30), 0.01 * cloud(250, 30, seed=1)),
    "vast": (1e25 * cloud(200, 4), 1e25 * cloud(200, 4, seed=1)),
    "tiny": (1e-25 * cloud(200, 4), 1e-25 * cloud(200, 4, seed=1)),
    "wide": (cloud(60, 3000), cloud(60, 3000, seed=1)),
}


@pytest.mark.parametrize("name", SETS)
def test_values_are_those_of_float64(name):
    real, fake = (points.float() for points in SETS[name])
    found = precision_recall_density_coverage(real=real, fake=fake, k=4)
    expected, precise, recalled = plain(real, fake, 4)
    assert {n: getattr(found, n).value for n in NAMES} == pytest.approx(expected, rel=1e-12)
    assert torch.equal(found.precise, precise)
    assert torch.equal(found.recalled, recalled)


# Direction


def test_collapse_costs_recall_and_coverage_but_not_precision():
    real, whole, collapsed = modes(600, 10, 4), modes(600, 10, 4, seed=1), modes(600, 2, 4, seed=1)
    good, bad = values(real, whole), values(real, collapsed)
    assert bad["recall"] < 0.3 < 0.8 < good["recall"]
    assert bad["coverage"] < 0.3 < 0.8 < good["coverage"]
    assert bad["precision"] > good["precision"] - 0.05
    assert bad["density"] > good["density"] - 0.1


def test_junk_costs_precision_and_density_but_not_recall_or_coverage():
    real, fake, junk = modes(600, 5, 4), modes(600, 5, 4, seed=1), 30 * cloud(600, 4, seed=2)
    good, bad = values(real, fake), values(real, torch.cat([fake, junk]))
    assert bad["precision"] < 0.6 * good["precision"]
    assert bad["density"] < 0.6 * good["density"]
    assert bad["recall"] > good["recall"] - 0.02  # where the good ones are, they still are
    assert bad["coverage"] == good["coverage"]


def test_precision_of_one_is_recall_of_the_other():
    real, fake = modes(200, 4, 3), modes(300, 2, 3, seed=1)
    there, back = values(real, fake), values(fake, real)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])
    assert there["precision"] > there["recall"] + 0.2


# Errors


def by_force(real, fake, k):
    """Squared errors and shared parts of the four by metrics on halves, one after the other."""
    first, second = half_signs(len(real)) > 0, (half_signs(len(fake)) > 0).roll(1, 0)
    whole, deviations, sums, means = plain(real, fake, k)[0], [], [], []
    for x, y in zip(first, second, strict=True):
        aa, bb, ab, ba = (
            np.array(list(plain(real[i], fake[j], k)[0].values()))
            for i, j in ((x, y), (~x, ~y), (x, ~y), (~x, y))
        )
        deviations += [aa - bb, ab - ba]
        sums.append((aa + ab - ba - bb) / 4)
        means.append((aa + bb + ab + ba) / 4)
    mean, value = np.mean(means, 0), np.array(list(whole.values()))
    share = np.sqrt(np.abs(value * (1 - value)) / np.maximum(mean * (1 - mean), 1e-300))
    scale = np.where(np.array(list(whole)) == "density", value / np.maximum(mean, 1e-300), share)
    least = 1 / np.array([len(fake), len(real), k * len(fake), len(real)])
    errors = np.maximum(np.sqrt(np.mean(np.square(deviations), 0) / 4) * scale, least)
    return dict(zip(whole, errors, strict=True)), dict(
        zip(whole, (np.array(sums) * scale).T, strict=True)
    )


@pytest.mark.parametrize(
    ("real", "fake", "k"),
    [
        (cloud(60, 3), 0.8 * cloud(50, 3, seed=1) + 0.3, 3),
        (cloud(41, 2), cloud(65, 2, seed=1), 1),
        (modes(80, 4, 5), modes(60, 2, 5, seed=1), 5),
        (cloud(60, 2).round(), cloud(70, 2, seed=1).round(), 2),  # ties
        (cloud(50, 20), 0.05 * cloud(60, 20, seed=1), 3),  # all balls hold all
    ],
    ids=["odd", "one", "modes", "ties", "dense"],
)
def test_errors_are_those_of_halves(real, fake, k):
    found, (errors, shared) = estimates(real, fake, k), by_force(real, fake, k)
    for name in NAMES:
        # of 60 points' lists of 4 k + 4 some end before a half's k-th neighbour: a few in 1,000
        assert found[name].error == pytest.approx(errors[name], rel=0.03)
        assert len(found[name].shared) == SPLITS
        missed = np.linalg.norm(found[name].shared - shared[name])
        assert missed <= 0.1 * np.linalg.norm(shared[name])


@pytest.mark.parametrize("dense", [-1.0, 2.0])
def test_pairs_taken_at_once_have_the_errors_of_pairs_taken_one_by_one(dense, monkeypatch):
    real, fake = cloud(400, 20), 0.3 * cloud(300, 20, seed=1)
    expected = estimates(real, fake)
    monkeypatch.setattr(coverage, "DENSE", dense)
    for name, estimate in estimates(real, fake).items():
        assert estimate.value == expected[name].value
        # one by one, what is within 1e-4 of a radius of a half is taken to be outside
        assert estimate.error == pytest.approx(expected[name].error, rel=0.01)


@pytest.mark.parametrize("d", [8, 64])
def test_errors_are_the_deviations_over_other_samples(d):
    generator = torch.Generator().manual_seed(0)
    runs, pairs = [], []
    for _ in range(60):
        real, *fakes = torch.randn(3, 150, d, generator=generator)
        manifold = Manifold.of(real)
        a, b = (neighbourhoods(manifold, Manifold.of(fake)) for fake in fakes)
        runs.append(a)
        pairs.append((a, b))
    for name in NAMES:
        ours = [getattr(run, name) for run in runs]
        claimed = np.sqrt(np.mean([x.error**2 for x in ours]))
        # 60 deviates give their deviation to 9 %
        assert claimed / np.std([x.value for x in ours]) == pytest.approx(1, abs=0.3)
        both = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
        claimed = np.sqrt(
            np.mean([error_of_difference(a, b, same_images=True) ** 2 for a, b in both])
        )
        assert claimed / np.std([a.value - b.value for a, b in both]) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("n", range(6, 21))
def test_small_sets_have_errors_where_halves_have_neighbourhoods(n):
    for fake in (cloud(n, 3, seed=1), cloud(40, 3, seed=1)):
        for real in (cloud(n, 3), torch.ones(n, 3)):
            for estimate in estimates(real, fake).values():
                assert math.isnan(estimate.error) == (n < 12)  # halves of 6 or more
                assert bool(estimate.shared) == (n >= 12)


def test_the_same_sets_have_the_same_estimates():
    real, fake = cloud(70, 4), 1.2 * cloud(90, 4, seed=1)
    assert estimates(real, fake) == estimates(real, fake)


def test_a_share_of_all_or_none_has_an_error():
    assert share(torch.zeros(100)).error == share(torch.ones(100)).error
    assert share(torch.ones(100)).error == pytest.approx(math.sqrt(0.01 * 0.99 / 100))


# What must not matter


@pytest.mark.parametrize("block", [100, 7000])
def test_blocks_do_not_matter(block, monkeypatch):
    real, fake = cloud(70, 4), 1.2 * cloud(90, 4, seed=1)
    expected = estimates(real, fake)
    for module in (coverage, distances):
        monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(coverage, "PAIRS", block)
    assert estimates(real, fake) == expected


def test_order_shift_rotation_and_scale_do_not_matter():
    real, fake = cloud(70, 4), 1.2 * cloud(90, 4, seed=1)
    expected = values(real, fake)
    assert values(shuffled(real), shuffled(fake)) == expected
    turn = torch.linalg.qr(cloud(4, 4, seed=2))[0]
    assert values(9 * (real @ turn) + 7, 9 * (fake @ turn) + 7) == expected


def test_images_are_vectors():
    real, fake = cloud(30, 12), cloud(30, 12, seed=1)
    assert values(real.view(-1, 3, 2, 2), fake.view(-1, 3, 2, 2)) == values(real, fake)


@pytest.mark.parametrize(
    ("k", "said"),
    [
        (0, "k is 0: give 1 or more"),
        (9, "precision and recall: 9 in real: needs 10 or more"),
    ],
)
def test_balls_need_more_points_than_neighbours_and_a_neighbour(k, said):
    with pytest.raises(FrenemyError, match=f"^{said}$"):
        precision_recall_density_coverage(real=cloud(9, 4), fake=cloud(9, 4), k=k)
