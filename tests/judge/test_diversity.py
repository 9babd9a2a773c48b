"""The Vendi score and distances to others against their definitions and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics.pairwise import cosine_similarity

from frenemy.judge import distances
from frenemy.judge import diversity as module
from frenemy.judge.diversity import distances_to_others, vendi

from .clouds import cloud, modes, shuffled


def by_definition(x):
    """exp of the entropy of the eigenvalues of K / n."""
    spread = np.linalg.eigvalsh(cosine_similarity(x.numpy()) / len(x))
    spread = spread[spread > 1e-12]
    return math.exp(-(spread * np.log(spread)).sum())


# The Vendi score


@pytest.mark.parametrize(("n", "d"), [(4, 5), (30, 10), (30, 29), (30, 30), (30, 100)])
def test_vendi_is_its_definition(n, d):
    x = cloud(n, d) + 0.5
    assert vendi(fake=x).value == pytest.approx(by_definition(x), rel=1e-9)  # what was left out
    assert vendi(fake=x.float()).value == pytest.approx(by_definition(x), rel=1e-5)  # float32 x


def test_orthogonal_samples_are_all_kinds():
    for d in (7, 12):
        found = vendi(fake=5 * torch.eye(7, d))
        assert found.value == pytest.approx(7, rel=1e-12)  # float64
        assert "more samples" in found.note


@pytest.mark.parametrize("d", [3, 40])
def test_equal_samples_are_one_kind(d):
    found = vendi(fake=cloud(1, d).expand(20, d))
    assert found.value == pytest.approx(1, rel=1e-12)  # float64
    assert found.error < 1e-12
    assert not found.note


@pytest.mark.parametrize("d", [4, 40])
def test_zeros_are_a_kind_of_their_own(d):
    zeros, others = torch.zeros(10, d), torch.eye(2, d).repeat(5, 1)
    assert vendi(fake=zeros).value == pytest.approx(1, rel=1e-12)  # float64
    assert vendi(fake=torch.cat([zeros, others])).value == pytest.approx(  # 1/2, 1/4, 1/4
        2 * math.sqrt(2), rel=1e-12
    )


@pytest.mark.parametrize("d", [4, 200])
def test_separate_kinds_have_the_entropy_of_their_shares_and_its_error(d):
    counts = [40, 30, 20, 10]
    x = torch.eye(4, d).repeat_interleave(torch.tensor(counts), 0)
    found = vendi(fake=x)
    shares = torch.tensor(counts, dtype=torch.float64) / 100
    entropy = -(shares * shares.log()).sum()
    variance = (shares * (shares.log() + entropy).square()).sum() * 100 / 99
    expected = entropy.exp().item()
    assert found.value == pytest.approx(expected, rel=1e-12)  # float64
    # its square is divided by the order, which the halves' own shares tell as some 1
    assert found.error == pytest.approx(expected * math.sqrt(variance / 100), rel=0.1)


def test_the_smaller_matrix_has_the_same_eigenvalues_and_error():
    x = cloud(50, 20)
    small, large = vendi(fake=x), vendi(fake=torch.nn.functional.pad(x, (0, 60)))
    assert large.value == pytest.approx(small.value, rel=1e-10)  # float64 of 50 near-zero values
    assert large.error == pytest.approx(small.error, rel=0.25)  # halved in another order


def test_lengths_do_not_matter_to_vendi():
    x = cloud(30, 10)
    scaled = x * torch.logspace(-3, 3, 30, dtype=torch.float64)[:, None]
    assert vendi(fake=scaled).value == pytest.approx(vendi(fake=x).value, rel=1e-12)  # float64


def test_vendi_counts_modes():
    found = {kinds: vendi(fake=modes(600, kinds, 200) * 3) for kinds in (2, 5, 10)}
    assert found[2].value + 3 * found[2].error < found[5].value
    assert found[5].value + 3 * found[5].error < found[10].value


def test_the_error_is_the_deviation_over_other_samples():
    stretched = torch.tensor([2.0, 1.0, 0.5])
    found = [vendi(fake=cloud(300, 3, seed=s) * stretched) for s in range(150)]
    deviation = torch.tensor([estimate.value for estimate in found]).std().item()
    mean = sum(estimate.error for estimate in found) / len(found)
    assert mean == pytest.approx(deviation, rel=0.2)  # 150 deviates give their deviation to 6 %


@pytest.mark.parametrize("d", [3, 90])
def test_tiles_and_order_do_not_matter(d, monkeypatch):
    x = cloud(80, d) + 1
    expected = vendi(fake=x)
    for fake, tile in ((shuffled(x), 2048), (x, 7), (x, 1)):
        monkeypatch.setattr(module, "TILE", tile)
        monkeypatch.setattr(distances, "TILE", tile)
        found = vendi(fake=fake)
        assert found.value == pytest.approx(expected.value, rel=1e-11)  # float64
        assert found.error == pytest.approx(expected.error, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(3, 1), (40, 5), (100, 30)])
@pytest.mark.parametrize("tile", [2048, 7])
def test_distances_to_others_are_scipys_means(n, d, tile, monkeypatch):
    monkeypatch.setattr(distances, "TILE", tile)
    x = cloud(n, d) + 3
    found = distances_to_others(x)
    expected = squareform(pdist(x.numpy())).sum(1) / (n - 1)
    assert found.numpy() == pytest.approx(expected, rel=1e-12)  # float64
