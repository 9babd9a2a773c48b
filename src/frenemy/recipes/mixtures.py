"""Mixtures and kernels as recipes: models that are fitted, not played, in one round without turns.

A player has no parameters: what its stage finds in the data lies in its network's buffers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from frenemy.data import Facts
from frenemy.errors import FrenemyError, at_least
from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior
from frenemy.rivals.mixtures import Centroids, Gaussians, Kernels, Mixture

READ = 100  # images at a time, by what looks at the data of a game


@dataclass(frozen=True)
class Mixing:
    """Arguments of a mixture of Gaussians.

    Attributes:
        components: Gaussians; 0 for one to 500 images, and 100 at most.
        axes: principal components in whose space they are; 0 for one to 10 images, and 50 at most.
    """

    components: int = 0
    axes: int = 0


@dataclass(frozen=True)
class Smoothing:
    """Arguments of a kernel density.

    Attributes:
        components: training images that carry a kernel; 0 for 9 of 10, and 10,000 at most.
        bandwidth: standard deviation of the kernel, in pixels of 0 to 1; 0 for that under which
            other training images are likeliest, from .10 to .29.
    """

    components: int = 0
    bandwidth: float = 0.0


@dataclass(frozen=True)
class Clustering:
    """Arguments of k-means.

    Attributes:
        components: clusters; 0 for one to 5 images, and 10,000 at most.
    """

    components: int = 0


def gaussians(facts: Facts, arguments: Mixing = Mixing()) -> list[Stage]:
    """A mixture of Gaussians in the space of principal components, by scikit-learn."""
    count, pixels = facts.count, math.prod(facts.shape)
    components = _few("components", arguments.components, min(100, count / 500), count - 1, facts)
    axes = _few("axes", arguments.axes, min(50, count / 10, pixels), count - 1, facts)
    net = Gaussians(facts.shape, components, axes)
    return _fitted("mixture", net, 1 + axes)


def kde(facts: Facts, arguments: Smoothing = Smoothing()) -> list[Stage]:
    """A kernel density: training images and Gaussian noise."""
    count = facts.count
    usual = min(10_000, 0.9 * count)
    components = _few("components", arguments.components, usual, count - 1, facts)
    net = Kernels(facts.shape, components, arguments.bandwidth)
    return _fitted("kernels", net, 1 + net.centres.shape[1])


def kmeans(facts: Facts, arguments: Clustering = Clustering()) -> list[Stage]:
    """K-means centroids as samples, by scikit-learn: beyond true images by Parzen windows."""
    count = facts.count
    components = _few("components", arguments.components, min(10_000, count / 5), count, facts)
    return _fitted("centroids", Centroids(facts.shape, components), 1)


def _few(name: str, given: int, usual: float, most: int, facts: Facts) -> int:
    """The number given, or the usual one.

    Raises:
        FrenemyError: it is more than there can be.
    """
    at_least(0, **{name: given})
    if most < 1 or given > most:
        raise FrenemyError(
            f"{facts.count:,} images of {facts.name} are too few for {max(given, 1):,} {name}: "
            + (f"give {most:,} or less" if most else "give more images")
        )
    return given or max(1, min(int(usual), most))


def _fitted(name: str, net: Mixture, size: int) -> list[Stage]:
    def draw(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
        return nets[name](z)

    game = Game({name: Player.fitted(net)}, [], Prior("gaussian", size), READ, sampler=draw)
    return [Stage(game, 1, begin=net.begin)]
