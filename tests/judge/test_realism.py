"""Realism scores: against their formula, and of images that are worse and worse."""

import numpy as np
import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge.realism import realism


@pytest.mark.parametrize("k", [1, 3, 7])
def test_it_is_the_largest_ratio_of_a_small_ball_s_radius_to_the_distance(k):
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(41, 5)), 1.5 * random.normal(size=(700, 5))
    apart = np.sort(np.linalg.norm(real[:, None] - real, axis=2), axis=1)
    radii = apart[:, k]  # the nearest is the point itself
    small = radii <= np.median(radii)
    distances = np.linalg.norm(fake[:, None] - real[small], axis=2)
    expected = (radii[small] / distances).max(1)
    found = realism(real=torch.from_numpy(real), fake=torch.from_numpy(fake), k=k)
    np.testing.assert_allclose(found, expected, rtol=1e-9)  # of products in float64


def test_the_farther_from_real_images_the_lower():
    real = torch.randn(500, 8)
    means = [realism(real=real, fake=torch.randn(300, 8) + off).mean() for off in (0, 0.5, 1, 2)]
    assert means == sorted(means, reverse=True)


def test_a_copy_is_as_real_as_can_be_and_so_is_one_of_several():
    real = torch.cat([torch.zeros(3, 2), torch.randn(20, 2)])
    scores = realism(real=real, fake=torch.tensor([[0.0, 0.0], [9.0, 9.0]]), k=2)
    assert scores[0] == torch.inf and 0 < scores[1] < 1


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 2), "realism: 3 in real: needs 4 or more"),
        (torch.zeros(9, 2), torch.zeros(0, 2), "realism: 0 in fake"),
        (torch.zeros(9, 2), torch.zeros(1, 3), "rows of different shapes"),
        (torch.zeros(9, 2), torch.full((1, 2), torch.nan), "fake"),
    ],
)
def test_what_makes_no_sense_is_refused(real, fake, said):
    with pytest.raises(FrenemyError, match=said):
        realism(real=real, fake=fake)


def test_a_ball_reaches_to_some_other_image():
    with pytest.raises(FrenemyError, match="k is 0"):
        realism(real=torch.zeros(9, 2), fake=torch.zeros(1, 2), k=0)
