"""Affine warps of whole minibatches, and maps of images with their transposes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

Pixels = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> images
Map = tuple[Pixels, Pixels]
"""An affine map of images, and the transpose of its linear part: gradients at what it makes ->
gradients at what it is given. Both are made of torch's own operations: derivatives of any order.
"""


class _Linear(torch.autograd.Function):
    """A linear map whose transpose is given: of each, the derivative is the other."""

    @staticmethod
    def forward(x: Tensor, apply: Pixels, transpose: Pixels) -> Tensor:
        return apply(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Pixels, Pixels], output: Tensor) -> None:
        _, *ctx.maps = inputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (g,), (apply, transpose) = grad_outputs, ctx.maps
        return _linear(g, transpose, apply), None, None


def _linear(x: Tensor, apply: Pixels, transpose: Pixels) -> Tensor:
    return _Linear.apply(x, apply, transpose)


def warp(A: Tensor, b: Tensor, height: int, width: int) -> Map:
    """Each pixel q of what is made is taken from A q + b, by bilinear interpolation.

    q = (column, row) counts from the middle of the image. Outside the image lies its mirror image,
    whose first pixel repeats the last (NumPy's "symmetric"). Where A and b put each pixel on a
    pixel, as flips, quarter turns and whole shifts do, the images come out exact if their sides are
    powers of two, else as near as float32 tells pixels apart: to 1e-7 of a side.

    Args:
        A: (B, 2, 2).
        b: (B, 2), in pixels.
        height, width: of the images.

    >>> apply, _ = warp(torch.tensor([[[-1.0, 0.0], [0.0, 1.0]]]), torch.zeros(1, 2), 1, 4)
    >>> apply(torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]))
    tensor([[[[4., 3., 2., 1.]]]])
    """
    across = torch.arange(width, device=A.device, dtype=A.dtype) - (width - 1) / 2
    down = torch.arange(height, device=A.device, dtype=A.dtype)[:, None] - (height - 1) / 2
    # no matrix product, which may be rounded: these are exact where A and b are
    columns, rows = (
        A[:, i, 0, None, None] * across + A[:, i, 1, None, None] * down + b[:, i, None, None]
        for i in (0, 1)
    )  # (B, H, W)
    places = torch.stack([columns * (2 / width), rows * (2 / height)], 3)  # the image is [-1, 1]^2
    bilinear, mirrored, corners = 0, 2, False

    def sampled(x: Tensor) -> Tensor:
        return aten.grid_sampler_2d(x, places.to(x.dtype), bilinear, mirrored, corners)

    def spread(g: Tensor) -> Tensor:
        where = places.to(g.dtype), bilinear, mirrored, corners
        return aten.grid_sampler_2d_backward(g, g, *where, (True, False))[0]

    def in_float32(one: Pixels, other: Pixels) -> Pixels:
        def apply(x: Tensor) -> Tensor:  # bfloat16 does not tell the places apart
            wide = torch.promote_types(x.dtype, torch.float32)
            return _linear(x.to(wide), one, other).to(x.dtype)

        return apply

    return in_float32(sampled, spread), in_float32(spread, sampled)


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


def mixed(M: Tensor, offset: Tensor) -> Map:
    """The colours of each pixel become M times themselves, and more by the offset.

    Args:
        M: (B, n, n), of images with n colours.
        offset: (B,).
    """

    def apply(x: Tensor) -> Tensor:
        rows = torch.baddbmm(offset.to(x.dtype)[:, None, None], M.to(x.dtype), x.flatten(2))
        return rows.view(x.shape)

    def transpose(g: Tensor) -> Tensor:
        return torch.bmm(M.mT.to(g.dtype), g.flatten(2)).view(g.shape)

    return on_colours(apply, transpose)
