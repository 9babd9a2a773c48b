"""How images are brought to the size that a network reads.

`fitted` is for any network. The other two bring them to the 299x299 pixels that Inception reads.

`original` is what the graph of the published FIDs does inside itself: TensorFlow 1's bilinear rule,
which looks at four pixels however far it shrinks, so that fine patterns alias. `clean` filters
first. Parmar et al. (2022), On Aliased Resizing and Surprising Subtleties in GAN Evaluation, show
how far the choice alone moves a Frechet distance: values compare only under the same one.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from frenemy.errors import FrenemyError

SIZE = 299
"""Height and width of what comes out."""

Resizing = Literal["original", "clean"]
"""The names of the two."""


def resized(images: Tensor, how: Resizing) -> Tensor:
    """Images at Inception's size and with three channels; grey ones are repeated.

    Args:
        images: uint8 (N, 3, H, W) or (N, 1, H, W).
        how: `original` or `clean`.

    Returns:
        float32 (N, 3, 299, 299) in [0, 255], not rounded.

    Raises:
        FrenemyError: the images are of another kind, or there is no such resizing.

    >>> resized(torch.full((2, 1, 28, 28), 7, dtype=torch.uint8), "clean").shape
    torch.Size([2, 3, 299, 299])
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        kind = str(images.dtype).removeprefix("torch.")
        raise FrenemyError(
            f"inception: reads images as uint8 (N, 1 or 3, H, W), not {kind} {tuple(images.shape)}"
        )
    if not images.shape[2] or not images.shape[3]:
        raise FrenemyError(f"inception: images without pixels: {tuple(images.shape)}")
    if how not in ("original", "clean"):
        raise FrenemyError(f'inception: no resizing {how!r}: choose "original" or "clean"')
    return (original if how == "original" else clean)(images).expand(-1, 3, -1, -1)


def original(images: Tensor) -> Tensor:
    """TensorFlow 1's bilinear resize: corners not aligned, pixels' centres not halved, no filter.

    Pixel i comes from the real-valued place s = i in / out, between floor(s) and the pixel after it
    (the last one has none, and stands for itself): x_l + (x_u - x_l) (s - l), in float32, along
    the rows and then along the columns. So 2 pixels become 4 at the places 0, 1/2, 1, 3/2, the
    picture moves up and left when it grows, and most pixels are skipped when it shrinks.

    Args:
        images: (N, C, H, W), uint8 or floating-point.

    Returns:
        float32 (N, C, 299, 299), within the range of the images.
    """
    return _along(_along(images, 3), 2)


def _along(x: Tensor, dim: int) -> Tensor:
    count = x.shape[dim]
    place = torch.arange(SIZE, dtype=torch.float32, device=x.device) * (count / SIZE)
    lower = place.floor().long()
    upper = (lower + 1).clamp_(max=count - 1)
    share = place - lower
    left, right = (x.index_select(dim, index).float() for index in (lower, upper))
    # not torch.lerp, which rounds otherwise from 1/2 on
    return left + (right - left) * (share if dim == 3 else share[:, None])


def clean(images: Tensor) -> Tensor:
    """Bicubic resize with a filter as wide as the shrinking asks: clean-fid's, which is Pillow's.

    Keys's cubic with a = -1/2, stretched by in / out where that exceeds 1, with pixels' centres at
    1/2, on floats, without rounding. It overshoots at edges: clipped to [0, 255], as there.

    Args:
        images: (N, C, H, W), uint8 or floating-point in [0, 255].

    Returns:
        float32 (N, C, 299, 299) in [0, 255].
    """
    # with places in float64, as Pillow's are, it is Pillow's to the last bit; in float32 it is .006
    # of 255 levels off
    x = F.interpolate(
        images.double(), (SIZE, SIZE), mode="bicubic", antialias=True, align_corners=False
    )
    return x.float().clamp_(0, 255)


def fitted(x: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Images with so many channels and of that height and width, as a network wants them.

    Grey ones are repeated, the channels of colour ones averaged; height and width are resized, each
    on its own, by a bicubic filter as wide as the shrinking asks. It overshoots at edges: clipped.

    Args:
        x: floats (B, 1 or 3, H, W) in [-1, 1].
        channels: 1 or 3.
        size: height and width.

    Returns:
        (B, channels, *size) in [-1, 1].

    >>> fitted(torch.ones(2, 1, 8, 8), 3, (16, 12)).shape
    torch.Size([2, 3, 16, 12])
    """
    if x.shape[1] > channels:
        x = x.mean(1, keepdim=True)
    if x.shape[2:] != size:
        x = F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)
        x = x.clamp_(-1, 1)
    return x.expand(-1, channels, -1, -1)
