"""Classes told to G's normalisations and beside D's logit."""

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from frenemy.nets import r3gan
from frenemy.nets.conditions import Modulated, Projection


def modulated(classes):
    """Of z (B, 4), two normalisations."""
    maps = nn.Linear(4, 5), nn.Unflatten(1, (5, 1, 1)), nn.BatchNorm2d(5)
    layers = *maps, nn.ReLU(inplace=True), nn.ConvTranspose2d(5, 3, 2), nn.BatchNorm2d(3)
    return Modulated(nn.Sequential(*layers), classes)


def test_a_class_moves_what_g_draws_and_only_its_own():
    G = modulated(classes=2)
    z, y = torch.randn(6, 4), torch.tensor([0, 1] * 3)
    before = G(z, y)
    assert torch.equal(before, G.net(z))  # it begins with no classes
    with torch.no_grad():
        G.numbers[1][1] += 1
    moved = (G(z, y) != before).flatten(1).any(1)
    assert moved.tolist() == [False, True] * 3


def test_normalised_maps_are_multiplied_and_moved_by_the_classs_own_numbers():
    norm = nn.BatchNorm2d(2)
    G = Modulated(nn.Sequential(norm), classes=3)
    a, b = torch.tensor([0.5, -2.0]), torch.tensor([3.0, 1.0])
    G.numbers[0].data[2] = torch.cat([a, b])
    x = torch.randn(5, 2, 3, 3)
    # float32: one rounding more or less
    expected = norm(x) * (1 + a)[:, None, None] + b[:, None, None]
    torch.testing.assert_close(G(x, torch.full((5,), 2)), expected, rtol=1e-5, atol=1e-5)


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
        modulated(classes=3).eval(),
        r3gan.Generator(4, (1, 8, 8), [8, 8], blocks=1, classes=3, group=8),
    ],
    ids=["modulated", "r3gan"],
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
        tables = G.numbers if isinstance(G, Modulated) else [G.conditions[0].T]
        for table in tables:
            table[1] = (table[0] + table[2]) / 2
    torch.testing.assert_close(between, G(z, torch.ones(5).long()), rtol=1e-5, atol=1e-5)
