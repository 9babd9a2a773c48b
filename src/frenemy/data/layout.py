"""What the axes of an array of images mean."""

from __future__ import annotations

import math

from numpy.typing import NDArray

from frenemy.errors import FrenemyError

_SIDE = 8
"""Pixels: of two sides that are as long, (H, W, 3) is rather one picture than H images."""


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


def images_first(array: NDArray, what: str) -> NDArray:
    """The same, of an array that was not written for this.

    Args:
        array: what is to be images.
        what: what messages call it.

    Raises:
        FrenemyError: if its axes are others, or may well be.
    """
    shape = array.shape
    images = channels_first(array)
    if images is None:
        side = math.isqrt(shape[1]) if len(shape) == 2 else 0
        flat = side > 1 and side * side == shape[1]
        told = f"; flat ones are to be saved as array.reshape(-1, {side}, {side})" if flat else ""
        raise FrenemyError(
            f"{what}: its shape is {shape}; images are (N, H, W), (N, H, W, C) or "
            f"(N, C, H, W) with C 1 to 4{told}"
        )
    if len(shape) == 3 and (other := _otherwise(*shape)):
        n, height, width = shape
        raise FrenemyError(
            f"{what}: its shape {shape} may mean {other}; or {n} grey images of {width}x{height}: "
            "save those as array[..., None]"
        )
    return images


def _otherwise(a: int, b: int, c: int) -> str:
    """What (a, b, c) rather is than `a` grey images (b, c), and how to save that; or ""."""
    if c <= 4 and min(a, b) >= _SIDE:
        return f"one picture of {b}x{a}: save pictures in a folder, or many in one array"
    if a <= 4 and min(b, c) >= _SIDE:
        return f"one picture of {c}x{b}: save pictures in a folder, or many in one array"
    if c > 4 and (a == b != c or _stretch(b, c) > 2 * _stretch(a, b)):
        return f"{c} images of {b}x{a}: save those as array.transpose(2, 0, 1)"
    return ""


def _stretch(a: int, b: int) -> float:
    return max(a, b) / min(a, b)
