"""A set that a program holds, as an `Origin`: its parts, its labels, and what tells it again."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import PART_NAMES, PARTS, Contents, Origin
from frenemy.data.folder import MOST
from frenemy.data.items import (
    GIVE,
    ArrayItems,
    Items,
    Pixels,
    as_array,
    class_names,
    is_array,
    is_image,
    is_many,
    items_of,
    loaded,
)
from frenemy.data.labels import NoLabels, numbered, one_class_each
from frenemy.data.levels import Range
from frenemy.data.pixels import Resize
from frenemy.data.source import Source
from frenemy.data.streams import in_one_line
from frenemy.data.threads import telling
from frenemy.errors import FrenemyError
from frenemy.opacity import over_white

MEMORY = "memory:"
"""The name of such a set, where a run keeps the place of its images."""

NAME = "memory"
"""What messages call it."""

Labels = Sequence[Any] | NDArray[Any]


def origin_of(given: Any, shown: Range | None = None) -> Origin:
    """The images of an object, which may be all that `GIVE` names; each is read once.

    Items of lists and data sets are images (arrays, tensors, Pillow's pictures), pairs of an image
    and a label, or dictionaries with `image` (or `img`) and `label`. Classes have the names that a
    data set gives them as `classes` or in `features`, else their labels. Of what is no array, the
    first gibibyte that is decoded stays in memory; what is beyond is asked for again.

    Args:
        given: the object.
        shown: what pixels range over, if a person says so.

    Raises:
        FrenemyError: it is nothing of the kind, or one of its images or labels is none.
    """
    named = _parts_of(given)
    held = Held(shown)
    counts = [held.read(one) for one in named.values()]
    if not held.count:
        raise FrenemyError(f"{NAME}: holds no images; {GIVE}")
    labels, classes = held.numbered()
    parts = None
    if len(named) > 1:
        parts = np.repeat(np.array([PARTS.index(part) for part in named], np.uint8), counts)
    dropped = " without opacity" if held.has_opacity and not held.keeps_opacity else ""
    digest = hashlib.sha256(f"{held.digest.hexdigest()} {classes}{dropped}".encode())
    for what in (labels, parts):
        digest.update(b"none" if what is None else what.data)
    reader = functools.partial(_contents, held, labels, classes, parts)
    kind = f"{type(given).__name__} in memory"
    return Origin(kind, NAME, (), reader, digest=digest.hexdigest())


def _parts_of(given: Any) -> dict[str, Any]:
    """What is train, valid and test by the object's own word; or all of it as train."""
    parts: dict[str, Any] = {PARTS[0]: given}
    if isinstance(given, Mapping):
        told = ", ".join(map(str, given)) or "nothing"
        found = {key: PART_NAMES.get(str(key).lower()) for key in given}
        if None in found.values() or PARTS[0] not in found.values():
            raise FrenemyError(f"{NAME}: a dictionary of {told}: give train, valid and test alone")
        parts = {part: given[key] for key, part in found.items() if part}
        if len(parts) < len(found):
            raise FrenemyError(f"{NAME}: {told}: two of these are one part: leave one out")
    elif isinstance(given, tuple) and len(given) in (2, 3) and all(map(_is_labelled, given)):
        parts = dict(zip(PARTS, given, strict=False))
    if len(parts) == 2:  # whatever is held out by itself is what results are reported on
        train = parts.pop(PARTS[0])
        parts = {PARTS[0]: train, PARTS[2]: next(iter(parts.values()))}
    return parts


def _is_labelled(thing: Any) -> bool:
    """Whether this is a pair of many images and their labels."""
    if not (isinstance(thing, tuple) and len(thing) == 2):
        return False
    images, labels = thing
    if is_array(labels):
        return is_many(images) and len(labels.shape) in (1, 2)
    return is_many(images) and isinstance(labels, list) and not any(map(is_image, labels))


class Held:
    """Images that were read, in order, and what was seen of them.

    Attributes:
        count: how many; sizes, modes: as of `Contents`.
        clear: how many are transparent somewhere.
        digest: of their pixels.

    Args:
        given: what pixels range over, if a person says so.
    """

    def __init__(self, given: Range | None) -> None:
        self._range = given
        self.count = self.clear = 0
        self.sizes, self.modes = Counter[str](), Counter[str]()
        self.digest = hashlib.sha256()
        self._items: list[tuple[int, ArrayItems | Items]] = []  # and the number of the first
        self._classes: list[NDArray[Any] | None] = []  # one an image
        self._names: tuple[str, ...] = ()

    def read(self, given: Any) -> int:
        """Reads all images of an object; returns how many these are."""
        labels: Labels | None = None
        if _is_labelled(given):
            given, labels = given
        elif isinstance(given, Source):
            given, labels, self._names = given.images, given.labels, given.classes
        given = loaded(given)
        self._names = self._names or class_names(given, NAME)
        items = items_of(given, NAME, self._range)
        before = self.count
        self._items.append((before, items))
        with telling("reading", items.count or 0) as tell:
            for done, image in enumerate(items.read(), 1):
                self._see(image)
                if items.count:
                    tell(done)
        count = self.count - before
        if labels is None and any(label is not None for label in items.labels):
            labels = items.labels
        self._classes.append(None if labels is None else _classes(labels, count))
        return count

    def _see(self, image: Pixels) -> None:
        channels, height, width = image.shape
        self.count += 1
        self.sizes[f"{width}x{height}"] += 1
        self.modes[("L", "LA", "RGB", "RGBA")[channels - 1]] += 1
        self.clear += channels % 2 == 0 and int(image[-1].min()) < 255
        self.digest.update(f"{image.shape}".encode())
        self.digest.update(np.ascontiguousarray(image).data)

    def picture(self, i: int) -> Pixels:
        """Image i as it was read, (C, H, W)."""
        first, items = next(pair for pair in reversed(self._items) if pair[0] <= i)
        return items.again(i - first)

    @property
    def shown(self) -> Range:
        """What the pixels of the first of them range over."""
        return self._items[0][1].shown

    @property
    def arrays(self) -> bool:
        """Whether all came in arrays, of which a second or fourth channel is opacity."""
        return all(isinstance(items, ArrayItems) for _, items in self._items)

    @property
    def has_opacity(self) -> bool:
        """Whether any of them came with it."""
        return self.modes["LA"] + self.modes["RGBA"] > 0

    @property
    def keeps_opacity(self) -> bool:
        """Of arrays if all have it, of pictures where they are transparent, as in a folder."""
        if self.arrays:
            return self.modes["LA"] + self.modes["RGBA"] == self.count
        return self.clear > MOST * self.count

    def numbered(self) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
        """The label of each image, 0, 1 ..., and the names of the classes; or None, and none.

        Raises:
            FrenemyError: some have none, or one without a name where others have one.
        """
        given = [classes for classes in self._classes if classes is not None]
        if not given:
            return None, ()
        if len(given) < len(self._classes):
            raise FrenemyError(f"{NAME}: one part has labels and another none: give all, or none")
        values = np.concatenate(given)
        if values.dtype.kind == "U" or not self._names:
            return numbered(values)
        if values.min() < 0 or values.max() >= len(self._names):
            raise FrenemyError(
                f"{NAME}: labels from {values.min()} to {values.max()}, of which 0 to "
                f"{len(self._names) - 1} have names: leave out images without a class"
            )
        return values, self._names


def _classes(labels: Labels, count: int) -> NDArray[Any]:
    """The class of each image, a number or a name: (count,)."""
    try:
        if is_array(labels):
            return one_class_each(as_array(labels), count)
        if any(label is None for label in labels):
            raise NoLabels("are missing for some images")
        if all(isinstance(label, str) for label in labels):
            return one_class_each(np.array(labels, np.str_), count)
        return one_class_each(np.stack([as_array(label) for label in labels]), count)
    except (NoLabels, ValueError, TypeError) as error:  # of those that cannot be one array
        raise FrenemyError(f"{NAME}: its labels {in_one_line(error)}") from error


def _contents(
    held: Held,
    labels: NDArray[np.int64] | None,
    classes: tuple[str, ...],
    parts: NDArray[np.uint8] | None,
    resize: Resize | None,
    _: Range | None,  # by which they were read
) -> Contents:
    """The images in as many channels: in colour if one is, with opacity as in a folder."""
    colours = 3 if held.modes["RGB"] + held.modes["RGBA"] else 1
    clear = held.keeps_opacity
    shape = None
    if resize is not None:
        shape = (colours + clear, resize.size, resize.size)
    elif len(held.sizes) == 1:
        width, height = map(int, next(iter(held.sizes)).split("x"))
        shape = (colours + clear, height, width)

    def decode(i: int, clear: bool = clear) -> Pixels:
        image = _in_channels(held.picture(i), colours, clear)
        return image if resize is None else resize.array(image)

    return Contents(
        count=held.count,
        decode=decode,
        name_of="image {}".format,
        sizes=held.sizes,
        modes=held.modes,
        shape=shape,
        labels=labels,
        classes=classes,
        parts=parts,
        shown=held.shown,
        on_white=functools.partial(decode, clear=False),
        note=""
        if clear or not held.clear
        else f"{held.clear:,} of {held.count:,} pictures are transparent somewhere, and not most: "
        "all are laid over white",
    )


def _in_channels(image: Pixels, colours: int, clear: bool) -> Pixels:
    """An image in one or three colours, with opacity or over white."""
    if len(image) % 2 == 0 and not clear:
        image = over_white(image[None])[0]
    elif len(image) % 2 and clear:
        image = np.concatenate([image, np.full_like(image[:1], 255)])
    if len(image) < 3 and colours == 3:
        image = np.concatenate([image[:1].repeat(3, 0), image[1:]])
    return image
