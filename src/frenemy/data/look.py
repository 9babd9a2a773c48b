"""A look at images before they are trained on: how many differ, and whether they show anything."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from frenemy.data.source import PLANE, Source
from frenemy.errors import FrenemyError

FEWEST = 8  # images to train on: of ten, one is kept to choose by, and one to judge by
LOOKED, NUMBERS = 20_000, 2**27  # images, and bytes of them, that are compared exactly
MEASURED = 2**23  # bytes of those whose pixels are measured
ALIKE, NEARLY = 0.01, 0.1  # deviation from the mean image, as a share of all deviation of pixels
NOISE = 0.1  # correlation of neighbouring pixels
OFTEN = 0.01  # share of copies that is told
FEW = 10  # images of a class, below which it is told
NAMED = 3  # classes at most


def look(source: Source) -> list[str]:
    """What matters of the images and is not seen in their number and size, in lines.

    Any slice of a source is a fair sample, so the first ones tell of all.

    Raises:
        FrenemyError: they are too few different ones, all alike, or each of one colour.
    """
    if source.shape == PLANE:
        return []
    size = math.prod(source.shape)
    copies, looked = _copies(source.images[: max(1, min(LOOKED, NUMBERS // size))])
    if looked < FEWEST:
        return []  # a recipe says of how few it can be played
    if (different := looked - copies) < FEWEST:
        raise FrenemyError(
            f"{source.name}: {_counted(looked, source)} hold only {different} different ones: give "
            "ten or more"
        )
    seen = source.images[: max(FEWEST, MEASURED // size)]
    if not np.ptp(seen, axis=(2, 3)).any():
        raise FrenemyError(f"{source.name}: each picture is of one colour, with nothing to learn")
    pixels = seen.astype(np.float32)
    differ = math.sqrt(pixels.var(axis=0).mean() / pixels.var(axis=(0, 2, 3)).mean())
    if differ < ALIKE:
        raise FrenemyError(f"{source.name}: the pictures are all but identical: nothing to learn")
    lines: list[str] = []
    if copies > OFTEN * looked:
        are = "is a copy of another" if copies == 1 else "are copies of others"
        lines.append(
            f"{copies:,} of {_counted(looked, source)} {are}, so held-out pictures may be among "
            "the training pictures, too"
        )
    if differ < NEARLY:
        lines.append(
            f"they are nearly identical: the mean image is {1 - differ**2:.1%} of their variance"
        )
    lines += _channels(pixels - pixels.mean(axis=0), np.ptp(seen, axis=(0, 2, 3)))
    return lines + _classes(source)


def _counted(looked: int, source: Source) -> str:
    return f"{looked:,} pictures" if looked == len(source) else f"the first {looked:,} pictures"


def _copies(images: NDArray[np.uint8]) -> tuple[int, int]:
    """How many are equal to an earlier one, and of how many."""
    seen = {hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=16).digest() for x in images}
    return len(images) - len(seen), len(images)


def _channels(pixels: NDArray[np.float32], spans: NDArray[np.uint8]) -> list[str]:
    """Which channels of (N, C, H, W), less their mean image, are empty, of no span, or noise."""
    empty, noise = list[int](), list[int]()
    for i, span in enumerate(spans):
        channel = pixels[:, i]
        power = np.square(channel).mean()
        pairs = [(channel[:, 1:], channel[:, :-1]), (channel[..., 1:], channel[..., :-1])]
        alike = [float((a * b).mean() / power) for a, b in pairs if a.size and power]
        if not span:
            empty.append(i)
        elif alike and max(map(abs, alike)) < NOISE:
            noise.append(i)
    found = {
        "the same everywhere": empty,
        "noise: neighbouring pixels are uncorrelated": noise,
    }
    return [f"{_named(which, len(spans))} {what}" for what, which in found.items() if which]


def _named(channels: list[int], count: int) -> str:
    """Which of so many channels, and "is" or "are"."""
    if len(channels) == count:
        return "what they show is"
    numbers = " and ".join(str(i + 1) for i in channels)
    is_one = len(channels) == 1
    return f"channel{'' if is_one else 's'} {numbers} of {count} {'is' if is_one else 'are'}"


def _classes(source: Source) -> list[str]:
    """Which classes have hardly any images to train on."""
    if source.labels is None or not source.classes:
        return []
    counts = np.bincount(source.labels, minlength=len(source.classes))
    few = [f"{source.classes[i]} {counts[i]}" for i in np.argsort(counts, kind="stable")]
    few = few[: int((counts < FEW).sum())]
    if not few:
        return []
    more = f" and {len(few) - NAMED:,} more" if len(few) > NAMED else ""
    return [
        f"classes with few pictures to train on, whose samples will be copies or blurs: "
        f"{', '.join(few[:NAMED])}{more}"
    ]
