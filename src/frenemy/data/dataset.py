"""Opening a set: found, decoded once, cut into its three parts."""

from __future__ import annotations

import os
import statistics
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frenemy.choices import Fit
from frenemy.data import store, toy
from frenemy.data.contents import PARTS, Origin, PartSizes
from frenemy.data.detect import find, is_path, made_of, resolved
from frenemy.data.folder import picture_at
from frenemy.data.levels import BYTES, Range, brightest, dark
from frenemy.data.objects import MEMORY
from frenemy.data.pixels import Resize
from frenemy.data.source import Dataset, Source
from frenemy.data.streams import shown
from frenemy.errors import FrenemyError, whole

MAX_SIZE = 4096


def open_dataset(
    images: Any, *, size: int | None = None, fit: Fit = "crop", grey: bool = False,
    opaque: bool = False, range: str | None = None,
) -> Dataset:  # fmt: skip
    """The three parts of a set, as memory maps of uint8 (N, C, H, W).

    What lies at a path is found out from the files: pictures in a folder or a zip archive, IDX
    files of MNIST's or EMNIST's kind, CIFAR-10 or CIFAR-100, or one .npy, .npz, .mat or IDX file;
    `Dataset.description` says which it was. Images are decoded once, into the folder that the
    environment variable FRENEMY_CACHE names or else the user's cache folder, and again only when
    the content of the files or the version of Pillow changes. What is kept there is checked when it
    is opened, and decoded again if it is damaged.

    Arrays are known by their names: `images`, or x, data ..., with `labels`, y, targets ...;
    x_train, train_labels and the like are parts.

    A file is a picture by its ending, or by its first bytes where it has none. The uppermost
    folders that are several are the classes, if all pictures lie in them; but those of StyleGAN's
    dataset_tool are told by its `dataset.json`. Where a folder holds others that are named as parts
    (train, training_set, seg_train, train2017 ...; val, valid, validation, dev, eval; test,
    holdout), these are the parts, with the classes below or above them, and what lies beside them
    is left out. Passed over are hidden files, and the folders of systems: @eaDir, $RECYCLE.BIN,
    __MACOSX, lost+found and such. Links are followed to what the owner of the folder may read, as
    their own or as everybody, but not into /proc, /sys and /dev; no folder is read twice, so that a
    link to one that holds the set leads nowhere.

    An IDX set or CIFAR-10 with a test part keeps it, as do pictures in parts; one part beside train
    is the test part, whatever its name. Of the Toronto Face Database the first fold is taken. Where
    no part to choose on is given, the last 10,000 images of train (the last sixth, if it has fewer
    than 20,000) are held out. Any other set is cut 80 / 10 / 10 by a fixed permutation; so are
    images that a program holds, unless it names their parts.

    Args:
        images: a file or a folder; None for the digits that come with the package. "toy:ring" and
            "toy:grid" are points in the plane, float32 (N, 2, 1, 1); "stacked:" before a path of
            grey images makes stacks of three of them: see `frenemy.data.toy`. Or what holds images:
            an array or tensor, (N, H, W), (N, H, W, C) or (N, C, H, W);
            a list of Pillow's pictures or of arrays; a torch or Hugging Face data set, or a
            DataLoader; the pair (images, labels); a dictionary of such with the keys train, valid
            and test. An opened set is given back.
        size: the side of the square that every image is brought to; None keeps images as they are,
            which then have to be of one size. Pictures of up to 2^28 pixels (16,384 x 16,384) are
            scaled, of up to 2^26 (8192 x 8192) kept.
        fit: "crop" resizes the centre square, "stretch" the whole image.
        grey: whether colours are left out.
        opaque: whether transparent pictures are laid over white: else, if most of a folder's are
            transparent somewhere, and in arrays of two or four channels, the last is opacity.
        range: what black and white are in the files, "LOW..HIGH": None takes bytes for 0..255,
            truth values for 0..1, and floats for 0..1 or, if they are whole numbers, 0..255.

    Warns:
        UserWarning: once, naming the first few, if images or folders are left out: those that are
            damaged, links that are not followed, runs, and what lies beside the parts; and where
            folders are no classes because pictures lie beside them, metadata cannot be read, some
            pictures are transparent, and most are not, labels or other arrays are left out, or no
            pixel is bright.

    Raises:
        FrenemyError: if there is nothing that is read, its images differ in size and no size is
            given, there are fewer than three of them, they are beyond the `range` or do not tell
            it, something cannot be read for a reason that may pass (a disk that does not answer,
            want of memory), or the cache cannot be written.

    >>> digits = open_dataset(None)
    >>> digits.description
    'embedded UCI digits, 1,797 images 8x8 grey, 10 classes'
    >>> len(digits.train), len(digits.valid), len(digits.test), digits.shape
    (1439, 179, 179, (1, 8, 8))
    >>> noise = np.random.default_rng(0).random((50, 8, 8))
    >>> open_dataset((noise, np.arange(50) % 2)).description
    'tuple in memory, 50 images 8x8 grey, 2 classes'
    """
    prepared: dict[str, Any] = {
        "size": size, "fit": fit, "grey": grey, "opaque": opaque, "range": range,
    }  # fmt: skip
    if isinstance(images, Dataset):
        if any(prepared[name] for name in ("size", "grey", "opaque", "range")):
            raise FrenemyError(f"{images.train.name} is open already: say how where it is opened")
        return images
    how, place = made_of(images) if is_path(images) else ("", None)
    if how == toy.STACKED:
        return toy.stacked(open_dataset(place, **prepared))
    if how.startswith(toy.TOY):
        if size is not None or grey or range is not None:
            raise FrenemyError(f"{images}: points in the plane have no size and no colours")
        return toy.points(how.removeprefix(toy.TOY))
    origin, stored = _fetch(images, **prepared)
    whole = stored.source
    train, valid, test = part_sizes(len(whole), stored.parts)
    if not (train and valid and test):
        raise FrenemyError(
            f"{origin.name}: {len(whole)} images; a set needs three at least, one for each part"
        )
    names = PARTS
    if stored.parts and not stored.parts[1]:
        names = (f"train[0:{train}]", f"train[{train}:{train + valid}]", "test")
    ends = (0, train, train + valid, len(whole))
    where = MEMORY if origin.digest else None if images is None else resolved(images)
    parts = [
        whole.take(slice(start, end), f"{origin.name} {name}")
        for start, end, name in zip(ends, ends[1:], names, strict=False)
    ]
    return Dataset(
        *parts,
        description=_description(origin, stored),
        arguments={"path": where, **prepared},
    )


@dataclass(frozen=True)
class Unopened:
    """A set whose size is still to be chosen.

    Attributes:
        images, fit, grey, opaque, range: as of `open_dataset`.
    """

    images: Any
    fit: Fit = "crop"
    grey: bool = False
    opaque: bool = False
    range: str | None = None

    def __post_init__(self) -> None:
        if not is_path(self.images):  # to be read once
            object.__setattr__(self, "images", find(self.images, range_given(self.range)))

    def open(self, size: int | None) -> Dataset:
        """The set in that size: as `open_dataset`."""
        return open_dataset(size=size, **vars(self))

    def native(self) -> tuple[tuple[int, int, int] | None, int]:
        """(C, H, W) of all images, or None where they differ; and how long the shorter side is.

        By their headers; half of the images or more are that long at least.

        Raises:
            FrenemyError: nothing readable lies there.
        """
        if is_path(self.images) and made_of(self.images)[0]:
            shape = self.open(None).shape
            return shape, min(shape[1:])
        # Of any size, then, in which they are read.
        found = find(self.images).read(Resize(1, "crop"), given=range_given(self.range))
        sizes = [(tuple(map(int, size.split("x"))), count) for size, count in found.sizes.items()]
        sides = [side for size, count in sizes for side in [min(size)] * count]
        if len(sizes) != 1 or found.shape is None:
            return None, statistics.median_high(sides) if sides else 0
        width, height = sizes[0][0]
        return (found.shape[0], height, width), sides[0]


def open_images(
    images: Any, *, size: int | None = None, fit: Fit = "crop", grey: bool = False,
    opaque: bool = False, range: str | None = None,
) -> Source:  # fmt: skip
    """All images as one source; what they may be and how they are stored tells `open_dataset`.

    Raises:
        FrenemyError: as `open_dataset`, but any number of images will do.
    """
    return _fetch(images, size, fit, grey, opaque, range)[1].source


def read_picture(
    path: Path | str, *, size: int | None = None, fit: Fit = "crop", grey: bool = False,
    opaque: bool = True, range: str | None = None,
) -> NDArray[np.uint8]:  # fmt: skip
    """One picture, read as those in a folder: uint8, (1, H, W) if `grey`, else (3, H, W).

    If it is not to be `opaque`, opacity is one channel more. A `range` is as of `open_dataset`.

    Raises:
        FrenemyError: it cannot be read, or its numbers lie beyond the range.
    """
    given = range_given(range)
    picture = picture_at(Path(path), grey, resize_to(size, fit), not opaque, given)
    tell(shown(os.fspath(path)), dark(brightest(picture), given or BYTES))
    return picture


def _fetch(
    images: Any, size: int | None, fit: Fit, grey: bool, opaque: bool,
    range: str | None,
) -> tuple[Origin, store.Stored]:  # fmt: skip
    shown = range_given(range)
    origin = find(images, shown)
    stored = store.fetch(origin, resize_to(size, fit), grey, opaque, shown)
    _warn({**origin.skipped, **stored.unreadable}, origin.name)
    tell(origin.name, stored.note)
    return origin, stored


def tell(name: str, note: str) -> None:
    """Warns whoever asked for the set of this name of what was found, if anything was."""
    if note:
        warnings.warn(f"{name}: {note}", stacklevel=4)


def range_given(text: str | None) -> Range | None:
    """What `range` says; raises FrenemyError if it is none."""
    return None if text is None else Range.parse(text)


def resize_to(size: int | None, fit: Fit) -> Resize | None:
    """What `size` and `fit` ask for; raises FrenemyError if it makes no sense."""
    if fit not in ("crop", "stretch"):
        raise FrenemyError(f'fit must be "crop" or "stretch", not {fit!r}')
    if size is None:
        return None
    if not 1 <= (size := whole(size=size)) <= MAX_SIZE:
        raise FrenemyError(f"size must be from 1 to {MAX_SIZE} pixels, not {size}")
    return Resize(size, fit)


def part_sizes(count: int, own: PartSizes | None) -> PartSizes:
    """How many of `count` images are train, valid and test, given the sizes of a set's own parts.

    >>> part_sizes(70_000, (60_000, 0, 10_000)), part_sizes(1_000, None)
    ((50000, 10000, 10000), (800, 100, 100))
    """
    if own is None:
        valid = test = max(count // 10, 1) if count > 2 else 0
    else:
        train, valid, test = own
        valid = valid or (10_000 if train >= 20_000 else -(-train // 6))
    return count - valid - test, valid, test


def _description(origin: Origin, stored: store.Stored) -> str:
    whole, own = stored.source, stored.parts
    channels, height, width = whole.shape
    count = " + ".join(f"{size:,}" for size in own or (len(whole),) if size)
    colour = ("grey" if channels < 3 else "colour") + ("" if channels % 2 else " with opacity")
    classes = f", {len(whole.classes)} classes" if whole.classes else ""
    enlarged = f", {stored.enlarged:,} of them enlarged" if stored.enlarged else ""
    return f"{origin.kind}, {count} images {width}x{height} {colour}{enlarged}{classes}"


def _warn(left_out: Mapping[str, str], name: str) -> None:
    if left_out:
        few = "; ".join(f"{shown(x)}: {reason}" for x, reason in list(left_out.items())[:3])
        more = f"; and {len(left_out) - 3:,} more" if len(left_out) > 3 else ""
        message = f"{name}: {len(left_out):,} left out: {few}{more}"
        warnings.warn(message, stacklevel=4)
