"""A folder of pictures of any mix of formats, sizes and modes.

If all pictures lie in two or more sub-folders, the sub-folders at the top level are the classes:
or, if they are named so, the set's own parts, and those a level below are the classes.

If most of the pictures are transparent somewhere, their opacity is one more channel; else what is
transparent is laid over white.
"""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from frenemy.data.contents import PARTS, Contents, File, Origin, UnreadableImage
from frenemy.data.levels import BYTES, Range
from frenemy.data.pixels import (
    FORMATS,
    MAX_PIXELS,
    Header,
    Resize,
    decoded,
    header,
    is_clear,
    luminance,
)
from frenemy.data.streams import BoundedFile, in_one_line, shown
from frenemy.data.threads import each_in_order
from frenemy.errors import FrenemyError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")

OTHER_SUFFIXES = (
    *(".avif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".pbm", ".pgm", ".pnm", ".ppm"),
    *(".tga", ".tif", ".tiff"),
)
"""Of pictures in formats that are not read: what goes by them is left out, but not silently."""

PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What sub-folders that are parts are called -> one of `PARTS`."""


MOST = 0.5
"""Of the pictures have to be transparent somewhere for opacity to be kept."""

LOOKED_AT = 256
"""Pictures, at most, by which that is told."""


class NoPicture(FrenemyError):
    """All that is in a folder is left out."""


def find_folder(folder: Path) -> Origin | None:
    """The pictures in a folder and its sub-folders, or None if there are none.

    Hidden files and folders are passed over. Runs in it are left out, so that the set stays the
    same while one trains beside its pictures. Links are followed to files inside the folder only.
    """
    root = os.path.realpath(folder)
    files: list[File] = []
    skipped: dict[str, str] = {}
    pending = [(os.fspath(folder), "")]
    while pending:
        inner, prefix = pending.pop()
        try:
            entries = list(os.scandir(inner))
        except OSError as error:
            skipped[prefix] = _reason(error)
            continue
        if prefix and any(entry.name == "run.json" for entry in entries):
            skipped[prefix] = "is a run: it holds run.json"
            continue
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{name}/"))
            elif entry.is_symlink() and os.path.isdir(entry):
                skipped[name] = "is a link to a folder; only those to files are followed"
            elif entry.name.lower().endswith(SUFFIXES + OTHER_SUFFIXES):
                file = _file(entry, name, root)
                if file and entry.name.lower().endswith(OTHER_SUFFIXES):
                    file = "is not of a format that is read"
                if isinstance(file, str):
                    skipped[name] = file
                elif file:
                    files.append(file)
    if skipped and not files:
        name, reason = next(iter(skipped.items()))
        raise NoPicture(f"{folder}: no picture in it can be read; {shown(name)}: {reason}")
    if not files:
        return None
    files.sort()
    reader = functools.partial(_read, tuple(files))
    return Origin("image folder", folder.name, tuple(files), reader, skipped)


def _file(entry: os.DirEntry[str], name: str, root: str) -> File | str | None:
    """The file, or why it is skipped, or None if it is none (a pipe, a dangling link)."""
    try:
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(root):
            return "is a link that leads out of the folder"
        return File.of(entry.path, name, entry.stat()) if entry.is_file() else None
    except OSError as error:  # a link to itself, a file that has just gone
        return _reason(error)


def _read(files: tuple[File, ...], resize: Resize | None, given: Range | None) -> Contents:
    headers: list[Header] = []
    readable: list[File] = []
    unreadable: dict[str, str] = {}
    found = _headers([file.path for file in files])
    for file, seen in zip(files, found, strict=True):
        if isinstance(seen, str):
            unreadable[file.name] = seen
        else:
            headers.append(seen)
            readable.append(file)
    sizes = Counter(f"{seen.width}x{seen.height}" for seen in headers)
    grey = all(seen.grey for seen in headers)
    share = _share_clear([file.path for file in readable], headers)
    clear, channels = share > MOST, (1 if grey else 3) + (share > MOST)
    shape = None
    if resize is not None:
        shape = (channels, resize.size, resize.size)
    elif len(sizes) == 1:
        shape = (channels, headers[0].height, headers[0].width)
    parts, below = _parts([file.name for file in readable])
    labels, classes = _classes(below)
    return Contents(
        count=len(readable),
        decode=lambda i: _decode(readable[i].path, grey, resize, clear, given),
        name_of=lambda i: readable[i].name,
        sizes=sizes,
        modes=Counter(seen.mode for seen in headers),
        shape=shape,
        labels=labels,
        classes=classes,
        parts=parts,
        unreadable=unreadable,
        on_white=None if given else lambda i: _decode(readable[i].path, grey, resize, clear=False),
        note=""
        if clear or not share
        else f"about {max(1, round(share * len(readable))):,} of {len(readable):,} pictures are "
        "transparent somewhere, and not most: all are laid over white",
        shown=given or BYTES,
    )


def _share_clear(paths: list[str], headers: list[Header]) -> float:
    """What share of the pictures is transparent somewhere; of many a few hundred are looked at."""
    candidates = [path for path, seen in zip(paths, headers, strict=True) if seen.clear]
    some = candidates[:: max(1, -(-len(candidates) // LOOKED_AT))]
    found = list(each_in_order(_is_clear, some, 16, "looking at"))
    return sum(found) / len(found) * len(candidates) / len(paths) if found else 0.0


def _is_clear(path: str) -> bool:
    try:
        with _opened(path) as image:
            return is_clear(image)
    except Exception:  # as in `_header_or_reason`: it will be told when it is decoded
        return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    with BoundedFile(path) as file, Image.open(file, formats=FORMATS) as image:
        yield image


def _headers(paths: list[str]) -> list[Header | str]:
    """Of each picture, or why it is skipped."""
    with warnings.catch_warnings():
        # `header` refuses what Pillow only warns of, and no thread can set this for itself.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return list(each_in_order(_header_or_reason, paths, 64, "looking at"))


def _header_or_reason(path: str) -> Header | str:
    try:
        with _opened(path) as image:
            return header(image)
    except Exception as error:  # whatever a damaged file makes of Pillow's parsers
        return _reason(error)


def _decode(
    path: str, grey: bool, resize: Resize | None, clear: bool, given: Range | None = None
) -> NDArray[np.uint8]:
    try:
        with _opened(path) as image:
            if given is None:
                return decoded(image, grey=grey, resize=resize, clear=clear)
            pixels = given.picture_to_bytes(decoded(image, grey=grey, resize=None, clear=clear))
            return pixels if resize is None else resize.array(pixels)
    except Exception as error:  # as above
        raise UnreadableImage(_reason(error)) from error


def picture_at(
    path: Path, grey: bool, resize: Resize | None, clear: bool = False
) -> NDArray[np.uint8]:
    """One picture as it would come out of a folder of such.

    Raises:
        FrenemyError: it cannot be read.
    """
    (seen,) = _headers([os.fspath(path)])
    try:
        if isinstance(seen, str):
            raise UnreadableImage(seen)
        pixels = _decode(os.fspath(path), grey and seen.grey, resize, clear)
    except UnreadableImage as error:
        raise FrenemyError(f"{path}: {error}; give a picture ({', '.join(FORMATS)})") from None
    return luminance(pixels) if grey else pixels


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is not a picture of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return f"claims too many pixels; at most {MAX_PIXELS:,} are decoded"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return in_one_line(error)


def _parts(names: list[str]) -> tuple[NDArray[np.uint8] | None, list[str]]:
    """The part that each picture belongs to, if there are any, and its name within that part."""
    part_of = {top: PART_NAMES.get(top.lower()) for top in set(map(_top, names))}
    found = set(part_of.values())
    if None in found or PARTS[0] not in found or len(found) < 2:
        return None, names
    if len(found) == 2:  # whatever is held out by itself is what results are reported on
        part_of = {top: part if part == PARTS[0] else PARTS[2] for top, part in part_of.items()}
    number = {top: PARTS.index(part) for top, part in part_of.items() if part}
    parts = np.array([number[_top(name)] for name in names], np.uint8)
    return parts, [name.partition("/")[2] for name in names]


def _top(name: str) -> str:
    """The sub-folder at the top level that a file lies in, or "" if it lies in none."""
    return name.partition("/")[0] if "/" in name else ""


def _classes(names: list[str]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    tops = [_top(name) for name in names]
    classes = sorted(set(tops))
    if len(classes) < 2 or "" in classes:
        return None, ()
    number = {name: k for k, name in enumerate(classes)}
    return np.array([number[top] for top in tops], np.int64), tuple(classes)
