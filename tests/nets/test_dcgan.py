"""DCGAN: the sizes that everybody's has, any shape that a start gives, initial weights."""

import pytest
import torch
from torch import nn

from frenemy.errors import FrenemyError
from frenemy.nets.dcgan import discriminator, generator

SHAPES = [(1, 16, 16), (3, 32, 32), (4, 64, 64), (1, 28, 28), (3, 48, 48), (3, 16, 40)]


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_at_64_pixels_it_has_as_many_weights_as_the_usual_example():
    with torch.device("meta"):
        G, D = generator(100, (3, 64, 64)), discriminator((3, 64, 64))
        unnormalised = discriminator((3, 64, 64), normalised=False)
        biased = discriminator((3, 64, 64), biased=True)
    assert (count(G), count(D)) == (3_576_704, 2_765_568)
    assert count(unnormalised) == count(D) - (128 + 256 + 512)  # a bias, not a weight and a bias
    assert count(biased) == count(D) + 64


@pytest.mark.parametrize("shape", [*SHAPES, (3, 256, 256), (3, 16, 256)])
@pytest.mark.parametrize("normalised", [True, False])
def test_images_of_any_start_doubled(shape, normalised):
    G, D = generator(5, shape, width=1), discriminator(shape, width=1, normalised=normalised)
    x = G(torch.randn(3, 5))
    assert x.shape == (3, *shape)
    assert x.abs().max() <= 1
    assert D(x).shape == (3,)


@pytest.mark.parametrize(
    ("shape", "nearest"),
    [
        ((1, 8, 8), "16x16"),
        ((3, 30, 30), "32x32"),
        ((3, 36, 36), "32x32"),
        ((3, 64, 50), "64x48"),
        ((3, 200, 200), "192x192"),
        ((3, 512, 300), "256x256"),
        ((3, 1, 1), "16x16"),
    ],
)
def test_other_sides_are_refused_and_the_nearest_named(shape, nearest):
    with pytest.raises(FrenemyError, match=f"resize the images to {nearest}$"):
        generator(100, shape)
    with pytest.raises(FrenemyError, match=f"resize the images to {nearest}$"):
        discriminator(shape)
    rows, columns = map(int, nearest.split("x"))
    assert discriminator((1, rows, columns), width=1)


def test_no_maps_are_refused():
    with pytest.raises(FrenemyError, match="width is 0"):
        generator(100, (3, 32, 32), width=0)
    with pytest.raises(FrenemyError, match="channels is 0"):
        discriminator((0, 32, 32))


def test_weights_start_as_wide_as_published():
    torch.manual_seed(0)
    for net in (generator(100, (3, 32, 32)), discriminator((3, 32, 32))):
        for layer in net.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
                mean = 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0
                w = layer.weight
                # 4 standard errors: of a mean std / sqrt n, of a deviation std / sqrt(2 n)
                assert abs(w.mean().item() - mean) < 4 * 0.02 / w.numel() ** 0.5
                assert abs(w.std().item() - 0.02) < 4 * 0.02 / (2 * w.numel()) ** 0.5
                assert layer.bias is None or not layer.bias.any()


def test_the_ends_are_the_convolutions_of_a_single_place():
    torch.manual_seed(0)
    G, D = generator(5, (3, 16, 24), width=2).double(), discriminator((3, 16, 24), width=2).double()
    z, maps = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 4, 4, 6, dtype=torch.float64)
    weight = G[0].weight.view(4, 6, 4, 5).permute(3, 2, 0, 1)  # (size of z, maps, rows, columns)
    transposed = nn.functional.conv_transpose2d(z[:, :, None, None], weight)
    torch.testing.assert_close(G[1](G[0](z)), transposed)
    weight = D[-1][1].weight.view(1, 4, 6, 4).permute(0, 3, 1, 2)
    torch.testing.assert_close(D[-1](maps), nn.functional.conv2d(maps, weight).flatten())


def test_without_normalisation_each_image_is_judged_by_itself():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    D = discriminator((3, 16, 16), width=4, normalised=False).double()
    torch.testing.assert_close(D(x), torch.cat([D(image[None]) for image in x]))
    D = discriminator((3, 16, 16), width=4).double()
    assert not torch.allclose(D(x), torch.cat([D(image[None]) for image in x]))


@pytest.mark.parametrize("biased", [True, False])
def test_without_biases_a_normalised_D_is_blind_to_contrast(biased):
    torch.manual_seed(0)
    D = discriminator((1, 16, 16), width=4, biased=biased).double()
    for layer in D.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-30
    if biased:
        nn.init.normal_(D[0].bias)
    x = torch.rand(8, 1, 16, 16, dtype=torch.float64) - 0.5
    # a product with a half is exact, so what is left is the rounding of sums: some 1e-16
    assert torch.allclose(D(x / 2), D(x), rtol=0, atol=1e-12) != biased
