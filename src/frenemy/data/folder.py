"""Pictures of any mix of formats, sizes and modes: in a folder and below it, or in a zip archive.

What the folders they lie in mean, parts and classes, is told by `frenemy.data.tree`. If most of the
pictures are transparent somewhere, their opacity is one more channel; else what is transparent is
laid over white.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from frenemy.data import pixels, stylegan
from frenemy.data.bare import without_metadata
from frenemy.data.contents import Contents, File, Origin, UnreadableImage
from frenemy.data.levels import BYTES, Range
from frenemy.data.pixels import FORMATS, Header, Resize, luminance
from frenemy.data.places import Place, in_folder, in_zip, open_picture
from frenemy.data.streams import BoundedFile, is_of_the_file, lasting_reason, shown
from frenemy.data.threads import each_in_order
from frenemy.data.tree import Tree, classes_of, tree_of
from frenemy.errors import FrenemyError

MOST = 0.5
"""Of the pictures have to be transparent somewhere for opacity to be kept."""

LOOKED_AT = 256
"""Pictures, at most, by which that is told."""

Result = TypeVar("Result")
Opener = Callable[[str], BoundedFile]


class NoPicture(FrenemyError):
    """All that is in a folder is left out."""


def find_folder(folder: Path) -> Origin | None:
    """The pictures in a folder and its sub-folders, or None if there are none.

    Passed over are hidden files and folders, and those that systems make. Runs in it are left out,
    so that the set stays the same while one trains beside its pictures, and so is what lies beside
    the parts of a set.
    """
    return _origin("image folder", folder, in_folder(folder))


def find_zip(path: Path) -> Origin | None:
    """The pictures in a zip archive, as in a folder; None if it holds none, or arrays."""
    place = in_zip(path)
    return place and _origin("zip of images", path, place)


def _origin(kind: str, path: Path, place: Place) -> Origin | None:
    if place.skipped and not place.names:
        name, reason = next(iter(place.skipped.items()))
        raise NoPicture(
            f"{shown(str(path))}: no picture in it can be read; {shown(name)}: {reason}"
        )
    if not place.names:
        return None
    tree = tree_of(place.names)
    kept = tuple(sorted(tree.below))
    if place.files:
        files = tuple(place.files[name] for name in sorted([*kept, *place.labels]))
    else:
        files = (File.at(path),)
    skipped = {**place.skipped, **tree.beside}
    name = path.name if place.files else path.stem
    return Origin(
        kind, shown(name), files, functools.partial(_read, place, kept, tree, path), skipped
    )


class _Seen(NamedTuple):
    """A picture's header, and whether its metadata stood in its way."""

    header: Header
    bare: bool


def _read(
    place: Place, names: Sequence[str], tree: Tree, path: Path, resize: Resize | None,
    given: Range | None,
) -> Contents:  # fmt: skip
    seen: list[_Seen] = []
    readable: list[str] = []
    unreadable: dict[str, str] = {}
    found = _headers(place.open, names, resize)
    for name, one in zip(names, found, strict=True):
        if isinstance(one, str):
            unreadable[name] = one
        else:
            seen.append(one)
            readable.append(name)
    if not readable:
        name, reason = next(iter(unreadable.items()))
        raise FrenemyError(
            f"{shown(str(path))}: none of its {len(unreadable):,} images can be read; "
            f"{shown(name)}: {reason}"
        )
    headers = [one.header for one in seen]
    ranges = {header.range for header in headers}
    if given and len(ranges) > 1:
        raise FrenemyError(
            f"{shown(str(path))}: holds pictures of 8 and of 16 bits, which no --range fits: "
            "separate them"
        )
    sizes = Counter(f"{header.width}x{header.height}" for header in headers)
    grey = all(header.grey for header in headers)
    clear_ones = [name for name, one in zip(readable, headers, strict=True) if one.clear]
    share = _share_clear(place.open, clear_ones, len(readable))
    clear, channels = share > MOST, (1 if grey else 3) + (share > MOST)
    shape = None
    if resize is not None:
        shape = (channels, resize.size, resize.size)
    elif len(sizes) == 1:
        shape = (channels, headers[0].height, headers[0].width)
    parts = tree.parts
    labels, classes, lost = _labels(place, readable, tree.below, path)
    decode = functools.partial(_decoded, place.open, readable, headers, grey, resize, given)
    notes = tree.note, lost, _note_of_bare(readable, seen)
    on_white = ""
    if share and not clear:
        on_white = (
            f"about {max(1, round(share * len(readable))):,} of {len(readable):,} pictures are "
            "transparent somewhere, and not most: all are laid over white"
        )
    return Contents(
        count=len(readable),
        decode=functools.partial(decode, clear),
        name_of=lambda i: readable[i],
        sizes=sizes,
        modes=Counter(header.mode for header in headers),
        shape=shape,
        labels=labels,
        classes=classes,
        parts=None if parts is None else np.array([parts[name] for name in readable], np.uint8),
        unreadable=unreadable,
        on_white=functools.partial(decode, False),
        note="; ".join(filter(None, notes)),
        note_on_white=on_white,
        shown=given or (ranges.pop() if len(ranges) == 1 else BYTES),
    )


def _labels(
    place: Place, names: Sequence[str], below: Mapping[str, str], path: Path
) -> tuple[NDArray[np.int64] | None, tuple[str, ...], str]:
    """Labels, the classes they stand for, and what should be known of how they were found."""
    told = stylegan.labels_of(place, shown(str(path)))
    if told is None:
        of_each, lost = classes_of([below[name] for name in names])
    elif missing := [name for name in names if name not in told]:
        of_each, lost = None, f"{len(missing):,} pictures, such as {shown(missing[0])}, have no"
        lost = f"{lost} label: none are taken" if told else ""
    else:
        of_each, lost = [told[name] for name in names], ""
    if of_each is None or len(set(of_each)) < 2:
        return None, (), lost
    classes = sorted(set(of_each), key=int if told else None)
    number = {name: k for k, name in enumerate(classes)}
    return np.array([number[one] for one in of_each], np.int64), tuple(classes), lost


def _note_of_bare(names: Sequence[str], seen: Sequence[_Seen]) -> str:
    bare = [name for name, one in zip(names, seen, strict=True) if one.bare]
    if not bare:
        return ""
    few = ", ".join(map(shown, bare[:3])) + (f" and {len(bare) - 3:,} more" if bare[3:] else "")
    return f"metadata cannot be read, so that these may lie on their sides: {few}"


def _share_clear(opened: Opener, names: Sequence[str], count: int) -> float:
    """What share of all is transparent somewhere, where `names` may be; some hundred are tried."""
    some = names[:: max(1, -(-len(names) // LOOKED_AT))]
    found = list(each_in_order(functools.partial(_is_clear, opened), some, 16, "looking at"))
    return sum(found) / len(found) * len(names) / count if found else 0.0


def _is_clear(opened: Opener, name: str) -> bool:
    try:
        return _of_picture(opened, name, pixels.is_clear)[0]
    except UnreadableImage:  # it will be told when it is decoded
        return False


def _headers(opened: Opener, names: Sequence[str], resize: Resize | None) -> list[_Seen | str]:
    """Of each picture, or why it is skipped."""

    def seen(name: str) -> _Seen | str:
        try:
            return _Seen(*_of_picture(opened, name, lambda image: pixels.header(image, resize)))
        except UnreadableImage as error:
            return str(error)

    with warnings.catch_warnings():  # which no thread can set for itself
        # Pillow only warns of damaged EXIF data, and of a GIF whose frame is larger than it.
        warnings.filterwarnings("error", module="PIL", category=UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return list(each_in_order(seen, names, 64, "looking at"))


def _decoded(
    opened: Opener, names: Sequence[str], headers: Sequence[Header], grey: bool,
    resize: Resize | None, given: Range | None, clear: bool, i: int,
) -> NDArray[np.uint8]:  # fmt: skip
    def work(image: ImageFile) -> NDArray[np.uint8]:
        return pixels.decoded(image, headers[i], grey=grey, resize=resize, clear=clear, given=given)

    return _of_picture(opened, names[i], work)[0]


def _of_picture(
    opened: Opener, name: str, work: Callable[[ImageFile], Result]
) -> tuple[Result, bool]:
    """What `work` makes of a picture, and whether that needed its metadata to be taken away.

    Raises:
        UnreadableImage: it is damaged.
        FrenemyError: it could not be read, for a reason that may pass.
    """
    try:
        with opened(name) as file:
            try:
                with pixels.opened(file) as image:
                    return work(image), False
            except Exception as error:  # whatever a damaged file makes of Pillow's parsers
                if not is_of_the_file(error) or not (bare := without_metadata(file)):
                    raise
                with pixels.opened(bare) as image:
                    return work(image), True
    except Exception as error:
        raise UnreadableImage(lasting_reason(error, name)) from error


def picture_at(
    path: Path, grey: bool, resize: Resize | None, clear: bool = False, given: Range | None = None
) -> NDArray[np.uint8]:
    """One picture as it would come out of a folder of such.

    Raises:
        FrenemyError: it cannot be read.
    """
    names = [os.fspath(path)]
    try:
        open_picture(names[0]).close()
    except OSError as error:
        raise FrenemyError(f"{shown(names[0])}: {error.strerror}; give a picture") from error
    except ValueError:
        pass  # told below
    (seen,) = _headers(open_picture, names, resize)
    try:
        if isinstance(seen, str):
            raise UnreadableImage(seen)
        one = [seen.header]
        image = _decoded(open_picture, names, one, grey and one[0].grey, resize, given, clear, 0)
    except UnreadableImage as error:
        which = f"give a picture ({', '.join(FORMATS)})"
        raise FrenemyError(f"{shown(names[0])}: {error}; {which}") from None
    return luminance(image) if grey else image
