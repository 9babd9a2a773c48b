"""What are labels of classes, and the numbers and names that they become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.data.streams import shown
from frenemy.errors import FrenemyError


class NoLabels(Exception):
    """An array does not hold one class an image; why, as the end of a sentence."""


def one_class_each(values: NDArray, count: int) -> NDArray:
    """The class of each of `count` images, (count,): whole numbers as int64, or text.

    Args:
        values: (count,), (count, 1), (1, count), or (count, K) with a single 1 in each row.
        count: how many images there are.

    Raises:
        NoLabels: they are of another shape, no whole numbers of 64 bits, or several an image.
    """
    if values.shape == (count, 1) or values.shape == (1, count):
        values = values.ravel()
    if values.ndim == 2 and len(values) == count:
        return _from_rows(values)
    if values.shape != (count,):
        raise NoLabels(f"are of shape {values.shape} for {count:,} images")
    match values.dtype.kind:
        case "U":
            return values
        case "S":
            return np.char.decode(values, "latin-1")
        case "b" | "i":
            whole = np.ones(count, bool)
        case "u":
            whole = values <= np.uint64(2**63 - 1)
        case "f":
            whole = (values == np.floor(values)) & (np.abs(values) < 2.0**63)
        case _:
            raise NoLabels(f"are {values.dtype}, neither numbers nor text")
    if not whole.all():
        raise NoLabels(f"are no whole numbers of 64 bits: {values[~whole][0]}")
    return values.astype(np.int64)


def _from_rows(values: NDArray) -> NDArray[np.int64]:
    """Of (N, K), the place of the 1 in each row."""
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise NoLabels(f"are {values.shape[1]} numbers an image, other than 0 and 1")
    of_each = (values != 0).sum(axis=1)
    if (of_each != 1).any():
        raise NoLabels(
            f"give {of_each.min()} to {of_each.max()} of {values.shape[1]} classes an image, "
            "instead of one"
        )
    return values.argmax(axis=1)


def numbered(values: NDArray) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Classes as 0 .. K - 1, and the K names they stand for: the distinct `values`, in order.

    >>> numbered(np.array([7, 3, 7]))
    (array([1, 0, 1]), ('3', '7'))
    """
    distinct, labels = np.unique(values, return_inverse=True)
    return labels.astype(np.int64), tuple(shown(str(value)) for value in distinct)


def named_by_codes(classes: tuple[str, ...], rows: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """The same classes as characters, if each is the first number of a row, and the second a code.

    >>> named_by_codes(("1", "2"), [[1, 65, 97], [2, 66, 98]])
    ('A', 'B')
    """
    codes = {str(row[0]): row[1] for row in rows if len(row) > 1}
    names = [chr(codes[x]) if 32 < codes.get(x, 0) < 127 else "" for x in classes]
    return tuple(names) if all(names) and len(set(names)) == len(names) else classes


def labels_of(values: NDArray, count: int, path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The same of a format that cannot but have labels.

    Raises:
        FrenemyError: if there is not one class an image.
    """
    try:
        return numbered(one_class_each(values, count))
    except NoLabels as error:
        raise FrenemyError(f"{path}: its labels {error}") from error
