"""Does the generator copy its training images, or small variations of them?"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.judge.alike import Alignment
from frenemy.judge.candidates import LEARNT, Shifted, Table
from frenemy.judge.estimate import Estimate, tiles
from frenemy.judge.sets import Drawn
from frenemy.judge.shares import Z, chance, wilson
from frenemy.judge.usual import CERTAIN, MATTERS, NEIGHBOURS, Usual

Stored = NDArray[np.uint8] | Drawn

CANDIDATES = 10  # training images, by the quick search, whose distance is taken
SAME = 0.01  # a distance below it is that of rounding to 256 levels
HELD_OUT, FEWEST = 5000, 1000  # of them, at most; with fewer training images stand in
BYTES = 2**26  # of images, as they are, that are read at once
TOGETHER = 256  # images whose candidates are read at once


@dataclass(frozen=True)
class Pair:
    """A sample and the training image that it copies, moved so many pixels, then mirrored.

    Pixels are those of `Alignment`: larger ones, where images are larger than 64.
    """

    sample: int
    training: int
    down: int
    right: int
    mirrored: bool

    def __str__(self) -> str:
        """In words: "2 up, 1 right, mirrored", or "in place"."""
        moves = [
            f"{abs(by)} {ways[by > 0]}"
            for by, ways in ((self.down, ("up", "down")), (self.right, ("left", "right")))
            if by
        ]
        return ", ".join([*moves, *["mirrored"] * self.mirrored]) or "in place"


@dataclass(frozen=True)
class Copies:
    """What was found of a set of samples.

    Attributes:
        share: of the different samples that are copies, less the false alarms that held-out
            images show; its note is `note`, its `shared` the held-out images' part.
        low, high: the 95 % interval of the share.
        certain: whether there are more copies than chance makes.
        exact: how many of all samples are training images byte for byte.
        repeats: the share of samples that are as good as equal to another; the lower end of its
            95 % interval is `repeats_low`.
        verdict: the first that applies, "" if neither does. Repeated samples count once as copies.
        note: the same in words.
        pairs: the copies, the most certain first.
        different: one sample of each group that repeats itself, and all others, int64.
        nearest: of each sample, the training image nearest to it, int64 (M,).
        scores: of each, see `Usual`; infinite where it is a training image byte for byte.
    """

    share: Estimate
    low: float
    high: float
    certain: bool
    exact: int
    repeats: Estimate
    repeats_low: float
    verdict: Literal["repeats", "copied", ""]
    note: str
    pairs: Sequence[Pair]
    different: NDArray[np.int64]
    nearest: NDArray[np.int64]
    scores: Tensor


@dataclass(frozen=True)
class _Looked:
    """Distances to the nearest of some images, nearest first, which, and how: (M, K) each."""

    distances: Tensor
    index: Tensor
    transforms: Tensor


class Copying:
    """The search for copies of training images, with what depends on real images computed once.

    The distance of a sample to a training image is the least over shifts and a flip, without
    brightness and contrast (`Alignment`); the candidates come from a quick search among all of the
    training images (`Shifted`). What counts is how near the nearest is beside the third, against
    what held-out images show (`Usual`): what these show is taken off the share.

    Args:
        train: uint8 (N, C, H, W), all of them; they may lie on the disk.
        held_out: real images that nobody trained on: 5,000 at most are looked at. If there are
            fewer than 1,000, training images, each against the others, stand in for the rest.
        seed: of what is drawn.

    Raises:
        FrenemyError: fewer than 12 different training images, or shapes that differ.
    """

    def __init__(
        self,
        *,
        train: Stored,
        held_out: Stored,
        seed: int = 0,
    ) -> None:
        self._shape = train.shape[1:]
        self._check(held_out)
        known = _digests(train)
        self._known = dict(zip(reversed(known), range(len(known))[::-1], strict=True))
        different = np.array(sorted(self._known.values()))  # equal ones would hide each other
        if len(different) < CANDIDATES + 2:
            raise FrenemyError(
                f"copying: {len(different):,} different training images: needs "
                f"{CANDIDATES + 2} or more"
            )
        self._different, self._train = different, _some(train, different)
        self._alignment = Alignment.of(self._shape)
        random = np.random.default_rng(seed)
        learnt = np.sort(random.permutation(len(different))[:LEARNT])
        self._project = Shifted(self._alignment, self._levels(self._train[learnt]), seed)
        self._table = self._table_of(self._train)
        self._honest(held_out, random)

    def of(self, samples: NDArray[np.uint8]) -> Copies:
        """Whether samples are copies of training images: uint8 (M, C, H, W), M at least 1."""
        self._check(samples)
        count = len(samples)
        looked = self._look(samples, self._train, self._table)
        first = [self._known.get(digest, -1) for digest in _digests(samples)]
        score, exact = self._score(looked), torch.tensor(first) >= 0
        score[exact] = torch.inf

        again, nearest = self._repeated(samples, looked)
        k = int(again.sum())
        low, high = wilson(k, count)
        repeats = Estimate(k / count, (high - low) / (2 * Z))

        groups = _groups(again, nearest)
        each = np.unique(groups, return_index=True)[1].astype(np.int64)  # the first of every group
        copied = self.usual.excess(score[each])

        training = self._different[looked.index[:, 0].numpy()]
        training = np.where(np.array(first) >= 0, first, training)
        pairs = [
            Pair(i, int(training[i]), *self._alignment.told(int(looked.transforms[i, 0])))
            if first[i] < 0
            else Pair(i, first[i], 0, 0, False)
            for i in score.argsort(descending=True, stable=True).tolist()
            if score[i] > copied.threshold
        ]
        repeated = self._often(k, count, low)
        words = []
        if repeated:
            words.append(f"repeats: {_all(k, count)} samples are near-duplicates of another")
        among = f"{len(each):,} {'samples' if len(each) == count else 'different samples'}"
        if copied.certain:
            words.append(
                f"copied: {copied.called:,} of {among} ({copied.low:.1%} to {copied.high:.1%}, "
                f"net of false alarms) are training images, {_ways(pairs)}"
            )
        else:
            words.append(
                f"no sign of copying: {copied.called:,} of {among} lie nearer to a training image "
                f"than {1 - copied.alarms:.1%} of held-out images do"
            )
        if exact.any():
            words.append(f"{_all(int(exact.sum()), count)} are training images byte for byte")
        note = "; ".join([*words, *self._remarks])
        return Copies(
            share=replace(copied.share, note=note),
            low=copied.low,
            high=copied.high,
            certain=copied.certain,
            exact=int(exact.sum()),
            repeats=repeats,
            repeats_low=low,
            verdict="repeats" if repeated else "copied" if copied.certain else "",
            note=note,
            pairs=pairs,
            different=each,
            nearest=training,
            scores=score,
        )

    def _honest(self, held_out: Stored, random: np.random.Generator) -> None:
        """Looks at held-out images: what is normal, and how often it is called a copy."""
        known = np.array([digest in self._known for digest in _digests(held_out)], bool)
        chosen = np.sort(random.permutation(np.flatnonzero(~known))[:HELD_OUT])
        images: Stored = _some(held_out, chosen)
        own = torch.full((len(chosen),), -1)
        if len(chosen) < FEWEST:
            more = np.sort(random.permutation(len(self._train))[: FEWEST - len(chosen)])
            images = np.concatenate([images[:], self._train[more]])
            own = torch.cat([own, torch.from_numpy(more)])
        looked = self._look(images, self._train, self._table, own)
        self.usual = Usual(self._score(looked))
        self._honest_count = len(images)
        self._honest_repeats = int(self._repeated(images, looked)[0].sum())
        self._remarks = []
        if known.any():
            self._remarks.append(
                f"{_all(int(known.sum()), len(known))} held-out images are training images byte "
                "for byte, and are left out"
            )
        if (near := self.usual.duplicates) > MATTERS:
            self._remarks.append(
                f"{near:.1%} of the held-out images are near-duplicates of training images"
            )

    def _often(self, count: int, of: int, low: float) -> bool:
        """Whether so many repeat each other as held-out images never do."""
        fewer = round(count * min(1.0, self._honest_count / of))  # the more, the nearer they lie
        a, b = self._honest_repeats + 1, self._honest_count - self._honest_repeats
        return low > MATTERS and chance(fewer, of, a, b) < CERTAIN

    def _repeated(self, images: Stored, looked: _Looked) -> tuple[Tensor, Tensor]:
        """Whether each image is twice as near to another as a copy is, bool (M,), and to which."""
        count = len(images)
        if count < 2:
            return torch.zeros(count, dtype=torch.bool), torch.zeros(count, dtype=torch.int64)
        others = self._look(images, images, self._table_of(images), torch.arange(count))
        closer = math.log(2) + math.log(max(1.0, count / len(self._train))) / self.usual.dimension
        score = self._score(looked, others.distances[:, 0]) - closer
        return score > self.usual.threshold, others.index[:, 0]

    def _score(self, looked: _Looked, near: Tensor | None = None) -> Tensor:
        """log(usual / near), (M,): 0 where all images are as far, large for copies."""
        near = looked.distances[:, 0] if near is None else near
        usual = looked.distances[:, NEIGHBOURS - 1].clamp(min=SAME)
        return (usual / near.clamp(min=SAME)).log()

    def _look(
        self, images: Stored, among: Stored, table: Table, own: Tensor | None = None
    ) -> _Looked:
        """Those of `among` that are nearest to images, but for the one at `own`."""
        together = max(1, min(TOGETHER, BYTES // (CANDIDATES * math.prod(self._shape))))
        parts = []
        for here in tiles(len(images), together):
            levels = self._levels(images[here])
            index = table.nearest(
                self._project(levels), CANDIDATES, None if own is None else own[here]
            )
            others = self._levels(among[index.flatten().numpy()]).unflatten(0, index.shape)
            distances, transforms = self._alignment.distances(levels, others)
            order = distances.argsort(dim=1, stable=True)
            parts.append([x.gather(1, order) for x in (distances, index, transforms)])
        return _Looked(*(torch.cat(x) for x in zip(*parts, strict=True)))

    def _table_of(self, images: Stored) -> Table:
        parts = [
            self._project(self._levels(images[here]))
            for here in tiles(len(images), max(1, BYTES // (10 * math.prod(self._shape))))
        ]
        return Table([torch.cat(x) for x in zip(*parts, strict=True)])

    def _levels(self, images: NDArray[np.uint8]) -> Tensor:
        return self._alignment.read(images)

    def _check(self, images: Stored) -> None:
        if images.shape[1:] != self._shape or not len(images):
            raise FrenemyError(
                f"copying: {len(images):,} images of {images.shape[1:]} beside training images of "
                f"{self._shape}: needs one or more, of one shape"
            )


def _digests(images: Stored) -> list[bytes]:
    return [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        for here in tiles(len(images))
        for image in images[here]
    ]


def _some(images: Stored, index: NDArray[np.int64]) -> Drawn:
    """Those at the index, read when asked for."""
    if isinstance(images, Drawn):
        return Drawn(images.images, images.index[index])
    return Drawn(images, index)


def _groups(again: Tensor, nearest: Tensor) -> NDArray[np.int64]:
    """Numbers from 0, (M,): equal for images that repeat each other."""
    row = np.flatnonzero(again.numpy())
    links = csr_array((np.ones(len(row)), (row, nearest.numpy()[row])), (len(again),) * 2)
    return connected_components(links, directed=False)[1].astype(np.int64)


def _ways(pairs: Sequence[Pair]) -> str:
    """How the copies were made, in words."""
    ways = [
        ("as they are", [str(pair) == "in place" for pair in pairs]),
        ("shifted", [pair.down != 0 or pair.right != 0 for pair in pairs]),
        ("mirrored", [pair.mirrored for pair in pairs]),
    ]
    words = [way for way, those in ways if sum(those) > 0.1 * len(pairs)]  # not by chance
    return " or ".join([*filter(None, [", ".join(words[:-1])]), words[-1]])


def _all(count: int, of: int) -> str:
    return f"all {of:,}" if count == of else f"{count:,} of {of:,}"
