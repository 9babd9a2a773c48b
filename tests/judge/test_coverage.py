"""Precision, recall, density and coverage against prdc and closed forms; their direction."""

import math

import pytest
import torch
from prdc import compute_prdc

from frenemy.errors import FrenemyError
from frenemy.judge import distances
from frenemy.judge.coverage import precision_recall_density_coverage, share

from .clouds import cloud, modes, shuffled


def values(real, fake, k=5):
    found = precision_recall_density_coverage(real=real, fake=fake, k=k)
    return {name: estimate.value for name, estimate in found.items()}


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
    found = precision_recall_density_coverage(real=real, fake=fake, k=k)
    n, m = len(real), len(fake)
    # Naeem et al.: no fake one is among the k nearest of n + m - 1 others
    expected = 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    # the shared fake samples make the 1,500 hits depend on each other: 5 errors, not 3
    assert abs(found["coverage"].value - expected) < 5 * found["coverage"].error
    assert abs(found["density"].value - 1) < 5 * found["density"].error


def test_identical_sets_have_everything():
    real = cloud(300, 4)
    for fake in (real, shuffled(real)):
        assert values(real, fake) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_sets_far_apart_have_nothing():
    found = values(cloud(50, 3), cloud(50, 3, seed=1) + 100)
    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_points_without_a_neighbourhood_are_told():
    same = torch.ones(20, 3)
    found = precision_recall_density_coverage(real=same, fake=same)
    assert {estimate.value for estimate in found.values()} == {0}  # open balls of radius 0
    assert all(found[name].note.startswith("20 of 20 real") for name in found if name != "recall")
    assert found["recall"].note.startswith("20 of 20 fake")
    found = precision_recall_density_coverage(real=cloud(20, 3), fake=same)
    assert [bool(estimate.note) for estimate in found.values()] == [False, True, False, False]


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


def test_the_errors_are_the_deviations_over_other_samples_given_the_balls():
    real = cloud(400, 3)
    runs = [
        precision_recall_density_coverage(real=real, fake=2 * cloud(400, 3, seed=s), k=3)
        for s in range(1, 81)
    ]
    for name in ("precision", "density"):
        found = torch.tensor([run[name].value for run in runs]).std().item()
        # 80 deviates give their deviation to 8 %
        assert runs[0][name].error == pytest.approx(found, rel=0.3)


def test_the_error_of_density_leaves_out_how_the_balls_would_be_drawn_anew():
    generator = torch.Generator().manual_seed(0)
    founds = [
        precision_recall_density_coverage(real=real, fake=0.9 * fake)
        for real, fake in (torch.randn(2, 300, 64, generator=generator) for _ in range(200))
    ]
    values, errors = zip(*((x["density"].value, x["density"].error) for x in founds), strict=True)
    # a deviation of 200 is known to 5 %
    assert torch.tensor(values).std() > 1.3 * torch.tensor(errors).mean()


def test_a_share_of_all_or_none_has_an_error():
    assert share(torch.zeros(100)).error == share(torch.ones(100)).error
    assert share(torch.ones(100)).error == pytest.approx(math.sqrt(0.01 * 0.99 / 100))


# What must not matter


@pytest.mark.parametrize("tile", [1, 7, 64])
def test_tiles_do_not_matter(tile, monkeypatch):
    real, fake = cloud(70, 4), 1.2 * cloud(90, 4, seed=1)
    expected = values(real, fake)
    monkeypatch.setattr(distances, "TILE", tile)
    assert values(real, fake) == expected


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
