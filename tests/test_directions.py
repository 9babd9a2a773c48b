"""Principal directions of z: found where they are known, for any kind of G."""

import pytest
import torch
from torch import nn

from frenemy.directions import principal_directions, sheet
from frenemy.errors import FrenemyError

from .tiny import SHAPE, ClassBesideZ, model_of


def linear(size=4, wide=9):
    """A linear layer, and the right singular vectors of its weight, the largest first."""
    layer = nn.Linear(size, wide)
    U = torch.linalg.qr(torch.randn(wide, size)).Q
    V = torch.linalg.qr(torch.randn(size, size)).Q.T
    layer.weight.data = U * torch.tensor([5.0, 3.0, 2.0, 1.0]) @ V
    return layer, V


def rest(wide=9):
    return [nn.ReLU(inplace=True), nn.Linear(wide, 4), nn.Tanh(), nn.Unflatten(1, SHAPE)]


def same_up_to_sign(found, expected):
    # float32 products over 2,000 rows, whose gaps between eigenvalues are 1/25 or more of them
    assert (found * expected).sum(1).abs().sub(1).abs().max() < 1e-3
    assert (found.norm(dim=1) - 1).abs().max() < 1e-3


def test_of_a_linear_layer_they_are_its_right_singular_vectors():
    layer, V = linear()
    model = model_of(nn.Sequential(layer, *rest()), 4, SHAPE)
    found = principal_directions(model, 3)
    same_up_to_sign(found, V[:3])
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    assert torch.equal(principal_directions(model, 3), found)
    assert not any(m._forward_hooks for m in model.game.nets["G"].modules())


def test_a_layer_is_no_first_one_if_it_does_not_hear_of_z():
    of_z, V = linear()
    layer = nn.Linear(8, 9)  # of z, and of as many numbers for the class
    layer.weight.data = torch.cat([of_z.weight.data, torch.randn(9, 4)], 1)
    net = ClassBesideZ(nn.Sequential(layer, *rest()), classes=3, size=4)
    model = model_of(net, 4, SHAPE, ("a", "b", "c"), conditions=lambda x, y: (y,))
    same_up_to_sign(principal_directions(model, 2), V[:2])


class Noisy(nn.Module):
    """Noise of its own comes first, by a strength that it learns."""

    def __init__(self, net):
        super().__init__()
        self.strength = nn.Linear(1, 1)
        self.net = net

    def forward(self, z):
        noise = self.strength(torch.randn(len(z), 1))
        return self.net(z) + noise.view(-1, 1, 1, 1)


def test_noise_within_a_network_is_no_direction_of_z():
    layer, V = linear()
    model = model_of(Noisy(nn.Sequential(layer, *rest())), 4, SHAPE)
    state = torch.get_rng_state()
    same_up_to_sign(principal_directions(model, 2), V[:2])
    assert torch.equal(torch.get_rng_state(), state)


class OneParameter(nn.Module):
    """Has no layers: its images are its first outputs."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.4, 0.3, 0.2, 0.1]))

    def forward(self, z):
        return (self.scale * z).unflatten(1, SHAPE)


def test_of_a_network_without_layers_they_are_those_of_its_images():
    same_up_to_sign(principal_directions(model_of(OneParameter(), 4, SHAPE), 3), torch.eye(4)[:3])


def test_a_sheet_goes_from_minus_three_to_three():
    model = model_of(OneParameter(), 4, SHAPE)
    images = sheet(model, 0.5 * torch.eye(4)[2:3], seed=1)
    assert images.shape == (1, 7, *SHAPE)
    first = model.sample(1, seed=1)[0].astype(int)
    moved = images[0].astype(int) - first
    assert not moved[:, 0, [0, 0, 1], [0, 1, 1]].any()  # z's third number is the pixel (1, 0)
    expected = 127.5 * 0.2 * 0.5 * torch.arange(-3, 4)
    assert abs(torch.from_numpy(moved[:, 0, 1, 0]) - expected).max() <= 1  # two roundings


def test_refused():
    model = model_of(OneParameter(), 4, SHAPE)
    with pytest.raises(FrenemyError, match="count is 5: give 4 or less"):
        principal_directions(model, 5)
    with pytest.raises(FrenemyError, match="count is 0: give 1 or more"):
        principal_directions(model, 0)
    told = model_of(OneParameter(), 4, SHAPE, conditions=lambda x, y: (-x,))
    with pytest.raises(FrenemyError, match="conditioned on images: it has no samples of z alone"):
        principal_directions(told)
    model.game.players["chain"] = model.game.players.pop("G")
    with pytest.raises(FrenemyError, match="has no G that samples from z, only chain"):
        principal_directions(model)
