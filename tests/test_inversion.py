"""Inversion: a picture that G has made is found again, with its class."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from frenemy.data import read_picture
from frenemy.errors import FrenemyError
from frenemy.inversion import invert

from .tiny import ClassBesideZ, model_of

SHAPE = (1, 8, 8)
ROUNDED = 1.0  # grey levels: picture and image are both rounded, by half a level at most


def net(size):
    wide = math.prod(SHAPE)
    return nn.Sequential(
        nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, wide), nn.Tanh(), nn.Unflatten(1, SHAPE)
    )


def told_classes(x, y):
    return (y,)


@pytest.fixture
def classed():
    G = ClassBesideZ(net(8), classes=3, size=4)
    nn.init.normal_(G.embedding.weight)
    return model_of(G, 4, SHAPE, ("a", "b", "c"), conditions=told_classes)


@pytest.mark.parametrize("size", [2, 8])
def test_a_picture_that_it_has_drawn_is_found_again(size):
    model = model_of(net(size), size, SHAPE)
    picture = model.sample(1, seed=77)[0]
    state = torch.get_rng_state()
    found = invert(model, picture)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.error <= ROUNDED and found.label is None
    assert np.abs(found.image.astype(int) - picture).max() <= ROUNDED
    differences = found.image.astype(float) - picture
    assert found.error == pytest.approx(np.sqrt((differences**2).mean()))
    samples = model.sample(1000).astype(float)
    nearest = np.sqrt(((samples - picture) ** 2).mean((1, 2, 3))).min()
    assert found.nearest == pytest.approx(nearest, abs=ROUNDED)


def test_what_it_cannot_draw_stays_off_but_no_farther_than_samples():
    model = model_of(net(4), 4, SHAPE)
    picture = np.indices(SHAPE).sum(0).astype(np.uint8) % 2 * 255
    found = invert(model, picture)
    assert 20 * ROUNDED < found.error <= found.nearest


def test_the_class_is_found_unless_it_is_told(classed):
    for label, name in ((0, "a"), (2, "c")):
        picture = classed.sample(1, seed=5, labels=classed.labels(name, 1))[0]
        found = invert(classed, picture)
        assert found.label == label and found.error <= ROUNDED
    other = invert(classed, picture, of_class="a")
    assert other.label == 0 and other.error > ROUNDED


class Noisy(nn.Module):
    """Draws noise within itself."""

    def __init__(self):
        super().__init__()
        self.net = net(4)

    def forward(self, z):
        x = self.net(z)
        return x + 0.01 * torch.randn_like(x)


def test_it_is_a_function_of_the_seed_with_noise_within_the_network_too():
    model = model_of(Noisy(), 4, SHAPE)
    picture = model.sample(1, seed=7)[0]
    first, again, other = (invert(model, picture, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.z, again.z) and first.error == again.error
    assert not np.array_equal(first.z, other.z)
    # each of the two has noise of its own, of .01 of half of 255; the rest is rounding
    assert first.error <= 0.01 * 127.5 * 2 + ROUNDED


def test_the_picture_is_sought_as_the_players_see_it():
    small = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4)))
    model = model_of(small, 3, SHAPE, prepare=nn.AvgPool2d(2))
    large = model.sample(1, seed=9)[0].repeat(2, axis=1).repeat(2, axis=2)
    found = invert(model, large)
    assert found.picture.shape == found.image.shape == (1, 4, 4)
    assert found.error <= ROUNDED


def test_pictures_are_brought_to_the_shape_of_the_runs_data(tmp_path):
    path, square = tmp_path / "a.png", (3, 4, 4)
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    Image.fromarray(pixels).save(path)
    model = model_of(net(4), 4, square)
    for fit in ("crop", "stretch"):
        model.run.header["data"]["fit"] = fit
        expected = read_picture(path, size=4, fit=fit)
        assert expected.shape == square
        assert np.array_equal(model.picture(path), expected)
    assert np.array_equal(model_of(net(4), 4, (1, 4, 6)).picture(path)[0], pixels)
    with pytest.raises(FrenemyError, match=r"6x4 pixels, but run makes 4x6: resize it to that"):
        model_of(net(4), 4, (1, 6, 4)).picture(path)


def test_a_picture_of_0_and_1_is_told_and_read_in_its_range(tmp_path):
    model, bits = model_of(net(4), 4, (1, 4, 6)), np.arange(24, dtype=np.uint8).reshape(4, 6) % 2
    Image.fromarray(bits).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match=r"no pixel is brighter than 1 .* --range 0\.\.1"):
        assert model.picture(tmp_path / "a.png").max() == 1
    assert np.array_equal(model.picture(tmp_path / "a.png", "0..1")[0], bits * 255)
    Image.fromarray(bits * 2).save(tmp_path / "a.png")
    with pytest.raises(FrenemyError, match=r"a\.png: its pixels lie in 0\.\.2, beyond --range"):
        model.picture(tmp_path / "a.png", "0..1")


def test_refused(classed):
    model = model_of(net(4), 4, SHAPE)
    picture = np.zeros(SHAPE, np.uint8)
    with pytest.raises(FrenemyError, match=r"a picture of \(3, 8, 8\).*trained on \(1, 8, 8\)"):
        invert(model, picture.repeat(3, axis=0))
    with pytest.raises(FrenemyError, match="run is not class-conditional"):
        invert(model, picture, of_class="a")
    with pytest.raises(FrenemyError, match="no class 'd'"):
        invert(classed, picture, of_class="d")
    with pytest.raises(FrenemyError, match="seed is -1"):
        invert(model, picture, seed=-1)
    many = tuple(f"class {i}" for i in range(21))
    told = model_of(ClassBesideZ(net(8), 21, 4), 4, SHAPE, many, conditions=told_classes)
    with pytest.raises(FrenemyError, match=r"21 classes, too many to try all \(at most 20\)"):
        invert(told, picture)
    model.game.players["chain"] = model.game.players.pop("G")
    with pytest.raises(FrenemyError, match="has no G"):
        invert(model, picture)
