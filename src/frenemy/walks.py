"""Walks: images on straight lines through z and, where there are classes, through these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from frenemy.errors import FrenemyError, at_least
from frenemy.model import Model
from frenemy.sampling import CHUNK, Labels, generate, mixes, noise


def walk(
    model: Model,
    points: int,
    steps: int,
    *,
    seed: int = 0,
    classes: Sequence[str] = (),
    one_z: bool = False,
) -> NDArray[Any]:
    """Images along straight lines from each random point of z to the next, back to the first.

    As in Figure 3 of Goodfellow et al. (2014). Where the players are told classes, line i is of
    class i. If some are named, point i is of the i-th of these, over and over, and on a line
    from one class to another their weights go straight, too, as z does.

    Args:
        model: whose players have a G that is told nothing, or classes.
        points: of z; steps: images from one to the next.
        seed: of the points.
        classes: by name.
        one_z: all points are the first one.

    Returns:
        uint8 (points, steps, C, H, W): line i begins at point i and ends one step before the
        next point.

    Raises:
        FrenemyError: points or steps is below 1, the seed out of range, there are no such
            classes, or G takes no weights of them; nothing would change; or there is no G.
    """
    at_least(1, points=points, steps=steps)
    model.require_generator()
    corners = torch.cat([*noise(model.game, 1 if one_z else points, seed)]).expand(points, -1)
    weights = torch.linspace(0, 1, steps + 1)[:-1, None]  # (steps, 1)

    def along(corners: Tensor) -> Tensor:
        ends = zip(corners, corners.roll(-1, 0), strict=True)
        return torch.cat([torch.lerp(a, b, weights) for a, b in ends])

    named = [classes[i % len(classes)] for i in range(points)] if classes else []
    if one_z and len(set(named)) < 2:
        raise FrenemyError("one z, and not two classes: nothing would change")
    if named:
        labels = _told(model, named, along)
    else:
        labels = np.arange(points).repeat(steps) % max(1, len(model.facts.classes))
    z, count = along(corners).split(CHUNK), points * steps
    images = generate(model.game, model.facts, z, count, seed=seed, labels=labels)
    return images.reshape(points, steps, *images.shape[1:])


def mix(
    model: Model,
    seeds: tuple[int, int],
    steps: int = 8,
    *,
    classes: tuple[str, str] | None = None,
) -> NDArray[Any]:
    """Images on the straight line from the first z that one seed names to that of another.

    Where the players are told classes, the line goes from the first of `classes` to the second;
    by default all images are of the first class there is. What networks draw within themselves
    is that of the first seed.

    Returns:
        uint8 (steps, C, H, W), with both ends.

    Raises:
        FrenemyError: steps is below 2, a seed out of range, there are no such classes, G takes
            no weights of them, the players are told of images, or there is no G.
    """
    at_least(2, steps=steps)
    model.require_generator()
    where = torch.linspace(0, 1, steps)[:, None]  # (steps, 1)

    def along(ends: Tensor) -> Tensor:
        return torch.lerp(ends[:1], ends[1:], where)

    ends = torch.cat([next(noise(model.game, 1, seed)) for seed in seeds])
    labels = np.zeros(steps, np.int64) if classes is None else _told(model, classes, along)
    z = along(ends).split(CHUNK)
    return generate(model.game, model.facts, z, steps, seed=seeds[0], labels=labels)


def _told(model: Model, names: Sequence[str], along: Callable[[Tensor], Tensor]) -> Labels:
    """What G is told on the way along lines between these classes, of as many corners.

    Raises:
        FrenemyError: there are no such classes, or they differ and G takes no weights of them.
    """
    labels = torch.from_numpy(np.concatenate([model.labels(name, 1) for name in names]))
    weights = along(one_hot(labels, len(model.classes)).float())  # (N, K)
    if len(set(names)) == 1:
        return model.labels(names[0], len(weights))
    if not mixes(model.game):
        raise FrenemyError(
            f"the G of {model.run.path} takes class labels, not mixtures of classes (see docs/"
            "concepts.md, Class-conditional games): name one class"
        )
    return weights.numpy()
