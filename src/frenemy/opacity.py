"""Images of two or four channels, the last of which is their opacity: 0 is transparent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

CHECKER = 8  # pixels, a side of a square


def over_white(images: Images) -> Images:
    """Images (..., 2 or 4, H, W) as they are seen on white, (..., 1 or 3, H, W); others stay.

    >>> over_white(np.array([0, 51], np.uint8).reshape(2, 1, 1))
    array([[[204]]], dtype=uint8)
    """
    return _over(images, np.full(images.shape[-2:], 255, np.uint16))


def on_checker(images: Images) -> Images:
    """The same on squares of white and grey."""
    rows, columns = np.ogrid[: images.shape[-2], : images.shape[-1]]
    odd = (rows // CHECKER + columns // CHECKER) % 2
    return _over(images, np.where(odd, 204, 255).astype(np.uint16))


def _over(images: Images, behind: NDArray[np.uint16]) -> Images:
    if images.shape[-3] % 2:
        return images
    colours, opacity = images[..., :-1, :, :], images[..., -1:, :, :].astype(np.uint16)
    return ((colours * opacity + behind * (255 - opacity) + 127) // 255).astype(np.uint8)
