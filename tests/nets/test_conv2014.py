"""The convolutional networks of 2014: shapes, maxout convolutions, initial weights."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from frenemy.nets.conv2014 import MaxoutConvolution, maxout_convolutions, transposed_generator
from frenemy.nets.mlp import Maxout


@pytest.fixture(scope="module")
def D():
    torch.manual_seed(0)
    return maxout_convolutions()


def test_the_generator_makes_images_of_32x32():
    with torch.device("meta"):  # shapes without its 65 million weights
        G = transposed_generator(100)
        assert G(torch.empty(2, 100)).shape == (2, 3, 32, 32)
    layers = [m for m in G if list(m.parameters())]
    # weights and biases of each layer by arithmetic
    sizes = [100 * 8000 + 8000, 8000 * 8000 + 8000, 80 * 3 * 5 * 5, 3 * 32 * 32]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == sizes
    assert isinstance(layers[-2], nn.ConvTranspose2d)


def test_the_critic_has_the_maps_it_says(D):
    shapes = []
    hooks = [
        m.register_forward_hook(lambda _, __, y: shapes.append(tuple(y.shape[1:])))
        for m in D
        if isinstance(m, (MaxoutConvolution, nn.MaxPool2d, Maxout))
    ]
    assert D(torch.randn(2, 3, 32, 32)).shape == (2,)
    for hook in hooks:
        hook.remove()
    assert shapes == [
        (32, 33, 33),
        (32, 16, 16),
        (32, 15, 15),
        (32, 7, 7),
        (192, 9, 9),
        (192, 5, 5),
        (500,),
    ]


def test_the_critic_has_the_weights_of_its_layers(D):
    sizes = [sum(p.numel() for p in m.parameters()) for m in D if list(m.parameters())]
    assert sizes == [
        2 * 32 * (3 * 8 * 8 + 1),
        2 * 32 * (32 * 8 * 8 + 1),
        2 * 192 * (32 * 5 * 5 + 1),
        5 * 500 * (192 * 5 * 5 + 1),
        500 + 1,
    ]
    for name, p in D.named_parameters():
        if name.endswith("bias"):
            assert not p.any()
        else:
            assert 0.9 * 0.005 < p.abs().max() <= 0.005  # uniform in +-.005


def test_every_weight_of_the_critic_gets_a_gradient(D):
    torch.manual_seed(0)
    gradients = torch.autograd.grad(D(torch.randn(4, 3, 32, 32)).sum(), list(D.parameters()))
    assert all(g.isfinite().all() and g.any() for g in gradients)


def test_the_critic_judges_each_image_alone(D):
    D.eval()
    x = torch.randn(3, 3, 32, 32)
    # float32 sums of up to 4800 terms in another order, at values near 1e-5
    torch.testing.assert_close(
        D(x), torch.cat([D(x[i : i + 1]) for i in range(3)]), rtol=1e-3, atol=1e-8
    )
    D.train()


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_maxout_convolution_is_the_largest_of_its_convolutions(pieces):
    torch.manual_seed(0)
    layer = MaxoutConvolution(2, 3, kernel=3, padding=1, pieces=pieces).double()
    x = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    convolutions = [
        conv2d(x, weight, bias, padding=1)
        for weight, bias in zip(
            layer.convolution.weight.split(3), layer.convolution.bias.split(3), strict=True
        )
    ]
    assert len(convolutions) == pieces
    y = layer(x)
    # float64 roundings
    torch.testing.assert_close(y, torch.stack(convolutions).amax(0), rtol=1e-12, atol=1e-15)
    (gradient,) = torch.autograd.grad(y.sum(), layer.convolution.weight)
    assert gradient.any()
