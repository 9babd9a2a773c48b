"""Classes beside z and beside the logit."""

import torch
from torch import nn

from frenemy.nets.conditions import Embedding, Projection


def test_a_class_moves_what_g_draws_and_only_its_own():
    G = Embedding(nn.Linear(8, 3), classes=2, size=4)
    z, y = torch.randn(6, 4), torch.tensor([0, 1] * 3)
    before = G(z, y)
    with torch.no_grad():
        G.embedding.weight[1] += 1
    moved = (G(z, y) != before).any(1)
    assert moved.tolist() == [False, True] * 3


def test_the_projection_is_the_sum_over_places_times_the_classs_own_numbers():
    body, head = nn.Conv2d(3, 5, 1), nn.Sequential(nn.Conv2d(5, 1, 4), nn.Flatten(0))
    D = Projection(body, head, classes=2, width=5)
    x, y = torch.randn(4, 3, 4, 4), torch.tensor([0, 1, 1, 0])
    assert torch.equal(D(x, y), head(body(x)))  # it begins with no classes
    nn.init.normal_(D.embedding.weight)
    expected = torch.einsum("bchw,bc->b", body(x), D.embedding.weight[y])
    # float32, sums of 80 numbers in another order
    torch.testing.assert_close(D(x, y) - head(body(x)), expected, rtol=1e-4, atol=1e-4)
