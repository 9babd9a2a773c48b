"""What an array's axes and numbers mean: images first, and pixels as bytes or in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.errors import FrenemyError


def channels_first(images: NDArray) -> NDArray | None:
    """A view (N, C, H, W) of (N, H, W), (N, H, W, C) or (N, C, H, W).

    C is 1 or 3, or with opacity 2 or 4. Where both the second and the last axis could be C, it is
    that of 1 or 3, or else the last. Anything else, and an array without a single pixel, gives
    None.
    """
    if images.size == 0:
        return None
    if images.ndim == 3:
        return images[:, None]
    for channels in ((1, 3), (2, 4)) if images.ndim == 4 else ():
        if images.shape[3] in channels:
            return images.transpose(0, 3, 1, 2)
        if images.shape[1] in channels:
            return images
    return None


def pixel_scale(images: NDArray, path: Path) -> float:
    """What a pixel is multiplied by to lie in 0 .. 255: 1 for uint8, 255 for floats in [0, 1].

    Args:
        images: (N, ...); read in pieces, as it may be a memory map.
        path: the file it comes from, for messages.

    Raises:
        FrenemyError: if the pixels are neither.
    """
    if images.dtype == np.uint8:
        return 1
    if images.dtype.kind != "f":
        raise FrenemyError(
            f"{path}: pixels are {images.dtype}; save them as uint8, or as floats in [0, 1]"
        )
    low, high = extremes(images)
    if not (low >= 0 and high <= 1):  # in these words NaN fails too
        raise FrenemyError(
            f"{path}: float pixels must lie in [0, 1], not [{low:.4g}, {high:.4g}]; "
            "rescale them, or save bytes as uint8"
        )
    return 255


def extremes(images: NDArray) -> tuple[float, float]:
    """The least and the greatest number of (N, ...), NaN if there is a NaN among them."""
    pieces = [images[start : start + 1024] for start in range(0, len(images), 1024)]
    low = np.min([piece.min() for piece in pieces])
    high = np.max([piece.max() for piece in pieces])
    return float(low), float(high)
