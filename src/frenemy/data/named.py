"""Which arrays of one file are images, which are their labels: by the names that people give them.

A name is read without regard to case, and to what is neither letter nor digit. `images` are the
images, whatever else there is. Names of parts (x_train, train_images, trainX, test ...) make the
set's own parts; then one of the other names of images, or else the only array that can be images,
is taken. Labels are those of `LABELS`, with the name of the part, too, where there are parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import PART_NAMES, PARTS, Contents, from_arrays
from frenemy.data.labels import NoLabels, numbered, one_class_each
from frenemy.data.levels import Range, range_of
from frenemy.data.pixels import Resize
from frenemy.data.streams import shown
from frenemy.errors import FrenemyError

IMAGES = ("images", "image", "imgs", "img", "x", "data", "pictures", "inputs", "input", "samples")
"""What images are called."""

LABELS = (
    *("labels", "label", "y", "targets", "target", "classes", "class", "gnd", "labs", "labsex"),
    *("finelabels", "finelabel", "arr1"),
)
"""What labels are called, the first being taken where there are several.

`arr_1` is what numpy calls the second array that it is given without a name.
"""

PART_WORDS = PART_NAMES | {"tr": "train", "te": "test"}
"""What the parts are called beside images and labels, and images of parts by themselves."""

CHOSEN = "images"
"""The name that decides."""

DIGIT = re.compile(r"(train|test)([0-9])")
"""An array for each digit, as Roweis has MNIST in a .mat file."""


class NamedArray(Protocol):
    """An array in a file, not read yet."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read(self) -> NDArray: ...


class Piece(NamedTuple):
    """Images that lie in one array.

    Attributes:
        name: the array's.
        part: the place in `PARTS` of the part they are, or None.
        labels: the names of the arrays that may be their labels, the likeliest first.
        digit: the class that all of them have, or None.
    """

    name: str
    part: int | None = None
    labels: Sequence[str] = ()
    digit: int | None = None


class _Role(NamedTuple):
    """What a name says: a place in `PARTS` or None, and images, or a place in `LABELS`."""

    part: int | None
    label: int | None


def _roles() -> dict[str, _Role]:
    """Of each name, as `_plain` makes it."""
    words = dict.fromkeys(IMAGES) | {name: i for i, name in enumerate(LABELS)}
    roles = {name: _Role(None, label) for name, label in words.items()}
    for name, meant in PART_WORDS.items():
        part = PARTS.index(meant)
        roles |= {name + word: _Role(part, label) for word, label in words.items()}
        roles |= {word + name: _Role(part, label) for word, label in words.items()}
        roles[name] = _Role(part, None)
    return roles


_ROLES = _roles()


def _role(name: str) -> _Role | None:
    """Of an array; the fields of MATLAB's structures have names such as dataset.train.images."""
    inner = [_plain(part) for part in name.split(".")]
    return _ROLES.get("".join(inner[-2:])) or _ROLES.get(inner[-1])


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def named_as_labels(name: str) -> bool:
    """Whether labels are called that."""
    role = _role(name)
    return role is not None and role.label is not None


def read_named(
    arrays: Mapping[str, NamedArray],
    candidates: Sequence[str],
    turned: Callable[[Piece], NDArray],
    path: Path,
    resize: Resize | None,
    given: Range | None,
) -> Contents:
    """The images among the arrays of a file, with their labels and parts.

    Args:
        arrays: all that there are, by name.
        candidates: the names of those that can be images; truth values are masks, and images only
            where nothing else is.
        turned: reads the images of one piece as (n, C, H, W).
        path: the file.
        resize: what is done to each image.
        given: as of `range_of`.

    Raises:
        FrenemyError: it cannot be told which are the images, or they are none.
    """
    candidates = [x for x in candidates if arrays[x].dtype != bool] or candidates
    found = _pieces(arrays, candidates, path)
    images = [turned(piece) for piece in found]
    if len({array.shape[1:] for array in images}) > 1:
        sizes = zip(found, images, strict=True)
        told = ", ".join(f"{shown(piece.name)} {array.shape}" for piece, array in sizes)
        raise FrenemyError(f"{path}: images differ in size: as (N, C, H, W) {told}")
    counts = [len(array) for array in images]
    values, notes = list[NDArray](), _left_out(found, candidates)
    for piece, count in zip(found, counts, strict=True):
        one, told = _classes(piece, arrays, count)
        values += [] if one is None else [one]
        notes += told
    labels, classes = None, ()
    if len(values) == len(found):
        labels, classes = numbered(np.concatenate(values))
    elif values:
        notes.append("not all parts have labels, so that all are left out")
    return from_arrays(
        images,
        resize,
        shown=range_of(images, path, given),
        labels=labels,
        classes=classes,
        parts=_parts(found, counts),
        note="; ".join(notes),
    )


def _pieces(arrays: Mapping[str, NamedArray], candidates: Sequence[str], path: Path) -> list[Piece]:
    """The images among the arrays of a file, of which the `candidates` can be images."""
    roles = {name: role for name in arrays if (role := _role(name))}
    labels = sorted(
        (role.label, name, role.part) for name, role in roles.items() if role.label is not None
    )

    def piece(name: str, *parts: int | None) -> Piece:
        return Piece(name, parts[0], [label for _, label, part in labels if part in parts])

    if CHOSEN in arrays:
        return [piece(CHOSEN, None)]
    if digits := _of_digits(candidates):
        return digits
    known = [(x.part, name) for name in candidates if (x := roles.get(name)) and x.label is None]
    parts = {part: name for part, name in known if part is not None}
    if len(parts) == len(known) > 1 and 0 in parts:
        return [piece(name, part) for part, name in sorted(parts.items())]
    chosen = [name for _, name in known] if len(known) == 1 else candidates
    if not chosen:
        told = ", ".join(f"{shown(name)} {array.shape}" for name, array in arrays.items())
        raise FrenemyError(f"{path}: no array can be images, (N, H, W) or (N, H, W, C): {told}")
    if len(chosen) != 1:
        told = ", ".join(map(shown, candidates))
        raise FrenemyError(
            f"{path}: which array holds the images? Name it `{CHOSEN}`; those that could be: {told}"
        )
    (name,) = chosen
    return [piece(name, roles[name].part if name in roles else None, None)]


def _of_digits(candidates: Sequence[str]) -> list[Piece]:
    """train0 .. train9 and test0 .. test9, if all of them are there and nothing else is."""
    matches = [(DIGIT.fullmatch(_plain(name)), name) for name in candidates]
    found = [
        Piece(name, PARTS.index(match[1]), digit=int(match[2])) for match, name in matches if match
    ]
    different = {(piece.part, piece.digit) for piece in found}
    return found if len(different) == len(matches) == 20 else []


def _left_out(found: Sequence[Piece], candidates: Sequence[str]) -> list[str]:
    """What is said of arrays that could be images and are not taken, unless by a person's word."""
    names = {piece.name for piece in found}
    left = [f"`{shown(name)}`" for name in candidates if name not in names]
    if not left or CHOSEN in names:
        return []
    return [f"left out, though they could be images: {', '.join(left)}"]


def _classes(
    piece: Piece, arrays: Mapping[str, NamedArray], count: int
) -> tuple[NDArray | None, list[str]]:
    """The class of each image, if it is known, and which labels are left out."""
    if piece.digit is not None:
        return np.full(count, piece.digit), []
    reasons = list[str]()
    for name in piece.labels:
        array = arrays[name]
        try:
            if count not in array.shape or len(array.shape) > 2:  # told without reading it
                raise NoLabels(f"are of shape {array.shape} for {count:,} images")
            return one_class_each(array.read(), count), reasons
        except NoLabels as error:
            reasons.append(f"`{shown(name)}` are no labels that are read: they {error}")
    vectors = [
        name
        for name, array in arrays.items()
        if array.shape in ((count,), (count, 1)) and array.dtype.kind in "biuSU"
    ]
    if not piece.labels and vectors:
        told = " or ".join(f"`{shown(name)}`" for name in vectors)
        reasons.append(f"there are no labels, unless {told} should be named `labels`")
    return None, reasons


def _parts(found: Sequence[Piece], counts: Sequence[int]) -> NDArray[np.uint8] | None:
    """The part of each image; one part beside train is the test part, whatever its name."""
    if len(found) == 1:
        return None
    parts = [piece.part or 0 for piece in found]
    if len(set(parts)) == 2:
        parts = [part and PARTS.index("test") for part in parts]
    return np.repeat(np.array(parts, np.uint8), counts)
