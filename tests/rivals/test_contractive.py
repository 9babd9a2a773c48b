"""The contractive autoencoder against autograd: its Jacobian, the walk along it, greedy stages."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.autograd.functional import jacobian
from torch.nn.functional import binary_cross_entropy

from frenemy import recipes, train
from frenemy.data import Facts, Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.game import Round
from frenemy.model import Model, set_up
from frenemy.recipes import vary
from frenemy.rivals.chains import MOST, WHICH, Starts
from frenemy.rivals.contractive import (
    Stack,
    along_the_data,
    contracting,
    decoded,
    encodings,
    squared_jacobian,
    walk,
)
from frenemy.walks import walk as walk_of_z

SHAPE = (1, 2, 3)
ROUNDING = {"rtol": 1e-10, "atol": 1e-12}  # of float64, through products of small matrices
SMALL = {"units": 12, "layer_epochs": 0.05, "sampling_steps": 3, "minibatch": 10}


def stack(*units, count=4):
    torch.manual_seed(0)
    net = Stack(SHAPE, units, count).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn_like(p))
    return net


def pixels(count=4, seed=1):
    return torch.rand(count, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whole(layers):
    """f of all layers, as autograd sees it: (inputs,) -> (units,)."""
    return lambda x: encodings(layers, x)[-1]


def test_the_squared_jacobian_is_autograds():
    (layer,) = stack(5).lowest(1)
    x = pixels()
    found = squared_jacobian(layer, layer.encode(x))
    expected = torch.stack([jacobian(layer.encode, one).square().sum() for one in x])
    torch.testing.assert_close(found, expected, **ROUNDING)


@pytest.mark.parametrize("units", [(5,), (5, 4), (5, 4, 7)])
def test_a_step_along_the_data_is_by_the_jacobian_of_the_whole_stack(units):
    layers = stack(*units).lowest(len(units))
    x, e = pixels(), torch.randn(4, units[-1], dtype=torch.float64)
    found = along_the_data(layers, encodings(layers, x), e)
    for one, noise, moved in zip(x, e, found, strict=True):
        J = jacobian(whole(layers), one)
        torch.testing.assert_close(moved, J @ (J.T @ noise), **ROUNDING)


def test_the_loss_is_cross_entropy_and_the_penalty_of_the_layer_that_learns():
    net = stack(5, 4)
    lower, upper = net.lowest(2)
    x = pixels()
    r = Round({"CAE": net}, torch.zeros(4, 1), lambda: (net.from_unit(x.clone()), None), ("CAE",))
    for i, (layer, seen) in enumerate(((lower, x), (upper, lower.encode(x).detach()))):
        again = decoded([layer], layer.encode(seen))
        errors = binary_cross_entropy(again, seen, reduction="none").sum(1)
        norms = torch.stack([jacobian(layer.encode, one).square().sum() for one in seen])
        found = contracting(i, 0.3)(r)
        assert found.shape == (4,)
        torch.testing.assert_close(found, errors + 0.3 * norms, **ROUNDING)
        gradients = torch.autograd.grad(found.sum(), [*net.parameters()], allow_unused=True)
        of_layer = {id(p) for p in layer.parameters()}
        for p, g in zip(net.parameters(), gradients, strict=True):
            assert (g is not None) == (id(p) in of_layer)


def test_one_step_of_the_walk_has_the_papers_covariance():
    # as the layer below is asked for the logits of x', these are a linear map of e
    (layer,) = stack(3).lowest(1)
    x, sd, count = pixels(1), 0.3, 40_000
    torch.manual_seed(2)
    found = walk([layer], x.expand(count, -1), 1, sd).logit().numpy()
    J = jacobian(layer.encode, x[0])
    spread = (sd * layer.W @ J @ J.T).detach().numpy()  # (inputs, units)
    centre = layer.logits(layer.encode(x))[0].detach().numpy()
    # the log-likelihood ratio of the found and the right Gaussian, in the 3 directions there are
    base = np.linalg.svd(spread)[0][:, :3]
    mean, covariance = np.zeros(3), base.T @ spread @ spread.T @ base
    u = (found - centre) @ base
    fitted = multivariate_normal(u.mean(0), np.cov(u.T, bias=True)).logpdf(u).sum()
    ratio = 2 * (fitted - multivariate_normal(mean, covariance).logpdf(u).sum())
    assert ratio < 30  # chi-square of 3 + 6 degrees of freedom: exceeded with probability 4e-4
    assert np.allclose(found - centre, u @ base.T, atol=1e-6)  # and in no other; logits round


def test_a_walk_of_no_noise_reconstructs_again_and_again():
    layers = stack(5, 4).lowest(2)
    x = pixels()
    once = decoded(layers, encodings(layers, x)[-1])
    twice = decoded(layers, encodings(layers, once)[-1])
    torch.testing.assert_close(walk(layers, x, 2, 0.0), twice, **ROUNDING)


# What walks start from


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), np.uint8)


def test_walks_start_from_different_training_images_each_as_likely():
    source = Source(images(30))
    starts = Starts(SHAPE, len(source))
    starts.begin(source)
    assert {*map(bytes, starts.images.numpy())} == {*map(bytes, source.images)}
    edges = torch.tensor([[-math.sqrt(3)], [math.sqrt(3)]])  # of the prior
    torch.testing.assert_close(starts(edges), starts.images[[0, -1]] / 255)
    found = starts(WHICH(3000, torch.Generator().manual_seed(0)))
    counts = torch.unique(found, dim=0, return_counts=True)[1]
    assert len(counts) == 30 and counts.min() > 50  # of 100 each, binomial: 5 deviations


def test_of_many_images_some_are_remembered():
    assert len(Starts(SHAPE, 10 * MOST).images) == MOST


# The recipe


@pytest.mark.parametrize(("steps", "stage"), [(8, 0), (9, 1), (16, 1), (17, 2), (30, 2)])
def test_each_layer_learns_when_those_below_it_have(tmp_path, steps, stage):
    recipe = vary(recipes.cae, layers=3, **SMALL)  # 8 rounds of 10 are .05 of 1,437 digits
    run = train(recipe, open_dataset(None), out=tmp_path / "run", steps=steps)
    assert Model.load(run.path).progress.stage == stage


@pytest.mark.parametrize("stage", [0, 1])
def test_no_layer_moves_but_the_one_that_learns(stage):
    experiment = set_up(vary(recipes.cae, **SMALL), open_dataset(None), seed=0)
    game = experiment.stages[stage].game
    layers = game.nets["CAE"].lowest(2)
    before = [[p.clone() for p in layer.parameters()] for layer in layers]
    streams = experiment.minibatch(game, 0, game.device)
    for step in range(3):
        game.play(streams, seed=0, step=step)
    for i, layer in enumerate(layers):
        same = [torch.equal(p, was) for p, was in zip(layer.parameters(), before[i], strict=True)]
        assert not any(same) if i == stage else all(same)


def test_samples_are_walks_that_no_g_of_z_makes(tmp_path):
    recipe = vary(recipes.cae, **SMALL)
    model = Model.load(train(recipe, open_dataset(None), steps=12, out=tmp_path / "run").path)
    assert len(np.unique(model.sample(5, seed=1), axis=0)) == 5
    with pytest.raises(FrenemyError, match="has no G that samples from z, only CAE"):
        walk_of_z(model, 2, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"penalty": -1}, "penalty is -1: give 0 or more"),
        ({"upper_penalty": -1}, "penalty is -1: give 0 or more"),
        ({"noise": -1}, "noise is -1: give 0 or more"),
        ({"rate": 0}, "rate is 0: give more than 0"),
        ({"layer_epochs": 0}, "layer_epochs is 0: give more than 0"),
        ({"layers": 0}, "layers is 0: give 1 or more"),
        ({"units": 0}, "units is 0: give 1 or more"),
        ({"sampling_steps": 0}, "sampling_steps is 0: give 1 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, said):
    with pytest.raises(FrenemyError, match=said):
        vary(recipes.cae, **changes)(Facts((1, 8, 8), 100))


def test_points_are_no_pixels():
    with pytest.raises(FrenemyError, match="has points in the plane"):
        recipes.cae(open_dataset("toy:ring").facts)
