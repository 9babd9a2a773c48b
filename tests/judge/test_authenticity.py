"""The data-copying test: scipy's scores, copies flagged and honest samples not."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, norm
from sklearn.cluster import KMeans

from frenemy.errors import FrenemyError
from frenemy.judge import authenticity as module
from frenemy.judge import neighbours
from frenemy.judge.authenticity import Authenticity, data_copying, k_means, mann_whitney

from .clouds import cloud, modes, shuffled

REAL, FAKE, TRAIN = (modes(n, 6, 5, seed=n) for n in (300, 400, 500))


def by_scipy(real, fake, train):
    """Mann and Whitney's z of the distances to the training set."""
    to_train = [cdist(rows, train).min(1) for rows in (fake, real)]
    found = mannwhitneyu(*to_train, method="asymptotic", use_continuity=False)
    sign = math.copysign(1, found.statistic - len(fake) * len(real) / 2)
    return -sign * norm.ppf(found.pvalue / 2)


# Scores


@pytest.mark.parametrize(("n", "m"), [(1, 20), (30, 20), (200, 300)])
def test_the_score_without_ties_is_scipys(n, m):
    real, fake = cloud(n, 1).flatten(), cloud(m, 1, seed=1).flatten() + 0.2
    found = mannwhitneyu(fake, real, method="asymptotic", use_continuity=False)
    z = mann_whitney(real, fake)
    assert 2 * norm.sf(abs(z)) == pytest.approx(found.pvalue, rel=1e-9)  # float64
    assert (z > 0) == (found.statistic > n * m / 2)


def test_ties_count_half():
    real, fake = (torch.tensor(numbers).float() for numbers in ([0, 1, 1, 2], [1, 1, 3]))
    u = 2 * (1 + 2 / 2) + 4  # each 1 is above one and ties with two
    expected = (u - 6) / math.sqrt(12 * 8 / 12)
    assert mann_whitney(real, fake) == pytest.approx(expected)
    assert mann_whitney(torch.zeros(5), torch.zeros(7)) == 0


def test_one_cell_is_one_score():
    found = data_copying(real=REAL, fake=FAKE, train=TRAIN, cells=1)
    assert found.value == pytest.approx(by_scipy(REAL, FAKE, TRAIN), abs=1e-2)  # float32: near ties
    assert found.error == 1


def test_cells_are_weighted_by_the_real_images_and_dropped_for_want_of_fakes():
    # three cells apart by 1000: 60, 30 and 10 % of the real images; 19 samples in the last
    at = torch.tensor([0.0, 1000.0, 2000.0])
    real, fake, train = (
        torch.cat([cloud(c, 2, seed=seed + c) + x for c, x in zip(counts, at, strict=True)])
        for counts, seed in (((60, 30, 10), 0), ((20, 80, 19), 1), ((90, 91, 92), 2))
    )
    z = [
        by_scipy(real[a:b], fake[c:e], train)
        for (a, b), (c, e) in (((0, 60), (0, 20)), ((60, 90), (20, 100)))
    ]
    found = data_copying(real=real, fake=fake, train=train, cells=3)
    assert found.value == pytest.approx((0.6 * z[0] + 0.3 * z[1]) / 0.9, abs=1e-2)  # float32
    assert found.error == pytest.approx(math.hypot(0.6, 0.3) / 0.9)
    more = data_copying(real=real, fake=torch.cat([fake, fake[-1:]]), train=train, cells=3)
    assert more.error == pytest.approx(math.hypot(0.6, 0.3, 0.1))


# Verdicts


@pytest.mark.parametrize("noise", [0, 1e-6, 0.05])
def test_copies_of_training_images_are_flagged(noise):
    fake = TRAIN[:400] + noise * cloud(400, 5, seed=7)
    found = data_copying(real=REAL, fake=fake, train=TRAIN)
    assert found.value < -3
    assert found.note.startswith("copying")


@pytest.mark.parametrize("seed", range(5))
def test_honest_samples_are_not_flagged(seed):
    found = data_copying(real=REAL, fake=modes(400, 6, 5, seed=1000 + seed), train=TRAIN)
    assert abs(found.value) < 3
    assert found.note == "no sign of copying"


def test_half_copied_is_flagged_and_noise_is_underfitting():
    half = torch.cat([TRAIN[:200], FAKE[:200]])
    assert data_copying(real=REAL, fake=half, train=TRAIN).value < -2
    found = data_copying(real=REAL, fake=FAKE + 2 * cloud(400, 5, seed=7), train=TRAIN)
    assert found.value > 3
    assert found.note.startswith("underfitting")


def test_a_collapsed_generator_is_judged_where_it_is():
    found = data_copying(real=REAL, fake=modes(400, 1, 5, seed=7), train=TRAIN, cells=6)
    assert abs(found.value) < 3
    assert "judged where 17% of the held-out images are" in found.note


def test_honest_scores_have_mean_zero_and_the_error_that_is_said():
    found = [
        data_copying(
            real=modes(200, 3, 3, seed=s),
            fake=modes(200, 3, 3, seed=1000 + s),
            train=modes(200, 3, 3, seed=2000 + s),
            cells=3,
        )
        for s in range(60)
    ]
    values = torch.tensor([estimate.value for estimate in found])
    assert found[0].error == pytest.approx(1 / math.sqrt(3), rel=0.01)
    assert values.std().item() == pytest.approx(1 / math.sqrt(3), rel=0.3)  # 60 deviates: 9 %
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(60)


# Special sets


def test_the_real_images_as_samples_score_zero():
    found = data_copying(real=REAL, fake=REAL, train=TRAIN)
    assert found.value == 0
    assert found.note.startswith("no sign of copying")


def test_constant_sets_and_held_out_images_from_training_are_told():
    same = torch.full((30, 4), 0.1)
    found = data_copying(real=same, fake=same, train=same)
    assert found.value == 0
    assert "worth little" in found.note
    assert "worth little" in data_copying(real=TRAIN[:300], fake=FAKE, train=TRAIN).note


# What must not matter


def test_order_does_not_matter():
    expected = data_copying(real=REAL, fake=FAKE, train=TRAIN, cells=8)
    sets = {"real": shuffled(REAL), "fake": shuffled(FAKE), "train": shuffled(TRAIN)}
    assert data_copying(**sets, cells=8) == expected


@pytest.mark.parametrize("tile", [1, 37])
def test_tiles_do_not_matter(tile, monkeypatch):
    sets = {"real": REAL[:60], "fake": FAKE[:100], "train": TRAIN[:80]}
    expected = data_copying(**sets, cells=3)
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(neighbours, "TILE", tile)
    monkeypatch.setattr(neighbours, "BLOCK", tile)
    assert data_copying(**sets, cells=3) == expected


def test_it_is_a_function_of_the_seed_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = data_copying(real=REAL, fake=FAKE, train=TRAIN, cells=4)
    assert torch.equal(torch.rand(1), expected)
    assert data_copying(real=REAL, fake=FAKE, train=TRAIN, cells=4) == first
    other = data_copying(real=REAL, fake=FAKE, train=TRAIN, cells=4, seed=1)
    assert abs(other.value - first.value) < 3 * first.error


# Cells


def test_k_means_finds_clusters_apart():
    found = k_means(TRAIN, 6, seed=1)  # one start in ten puts two in one cluster
    # the points come in turn from each of the six
    expected = torch.stack([TRAIN[i::6].mean(0) for i in range(6)])
    nearest = (found[:, None] - expected).norm(dim=2).min(1)
    assert sorted(nearest.indices.tolist()) == list(range(6))
    assert nearest.values.max() < 1e-12  # float64


def test_k_means_of_one_cloud_is_about_as_tight_as_scikit_learns():
    x = cloud(600, 3)
    expected = KMeans(8, n_init=10, random_state=0).fit(x.numpy()).inertia_
    found = (np.square(cdist(x, k_means(x, 8, seed=0))).min(1)).sum()
    assert found < 1.1 * expected  # one start against the best of ten


def test_k_means_has_no_more_centres_than_points_that_differ():
    x = cloud(4, 3).repeat(10, 1)
    assert len(k_means(x, 9, seed=0)) == 4


# AuthPct


def test_authentic_samples_are_farther_than_the_next_training_image():
    d = cdist(FAKE, TRAIN)
    own = cdist(TRAIN, TRAIN)
    np.fill_diagonal(own, np.inf)
    expected = (d.min(1) >= own.min(1)[d.argmin(1)]).mean()
    tested = Authenticity(real=REAL, train=TRAIN)
    found = tested.auth_pct(FAKE)
    assert found.value == pytest.approx(expected)
    assert found.error == pytest.approx(math.sqrt(expected * (1 - expected) / 400))
    assert tested.auth_pct(FAKE[:100]) == Authenticity(real=REAL, train=TRAIN).auth_pct(FAKE[:100])
    assert tested.auth_pct(TRAIN[:400]).value == 0
    assert tested.data_copying(FAKE) == data_copying(real=REAL, fake=FAKE, train=TRAIN)


def test_training_images_that_repeat_make_nothing_authentic():
    once, twice = (Authenticity(real=REAL, train=train) for train in (TRAIN, TRAIN.repeat(2, 1)))
    for fake in (FAKE, TRAIN[:400] + 1e-3):
        assert twice.auth_pct(fake) == once.auth_pct(fake)
    assert once.auth_pct(TRAIN[:400]).error > 0  # none of 400 leaves a doubt


def test_training_images_that_are_all_equal_tell_nothing_of_authenticity():
    tested = Authenticity(real=REAL, train=TRAIN[:1].repeat(30, 1))
    with pytest.raises(FrenemyError, match="authpct: 1 in different_training_images"):
        tested.auth_pct(FAKE)


# Bad input

X = cloud(30, 4)


@pytest.mark.parametrize(
    ("train", "cells", "said"),
    [
        (X[:19], 2, "data_copying: 19 in train: needs 20 or more"),
        (X[:, :3], 2, "data_copying: rows of different shapes"),
        (X, 0, "cells is 0: give 1 or more"),
        (X, 30, "data_copying: none of 30 cells has 20 samples and a real image"),
    ],
    ids=["few", "columns", "no cells", "too many cells"],
)
def test_bad_training_images_and_cells_are_told_in_one_line(train, cells, said):
    with pytest.raises(FrenemyError, match=f"^{said}") as refused:
        data_copying(real=X, fake=X, train=train, cells=cells)
    assert "\n" not in str(refused.value)
