"""Markov chains that start from images which the network remembers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from frenemy.data import Source
from frenemy.game import Prior
from frenemy.nets.layers import Shape

MOST = 1000
"""Remembered images: chains that start from the same one part by what they draw."""
ROWS = 100
"""Samples whose chains run side by side."""
WHICH = Prior("uniform", 1)
"""The z of a game whose samples come from such chains: it names the image to start from."""


class Starts(nn.Module):
    """Images of the training set, from which chains start: `begin` remembers them.

    Args:
        shape: (C, H, W) of an image.
        count: of the training set, of which at most `MOST` are remembered.
    """

    images: Tensor

    def __init__(self, shape: Shape, count: int) -> None:
        super().__init__()
        blank = torch.zeros(min(count, MOST), math.prod(shape), dtype=torch.uint8)
        self.register_buffer("images", blank)

    def begin(self, source: Source) -> None:
        """Remembers different images, drawn at random."""
        drawn = source.random(len(self.images), int(torch.randint(2**31, ())))
        self.images.copy_(torch.from_numpy(drawn).flatten(1))

    def forward(self, z: Tensor) -> Tensor:
        """The images that z (B, 1) of `WHICH` names, as pixels in [0, 1]: (B, C H W)."""
        share = z[:, 0].div(math.sqrt(3)).add(1).div(2)
        which = (share * len(self.images)).long().clamp(0, len(self.images) - 1)
        return self.images[which].to(z.dtype) / 255

    def spread(self, count: int) -> Tensor:
        """So many of the images, far apart in their order, as pixels in [0, 1]: (count, C H W)."""
        which = torch.arange(count, device=self.images.device) * len(self.images) // count
        return self.images[which] / 255
