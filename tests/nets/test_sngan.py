"""SNGAN: published sizes, any shape that a start gives, and what spectral normalisation does."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from frenemy.errors import FrenemyError
from frenemy.nets.sngan import SpectralConvolution, discriminator, generator, power_iteration

from .test_dcgan import SHAPES, count


def spectral(net):
    return [m for m in net.modules() if isinstance(m, SpectralConvolution)]


def test_at_32_pixels_it_has_the_published_sizes():
    with torch.device("meta"):
        assert count(generator(128, (3, 32, 32))) == 4_276_739
        assert count(discriminator((3, 32, 32))) == 1_053_825


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_start_doubled(shape):
    G, D = generator(5, shape, width=2), discriminator(shape, width=2)
    x = G(torch.randn(3, 5))
    assert x.shape == (3, *shape)
    assert x.abs().max() <= 1
    assert D(x).shape == (3,)


def test_other_sides_are_refused_and_the_nearest_named():
    for make in (lambda shape: generator(128, shape), discriminator):
        with pytest.raises(FrenemyError, match="resize the images to 32x48"):
            make((3, 31, 47))


def test_weights_start_as_glorot_and_bengio_have_them():
    torch.manual_seed(0)
    G, D = generator(128, (3, 32, 32), width=64), discriminator((3, 32, 32), width=64)
    layers = [m for net in (G, D) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        kernel = layer.weight[0, 0].numel()
        fans = (layer.weight.shape[0] + layer.weight.shape[1]) * kernel
        residual = kernel == 9 and layer is not G[-2]
        std = (2 / fans) ** 0.5 * (2**0.5 if residual else 1)
        n = layer.weight.numel()
        # 4 standard errors of uniform weights, whose fourth moment is 9/5 of squared variance
        assert abs(layer.weight.std().item() - std) < 4 * std * (0.8 / (4 * n)) ** 0.5
        assert layer.bias is not None and not layer.bias.any()


def test_after_some_iterations_each_layer_has_a_spectral_norm_of_1():
    torch.manual_seed(0)
    D = discriminator((3, 32, 32), width=16)
    for _ in range(100):
        power_iteration(D)
    assert len(spectral(D)) == 4 * 2 + 2 + 1
    for layer in spectral(D):
        largest = torch.linalg.matrix_norm(layer.normalised().flatten(1), 2).item()
        # iteration comes from below, and slowly where the second singular value is near the first:
        # what is left of it then is less than the gap
        assert 1 - 1e-5 < largest < 1.01


def test_it_is_what_torch_has():
    torch.manual_seed(0)
    ours = SpectralConvolution(3, 5, 3).double()
    theirs = spectral_norm(nn.Conv2d(3, 5, 3, padding=1).double(), n_power_iterations=200)
    theirs.parametrizations.weight.original.data.copy_(ours.weight)
    theirs.bias.data.copy_(ours.bias)
    for _ in range(1000):
        ours.iterate()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    for _ in range(5):
        theirs(x)
    grads = []
    for net, weight in ((ours, ours.weight), (theirs, theirs.parametrizations.weight.original)):
        y = net(x)
        grads.append((y, *torch.autograd.grad(y.square().sum(), weight)))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_the_size_of_the_weights_does_not_matter():
    torch.manual_seed(0)
    D = discriminator((3, 16, 16), width=4).double()
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    D(x).square().sum().backward()
    for layer in spectral(D):  # so gradients are at right angles to them
        assert layer.weight.grad is not None and layer.weight.grad.any()
        dot, size = (layer.weight.grad * layer.weight).sum(), layer.weight.grad.norm()
        assert abs(dot) < 1e-10 * size * layer.weight.norm()
    scaled = copy.deepcopy(D)
    for layer in spectral(scaled):
        layer.weight.data.mul_(3)
    torch.testing.assert_close(scaled(x), D(x))


def test_only_an_iteration_changes_a_buffer_and_a_state_dict_holds_all():
    torch.manual_seed(0)
    D, again = (discriminator((1, 16, 16), width=4) for _ in range(2))
    x = torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        for p in D.parameters():
            p.add_(0.1 * torch.randn_like(p))
    before = {k: v.clone() for k, v in D.state_dict().items()}
    logits = D(x)
    assert torch.equal(D.eval()(x), logits)
    assert all(torch.equal(v, before[k]) for k, v in D.state_dict().items())
    power_iteration(D)
    changed = {
        k.rsplit(".")[-1] for k, v in D.state_dict().items() if not torch.equal(v, before[k])
    }
    assert changed == {"u", "v"}
    assert not torch.equal(D(x), logits)
    again.load_state_dict(D.state_dict())
    assert torch.equal(again(x), D(x))


def test_bfloat16_does_not_round_the_norms():
    torch.manual_seed(0)
    layer = SpectralConvolution(8, 8, 3)
    exact = layer.normalised()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.normalised(), exact)
