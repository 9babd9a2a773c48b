"""Drawing samples: the noise that a seed names, G's images of it, and these as pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.data.source import PLANE
from frenemy.errors import at_least, at_most
from frenemy.game import Game

LARGEST_SEED = 2**64 - 1  # that torch's generators take
CHUNK = 500  # samples drawn at a time: bounded memory, and noise that does not depend on the count


@torch.inference_mode()
def to_pixels(images: Tensor) -> NDArray[Any]:
    """Images (B, C, H, W) in [-1, 1] as uint8 (B, C, H, W); what lies outside is clipped.

    Points in the plane stay float32, (B, 2, 1, 1).
    """
    if images.shape[1:] == PLANE:
        return images.float().cpu().numpy()
    pixels = images.clamp(-1, 1).add_(1).mul_(127.5).round_()
    return pixels.to("cpu", torch.uint8).numpy()


def noise(game: Game, count: int, seed: int) -> Iterator[Tensor]:
    """The z numbered 0 to count - 1 of the stream that `seed` names, (B, size) at a time.

    Raises:
        FrenemyError: the seed is below 0, or more than 64 bits hold.
    """
    at_least(0, seed=seed)
    at_most(LARGEST_SEED, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, CHUNK):
        yield game.prior(CHUNK, generator)[: count - start]


@torch.inference_mode()
def generate(game: Game, z: Iterable[Tensor], count: int) -> NDArray[Any]:
    """G's images of z, of its average if there is one.

    Args:
        game: whose G.
        z: (B, size) at a time, `count` in all.
        count: how many images.

    Returns:
        uint8 (count, C, H, W), as `to_pixels` gives them.

    Raises:
        MemoryError: so many do not fit.
    """
    G = game.players["G"].best
    training = G.training
    G.eval()
    images, done = np.empty(0, np.uint8), 0
    for part in z:
        drawn = to_pixels(G(part.to(game.device)))
        if not done:
            images = np.empty((count, *drawn.shape[1:]), drawn.dtype)
        images[done : done + len(drawn)] = drawn
        done += len(drawn)
    G.train(training)
    return images
