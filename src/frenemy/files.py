"""Files that appear under their names when they are whole and on the disk, or never."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from frenemy.errors import FrenemyError

_DAY = 86_400  # seconds, after which nobody fills a file any more

_FOLDER = ".parts"
"""How temporary folders end: one that a killed writer left makes no folder count as filled."""


class WritingFailed(FrenemyError):
    """A file or folder could not be written."""


@contextlib.contextmanager
def appearing(folder: Path, name: Callable[[Path], str]) -> Iterator[Path]:
    """A temporary file to fill, which is then moved to `folder / name(it)`.

    Folders that are missing on the way are made. Any number of threads and processes may write the
    same name at once: the last one's file stays. Any OSError counts as one of writing: who reads
    while filling turns errors of reading into others.

    Raises:
        WritingFailed: the disk is full, the directory unwritable, or writing failed otherwise; then
            whatever had the name has it still.
    """
    part, place = folder / f".{uuid.uuid4().hex}.part", folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = stat.S_IMODE(part.stat().st_mode)
        yield part
        part.chmod(mode)  # safetensors puts a file of its own there, which only we could read
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        place = folder / name(part)
        part.replace(place)
        _sync_directory(folder)
    except (OSError, SafetensorError) as error:
        raise writing_failed(place, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Removes the temporary files that killed processes left in a folder more than a day ago."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if part.stat().st_mtime < time.time() - _DAY:
                part.unlink()


def writable(folder: Path) -> None:
    """Finds out, by a file that is gone at once, whether a folder takes files, or can be made.

    Raises:
        WritingFailed: it does not.
    """
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise writing_failed(there, error) from error


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Has `write` fill a file that then takes the name `path`, or never.

    Raises:
        WritingFailed: as `appearing`.
    """
    with appearing(path.parent, lambda _: path.name) as part:
        write(part)
    return path


def require_empty(folder: Path) -> None:
    """Refuses a folder that holds something but what a killed `filling` left.

    Raises:
        WritingFailed: it does, or cannot be read or written.
    """
    try:
        if os.path.lexists(folder) and not all(n.endswith(_FOLDER) for n in os.listdir(folder)):
            raise WritingFailed(f"{folder} is not empty: give a new folder")
        writable(folder if os.path.lexists(folder) else folder.parent)
    except OSError as error:
        raise writing_failed(folder, error) from error


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill with files, which then are those of `folder`.

    For many files that can be made again: they appear when all are whole, but it is left to the
    system when they are on the disk. An empty folder that is there already stays, with its owner
    and mode; it may be a mount, or where a shell is.

    Raises:
        WritingFailed: the folder is not empty, or as `appearing`.
    """
    require_empty(folder)
    there, moved = os.path.lexists(folder), list[Path]()
    part = (folder if there else folder.parent) / f".{uuid.uuid4().hex}{_FOLDER}"
    try:
        part.mkdir(parents=True)
        yield part
        if there:
            for file in sorted(part.iterdir()):
                moved.append(file.rename(folder / file.name))
        else:
            part.rename(folder)
    except OSError as error:
        for file in moved:
            file.unlink(missing_ok=True)
        raise writing_failed(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def writing_failed(place: Path, error: Exception) -> WritingFailed:
    """The one-line error for a write into `place` that ended in `error`."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(
        error  # safetensors reports the operating system's error as text
    )
    if full:
        return WritingFailed(f"{place}: no space left on the disk: free some and try again")
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return WritingFailed(f"{place}: cannot write here ({reason}): choose another place")


def _sync_directory(path: Path) -> None:
    if os.name == "nt":  # directories cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
