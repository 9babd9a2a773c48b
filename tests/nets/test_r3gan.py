"""R3GAN: published sizes, blocks that start as the identity, resampling, gradients, conditions."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from frenemy.errors import FrenemyError
from frenemy.nets.r3gan import Block, Discriminator, Downsampling, Generator, Upsampling

SHAPE, WIDTHS = (3, 16, 24), [16, 8, 24]


def count(net):
    return sum(p.numel() for p in net.parameters())


def perturbed(net):
    """In float64, and no block the identity: of one that is, half of the gradients are 0."""
    for p in net.double().parameters():
        nn.init.normal_(p, std=0.3)
    return net


@pytest.fixture
def D():
    torch.manual_seed(0)
    return perturbed(Discriminator(SHAPE, WIDTHS, 2, classes=5))


@pytest.fixture
def G():
    torch.manual_seed(0)
    return perturbed(Generator(8, SHAPE, WIDTHS, 2, classes=5))


@pytest.mark.parametrize(
    ("side", "widths", "classes", "group", "sizes"),
    [  # Huang et al. (2024), table of settings; exact numbers by arithmetic
        (32, [768] * 4, 0, 16, (20_732_160, 20_683_776)),  # stacked digits, CIFAR-10 without labels
        (32, [768] * 4, 10, 16, (20_781_952, 21_280_512)),  # CIFAR-10
        (64, [768] * 4 + [384], 0, 16, (22_429_824, 22_381_440)),  # FFHQ-64
        (256, [768] * 4 + [384, 192, 96], 0, 16, (23_057_952, 23_009_568)),  # FFHQ-256
        (32, [1536] * 4, 1000, 32, (82_914_304, 86_548_992)),  # ImageNet-32
        (64, [1536] * 5, 1000, 32, (103_570_432, 107_205_120)),  # ImageNet-64
    ],
)
def test_the_published_settings_have_the_published_sizes(side, widths, classes, group, sizes):
    shape = (3, side, side)
    with torch.device("meta"):
        G = Generator(64, shape, widths, 2, classes, group=group)
        D = Discriminator(shape, widths, 2, classes, group=group)
    assert (count(G), count(D)) == sizes


def test_each_block_starts_as_the_identity():
    torch.manual_seed(0)
    G, D = Generator(8, SHAPE, WIDTHS, 2), Discriminator(SHAPE, WIDTHS, 2)
    blocks = [m for net in (G, D) for m in net.modules() if isinstance(m, Block)]
    assert len(blocks) == 2 * 2 * len(WIDTHS)
    for block in blocks:
        x = torch.randn(2, block.widen.weight.shape[1], 4, 6)
        assert torch.equal(block(x), x)


def test_weights_start_as_wide_as_published():
    torch.manual_seed(0)
    block = next(m for m in Generator(8, (3, 8, 8), [256], 4).modules() if isinstance(m, Block))
    gain = (2 / 1.04) ** 0.5 / 4**0.25  # four blocks in that net
    for layer, fan_in in ((block.widen, 256), (block.mix, 16 * 9)):
        # a deviation over n weights is known to 1 / sqrt(2 n), here 0.3 %
        assert layer.weight.std().item() == pytest.approx(gain / fan_in**0.5, rel=0.02)
        assert layer.bias is not None and not layer.bias.any()


@pytest.mark.parametrize("sides", [(8, 8), (4, 10), (2, 2)])
def test_resampling_is_a_convolution_with_1_3_3_1(sides):
    x = torch.randn(2, 3, *sides, dtype=torch.float64)
    line = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 8
    kernel = (line[:, None] * line).expand(3, 1, 4, 4)
    down = conv2d(x, kernel, stride=2, padding=1, groups=3)
    up = conv_transpose2d(x, 4 * kernel, stride=2, padding=1, groups=3)
    torch.testing.assert_close(Downsampling()(x), down)
    torch.testing.assert_close(Upsampling()(x), up)


def test_slopes_are_the_gradients_at_the_images(D):
    x = torch.randn(3, *SHAPE, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 4, 1])
    logits, slopes = D.slopes(x, y)
    again = D(x, y)
    (expected,) = torch.autograd.grad(again.sum(), x, create_graph=True)
    torch.testing.assert_close(logits, again)
    torch.testing.assert_close(slopes, expected)

    weights = list(D.parameters())  # and so are their own gradients: what a penalty takes
    found = torch.autograd.grad(slopes.square().sum() + logits.sum(), weights)
    expected = torch.autograd.grad(expected.square().sum() + again.sum(), weights)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_slopes_agree_with_finite_differences(D):
    x, v = torch.randn(2, 1, *SHAPE, dtype=torch.float64)
    y, h = torch.tensor([2]), 1e-6  # where no rectifier turns, D is linear: no error of order h
    difference = (D(x + h * v, y) - D(x - h * v, y)) / (2 * h)
    assert (D.slopes(x, y)[1] * v).sum().item() == pytest.approx(difference.item(), rel=1e-5)


def test_each_weight_gets_a_gradient(G, D):
    z, y = torch.randn(4, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 4])
    D(G(z, y), y).sum().backward()
    for name, p in itertools.chain(G.named_parameters(), D.named_parameters()):
        assert p.grad is not None and p.grad.any(), name


@pytest.mark.parametrize("shape", [(1, 32, 32), (4, 8, 24), (3, 28, 28), (2, 4, 4)])
def test_any_channels_and_sides_that_the_stages_give(shape):
    G, D = Generator(8, shape, [16, 8, 8], 1), Discriminator(shape, [16, 8, 8], 1)
    x = G(torch.randn(2, 8))
    assert x.shape == (2, *shape)
    assert D(x).shape == (2,)


def test_the_label_matters_to_both(G, D):
    z, x = torch.randn(1, 8, dtype=torch.float64), torch.randn(1, *SHAPE, dtype=torch.float64)
    a, b = torch.tensor([0]), torch.tensor([3])
    assert not torch.equal(G(z, a), G(z, b))
    assert not torch.equal(D(x, a), D(x, b))


def test_bfloat16_leaves_the_smallest_maps_in_float32():
    torch.manual_seed(0)
    D = Discriminator((3, 16, 16), [16, 8, 8], 1)
    seen = {}
    for stage, layer in (("small", D.small[0]), ("large", D.large[1])):
        assert isinstance(layer, Block)

        def note(_net: nn.Module, _x: object, y: torch.Tensor, stage: str = stage) -> None:
            seen[stage] = y.dtype

        layer.narrow.register_forward_hook(note)
    with torch.autocast("cpu", torch.bfloat16):
        logits, slopes = D.slopes(torch.randn(2, 3, 16, 16))
    assert seen == {"small": torch.float32, "large": torch.bfloat16}
    assert logits.dtype == slopes.dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "widths", "blocks", "message"),
    [
        # 30 lies between
        ((3, 30, 33), [8, 8, 8], 1, "30x33 .* multiples of 4: resize them to 32x32"),
        ((3, 32, 32), [8, 12], 1, "width 12: .* a multiple of 16"),
        ((3, 32, 32), [], 1, "stages is 0: give 1 or more"),
        ((0, 32, 32), [8], 1, "channels is 0"),
        ((3, 32, 32), [8], 0, "blocks is 0"),
        ((3, 32, 32), [8, 0], 1, r"widths\[1\] is 0"),
    ],
)
def test_what_cannot_be_built_is_told(shape, widths, blocks, message):
    with pytest.raises(FrenemyError, match=message):
        Generator(8, shape, widths, blocks)
    with pytest.raises(FrenemyError, match=message):
        Discriminator(shape, widths, blocks)
