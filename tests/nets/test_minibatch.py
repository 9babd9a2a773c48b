"""Minibatch discrimination against its sums, written out, and against finite differences."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from frenemy.errors import FrenemyError
from frenemy.nets.minibatch import MinibatchDiscrimination


def layer(features=4, kernels=3, dims=2):
    torch.manual_seed(0)
    return MinibatchDiscrimination(features, kernels, dims).double()


def test_it_is_the_double_loop_of_its_definition():
    net, f = layer(), torch.randn(5, 4, dtype=torch.float64)
    net.requires_grad_(False)
    out = net(f)
    for i in range(5):
        for k in range(3):
            o = 0.0
            for j in range(5):
                M_i, M_j = f[i] @ net.T[:, k], f[j] @ net.T[:, k]
                o += math.exp(-sum(abs(a - b) for a, b in zip(M_i, M_j, strict=True)))
            assert out[i, 4 + k].item() == pytest.approx(o, rel=1e-12)
    assert torch.equal(out[:, :4], f)


def test_the_order_of_a_minibatch_does_not_matter():
    net, f = layer(), torch.randn(9, 4, dtype=torch.float64)
    order = torch.randperm(9)
    assert torch.allclose(net(f)[order], net(f[order]), rtol=1e-12)


def test_a_collapsed_minibatch_counts_itself_and_a_wide_one_counts_one():
    net = layer()
    assert torch.allclose(net(torch.ones(6, 4).double())[:, 4:], torch.full((6, 3), 6.0).double())
    far = torch.arange(6.0).double()[:, None] * torch.randn(4).double() * 1e4
    assert torch.allclose(net(far)[:, 4:], torch.ones(6, 3).double())


def test_its_gradients_are_those_of_finite_differences():
    net = layer()
    f = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(net, f)
    assert gradgradcheck(net, f)  # penalties differentiate D's gradient


def test_sizes_below_one_are_refused():
    with pytest.raises(FrenemyError, match="kernels is 0"):
        MinibatchDiscrimination(4, 0, 2)
