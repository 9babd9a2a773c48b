"""How much fine detail there is in images: blur costs it, and noise adds to it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate, tiles
from frenemy.judge.sets import Images

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def sharpness(*, real: Images, fake: Images) -> Estimate:
    """The samples' fine detail over that of real images: 1 is as sharp, less is blurred.

    The detail of an image is the root mean square of its Laplacian, 4 x - (up + down + left +
    right), over all pixels that have four neighbours, in grey. A Gaussian blur of half a pixel
    leaves .6 to .7 of it, one of a whole pixel .16 to .3, JPEG at quality 30 .83 to .9
    (`benchmarks/traps.py`). The error is the delta method's, with both sets drawn anew.

    Source: after Pech-Pacheco et al. (2000), Diatom Autofocusing in Brightfield Microscopy, where
    the Laplacian's variance tells whether a picture is in focus.

    Args:
        real, fake: uint8 (N, C, H, W), (M, C, H, W), two or more of each, 3 pixels or more a side.

    Raises:
        FrenemyError: too few or too small images, or real ones without any detail.

    >>> real = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8), np.uint8)
    >>> print(sharpness(real=real, fake=real // 2 + 64))
    0.500 ± 0.012
    """
    for name, images in (("real", real), ("fake", fake)):
        if len(images) < 2 or min(images.shape[2:]) < 3:
            raise FrenemyError(
                f"sharpness: {len(images):,} {name} images of "
                f"{images.shape[2]}x{images.shape[3]}: needs two or more, of 3x3 at least"
            )
    of_real, of_fake = detail(real), detail(fake)
    base = of_real.mean().item()
    if not base:
        raise FrenemyError("sharpness: the real images have no detail at all")
    value = of_fake.mean().item() / base
    return Estimate.of_influences(value, fake=of_fake / base, real=-value * of_real / base)


def detail(images: Images) -> Tensor:
    """The root mean square of each image's Laplacian, in pixels of [0, 1]: float64 (N,)."""
    kernel = torch.tensor(LAPLACIAN)[None, None]
    parts = []
    for here in tiles(len(images)):
        x = torch.from_numpy(np.array(images[here])).float().mean(1, keepdim=True) / 255
        parts.append(torch.nn.functional.conv2d(x, kernel).square().mean((1, 2, 3)))
    return torch.cat(parts).double().sqrt()
