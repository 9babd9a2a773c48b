"""Affine warps of whole minibatches, and maps of images with their transposes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pixels = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> images
Map = tuple[Pixels, Pixels]
"""An affine map of images, and the transpose of its linear part: gradients at what it makes ->
gradients at what it is given. Both are made of torch's own operations: derivatives of any order.
"""


def warp(A: Tensor, b: Tensor, height: int, width: int) -> Map:
    """Each pixel q of what is made is taken from A q + b, by bilinear interpolation.

    q = (column, row) counts from the middle of the image. Outside the image lies its mirror image,
    whose first pixel repeats the last (NumPy's "symmetric"). Where A and b put each pixel on a
    pixel, as flips, quarter turns and whole shifts do, the images come out exact.

    Args:
        A: (B, 2, 2).
        b: (B, 2), in pixels.
        height, width: of the images.

    >>> apply, _ = warp(torch.tensor([[[-1.0, 0.0], [0.0, 1.0]]]), torch.zeros(1, 2), 1, 3)
    >>> apply(torch.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[3., 2., 1.]]]])
    """
    across = torch.arange(width, device=A.device, dtype=A.dtype) - (width - 1) / 2
    down = torch.arange(height, device=A.device, dtype=A.dtype)[:, None] - (height - 1) / 2
    # no matrix product, which may be rounded: these are exact where A and b are
    columns, rows = (
        A[:, i, 0, None, None] * across + A[:, i, 1, None, None] * down + b[:, i, None, None]
        for i in (0, 1)
    )  # (B, H, W)
    left, right, to_right = _neighbours(columns, width)
    upper, lower, to_lower = _neighbours(rows, height)
    places = [row * width + column for row in (upper, lower) for column in (left, right)]
    shares = [v * u for v in (1 - to_lower, to_lower) for u in (1 - to_right, to_right)]
    index = torch.stack(places, 1).flatten(1)[:, None]  # (B, 1, 4 H W)
    share = torch.stack(shares, 1).flatten(2)[:, None]  # (B, 1, 4, H W)

    def apply(x: Tensor) -> Tensor:
        taken = x.flatten(2).gather(2, index.expand(-1, x.shape[1], -1))
        return (taken.unflatten(2, (4, -1)) * share.to(x.dtype)).sum(2).view(x.shape)

    def transpose(g: Tensor) -> Tensor:
        given = (g.flatten(2)[:, :, None] * share.to(g.dtype)).flatten(2)
        index_of_all = index.expand(-1, g.shape[1], -1)
        return torch.zeros_like(g.flatten(2)).scatter_add(2, index_of_all, given).view(g.shape)

    return apply, transpose


def _neighbours(place: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels at both sides of places, counted from the middle, and how near the second is."""
    place = place + side / 2  # from the edge of the image
    place = (place - 2 * side * (place / (2 * side)).round()).abs()  # mirrored into the image
    place = (place - 0.5).clamp(min=0)  # from the middle of its first pixel
    first = place.floor()
    index = first.long()
    return index, (index + 1).clamp(max=side - 1), place - first


def masked(mask: Tensor) -> Map:
    """Images become 0 where the mask, (B, 1, H, W), is False."""

    def apply(x: Tensor) -> Tensor:
        return x * mask

    return apply, apply


def on_colours(apply: Pixels, transpose: Pixels) -> Map:
    """Maps of the colours alone, whatever else images have stays: see `colours`."""

    def of(part: Pixels) -> Pixels:
        def on_all(x: Tensor) -> Tensor:
            n = colours(x)
            return part(x) if n == x.shape[1] else torch.cat([part(x[:, :n]), x[:, n:]], 1)

        return on_all

    return of(apply), of(transpose)


def colours(x: Tensor) -> int:
    """Channels that are colours: red, green and blue, or grey; a second or fourth is alpha."""
    return 3 if x.shape[1] >= 3 else 1
