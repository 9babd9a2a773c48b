"""DCGAN: strided 4x4 convolutions with batch normalisation, and nothing else.

Radford, Metz and Chintala (2015), Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks, as it is played everywhere today: kernels of 4x4, not 5x5, and
half of the paper's maps. Weights start from N(0, .02^2), those of batch normalisation from
N(1, .02^2); biases at 0. The two convolutions that meet a single place, G's first and D's last, are
written as the linear maps that they are, which is faster.
"""

from __future__ import annotations

import itertools

from torch import nn

from frenemy.errors import at_least
from frenemy.nets.layers import Shape, ToMaps, ToVectors, start_of

SPREAD = 0.02  # of all initial weights


def generator(size_of_z: int, shape: Shape, width: int = 64) -> nn.Sequential:
    """G: z (B, size_of_z) -> images (B, *shape) in [-1, 1], by a tanh.

    Args:
        size_of_z: 100 in the paper.
        shape: (C, H, W), with sides from 16 to 256 as `start_of` takes them.
        width: maps at half the size of the images; twice as many at each half of that.

    Raises:
        FrenemyError: sides that no start gives.

    >>> import torch
    >>> generator(100, (3, 16, 24), width=4)(torch.randn(5, 100)).shape
    torch.Size([5, 3, 16, 24])
    """
    at_least(1, size_of_z=size_of_z, width=width)
    (rows, columns), times = start_of(shape)
    maps = [width * 2**i for i in reversed(range(times))]
    layers: list[nn.Module] = [
        nn.Linear(size_of_z, rows * columns * maps[0], bias=False),
        ToMaps(rows, columns),
    ]
    for n_in, n_out in itertools.pairwise([*maps, shape[0]]):
        layers += [nn.BatchNorm2d(n_in), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False)]
    return _started(nn.Sequential(*layers, nn.Tanh()))


def discriminator(
    shape: Shape, width: int = 64, *, normalised: bool = True, biased: bool = False
) -> nn.Sequential:
    """D: images (B, *shape) -> logits (B,); its last module makes them of maps.

    Args:
        shape, width: as of `generator`.
        normalised: all convolutions but the first and the last are batch-normalised; else these
            have biases instead, and D judges each image by itself, as gradient penalties need it.
        biased: the first convolution has biases. Without, what comes to the first batch
            normalisation is twice as much where all images are, so that a normalised D, but for
            its eps, does not see the contrast of a minibatch as a whole.

    Raises:
        FrenemyError: as `generator`.

    >>> import torch
    >>> discriminator((3, 16, 24), width=4)(torch.randn(5, 3, 16, 24)).shape
    torch.Size([5])
    """
    at_least(1, width=width)
    (rows, columns), times = start_of(shape)
    maps = [width * 2**i for i in range(times)]
    layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 4, 2, 1, bias=biased)]
    for n_in, n_out in itertools.pairwise(maps):
        layers += [nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=not normalised)]
        layers += [nn.BatchNorm2d(n_out)] if normalised else []
    last = nn.Linear(rows * columns * maps[-1], 1, bias=False)
    head = nn.Sequential(ToVectors(), last, nn.Flatten(0))
    return _started(nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True), head))


def _started(net: nn.Sequential) -> nn.Sequential:
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            mean = 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0
            nn.init.normal_(layer.weight, mean, SPREAD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net
