"""The Vendi score and pairwise distances against their definitions, closed forms and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import cosine_similarity

from frenemy.judge import distances
from frenemy.judge import diversity as module
from frenemy.judge.diversity import pairwise_distance, vendi

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


# Pairwise distances


@pytest.mark.parametrize(("n", "d"), [(3, 1), (40, 5), (100, 30)])
def test_pairwise_distance_is_scipys_mean_and_its_error_the_jackknife(n, d):
    x = cloud(n, d) + 3
    found = pairwise_distance(fake=x)
    assert found.value == pytest.approx(pdist(x.numpy()).mean(), rel=1e-12)  # float64
    left = [pdist(np.delete(x.numpy(), i, 0)).mean() for i in range(n)]
    assert found.error == pytest.approx(math.sqrt((n - 1) * np.var(left)), rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 50])
def test_pairwise_distance_of_a_normal_cloud_is_the_closed_form(d):
    found = pairwise_distance(fake=cloud(2000, d))
    expected = 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))  # sqrt 2 chi_d
    assert abs(found.value - expected) < 3 * found.error
    assert found.error < 0.05


def test_equal_samples_are_at_distance_zero():
    found = pairwise_distance(fake=torch.full((20, 3), 0.1))
    assert (found.value, found.error) == (0, 0)


def test_collapse_costs_distance():
    whole, collapsed = (pairwise_distance(fake=modes(300, kinds, 5)) for kinds in (10, 1))
    assert collapsed.value + 3 * (collapsed.error + whole.error) < whole.value


# Both


@pytest.mark.parametrize("metric", [vendi, pairwise_distance])
def test_the_error_is_the_deviation_over_other_samples(metric):
    stretched = torch.tensor([2.0, 1.0, 0.5])
    found = [metric(fake=cloud(300, 3, seed=s) * stretched) for s in range(150)]
    deviation = torch.tensor([estimate.value for estimate in found]).std().item()
    mean = sum(estimate.error for estimate in found) / len(found)
    assert mean == pytest.approx(deviation, rel=0.2)  # 150 deviates give their deviation to 6 %


@pytest.mark.parametrize("metric", [vendi, pairwise_distance])
@pytest.mark.parametrize("d", [3, 90])
def test_tiles_and_order_do_not_matter(metric, d, monkeypatch):
    x = cloud(80, d) + 1
    expected = metric(fake=x)
    for fake, tile in ((shuffled(x), 2048), (x, 7), (x, 1)):
        monkeypatch.setattr(module, "TILE", tile)
        monkeypatch.setattr(distances, "TILE", tile)
        found = metric(fake=fake)
        assert found.value == pytest.approx(expected.value, rel=1e-11)  # float64
        assert found.error == pytest.approx(expected.error, rel=1e-9)
