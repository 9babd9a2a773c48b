"""Layers that several networks share: dropout's statistics, ranges of pixels."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from frenemy.nets.layers import Dropout, FromUnit, Scale, ToUnit

KEEPS = pytest.mark.parametrize("keep", [0.2, 0.5, 0.8])


@KEEPS
def test_dropout_keeps_its_share_and_scales_it(keep):
    torch.manual_seed(0)
    y = Dropout(keep)(torch.ones(1000, 1000))
    assert set(y.unique().tolist()) == {0.0, y.max().item()}
    assert y.max().item() == pytest.approx(1 / keep, rel=1e-7)  # one rounding of float32
    share = (y != 0).double().mean().item()
    # binomial: 4 standard errors; 2^-17 is the resolution of 16 bits
    assert abs(share - keep) < 4 * math.sqrt(keep * (1 - keep) / y.numel()) + 2**-17


@KEEPS
def test_dropout_masks_are_independent_within_and_between_words(keep):
    torch.manual_seed(0)
    mask = Dropout(keep)(torch.ones(400_000)).view(-1, 8)  # two 64-bit words of four pieces a row
    correlations = mask.T.corrcoef() - torch.eye(8)
    assert correlations.abs().max() < 4.5 / math.sqrt(len(mask))  # 4.5 standard errors, 28 pairs


def test_dropout_is_the_identity_in_evaluation_and_where_all_is_kept():
    x = torch.randn(5, 7)
    assert torch.equal(Dropout(0.3).eval()(x), x)
    assert torch.equal(Dropout(1.0)(x), x)


@KEEPS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_dropout_is_its_mask_over_keep(keep, dtype):
    x = torch.ones(50, 3, dtype=dtype, requires_grad=True)
    y = Dropout(keep)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert y.dtype == dtype
    assert torch.equal(gradient, y.detach())  # x = 1: y is mask / keep itself
    assert 0 < (gradient == 0).sum() < x.numel()


def test_dropout_is_a_function_of_the_seed():
    drop, x = Dropout(0.5), torch.ones(100)
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        masks.append(drop(x))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert not torch.equal(drop(x), drop(x))  # fresh at every call


@pytest.mark.parametrize("shape", [(1,), (3,), (0, 4), (5, 7), (2, 3, 5, 3), ()])
def test_dropout_takes_any_size(shape):
    x = torch.ones(shape)
    y = Dropout(0.5)(x)
    assert y.shape == x.shape
    assert ((y == 0) | (y == 2)).all()


def test_dropout_takes_images_in_channels_last_order():
    torch.manual_seed(0)
    x = torch.ones(2, 3, 16, 16).to(memory_format=torch.channels_last)
    y = Dropout(0.5)(x)
    share = (y != 0).double().mean().item()
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / y.numel())  # binomial: 4 standard errors


def test_to_unit_and_from_unit_are_inverse():
    levels = torch.arange(256.0).view(2, 2, 8, 8)
    x = levels / 127.5 - 1
    pixels = ToUnit()(x)
    assert pixels.shape == (2, 128)
    # float32 roundings
    torch.testing.assert_close(pixels, levels.flatten(1) / 255, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(FromUnit((2, 8, 8))(pixels), x, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("layer", [ToUnit(), FromUnit((1, 2, 3)), Scale(3.0)], ids=str)
def test_layers_leave_their_input_alone_and_have_the_right_gradient(layer):
    shape = (4, 6) if isinstance(layer, FromUnit) else (4, 1, 2, 3)
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()
    assert gradcheck(layer, (x,))
    assert torch.equal(x, before)


def test_scale_multiplies():
    assert torch.equal(Scale(2.5)(torch.tensor([2.0, -4.0])), torch.tensor([5.0, -10.0]))


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Dropout(0.8), "Dropout(keep=0.8)"),
        (FromUnit((1, 28, 28)), "FromUnit(1x28x28)"),
        (Scale(1 / 3), "Scale(0.3333)"),
    ],
    ids=str,
)
def test_layers_tell_their_settings(layer, text):
    assert repr(layer) == text
