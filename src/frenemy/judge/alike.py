"""How far apart two images are, whatever small shift, flip, brightness or contrast lies between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

FINE = 64  # pixels of the longer side: larger images are brought down to it
COARSE = 16  # of the shorter side, up to which pixels are compared; above it means of 2 x 2
SHIFT = 14  # the part of the shorter side by which images may be shifted: 2 of 28 pixels
LEVEL = 1.0  # of 255: contrast below it is none


@dataclass(frozen=True)
class Alignment:
    """Images of one shape and the ways in which one may be laid upon another.

    The middle of one image, as much as all shifts leave, is compared with every window of that size
    of the other image and of its mirror image. Mean and contrast of both are taken out:
    u = (x - mean) / sqrt(|x - mean|^2 + n), n numbers of a window, in grey levels. The distance
    is the least |u - v|: 0 between an image and itself shifted, about 1.4 between images that
    have nothing in common, less where one has no contrast.

    Attributes:
        channels, height, width: of the images as they are compared.
        radius: pixels of these by which one may be shifted, each way.
        cell: 1, or 2 where means of 2 x 2 of these pixels are compared.
    """

    channels: int
    height: int
    width: int
    radius: int
    cell: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Alignment:
        """For images of (C, H, W).

        >>> Alignment.of((1, 28, 28)).radius, Alignment.of((3, 256, 128))
        (2, Alignment(channels=3, height=64, width=32, radius=2, cell=2))
        """
        channels, height, width = shape
        shrink = max(1.0, max(height, width) / FINE)
        height, width = max(1, round(height / shrink)), max(1, round(width / shrink))
        side = min(height, width)
        radius = min(max(1, side // SHIFT), side // 6)
        return cls(channels, height, width, radius, 2 if side > COARSE else 1)

    @property
    def shifts(self) -> int:
        """How many there are."""
        return (2 * self.radius + 1) ** 2

    def read(self, images: NDArray[np.uint8]) -> Tensor:
        """uint8 (B, C, H, W) -> grey levels at the size at which they are compared, float32."""
        levels = torch.from_numpy(np.array(images)).float()
        size = self.height, self.width
        return levels if levels.shape[2:] == size else F.adaptive_avg_pool2d(levels, size)

    def middles(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """The u of the middle of each image: (B, C, h, w) -> (B, n), and |u|^2 (B,)."""
        windows, _ = self._windows(levels, (self.radius, self.radius + 1))
        u = windows[:, 0] - windows[:, 0].mean(1, keepdim=True)
        u /= (u.square().sum(1, keepdim=True) + u.shape[1] * LEVEL**2).sqrt()
        return u, u.square().sum(1)

    def distances(self, levels: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """The distance of each image to some others, and how it is laid upon each.

        Args:
            levels: (B, C, h, w), as of `read`.
            others: (B, K, C, h, w): those that it is compared with.

        Returns:
            (B, K), and the number of the transform, int64 (B, K), see `told`.
        """
        count = others.shape[1]
        levels = levels - levels.mean((1, 2, 3), keepdim=True)  # squares lose fewer digits
        middles, squares = (x.unflatten(0, (-1, count)) for x in self.middles(others.flatten(0, 1)))
        either = torch.stack([levels, levels.flip(-1)], 1).flatten(0, 1)
        windows, size = self._windows(either, (0, 2 * self.radius + 1))  # (2 B, shifts, n)
        products = windows.view(len(levels), -1, size) @ middles.transpose(1, 2)
        numbers = float(size)
        spread = (windows.square().sum(2) - windows.sum(2).square() / numbers).clamp(min=0)
        spread = spread.view(len(levels), -1, 1)  # |x - mean|^2 of every window
        floor = spread + numbers * LEVEL**2
        apart = spread / floor + squares[:, None] - 2 * products / floor.sqrt()
        best = apart.min(1)
        return best.values.clamp(min=0).sqrt(), best.indices

    def told(self, transform: int) -> tuple[int, int, bool]:
        """Pixels down, pixels right and mirrored: by what the other image became this one."""
        mirrored, shift = divmod(transform, self.shifts)
        down, right = divmod(shift, 2 * self.radius + 1)
        return down - self.radius, right - self.radius, bool(mirrored)

    def _windows(self, levels: Tensor, steps: tuple[int, int]) -> tuple[Tensor, int]:
        """(B, C, h, w) -> (B, S, n) windows at all pairs of steps from the corner, and n."""
        rows, columns = (
            (side - 2 * self.radius) // self.cell * self.cell for side in (self.height, self.width)
        )
        cells = levels
        if self.cell > 1:
            cells = (cells[..., 1:] + cells[..., :-1]) / 2
            cells = (cells[..., 1:, :] + cells[..., :-1, :]) / 2
        found = [
            cells[
                :,
                :,
                y : y + rows - self.cell + 1 : self.cell,
                x : x + columns - self.cell + 1 : self.cell,
            ].flatten(1)
            for y in range(*steps)
            for x in range(*steps)
        ]
        windows = torch.stack(found, 1)
        return windows, windows.shape[2]
