"""A folder of pictures of any mix of formats, sizes and modes.

If all pictures lie in two or more sub-folders, the sub-folders at the top level are the classes.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from frenemy.data.contents import Contents, File, Origin, UnreadableImage
from frenemy.data.pixels import FORMATS, Header, Resize, decoded, header
from frenemy.data.streams import BoundedFile, in_one_line, shown
from frenemy.data.threads import each_in_order
from frenemy.errors import FrenemyError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def find_folder(folder: Path) -> Origin | None:
    """The pictures in a folder and its sub-folders, or None if there are none.

    Hidden files and folders are passed over. Links are followed to files inside the folder only.
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
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{name}/"))
            elif entry.name.lower().endswith(SUFFIXES):
                file = _file(entry, name, root)
                if isinstance(file, str):
                    skipped[name] = file
                elif file:
                    files.append(file)
    if skipped and not files:
        name, reason = next(iter(skipped.items()))
        raise FrenemyError(f"{folder}: no picture in it can be read; {shown(name)}: {reason}")
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


def _read(files: tuple[File, ...], resize: Resize | None) -> Contents:
    headers: list[Header] = []
    readable: list[File] = []
    unreadable: dict[str, str] = {}
    found = each_in_order(_header_or_reason, files, 64, "looking at")
    for file, seen in zip(files, found, strict=True):
        if isinstance(seen, str):
            unreadable[file.name] = seen
        else:
            headers.append(seen)
            readable.append(file)
    sizes = Counter(f"{seen.width}x{seen.height}" for seen in headers)
    grey = all(seen.grey for seen in headers)
    shape = None
    if resize is not None:
        shape = (1 if grey else 3, resize.size, resize.size)
    elif len(sizes) == 1:
        shape = (1 if grey else 3, headers[0].height, headers[0].width)
    labels, classes = _classes(readable)
    return Contents(
        count=len(readable),
        decode=lambda i: _decode(readable[i].path, grey, resize),
        name_of=lambda i: readable[i].name,
        sizes=sizes,
        modes=Counter(seen.mode for seen in headers),
        shape=shape,
        labels=labels,
        classes=classes,
        unreadable=unreadable,
    )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    with BoundedFile(path) as file, Image.open(file, formats=FORMATS) as image:
        yield image


def _header_or_reason(file: File) -> Header | str:
    try:
        with _opened(file.path) as image:
            return header(image)
    except Exception as error:  # whatever a damaged file makes of Pillow's parsers
        return _reason(error)


def _decode(path: str, grey: bool, resize: Resize | None) -> NDArray[np.uint8]:
    try:
        with _opened(path) as image:
            return decoded(image, grey=grey, resize=resize)
    except Exception as error:  # as above
        raise UnreadableImage(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is not a picture of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return in_one_line(error)


def _classes(files: list[File]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    tops = [file.name.partition("/")[0] if "/" in file.name else "" for file in files]
    classes = sorted(set(tops))
    if len(classes) < 2 or "" in classes:
        return None, ()
    number = {name: k for k, name in enumerate(classes)}
    return np.array([number[top] for top in tops], np.int64), tuple(classes)
