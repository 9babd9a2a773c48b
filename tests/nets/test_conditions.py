"""Classes beside z and beside the logit."""

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from frenemy.nets import r3gan
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


@pytest.mark.parametrize(
    "G",
    [
        Embedding(nn.Linear(8, 3), classes=3, size=4),
        r3gan.Generator(4, (1, 8, 8), [8, 8], blocks=1, classes=3, group=8),
    ],
    ids=["embedding", "r3gan"],
)
def test_weights_of_classes_mix_what_labels_tell(G):
    for p in G.parameters():  # what starts at 0 hides its class
        nn.init.normal_(p, std=0.3)
    z, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    # float32: a product with zeros and a one is the row itself, whatever the kernel adds
    torch.testing.assert_close(G(z, one_hot(y, 3).float()), G(z, y), rtol=1e-5, atol=1e-5)
    halves = torch.tensor([[0.5, 0.0, 0.5]]).expand(5, 3)
    assert not torch.allclose(G(z, halves), G(z, y), atol=1e-3)
    between = G(z, halves)
    with torch.no_grad():  # a class whose numbers are the mean of those of the two others
        table = G.embedding.weight if isinstance(G, Embedding) else G.conditions[0].T
        table[1] = (table[0] + table[2]) / 2
    torch.testing.assert_close(between, G(z, torch.ones(5).long()), rtol=1e-5, atol=1e-5)
