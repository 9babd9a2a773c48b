"""What the numbers of pixels range over: 0 .. 255 in bytes, 0 .. 1 in floats, or as a person says.

Black is the lower end, white the upper one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frenemy.errors import FrenemyError


class Range(NamedTuple):
    """From which number, black, to which, white."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Range:
        """The range that is written LOW..HIGH.

        Raises:
            FrenemyError: it is written otherwise, or the lower end is not below the upper one.

        >>> Range.parse("-1..1")
        Range(low=-1.0, high=1.0)
        """
        try:
            low, high = map(float, text.split("..", 1))
        except ValueError:
            low = high = math.nan
        if not -math.inf < low < high < math.inf:
            raise FrenemyError(f"a range is LOW..HIGH, such as 0..1 or -1..1, not {text!r}")
        return cls(low, high)

    def __str__(self) -> str:
        return f"{self.low:.15g}..{self.high:.15g}"

    def holds(self, low: float, high: float) -> bool:
        """Whether these, the least and the greatest number, lie in it, but for rounding."""
        rounding = (self.high - self.low) / 510  # half of what two bytes differ by
        return self.low - rounding <= low and high <= self.high + rounding

    def to_bytes(self, values: NDArray) -> NDArray[np.uint8]:
        """Numbers in the range as 0 .. 255, rounded."""
        if self == BYTES and values.dtype == np.uint8:
            return values
        wide = values.astype(np.result_type(values, np.float32))
        levels = np.rint((wide - self.low) * (255 / (self.high - self.low)))
        return levels.clip(0, 255).astype(np.uint8)

    def picture_to_bytes(self, image: NDArray) -> NDArray[np.uint8]:
        """The colours of (C, H, W) as 0 .. 255; its opacity, if any, is of 0 .. 255 already.

        Raises:
            ValueError: there are colours beyond the range.
        """
        seen = _seen(image)
        if seen.size and not self.holds(seen.min(), seen.max()):
            raise ValueError(f"its pixels lie in {seen.min()}..{seen.max()}, beyond --range {self}")
        colours = len(image) - 1 + len(image) % 2
        opacity = image[colours:].astype(np.uint8)
        return np.concatenate([self.to_bytes(image[:colours]), opacity])


BYTES = Range(0, 255)
UNIT = Range(0, 1)
SIXTEEN_BITS = Range(0, 65535)

USUAL = (Range(-1, 1), BYTES, Range(0, 4095), SIXTEEN_BITS)
"""What is proposed where the numbers do not tell, if they take up most of it."""

DARK = 63
"""Of 255: a set without a brighter pixel has probably another white."""


def range_of(images: Sequence[NDArray], path: Path, given: Range | None) -> Range:
    """What the pixels of arrays range over: `given`, or what their type and numbers say.

    Bytes go from 0 to 255, truth values from 0 to 1, and floats from 0 to 1 or, if they are whole
    numbers and some are greater than 1, to 255. No other numbers tell.

    Args:
        images: each (n, ...), all of one type; read in pieces, as they may be memory maps.
        path: the file they come from, for messages.
        given: the range that a person gives.

    Raises:
        FrenemyError: if pixels lie beyond the range, or do not tell it.
    """
    dtype = images[0].dtype
    floats = dtype.kind == "f"
    if any(array.dtype != dtype and not (floats and array.dtype.kind == "f") for array in images):
        raise FrenemyError(f"{path}: images of several types; save all as uint8")
    if dtype.kind not in "biuf":
        raise FrenemyError(f"{path}: pixels are {dtype}; save them as uint8, or as floats in 0..1")
    if given is None and not floats and dtype in (np.uint8, np.bool_):
        return BYTES if dtype == np.uint8 else UNIT
    low, high = extremes(images)
    if math.isnan(low):
        raise FrenemyError(f"{path}: there are pixels that are not a number (NaN)")
    if given is not None:
        if not given.holds(low, high):
            raise FrenemyError(
                f"{path}: pixels lie in {low:.4g}..{high:.4g}, beyond --range {given}"
            )
        return given
    if floats and UNIT.holds(low, high):
        return UNIT
    if floats and BYTES.holds(low, high) and all(_whole(array) for array in images):
        return BYTES
    most = high - low
    usual = [x for x in USUAL if x.holds(low, high) and most > 0.6 * (x.high - x.low)]
    raise FrenemyError(
        f"{path}: pixels are {'floats' if floats else dtype} in {low:.4g}..{high:.4g}: say what is "
        "black and what is white by --range LOW..HIGH"
        + "".join(f", such as --range={x}" for x in usual)
    )


def brightest(image: NDArray[np.uint8]) -> int:
    """The greatest number among the colours of (C, H, W) that can be seen, or 0."""
    return int(_seen(image).max(initial=0))


def _seen(image: NDArray) -> NDArray:
    """The colours of (C, H, W), which may have opacity, in some order."""
    return image if len(image) % 2 else image[:-1, image[-1] > 0]


def dark(highest: int, shown: Range) -> str:
    """What is said of a set whose brightest pixel has become `highest` of 255, if anything.

    >>> dark(1, BYTES)
    'no pixel is brighter than 1 of 255: if 1 is to be white, give --range 0..1'
    """
    if highest > DARK:
        return ""
    if highest == 0:
        return "every pixel is black"
    told = f"no pixel is brighter than {highest} of 255"
    if shown == BYTES:
        return f"{told}: if {highest} is to be white, give --range 0..{highest}"
    return f"{told}, if white is {shown.high:g}: else give another --range"


def extremes(images: Sequence[NDArray]) -> tuple[float, float]:
    """The least and the greatest number of arrays (n, ...), NaN if there is a NaN among them."""
    pieces = [piece for array in images for piece in _pieces(array)]
    low = np.min([piece.min() for piece in pieces])
    high = np.max([piece.max() for piece in pieces])
    return float(low), float(high)


def _whole(array: NDArray) -> bool:
    return all(np.array_equal(piece, np.floor(piece)) for piece in _pieces(array))


def _pieces(array: NDArray) -> list[NDArray]:
    return [array[start : start + 1024] for start in range(0, len(array), 1024)]
