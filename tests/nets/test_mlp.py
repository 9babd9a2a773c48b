"""The pieces of the 2014 perceptrons: initial weights, maxout, max-norm, D's verdict."""

import math

import numpy as np
import pytest
import scipy.special
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from frenemy.nets.layers import Dropout
from frenemy.nets.mlp import (
    LargestPiece,
    Logit,
    Maxout,
    limit_norms,
    linear,
    logit,
    maxout_discriminator,
    rectifier_generator,
    sparse,
)


def double(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# Initial weights


def test_linear_draws_uniform_weights_and_sets_the_bias():
    torch.manual_seed(0)
    layer = linear(200, 300, 0.05)
    assert layer.weight.shape == (300, 200)
    assert layer.weight.abs().max() <= 0.05
    # uniform: deviation irange / sqrt 3, mean 0; 4 standard errors of 60,000 weights
    deviation = 0.05 / math.sqrt(3)
    assert layer.weight.std().item() == pytest.approx(deviation, rel=4 * math.sqrt(0.2 / 60_000))
    assert abs(layer.weight.mean().item()) < 4 * deviation / math.sqrt(60_000)
    assert torch.equal(linear(2, 3, 0.1, -2.0).bias, torch.full((3,), -2.0))
    assert torch.equal(linear(2, 3, 0.1).bias, torch.zeros(3))


def test_sparse_gives_each_unit_its_number_of_gaussian_weights():
    torch.manual_seed(0)
    layer = sparse(500, 300, inputs=20)
    given = layer.weight != 0
    assert (given.sum(1) == 20).all()
    weights = layer.weight[given]
    count = weights.numel()  # 6,000: 4 standard errors of the mean and the variance
    assert abs(weights.mean().item()) < 4 / math.sqrt(count)
    assert abs(weights.var().item() - 1) < 4 * math.sqrt(2 / count)
    assert not layer.bias.any()
    # every input is chosen with probability 20/500: 12 +- 3.4 times, 5 deviations for 500 inputs
    assert (given.sum(0) - 12).abs().max() <= 17


def test_logit_is_the_log_odds_of_clipped_means():
    mean = torch.tensor([[0.0, 1e-9, 0.2], [0.5, 1.0, 1 - 1e-9]], dtype=torch.float64)
    expected = scipy.special.logit(np.clip(mean.numpy().ravel(), 1e-7, 1 - 1e-7))
    found = logit(mean)
    assert found.shape == (6,)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=0)  # one rounding to float32


# Maxout


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout_is_a_loop_over_its_pieces(pieces):
    layer = Maxout(4, 3, pieces, 0.5).double()
    x = double(6, 4)
    y = layer(x)
    assert y.shape == (6, 3)
    W, b = layer.linear.weight.detach(), layer.linear.bias.detach()
    for i in range(6):
        for unit in range(3):
            rows = range(unit, 3 * pieces, 3)
            by_hand = max((W[row] @ x[i] + b[row]).item() for row in rows)
            assert y[i, unit].item() == pytest.approx(by_hand, rel=1e-13)  # float64 roundings


@pytest.mark.parametrize("shape", [(5, 3, 4), (2, 2, 3, 4, 4)])
def test_largest_piece_is_amax_with_its_derivatives(shape):
    y = double(*shape).requires_grad_()
    weights = double(shape[0], *shape[2:], seed=1)
    largest = LargestPiece.apply(y)
    assert torch.equal(largest, y.amax(1))
    (mine,) = torch.autograd.grad((largest * weights).sum(), y)
    (theirs,) = torch.autograd.grad((y.amax(1) * weights).sum(), y)
    assert torch.equal(mine, theirs)


def test_largest_piece_is_twice_differentiable():
    y = double(3, 4, 2).requires_grad_()
    assert gradcheck(LargestPiece.apply, (y,))
    assert gradgradcheck(LargestPiece.apply, (y,))
    # through a smooth function the second derivative is not zero: d2 (max^2) / dy2 = 2 on winners
    (slope,) = torch.autograd.grad(LargestPiece.apply(y).square().sum(), y, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), y)
    assert torch.equal(curvature, 2.0 * (y == y.amax(1, keepdim=True)))


def test_a_tie_sends_the_gradient_to_each_of_its_pieces():
    y = torch.tensor([[[1.0], [3.0], [3.0]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(LargestPiece.apply(y).sum(), y)
    assert gradient.flatten().tolist() == [0, 1, 1]


def test_logit_layer_gives_one_number_an_image():
    layer = Logit(4, 0.1)
    x = torch.randn(6, 4)
    assert layer(x).shape == (6,)
    assert layer(x[:1]).shape == (1,)
    expected = x @ layer.linear.weight[0] + layer.linear.bias
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)  # float32 roundings


# The two networks


def test_the_rectifier_generator_makes_images_of_the_shape():
    torch.manual_seed(0)
    G = rectifier_generator(7, (1, 4, 4))
    assert [(m.in_features, m.out_features) for m in G if isinstance(m, nn.Linear)] == [
        (7, 1200),
        (1200, 1200),
        (1200, 16),
    ]
    with torch.no_grad():
        Gz = G(torch.zeros(2, 7))  # at z = 0 every rectifier is at 0
    assert torch.equal(Gz, torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("dropout", [True, False])
def test_the_maxout_discriminator_has_two_layers_and_dropout_if_wanted(dropout):
    torch.manual_seed(0)
    D = maxout_discriminator(6, 10, 0.1, dropout=dropout)
    assert [m.keep for m in D if isinstance(m, Dropout)] == ([0.8, 0.5, 0.5] if dropout else [])
    sizes = [sum(p.numel() for p in m.parameters()) for m in D if list(m.parameters())]
    assert sizes == [50 * (6 + 1), 50 * (10 + 1), 10 + 1]
    assert all(0.08 < p.abs().max() <= np.float32(0.1) for p in D.parameters() if p.ndim == 2)
    assert all(not p.any() for p in D.parameters() if p.ndim == 1)
    x = torch.randn(5, 6)
    assert D(x).shape == (5,)
    assert torch.equal(D(x), D(x)) != dropout


# Max-norm regularisation


def test_limit_norms_scales_down_what_exceeds_and_nothing_else_after_every_step():
    torch.manual_seed(0)
    net = nn.Sequential(linear(8, 5, 0.1), nn.ReLU(), Maxout(5, 3, 2, 0.1), Logit(3, 0.1))
    with torch.no_grad():
        net[0].weight[0].mul_(100)
        net[0].weight[1] = 0
        net[0].bias.fill_(50)
    unlimited = [p.detach().clone() for p in net.parameters()]
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-9)
    optimiser.register_step_post_hook(limit_norms(net, 2.0))
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimiser.step()
    for before, p in zip(unlimited, net.parameters(), strict=True):
        if p.ndim == 1:
            assert torch.equal(p, before)  # biases are free
            continue
        large = before.norm(dim=1) > 2
        assert torch.equal(p[~large], before[~large])
        # one rounding of float32 for each of the norm, the ratio and the product
        assert ((p[large].norm(dim=1) - 2).abs() < 1e-6).all()
        aligned = torch.cosine_similarity(p[large], before[large])
        assert ((aligned - 1).abs() < 1e-6).all()  # float32 roundings
    assert net[0].weight.isfinite().all()


def test_limit_norms_holds_all_through_a_training():
    torch.manual_seed(0)
    net = nn.Sequential(linear(4, 6, 1.0), nn.ReLU(), Logit(6, 1.0))
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
    optimiser.register_step_post_hook(limit_norms(net, 0.5))
    for _ in range(5):
        optimiser.zero_grad()
        (-net(torch.randn(16, 4)).sum()).backward()
        optimiser.step()
        for layer in (net[0], net[2].linear):
            assert layer.weight.norm(dim=1).max() <= 0.5 * (1 + 1e-6)  # float32 roundings
