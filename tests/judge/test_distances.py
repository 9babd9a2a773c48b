"""Tiled distances against broadcasting and scikit-learn; copies are at distance 0."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from frenemy.judge import distances as module
from frenemy.judge.distances import nearest_others, squared_distances

from .clouds import cloud, shuffled


def kth_nearest(points, k):
    return nearest_others(points, k, k + 1)[0][:, k - 1].sqrt()


def whole(rows, columns=None):
    """The matrix of which the tiles are parts; NaN where none came."""
    count = len(rows if columns is None else columns)
    result = torch.full((len(rows), count), torch.nan, dtype=torch.float64)
    for here, there, squares in squared_distances(rows, columns):
        assert max(squares.shape) <= module.TILE
        assert result[here, there].isnan().all()
        result[here, there] = squares
        if columns is None:
            result[there, here] = squares.T
    return result


@pytest.mark.parametrize("tile", [1, 4, 7, 1000])
@pytest.mark.parametrize("d", [1, 3, 40])
def test_tiles_are_parts_of_the_matrix_of_squared_distances(d, tile, monkeypatch):
    monkeypatch.setattr(module, "TILE", tile)
    x, y = cloud(9, d) + 3, cloud(14, d, seed=1)
    for rows, columns in ((x, y), (x, None), (x.float(), y.float())):
        others = rows if columns is None else columns
        expected = (rows.double()[:, None] - others.double()).square().sum(2)
        # some 1e-15 of |x|^2 + |y|^2, which is about 10 d
        torch.testing.assert_close(whole(rows, columns), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_cloud_far_from_the_origin_has_the_same_distances(dtype):
    x = (cloud(50, 20) + 1e5).to(dtype)  # |x|^2 is 2e11, |x - y|^2 about 40
    expected = (x.double()[:, None] - x.double()).square().sum(2)
    torch.testing.assert_close(whole(x), expected, rtol=1e-12, atol=0)  # centred: as near 0


@pytest.mark.parametrize("tile", [3, 64, 1000])
@pytest.mark.parametrize("d", [1, 7, 2048])
def test_copies_are_at_distance_zero_wherever_they_stand(d, tile, monkeypatch):
    monkeypatch.setattr(module, "TILE", tile)
    x = cloud(25, d) * torch.logspace(-3, 3, d, dtype=torch.float64)
    copies = shuffled(torch.cat([x, x, x]))
    same = (copies[:, None, 0] == copies[:, 0]).T
    assert ((whole(copies) == 0) == same).all()
    assert ((whole(copies, x) == 0) == (copies[:, None, 0] == x[:, 0])).all()


@pytest.mark.parametrize("k", [1, 5, 59])
def test_kth_nearest_is_scikit_learns(k):
    x = cloud(60, 6)
    found, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x.numpy()).kneighbors()
    expected = torch.from_numpy(found[:, -1])
    torch.testing.assert_close(kth_nearest(x, k), expected, rtol=1e-12, atol=0)  # float64


@pytest.mark.parametrize("block", [1, 120, 700])
def test_blocks_and_order_do_not_matter_to_the_kth_nearest(block, monkeypatch):
    x = cloud(60, 6)
    expected = kth_nearest(x, 5)
    torch.testing.assert_close(kth_nearest(x.flip(0), 5).flip(0), expected, rtol=1e-13, atol=0)
    monkeypatch.setattr(module, "BLOCK", block)
    torch.testing.assert_close(kth_nearest(x, 5), expected, rtol=1e-13, atol=0)  # float64


@pytest.mark.parametrize("group", [2, 16])
@pytest.mark.parametrize("copies", [1, 40])
def test_the_nearest_others_are_scikit_learns(copies, group, monkeypatch):
    monkeypatch.setattr(module, "GROUP", group)
    x = cloud(1000, 5).float()
    x[:copies] = x[0]
    squares, index = nearest_others(x, 3, 12)
    search = NearestNeighbors(n_neighbors=12, algorithm="brute").fit(x.double().numpy())
    expected = torch.from_numpy(search.kneighbors()[0]).square()
    # the others may be half of `ROUGH` off, zeros as far as scikit-learn's products are
    torch.testing.assert_close(squares, expected, rtol=1e-3, atol=1e-12)
    torch.testing.assert_close(squares[:, 2], expected[:, 2], rtol=1e-12, atol=1e-12)
    told = (x[:, None] - x[index]).double().square().sum(2)
    torch.testing.assert_close(squares, told, rtol=1e-3, atol=1e-12)
    assert (index != torch.arange(1000)[:, None]).all()


@pytest.mark.parametrize("how", ["bf16", "tf32", "ieee"])
def test_how_products_are_told_to_round_does_not_matter(how):
    x, matmul = cloud(300, 5).float(), torch.backends.mkldnn.matmul
    expected, before = kth_nearest(x, 5), matmul.fp32_precision
    try:
        matmul.fp32_precision = how
        torch.testing.assert_close(kth_nearest(x, 5), expected, rtol=1e-13, atol=0)  # float64
    finally:
        matmul.fp32_precision = before


def test_a_copy_is_another_point():
    x = cloud(10, 3)
    assert kth_nearest(torch.cat([x, x]), 1).eq(0).all()
    assert kth_nearest(torch.cat([x, x]), 2).gt(0).all()


def test_the_arguments_are_left_alone():
    x = cloud(10, 3)
    kth_nearest(x, 2)
    assert torch.equal(x, cloud(10, 3))
