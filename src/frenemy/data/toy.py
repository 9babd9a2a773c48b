"""Data whose modes can be counted: mixtures of Gaussians in the plane, and stacked digits.

The ring of 8 and the grid of 25: Srivastava et al. (2017), VEEGAN: Reducing Mode Collapse in GANs
using Implicit Variational Learning. Stacks, of which MNIST has 1,000 modes: Metz, Poole, Pfau and
Sohl-Dickstein (2017), Unrolled Generative Adversarial Networks. How many of each: Lin et al.
(2018), PacGAN: The Power of Two Samples in Generative Adversarial Networks.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import PARTS
from frenemy.data.source import PLANE, Dataset, Drawn, Source
from frenemy.errors import FrenemyError, at_least
from frenemy.names import known

TOY, STACKED = "toy:", "stacked:"
"""How the names of such data begin."""

POINTS = (100_000, 10_000, 10_000)
STACKS = (128_000, 26_000, 26_000)
"""How many are train, valid and test."""


def ring(count: int = 8, radius: float = 1.0) -> NDArray[np.float32]:
    """Centres at even angles on a circle, float32 (count, 2), the first one at (radius, 0).

    >>> abs(ring(4).round()).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    at_least(1, count=count)
    angles = np.arange(count) * (math.tau / count)
    return (radius * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(np.float32)


def square_grid(side: int = 5, spacing: float = 2.0) -> NDArray[np.float32]:
    """Centres on a square lattice around 0, float32 (side^2, 2): by default {-4, -2, 0, 2, 4}^2.

    >>> square_grid(2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    at_least(1, side=side)
    line = (np.arange(side) - (side - 1) / 2) * spacing
    return np.array([*itertools.product(line, line)], np.float32)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians N(centre, sd^2 I) in the plane, all as likely.

    Attributes:
        centres: float32 (K, 2).
        sd: of every mode.
        unit: what points are divided by where they are data, so that they lie in (-1, 1).
    """

    centres: NDArray[np.float32]
    sd: float
    unit: float


MIXTURES: Mapping[str, Mixture] = {
    "ring": Mixture(ring(), 0.01, 1.25),
    "grid": Mixture(square_grid(), 0.05, 5.0),
}
"""By what follows `toy:`."""


def points(name: str) -> Dataset:
    """Points drawn from the mixture of this name, float32 (N, 2, 1, 1); their modes are the labels.

    The modes of ring and grid are .8 from 0 at most, their standard deviations .008 and .01.

    >>> points("ring").description
    'toy:ring, 8 Gaussians in the plane'
    """
    mixture = MIXTURES[known(name, list(MIXTURES), "toy")]
    name, K = TOY + name, len(mixture.centres)
    classes = tuple(f"({a:.3g}, {b:.3g})" for a, b in mixture.centres.round(3) + 0.0)  # no -0
    parts: list[Source] = []
    for seed, (part, count) in enumerate(zip(PARTS, POINTS, strict=True)):
        rng = np.random.Generator(np.random.Philox(seed))
        labels = rng.integers(K, size=count)
        x = mixture.centres[labels] + mixture.sd * rng.standard_normal((count, 2))
        x = (x / mixture.unit).astype(np.float32).reshape(-1, *PLANE)
        parts.append(Source(x, labels, f"{name} {part}", _digest(name), classes))
    return Dataset(
        *parts, description=f"{name}, {K} Gaussians in the plane", arguments={"path": name}
    )


def stack(source: Source, count: int, seed: int = 0) -> Source:
    """Stacks: three grey images drawn at random, with replacement, as the colour channels.

    They are put together when they are asked for. Stack i is a function of the source, seed and i.
    If there are ten classes, the stack of classes a, b, c is of class 100 a + 10 b + c.

    Raises:
        FrenemyError: the images are not grey.
    """
    if source.shape[0] != 1:
        raise FrenemyError(f"{source.name}: only grey images can be stacked: leave out the colours")
    words = np.random.RandomState(seed).randint(2**32, size=(count, 3), dtype=np.uint32)
    index = (words % len(source)).astype(np.int64)
    labels, classes = None, ()
    if source.labels is not None and len(source.classes) == 10:
        labels = source.labels[index] @ np.array([100, 10, 1])
        classes = tuple(" ".join(three) for three in itertools.product(source.classes, repeat=3))
    images = cast("NDArray[np.uint8]", Drawn(source.images[:, 0], index))
    digest = _digest(f"{STACKED}{source.digest}")
    return Source(images, labels, f"stacks of {source.name}", digest, classes)


def stacked(data: Dataset) -> Dataset:
    """The stacks of every part's images; raises FrenemyError as `stack`."""
    parts = zip((data.train, data.valid, data.test), STACKS, strict=True)
    return Dataset(
        *(stack(part, count) for part, count in parts),
        description=f"stacks of three of {data.description}",
        arguments={**data.arguments, "path": f"{STACKED}{data.arguments['path'] or ''}"},
    )


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()
