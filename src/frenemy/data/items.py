"""The images, one at a time, of arrays, tensors, lists and the data sets of other libraries.

Nothing is known of those libraries but how their objects behave, so none is imported.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frenemy.data.contents import Contents, from_arrays
from frenemy.data.layout import images_first
from frenemy.data.levels import BYTES, UNIT, Range, range_of
from frenemy.data.pixels import decoded, header
from frenemy.data.streams import in_one_line
from frenemy.errors import FrenemyError

KEPT = 1 << 30
"""Bytes of the images of a data set or a list that stay in memory once they are decoded."""

GIVE = (
    "give an array or a tensor (N, H, W), (N, H, W, C) or (N, C, H, W), a list of pictures, a "
    "Dataset or DataLoader, a pair (images, labels), or a dictionary of such by train, valid, test"
)

Pixels = NDArray[np.uint8]


def is_array(thing: Any) -> bool:
    """Whether it is an array or a tensor, of whatever library."""
    return all(hasattr(thing, name) for name in ("__array__", "shape", "dtype"))


def is_image(thing: Any) -> bool:
    """Whether it is a picture, or an array of more than one axis, and so no label."""
    return isinstance(thing, Image.Image) or (is_array(thing) and len(thing.shape) > 1)


def is_many(thing: Any) -> bool:
    """Whether it is an array, or a list, of many images."""
    return len(thing.shape) > 2 if is_array(thing) else isinstance(thing, list)


def as_array(thing: Any) -> NDArray[Any]:
    """An array or tensor, on whatever device, as NumPy's; a copy only where it has to be."""
    if hasattr(thing, "detach"):  # torch's, which may need gradients
        thing = thing.detach().cpu()
        if str(thing.dtype) == "torch.bfloat16":  # NumPy has no such numbers
            thing = thing.float()
    return np.asarray(thing)


def class_names(given: Any, name: str) -> tuple[str, ...]:
    """What a data set calls its labels 0, 1 ..., or that which it is a part of, if they do."""
    while given is not None:
        found = getattr(given, "classes", None)
        if found is None and (features := _features(given)):
            found = getattr(features.get(Columns.of(given, name).label), "names", None)
        if isinstance(found, Sequence) and found and all(isinstance(x, str) for x in found):
            return tuple(found)
        given = getattr(given, "dataset", None)
    return ()


def _features(given: Any) -> Mapping[str, Any]:
    """The columns of a Hugging Face data set and their kinds."""
    found = getattr(given, "features", None)
    return found if isinstance(found, Mapping) else {}


class Columns(NamedTuple):
    """What the image and its label are called in items that have names for them."""

    image: str
    label: str

    @classmethod
    def of(cls, given: Any, name: str) -> Columns:
        """Those of a Hugging Face data set, by their kinds where no usual name is there.

        Raises:
            FrenemyError: several could be meant.
        """
        chosen: list[str] = []
        kinds = {"Image": ("image", "img"), "ClassLabel": ("label", "labels")}
        for kind, usual in kinds.items():
            features = _features(given)
            found = [name for name in usual if name in features]
            found = found or [name for name, of in features.items() if type(of).__name__ == kind]
            if len(found) > 1 and found[0] not in usual:
                raise FrenemyError(
                    f"{name}: its columns {' and '.join(found)} could each be the {usual[0]}: "
                    "rename one so"
                )
            chosen.append(found[0] if found else usual[0])
        return cls(*chosen)

    def split(self, item: Any, where: str) -> tuple[Any, Any]:
        """The image and the label, or None, of an item: a dictionary, a pair, or an image alone.

        Raises:
            FrenemyError: it is none of these.
        """
        if isinstance(item, Mapping):
            images = [item[name] for name in (self.image, "image", "img") if name in item]
            if not images:
                found = ", ".join(map(str, item)) or "nothing"
                raise FrenemyError(f"{where} has {found}, and no image or img among them")
            return images[0], next((item[k] for k in (self.label, "labels") if k in item), None)
        if isinstance(item, tuple | list):
            if len(item) not in (1, 2):
                raise FrenemyError(f"{where} is {len(item)} things: give it as (image, label)")
            return item[0], item[1] if len(item) == 2 else None
        return item, None


class ArrayItems:
    """The images of an array.

    Attributes:
        count: how many there are; labels: none.
        shown: what their pixels range over.
    """

    labels: Sequence[Any] = ()

    def __init__(self, array: NDArray[Any], name: str, given: Range | None) -> None:
        self._contents = _contents(array, name, given)
        self.count, self.shown = self._contents.count, self._contents.shown

    def read(self) -> Iterator[Pixels]:
        """Every image in order, (C, H, W)."""
        return map(self.again, range(self.count))

    def again(self, i: int) -> Pixels:
        """Image i."""
        return self._contents.decode(i)


class Items:
    """The items of a list or a data set, or of what can only be gone through.

    Attributes:
        count: how many there are; None if they can only be gone through.
        labels: of those that were read; None for one that has none.
        shown: what their pixels range over, as far as arrays tell.
    """

    def __init__(self, given: Any, name: str, range_given: Range | None) -> None:
        numbered = hasattr(given, "__getitem__") and hasattr(given, "__len__")
        if not numbered and not hasattr(given, "__iter__"):
            raise FrenemyError(f"{name}: no images in an object of type {_kind(given)}; {GIVE}")
        self.count = len(given) if numbered and not _only_gone_through(given) else None
        self.labels: list[Any] = []
        self.shown = range_given or BYTES
        self._given, self._name, self._columns = given, name, Columns.of(given, name)
        self._range, self._floats = range_given, dict[Range, int]()
        self._rest = iter(()) if self.count is not None else iter(given)
        self._kept: list[Pixels] = []
        self._sums: list[int] = []  # of those that were not kept
        self._lock = Lock()  # no data set says that threads may share it

    def read(self) -> Iterator[Pixels]:
        """Every image, (C, H, W), once and in order.

        Raises:
            FrenemyError: one cannot be read, or is none; or they can only be gone through, and are
                more than `KEPT` bytes.
        """
        room = KEPT
        for i in itertools.count() if self.count is None else range(self.count):
            try:
                pixels, label = self._item(i)
            except StopIteration:
                return
            room -= pixels.nbytes
            if room >= 0 and not self._sums:
                self._kept.append(pixels)
            elif self.count is None:
                raise FrenemyError(
                    f"{self._name}: more than {KEPT >> 20:,} MiB of images that can only be gone "
                    "through: give what has a length and items by number, or a folder"
                )
            else:
                self._sums.append(zlib.crc32(pixels.tobytes()))
            self.labels.append(label)
            yield pixels

    def again(self, i: int) -> Pixels:
        """Image i as it was read; raises FrenemyError if it is another by now."""
        if i < len(self._kept):
            return self._kept[i]
        with self._lock:
            pixels, _ = self._item(i)
        if zlib.crc32(pixels.tobytes()) != self._sums[i - len(self._kept)]:
            raise FrenemyError(
                f"{self._name}: image {i} is another each time it is asked for: leave out what "
                "changes images at random"
            )
        return pixels

    def _item(self, i: int) -> tuple[Pixels, Any]:
        """Item i, which is the next one of what can only be gone through."""
        where = f"{self._name}: image {i}"
        try:
            item = next(self._rest) if self.count is None else self._given[i]
        except (StopIteration, MemoryError, FrenemyError):
            raise
        except Exception as error:  # of whoever wrote the data set
            raise _unreadable(where, error) from error
        image, label = self._columns.split(item, where)
        return self._pixels(image, i, where), label

    def _pixels(self, image: Any, i: int, where: str) -> Pixels:
        """One image, of its own size and channels: uint8 (C, H, W)."""
        if isinstance(image, Image.Image):
            try:
                seen = header(image, None)
                own = image.copy()  # it is closed when it is decoded
                return decoded(
                    *(own, seen), grey=seen.grey, resize=None, clear=seen.clear, given=self._range
                )
            except Exception as error:  # whatever a damaged file makes of Pillow's parsers
                raise _unreadable(where, error) from error
        if not is_array(image):
            raise FrenemyError(
                f"{where} is of type {_kind(image)}: give a picture of Pillow's, an array or a "
                "tensor"
            )
        array = as_array(image)
        one = array[None, ..., None] if array.ndim == 2 else array[None]
        contents = _contents(one, where, self._range)
        if self._range is None and array.dtype.kind == "f" and array.any():
            self._agree(contents.shown, i)
        self.shown = contents.shown
        return contents.decode(0)

    def _agree(self, shown: Range, i: int) -> None:
        """Refuses floats of which some range to 1, and others to 255."""
        self._floats.setdefault(shown, i)
        if len(self._floats) > 1:
            one, other = (self._floats[x] for x in (UNIT, BYTES))
            raise FrenemyError(
                f"{self._name}: floats of image {one} lie in {UNIT}, and of image {other} in "
                f"{BYTES}: say what is black and what is white, such as range='{BYTES}'"
            )


def items_of(given: Any, name: str, range_given: Range | None) -> ArrayItems | Items:
    """Those of an object, of which a person may say what its pixels range over.

    Raises:
        FrenemyError: it has none.
    """
    if isinstance(given, Image.Image):
        raise FrenemyError(f"{name}: one picture; give a list of many")
    if isinstance(given, str | bytes | Mapping):
        raise FrenemyError(f"{name}: no images in an object of type {_kind(given)}; {GIVE}")
    if is_array(given):
        return ArrayItems(as_array(given), name, range_given)
    return Items(given, name, range_given)


def loaded(given: Any) -> Any:
    """The data set of a DataLoader that gives each of its items once, as it is; else its batches'.

    What is no DataLoader is given back.
    """
    if not all(hasattr(given, name) for name in ("dataset", "sampler", "collate_fn")):
        return given
    kind, whole = type(given.sampler).__name__, False
    if kind == "SequentialSampler":
        whole = True
    elif kind == "RandomSampler":
        whole = not given.sampler.replacement and len(given.sampler) == len(given.dataset)
    plain = getattr(given.collate_fn, "__name__", "") == "default_collate"
    return given.dataset if whole and plain else Batches(given)


class Batches:
    """What is in the minibatches of a DataLoader, one after the other."""

    def __init__(self, loader: Any) -> None:
        self.dataset = loader.dataset
        self._loader: Iterable[Any] = loader
        self._one_by_one = getattr(loader, "batch_sampler", loader) is None
        self._loose = loader.collate_fn in (list, tuple)  # not put together

    def __iter__(self) -> Iterator[Any]:
        columns, loose = Columns.of(self.dataset, "the DataLoader"), self._loose
        for i, batch in enumerate(self._loader):
            if self._one_by_one:
                yield batch
                continue
            if isinstance(batch, tuple | list):
                loose = loose or not is_many(batch[0]) or len(batch) > 2
            if loose:
                yield from batch
                continue
            images, labels = columns.split(batch, f"the DataLoader's batch {i}")
            yield from images if labels is None else zip(images, labels, strict=True)


def _kind(given: Any) -> str:
    return type(given).__name__


def _only_gone_through(given: Any) -> bool:
    """Whether it is torch's IterableDataset, which has items by number in name only."""
    return any(kind.__name__ == "IterableDataset" for kind in type(given).__mro__)


def _unreadable(where: str, error: Exception) -> FrenemyError:
    return FrenemyError(f"{where} cannot be read: {_kind(error)}: {in_one_line(error)}")


def _contents(array: NDArray[Any], name: str, given: Range | None) -> Contents:
    images = images_first(array, name)
    return from_arrays([images], None, shown=range_of([images], Path(name), given))
