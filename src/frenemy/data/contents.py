"""What lies at a path (`Origin`), and its images one at a time (`Contents`)."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frenemy.data.levels import BYTES, Range, dark
from frenemy.data.pixels import Resize, luminance
from frenemy.data.source import permutation
from frenemy.data.streams import in_one_line, shown
from frenemy.data.threads import Result, each_in_order
from frenemy.errors import FrenemyError
from frenemy.opacity import over_white

PARTS = ("train", "valid", "test")
"""What a set is cut into: to train on, to choose on, to report on."""

PART_NAMES = {
    **dict.fromkeys(("train", "training", "trainval", "trn"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev", "eval", "evaluation"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
"""Words by which people name parts -> one of `PARTS`."""

PartSizes = tuple[int, int, int]
"""How many images each of `PARTS` has."""


class UnreadableImage(Exception):
    """One image of many that cannot be decoded, and why, in one line."""


class File(NamedTuple):
    """A file and what tells, without reading it, that it has not changed."""

    name: str  # relative to its set, with "/"; empty where the set is this one file
    path: str  # not a Path: making 60,000 of those takes half a second
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def at(cls, path: Path | str, name: str = "") -> File:
        """The file at `path` as it is now; raises OSError if it cannot be looked at."""
        return cls.of(os.fspath(path), name, os.stat(path))

    @classmethod
    def of(cls, path: str, name: str, status: os.stat_result) -> File:
        """The file at `path`, whose status is known."""
        return cls(name, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, eq=False)
class Contents:
    """Images that can be decoded one at a time, in any order and from several threads.

    Attributes:
        count: how many images there are.
        decode: image i as uint8 (C, H, W), C equal for all; raises UnreadableImage.
        name_of: the name of image i, for messages.
        sizes: how many images have which native size, "28x28" being width x height.
        modes: how many images have which mode, in Pillow's words ("L", "RGB", "P" ...).
        shape: (C, H, W) of every image as decoded, or None where they differ.
        labels: int64 (count,), 0 .. len(classes) - 1, or None.
        classes: the names of the labels.
        parts: uint8 (count,), the place in `PARTS` of the part each image belongs to by the set's
            own word; None if it has no parts of its own.
        mixed: whether any slice of the images is a fair sample already.
        unreadable: images that are not among the `count`, and why.
        on_white: decodes image i laid over white, where that is better done before it is resized.
        note: what else was found that whoever trains on them should know.
        note_on_white: what should be known of transparent images, which are laid over white.
        shown: the numbers in the files that became 0 and 255.
    """

    count: int
    decode: Callable[[int], NDArray[np.uint8]]
    name_of: Callable[[int], str]
    sizes: Counter[str]
    modes: Counter[str]
    shape: tuple[int, int, int] | None
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    parts: NDArray[np.uint8] | None = None
    mixed: bool = False
    unreadable: Mapping[str, str] = field(default_factory=dict)
    on_white: Callable[[int], NDArray[np.uint8]] | None = None
    note: str = ""
    note_on_white: str = ""
    shown: Range = BYTES

    def order(self) -> list[int]:
        """The order to store images in: part by part, so that any slice of one is a fair sample."""
        order = np.arange(self.count) if self.mixed else permutation(0, 0, self.count)
        if self.parts is not None:
            order = order[np.argsort(self.parts[order], kind="stable")]
        return order.tolist()

    def part_sizes(self, chosen: Sequence[int]) -> PartSizes | None:
        """How many of the `chosen` images belong to each part; None if the set has none."""
        if self.parts is None:
            return None
        train, valid, test = np.bincount(self.parts[list(chosen)], minlength=len(PARTS)).tolist()
        return train, valid, test

    def greyed(self) -> Contents:
        """The same images without their colours."""
        shape = self.shape and (2 - self.shape[0] % 2, *self.shape[1:])
        return replace(self, decode=lambda i: luminance(self.decode(i)), shape=shape)

    def opaque(self) -> Contents:
        """The same images laid over white."""
        shape = self.shape and (self.shape[0] - 1 + self.shape[0] % 2, *self.shape[1:])
        decode = self.on_white or (lambda i: over_white(self.decode(i)))
        return replace(self, decode=decode, shape=shape, note_on_white="")

    def noted(self, highest: int) -> str:
        """All that should be known of the images, if this is their brightest pixel."""
        notes = self.note, self.note_on_white, dark(highest, self.shown)
        return "; ".join(filter(None, notes))

    def try_decode(self, i: int) -> NDArray[np.uint8] | str:
        """Image i, or the reason why it cannot be decoded."""
        try:
            image = self.decode(i)
        except UnreadableImage as error:
            return str(error)
        if self.shape is not None and image.shape != self.shape:
            return f"is {image.shape[2]}x{image.shape[1]} when decoded, unlike its header"
        return image


@dataclass(frozen=True, eq=False)
class Origin:
    """What was found at a path: the files that make up a set, not read yet, and how to read them.

    Attributes:
        kind: the format in words, for the description: "MNIST-style IDX set".
        name: what messages call the set: "mnist".
        files: all that the images are a function of.
        reader: what `read` calls.
        skipped: files that are left out before anything is read, and why.
        digest: sha256, as hexadecimal digits, of images that lie in no files.
    """

    kind: str
    name: str
    files: tuple[File, ...]
    reader: Callable[[Resize | None, Range | None], Contents]
    skipped: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    def read(
        self,
        resize: Resize | None,
        grey: bool = False,
        opaque: bool = False,
        given: Range | None = None,
    ) -> Contents:
        """The images, resized, grey and opaque if told to; raises FrenemyError on damaged files.

        What is black and what is white in them is told by the files, or else `given`.
        """
        with self._naming_errors():
            contents = self.reader(resize, given)
            contents = contents.opaque() if opaque else contents
            return contents.greyed() if grey else contents

    def decode_each(
        self, work: Callable[[int], Result], numbers: Sequence[int], size: int
    ) -> Iterator[Result]:
        """What `work` makes of each image; see `each_in_order`. Raises FrenemyError as `read`."""
        with self._naming_errors():
            yield from each_in_order(work, numbers, size, "decoding")

    @contextlib.contextmanager
    def _naming_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, MemoryError) as error:
            path = getattr(error, "filename", None) or self.name
            reason = getattr(error, "strerror", None) or in_one_line(error)
            raise FrenemyError(f"{shown(str(path))}: cannot be read: {reason}") from error

    def unchanged(self) -> bool:
        """Whether the files are still as they were found."""
        try:
            return all(File.at(file.path, file.name) == file for file in self.files)
        except OSError:
            return False


def from_arrays(
    images: Sequence[NDArray],
    resize: Resize | None,
    *,
    shown: Range = BYTES,
    labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
    parts: NDArray[np.uint8] | None = None,
    mixed: bool = False,
    note: str = "",
) -> Contents:
    """Contents whose images lie in arrays, those of one after those of another.

    Args:
        images: each (n, C, H, W), N images in all. They may be memory maps.
        resize: what is done to each image.
        shown: what their pixels range over.
        labels: int64 (N,), or None.
        classes: the names of the labels.
        parts: as in `Contents`.
        mixed: as in `Contents`.
        note: as in `Contents`.
    """
    ends = list(itertools.accumulate(map(len, images)))
    count = ends[-1]
    channels, height, width = images[0].shape[1:]
    native = f"{width}x{height}"
    if resize is not None:
        width = height = resize.size

    def decode(i: int) -> NDArray[np.uint8]:
        k = bisect.bisect(ends, i)
        image = shown.to_bytes(images[k][i - ends[k]])  # counted from the array's end
        return image if resize is None else resize.array(image)

    return Contents(
        count=count,
        decode=decode,
        name_of="image {}".format,
        sizes=Counter({native: count}),
        modes=Counter({("L", "LA", "RGB", "RGBA")[channels - 1]: count}),
        shape=(channels, height, width),
        labels=labels,
        classes=classes,
        parts=parts,
        mixed=mixed,
        note=note,
        shown=shown,
    )


def train_then_test(train: int, test: int) -> NDArray[np.uint8] | None:
    """The `parts` of a set whose last `test` images are its test part; None if there are none."""
    return np.repeat(np.array([0, 2], np.uint8), [train, test]) if test else None
