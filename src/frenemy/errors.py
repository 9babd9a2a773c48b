"""The one kind of error that is meant to be read by a person."""

from __future__ import annotations

import math
import operator


class FrenemyError(Exception):
    """Bad input or a failed operation, told in one line: what, where, and what to do.

    The command line prints the message without a traceback and exits with status 1.
    """


def at_least(least: float, **numbers: float) -> None:
    """Refuses numbers that are too small, infinite or not a number, by their names.

    Raises:
        FrenemyError: one of them is not finite, or less than `least`.

    >>> at_least(1, minibatch=0)
    Traceback (most recent call last):
    frenemy.errors.FrenemyError: minibatch is 0: give 1 or more
    """
    for name, number in numbers.items():
        if not least <= number < math.inf:
            raise FrenemyError(f"{name} is {number}: give {least} or more")


def above_zero(**numbers: float) -> None:
    """Refuses numbers that are not above 0, infinite or not a number, by their names.

    Raises:
        FrenemyError: one of them is not finite, or not above 0.
    """
    for name, number in numbers.items():
        if not 0 < number < math.inf:
            raise FrenemyError(f"{name} is {number}: give more than 0")


def at_most(most: float, **numbers: float) -> None:
    """Refuses numbers that are too large, by their names.

    Raises:
        FrenemyError: one of them is more than `most`.
    """
    for name, number in numbers.items():
        if number > most:
            raise FrenemyError(f"{name} is {number}: give {most} or less")


def whole(**number: float) -> int:
    """The number, which may be NumPy's, as Python's own.

    Raises:
        FrenemyError: it is no whole number.
    """
    ((name, value),) = number.items()
    try:
        return operator.index(value)  # pyright: ignore[reportArgumentType] (what it is for)
    except TypeError:
        raise FrenemyError(f"{name} is {value!r}: give a whole number") from None


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: of torch's allocators only the words tell."""
    words = ("out of memory", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
