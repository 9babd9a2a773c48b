"""A source: where minibatches of images come from. Batch i is a function of (seed, i)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from frenemy.errors import FrenemyError
from frenemy.names import known
from frenemy.opacity import over_white

PLANE = (2, 1, 1)
"""The shape of points in the plane, which are no images: float32 in [-1, 1]."""


def require_images(shape: Sequence[int], name: str) -> None:
    """Raises FrenemyError, which names them, if these are points in the plane and no images."""
    if tuple(shape) == PLANE:
        raise FrenemyError(f"{name} has points in the plane, where only images will do")


def permutation(seed: Sequence[int] | int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order in which one pass visits `count` images: a function of its arguments alone.

    Args:
        seed: numbers from 0, one or several.
        epoch: the number of the pass, from 0.
        count: how many images there are.

    Returns:
        int64 (count,), read-only.
    """
    words = (seed,) if isinstance(seed, int) else tuple(seed)
    last = _last_pass(words, count)
    order = last.get(epoch)
    if order is None:
        sequence = np.random.SeedSequence(words, spawn_key=(epoch,))
        order = np.random.Generator(np.random.Philox(sequence)).permutation(count)
        order.flags.writeable = False
        last.clear()
        last[epoch] = order
    return order


@functools.lru_cache(maxsize=32)
def _last_pass(words: tuple[int, ...], count: int) -> dict[int, NDArray[np.int64]]:
    """The order of a stream's last pass by its number: each minibatch of the pass asks for it."""
    return {}


@dataclass(frozen=True)
class Facts:
    """What is known of images without looking at them.

    Attributes:
        shape: (C, H, W) of one.
        count: how many there are to train on.
        classes: the names of their labels, if they have any.
        name: what they are, for messages.
    """

    shape: tuple[int, int, int]
    count: int
    classes: tuple[str, ...] = ()
    name: str = "images"


@dataclass(frozen=True, eq=False)
class Drawn:
    """Some images of an array, read when asked for: to those who read images, itself an array.

    Attributes:
        images: uint8 (N, C, H, W), usually a memory map; or (N, H, W) to be stacked.
        index: which of them, in order: int64 (M,); or of each channel, (M, C).
    """

    images: NDArray[np.uint8]
    index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """(M, C, H, W)."""
        return *self.index.shape, *self.images.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the images."""
        return self.images.dtype

    def __getitem__(self, which: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[self.index[which]]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True, eq=False)
class Source:
    """Images of one shape with optional labels, or points in the plane: read but never changed.

    Attributes:
        images: uint8, (N, C, H, W), usually a read-only memory map; C is 1 to 4, of which a second
            or fourth is opacity, N at least 1. Points are float32, (N, 2, 1, 1).
        labels: int64, (N,), or None.
        name: what it is, for messages: "mnist train[0:50000]".
        digest: sha256, as hexadecimal digits, of the files of the set that it was cut from; where
            none is given, of its own images, labels and classes.
        classes: the names of the labels, if they have any.

    Raises:
        FrenemyError: if images and labels do not have these shapes.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    name: str = "images"
    digest: str = ""
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, dtype = self.images.shape, self.images.dtype
        points = shape[1:] == PLANE
        pixels = dtype == np.uint8 and len(shape) == 4 and shape[1] in range(1, 5) and not points
        if 0 in shape or not (pixels or (dtype == np.float32 and points)):
            raise FrenemyError(
                f"{self.name}: images must be uint8 (N, C, H, W), N at least 1 and C 1 to 4, "
                f"not {dtype} {shape}"
            )
        if self.labels is not None and np.shape(self.labels) != (len(self.images),):
            shape = np.shape(self.labels)
            raise FrenemyError(
                f"{self.name}: {len(self.images)} images but labels of shape {shape}"
            )
        if not self.digest:
            object.__setattr__(self, "digest", self._digest())

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def facts(self) -> Facts:
        """What a recipe is told of them."""
        return Facts(self.shape, len(self), self.classes, self.name)

    def _digest(self) -> str:
        """sha256 of shape, classes, images and labels, as hexadecimal digits."""
        total = hashlib.sha256(f"{self.images.shape} {tuple(self.classes)}".encode())
        for image in self.images:
            total.update(np.ascontiguousarray(image).data)
        if self.labels is not None:
            total.update(np.ascontiguousarray(self.labels, np.int64).data)
        return total.hexdigest()

    def take(self, index: slice | NDArray[np.int64], name: str) -> Source:
        """The images at `index`, under another name; a slice of a memory map stays one.

        All parts of a set share the digest of the whole, whether it lies on disk or in memory.
        """
        labels = None if self.labels is None else self.labels[index]
        return Source(self.images[index], labels, name, self.digest, self.classes)

    def opaque(self) -> Source:
        """The images laid over white, where they have opacity: a copy in memory."""
        if self.shape == PLANE or self.shape[0] % 2:
            return self
        images = over_white(np.asarray(self.images))
        return replace(self, images=images, digest=f"{self.digest} over white")

    def batch(
        self, seed: Sequence[int] | int, i: int, size: int
    ) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
        """Minibatch number `i` of the endless stream of shuffled passes that `seed` names.

        Every pass visits every image once; a minibatch may straddle two passes, or several.

        Args:
            seed: numbers from 0, one or several.
            i: the number of the minibatch, from 0.
            size: how many images it has, at least 1.

        Returns:
            The images as they are, (size, C, H, W), and int64 (size,) labels or None.
        """
        position = i * size + np.arange(size)
        index = np.empty(size, np.int64)
        for epoch in range(position[0] // len(self), position[-1] // len(self) + 1):
            here = position // len(self) == epoch
            index[here] = permutation(seed, epoch, len(self))[position[here] % len(self)]
        return self.images[index], None if self.labels is None else self.labels[index]

    def random(self, count: int, seed: int) -> NDArray[Any]:
        """Different images drawn at random, (min(count, N), C, H, W)."""
        return self.batch(seed, 0, min(count, len(self)))[0]

    def mean(self) -> NDArray[np.float64]:
        """The mean image, (C, H, W), pixels in [0, 1]; of points x the mean of (x + 1) / 2."""
        if self.shape == PLANE:
            return (self.images[:].mean(axis=0, dtype=np.float64) + 1) / 2
        total = np.zeros(self.shape)
        for start in range(0, len(self), 4096):  # bounded memory, whatever the count
            total += self.images[start : start + 4096].sum(axis=0, dtype=np.uint64)
        return total / (255 * len(self))


@dataclass(frozen=True)
class Dataset:
    """The three parts of one data set: to train on, to choose on, to report on.

    Sets with parts of their own keep them (MNIST 50,000 / 10,000 / 10,000, CIFAR-10 40,000 /
    10,000 / 10,000); any other set is cut 80 / 10 / 10 by a fixed permutation.

    Attributes:
        train, valid, test: the parts.
        description: one line that says what was found.
        arguments: what opens it again: the `path` for `open_dataset`, and its keywords size, fit,
            grey, opaque and range.
    """

    train: Source
    valid: Source
    test: Source
    description: str
    arguments: Mapping[str, str | int | None] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return self.train.shape

    @property
    def facts(self) -> Facts:
        """What a recipe is told of it."""
        return self.train.facts

    def opaque(self) -> Dataset:
        """The images of every part laid over white, where they have opacity."""
        train, valid, test = (part.opaque() for part in (self.train, self.valid, self.test))
        return replace(self, train=train, valid=valid, test=test)

    def of_class(self, name: str) -> Dataset:
        """The images of one class alone, of every part.

        Raises:
            FrenemyError: there is no such class, or a part has no image of it.
        """
        if self.train.labels is None or not self.train.classes:
            raise FrenemyError(f"{self.train.name} has no classes")
        label = self.train.classes.index(known(name, self.train.classes, "class"))
        parts: list[Source] = []
        for source in (self.train, self.valid, self.test):
            index = np.flatnonzero(source.labels == label)
            if not len(index):
                raise FrenemyError(f"{source.name} has no image of class {name}: give more images")
            part = source.take(index, f"{source.name}, class {name}")
            parts.append(replace(part, digest=f"{source.digest} class {name}"))
        return replace(
            self, train=parts[0], valid=parts[1], test=parts[2],
            description=f"{self.description}, of which class {name} alone",
        )  # fmt: skip
