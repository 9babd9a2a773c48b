"""Files that appear under their names when they are whole and on the disk, or never.

And the reading of those that are there: what cannot be read is never taken for absent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from safetensors import SafetensorError

from frenemy.errors import FrenemyError

_DAY = 86_400  # seconds, after which nobody fills a file any more

_PART = re.compile(r"\.[0-9a-f]{32}\.part")

_FOLDER = ".parts"
"""How temporary folders end: one that a killed writer left makes no folder count as filled."""

_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags that open a pipe which nobody writes, and files as they are."""
_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What file systems answer that do not know what they are asked for."""


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
        _chmod(part, mode)  # safetensors puts a file of its own there, which only we could read
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


def is_part(name: str) -> bool:
    """Whether a file of that name is one which `appearing` had not filled when it was killed."""
    return _PART.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Removes the temporary files that killed processes left in a folder more than a day ago."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if is_part(part.name) and part.stat().st_mtime < time.time() - _DAY:
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
    return WritingFailed(f"{place}: cannot write here ({reason_of(error)}): choose another place")


def reason_of(error: Exception) -> str:
    """What the system, or another library, says of a failure, in one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def _chmod(path: Path, mode: int) -> None:
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, *_UNKNOWN):  # a mount without modes
            raise


def _sync_directory(path: Path) -> None:
    if os.name == "nt":  # directories cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNKNOWN:  # mounts on which folders are not synchronised
            raise
    finally:
        os.close(descriptor)


# ---- reading


def open_regular(path: Path) -> BufferedReader:
    """A regular file, opened to be read: no pipe, which would wait for a writer, and no device.

    Raises:
        OSError: it is none, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | _AT_ONCE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, most: int) -> bytes:
    """What a regular file of at most so many bytes holds.

    Raises:
        OSError: as `open_regular`, or it is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"has {size:,} bytes, not {most:,} at most", os.fspath(path))
        return file.read(size)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in order; none where there is no such folder.

    Raises:
        FrenemyError: it is there and cannot be read, or is no folder, or a link to nothing.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        if is_absent(folder, error):
            return []
        raise reading_failed(folder, error) from error


def is_absent(path: Path, error: OSError) -> bool:
    """Whether reading `path` failed because nothing is there; a link to nothing is something."""
    return isinstance(error, FileNotFoundError) and not os.path.lexists(path)


def reading_failed(place: Path, error: Exception) -> FrenemyError:
    """The one-line error for reading `place`, which ended in `error`."""
    return FrenemyError(f"{place} cannot be read ({reason_of(error)})")


@contextlib.contextmanager
def name_in_utf8(path: Path) -> Iterator[str]:
    """A regular file's name for libraries that take none but in UTF-8, while it is open.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        try:
            os.fspath(path).encode()
        except UnicodeEncodeError:  # only POSIX has such names, and this one for an open file
            yield f"/dev/fd/{file.fileno()}"
        else:
            yield os.fspath(path)
