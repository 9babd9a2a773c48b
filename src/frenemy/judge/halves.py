"""Errors of what is counted among neighbours, by random halves of both sets.

The halves of all splits are made at once: bit s of a word is what holds in split s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frenemy.judge.estimate import SPLITS, half_signs

Words = NDArray[np.uint64]  # (..., WORDS)
Indices = NDArray[np.int64]
WORDS = -(-SPLITS // 64)
TIED = 1 + 1e-4  # squared distances that rounding in float32 may have put in another order


def listed(k: int) -> int:
    """How many neighbours hold the k-th nearest in a random half, but for 8 in 10,000 at k = 5."""
    return 4 * k + 4


@dataclass(frozen=True)
class Differences:
    """A metric T on halves A and B of the real images, and A' and B' of the fake ones.

    Attributes:
        along: T(A, A') - T(B, B') of each split, (`SPLITS`,).
        across: T(A, B') - T(B, A').
    """

    along: NDArray[np.float64]
    across: NDArray[np.float64]

    @property
    def squared_error(self) -> float:
        """Of T on both whole sets, drawn anew.

        Halves are independent, and the variance of neighbours' counts is in proportion to 1 / n:
        the difference has four times that of the whole.
        """
        return float(np.mean(self.along**2 + self.across**2)) / 8

    @property
    def shared(self) -> tuple[float, ...]:
        """What the real images alone make of it, as `Estimate.shared`.

        Over both pairings the fakes' halves cancel. Their mean square holds some of what is due to
        pairs of a real and a fake image too; it cancels in `error_of_difference`, as it is not in
        the products of two estimates' values.
        """
        return tuple(float(f"{x:.4g}") for x in (self.along + self.across) / 4)


class Halves:
    """Which points the balls of halves hold, while the pairs of points come.

    Args:
        k: neighbours that a ball reaches to, in a half as in the whole.
        real, fake: of each point the indices of its neighbours and their squared distances in
            ascending order, (N, listed) and (M, listed); more than 2 k + 1 points each.
    """

    def __init__(
        self,
        k: int,
        real: tuple[Indices, NDArray[np.float64]],
        fake: tuple[Indices, NDArray[np.float64]],
    ) -> None:
        self._k = k
        signs = half_signs(len(real[0])), half_signs(len(fake[0])).roll(1, 0)  # independent
        self._x, self._y = (_packed((s.numpy() > 0).T) for s in signs)  # bit: in half A
        self.real = _Balls(k, self._x, *real)
        self.fake = _Balls(k, self._y, *fake)
        n, m = len(self._x), len(self._y)
        # of halves of the same letter, and of different ones
        self._covered, self._recalled = np.zeros((2, 2, n, WORDS), np.uint64)
        self._precise = np.zeros((2, m, WORDS), np.uint64)
        self._balls = np.zeros((2, 2, SPLITS), np.int64)  # and by the half of the real image

    def add(self, x: Indices, y: Indices, squares: NDArray[np.float64]) -> None:
        """Takes pairs of a real and a fake point: all whose distance is below either's reach."""
        for i, inside in self.real.holding(x, squares):
            ours, theirs = x[i], y[i]
            for way, held in enumerate(self._ways(ours, theirs, inside)):
                _collect(self._covered[way], ours, held)
                _collect(self._precise[way], theirs, held)
                first = self._x[ours]
                self._balls[way] += np.stack([_counts(held & first), _counts(held & ~first)])
        for i, inside in self.fake.holding(y, squares):
            for way, held in enumerate(self._ways(x[i], y[i], inside)):
                _collect(self._recalled[way], x[i], held)

    def _ways(self, x: Indices, y: Indices, inside: Words) -> tuple[Words, Words]:
        different = self._x[x] ^ self._y[y]
        return inside & ~different, inside & different

    def differences(self) -> dict[str, Differences]:
        """Of precision, recall, density and coverage, by these names."""
        m = len(self._y)
        sizes = np.array([m // 2, m - m // 2])  # of the fakes' halves
        balls = self._balls / self._k
        return {
            "precision": _of_shares(self._precise, self._y, turned=True),
            "recall": _of_shares(self._recalled, self._x),
            "density": Differences(
                balls[0, 0] / sizes[0] - balls[0, 1] / sizes[1],
                balls[1, 0] / sizes[1] - balls[1, 1] / sizes[0],
            ),
            "coverage": _of_shares(self._covered, self._x),
        }


class _Balls:
    """In which splits a ball holds a point: of the distance's rank among its list's."""

    def __init__(self, k: int, half: Words, index: Indices, squares: NDArray[np.float64]) -> None:
        count, near = index.shape
        self._squares = squares.astype(np.float32)
        self._open = np.zeros((count, near + 1, WORDS), np.uint64)  # closed at the list's end
        # bit: at least j + 1 of those before are in the point's own half
        least = np.zeros((k, count, WORDS), np.uint64)
        every = _packed(np.ones((1, SPLITS), bool))
        for rank in range(near):
            self._open[:, rank] = every & ~least[-1]
            same = ~(half[index[:, rank]] ^ half)
            for j in range(k - 1, 0, -1):
                least[j] |= least[j - 1] & same
            least[0] |= same
        last = self._open.any(2).sum(1) - 1  # rank at which some half's ball is open
        self.reach = squares[np.arange(count), last]

    def holding(
        self, ball: Indices, squares: NDArray[np.float64]
    ) -> Iterator[tuple[Indices, Words]]:
        """Which pairs lie within some half's ball, and in which: (P,), (P, WORDS)."""
        near = np.flatnonzero(squares < self.reach[ball])
        if len(near):
            ball, squares = ball[near], squares[near]
            # ties are not within: a point at the distance of some neighbours comes after these
            rank = (self._squares[ball] <= (squares * TIED).astype(np.float32)[:, None]).sum(1)
            yield near, self._open[ball, rank]


def _of_shares(hits: Words, half: Words, *, turned: bool = False) -> Differences:
    """Of a mean over points, whose second pairing is turned if these are the fake ones."""
    n = len(half)
    first = [_counts(h & half) / (n // 2) for h in hits]
    second = [_counts(h & ~half) / (n - n // 2) for h in hits]
    along, across = (a - b for a, b in zip(first, second, strict=True))
    return Differences(along, -across if turned else across)


def _packed(bits: NDArray[np.bool_]) -> Words:
    """(N, SPLITS) as words (N, WORDS), whose last bits are 0."""
    padded = np.zeros((len(bits), 64 * WORDS), bool)
    padded[:, :SPLITS] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def _counts(words: Words) -> Indices:
    """How often each bit is set: (N, WORDS) -> (SPLITS,)."""
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :SPLITS]
    whole = len(bits) // 255 * 255  # as many as a byte can count
    parts = bits[:whole].reshape(-1, 255, SPLITS).sum(1, dtype=np.uint8)
    return parts.sum(0, dtype=np.int64) + bits[whole:].sum(0, dtype=np.int64)


def _collect(into: Words, index: Indices, words: Words) -> None:
    """into[index] |= words, where indices may be equal."""
    order = np.argsort(index, kind="stable")
    index = index[order]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    for word in range(WORDS):
        into[index[starts], word] |= np.bitwise_or.reduceat(words[order, word], starts)
