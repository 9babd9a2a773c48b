"""Errors of what is counted among neighbours, by random halves of both sets.

The halves of all splits are made at once: bit s of a word is what holds in split s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
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
        mean: of T over all these.
    """

    along: NDArray[np.float64]
    across: NDArray[np.float64]
    mean: float

    def turned(self) -> Differences:
        """With A' and B' in the place of A and B."""
        return Differences(self.along, -self.across, self.mean)

    def squared_error(self, scale: float = 1.0) -> float:
        """Of T on both whole sets, drawn anew, if its deviation is `scale` times as large there.

        Halves are independent: the variance of their difference is twice that of T on halves, and
        four times that of T on the whole, where only the number of images is another.
        """
        return float(np.mean(self.along**2 + self.across**2)) / 8 * scale**2

    def shared(self, scale: float = 1.0) -> tuple[float, ...]:
        """What the real images alone make of it, as `Estimate.shared`.

        Over both pairings the fakes' halves cancel. What pairs of a real and a fake image add does
        not, but it is not in the products of two estimates' values: `error_of_difference` is right.
        """
        return tuple(float(f"{x:.4g}") for x in (self.along + self.across) * (scale / 4))


def in_first_halves(real: int, fake: int) -> tuple[Words, Words]:
    """Of so many real and fake images, in which splits they are in half A.

    The real ones' halves are those of `half_signs`; in no split are the fakes' the same.
    """
    first, second = half_signs(real), half_signs(fake).roll(1, 0)
    return _packed((first.numpy() > 0).T), _packed((second.numpy() > 0).T)


class Balls:
    """Which points the balls of halves hold, while the pairs of a ball and a point come.

    In each split a ball reaches to the k-th nearest of its own half, and points of either half are
    looked for in it: of the half with the same letter (`way` 0), and of the other (1).

    Args:
        k: neighbours that a ball reaches to, in a half as in the whole.
        index, squares: the balls' own neighbours and their squared distances, in ascending order,
            (N, `listed`).
        half: in which splits the balls are in half A; others: in which the points are.
    """

    def __init__(
        self,
        k: int,
        index: Indices,
        squares: NDArray[np.float64],
        half: Words,
        others: Words,
    ) -> None:
        n, near = index.shape
        self._k, self._half, self._others = k, half, others
        self._unit = float(squares.max()) or 1.0  # float32 has no room for the largest
        self._squares = (squares / self._unit).astype(np.float32)
        # bit: whether a point that so many neighbours are nearer than is within; not at the end
        self._open = np.zeros((n, near + 1, WORDS), np.uint64)
        least = np.zeros((k, n, WORDS), np.uint64)  # bit: j + 1 or more of them are in its half
        every = _packed(np.ones((1, SPLITS), bool))
        for rank in range(near):
            self._open[:, rank] = every & ~least[-1]
            same = ~(half[index[:, rank]] ^ half)
            for j in range(k - 1, 0, -1):
                least[j] |= least[j - 1] & same
            least[0] |= same
        self.reach = squares[np.arange(n), self._open.any(2).sum(1) - 1]  # of the widest half
        self._hit = np.zeros((2, n, WORDS), np.uint64)  # way, ball
        self._held = np.zeros((2, len(others), WORDS), np.uint64)  # way, point
        self._count = np.zeros((2, 2, SPLITS), np.int64)  # way, half of the ball

    def add(self, ball: Indices, point: Indices, squares: NDArray[np.float64]) -> None:
        """Takes pairs (P,): all that are nearer than the ball's reach have to come once."""
        near = np.flatnonzero(squares < self.reach[ball])
        if not len(near):
            return
        ball, point, squares = ball[near], point[near], squares[near]
        # ties are not within: a point as far as some neighbours comes after these
        tied = (squares * (TIED / self._unit)).astype(np.float32)
        rank = (self._squares[ball] <= tied[:, None]).sum(1)
        within, first = self._open[ball, rank], self._half[ball]
        different = first ^ self._others[point]
        for way, held in enumerate((within & ~different, within & different)):
            _collect(self._hit[way], ball, held)
            _collect(self._held[way], point, held)
            self._count[way] += np.stack([_counts(held & first), _counts(held & ~first)])

    def add_dense(self, balls: slice, points: slice, within: NDArray[np.bool_]) -> None:
        """Takes many pairs (b, p) at once, all within the whole set's balls, so any half's too."""
        inside = torch.from_numpy(within).float()
        first, other = (
            torch.from_numpy(_unpacked(words)).float()
            for words in (self._half[balls], self._others[points])
        )
        in_a, every = inside @ other, inside.sum(1, keepdim=True)  # points of each ball
        same = torch.where(first > 0, in_a, every - in_a)  # (b, SPLITS)
        for way, count in enumerate((same, every - same)):
            self._hit[way, balls] |= _packed((count > 0).numpy())
            in_first = (count * first).sum(0, dtype=torch.float64)
            sums = torch.stack([in_first, count.sum(0, dtype=torch.float64) - in_first])
            self._count[way] += sums.long().numpy()
        in_a, every = inside.T @ first, inside.sum(0)[:, None]  # balls of each point
        same = torch.where(other > 0, in_a, every - in_a)  # (p, SPLITS)
        for way, count in enumerate((same, every - same)):
            self._held[way, points] |= _packed((count > 0).numpy())

    def share_hit(self) -> Differences:
        """Of the share of balls that hold a point: A and B are the halves of the balls."""
        return _of_shares(self._hit, self._half)

    def share_held(self) -> Differences:
        """Of the share of points that lie in a ball: A and B are the halves of the points."""
        return _of_shares(self._held, self._others)

    def mean_held(self) -> Differences:
        """Of the number of balls, over k, that a point lies in, by the halves of the balls."""
        m = len(self._others)
        a, b = m // 2, m - m // 2  # of the points' halves
        size = np.array([[a, b], [b, a]])[:, :, None]
        return _differences(self._count / (self._k * size))


def _of_shares(hits: Words, half: Words) -> Differences:
    """Of the mean over points of hits (way, N, WORDS)."""
    n = len(half)
    return _differences(
        np.stack([(_counts(h & half) / (n // 2), _counts(h & ~half) / (n - n // 2)) for h in hits])
    )


def _differences(found: NDArray[np.float64]) -> Differences:
    """Of T (way, half, SPLITS)."""
    along, across = found[:, 0] - found[:, 1]
    return Differences(along, across, float(found.mean()))


def _packed(bits: NDArray[np.bool_]) -> Words:
    """(N, SPLITS) as words (N, WORDS), whose last bits are 0."""
    padded = np.zeros((len(bits), 64 * WORDS), bool)
    padded[:, :SPLITS] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def _unpacked(words: Words) -> NDArray[np.uint8]:
    """(N, WORDS) as bits (N, SPLITS)."""
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :SPLITS]


def _counts(words: Words) -> Indices:
    """How often each bit is set: (N, WORDS) -> (SPLITS,)."""
    bits = _unpacked(words)
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
