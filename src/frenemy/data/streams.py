"""Reading what a file claims to hold: no byte of memory is taken on a header's word alone."""

from __future__ import annotations

import errno
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from frenemy.errors import FrenemyError, out_of_memory
from frenemy.escapes import printable

CHUNK = 1 << 20
"""Bytes read at a time: memory grows with what is really there."""

DEFLATE_RATIO = 1032
"""How far deflate (gzip, zip, MATLAB) can shrink anything: 258 bytes in 2 bits."""


def check_claim(path: Path, claimed: int, present: int, *, packed: bool) -> None:
    """Refuse a header that claims more bytes than the file can hold.

    Args:
        path: the file, for the message.
        claimed: bytes of data the header speaks of.
        present: bytes that lie in the file.
        packed: whether those are deflated.

    Raises:
        FrenemyError: if `present` bytes cannot be `claimed` bytes of data.
    """
    if claimed > present * (DEFLATE_RATIO if packed else 1):
        raise FrenemyError(
            f"{path}: damaged: its header claims {claimed:,} bytes of data, "
            f"but the file holds {present:,}{' compressed' if packed else ''}"
        )


def check_member(path: Path, info: zipfile.ZipInfo, size: int) -> None:
    """Refuse a member of a zip at `path`, of `size` bytes, that claims more than lies there.

    `zipfile` takes the memory for as many packed bytes as a member claims to have before it reads.

    Raises:
        FrenemyError: packed or unpacked, these cannot lie in the archive.
    """
    check_claim(path, info.compress_size, size, packed=False)
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    check_claim(path, info.file_size, info.compress_size, packed=packed)


def read_exactly(read: Callable[[int], bytes], count: int, path: Path) -> bytearray:
    """The next `count` bytes that `read` gives, taken piece by piece.

    Raises:
        FrenemyError: if the data end earlier.
    """
    data = bytearray()
    while len(data) < count:
        piece = read(min(CHUNK, count - len(data)))
        if not piece:
            raise FrenemyError(
                f"{path}: damaged: its data end after {len(data):,} of {count:,} bytes"
            )
        data += piece
    return data


def in_one_line(error: BaseException) -> str:
    """What another library's exception says, short enough for the end of a message."""
    return shown(" ".join(str(error).split())[:200]) or type(error).__name__


def shown(name: str) -> str:
    """A file's name for a message: one line, and printable whatever the name is."""
    return printable(name)


_OF_THE_FILE = (errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
"""The last: a damaged file sent its reader to a place that no file has."""


def is_of_the_file(error: BaseException) -> bool:
    """Whether reading failed for what the file is, and will again.

    It is not where memory or file handles ran out, a disk did not answer, or reading is not
    allowed, for a moment or to this user: then nothing is known of the file.
    """
    if isinstance(error, Exception) and out_of_memory(error):
        return False
    return not isinstance(error, OSError) or error.errno in (None, *_OF_THE_FILE)


def lasting_reason(error: Exception, path: str) -> str:
    """Why a file is left out.

    Raises:
        FrenemyError: instead, if that is nothing that lies in the file: next time it may be read.
    """
    reason = getattr(error, "strerror", None) or in_one_line(error)
    if is_of_the_file(error):
        return reason
    if isinstance(error, PermissionError):
        raise FrenemyError(
            f"{shown(path)}: cannot be read ({reason}): allow it, or move it out of the data"
        ) from error
    raise FrenemyError(
        f"{shown(path)}: cannot be read now ({reason}): nothing is left out for that; try again"
    ) from error


class BoundedFile(io.BufferedReader):
    """A file to read, or a part of one, that is never asked for more than it holds.

    Python takes the memory for `read(n)` before it reads, and Pillow hands on the n that a damaged
    picture claims, of up to 4 GB.
    """

    def __init__(self, raw: io.RawIOBase, length: int) -> None:
        super().__init__(raw)
        self._length = length

    @classmethod
    def at(cls, path: str) -> BoundedFile:
        """The file at `path`; raises ValueError, and opens nothing, if it is a pipe or a device."""
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise ValueError("is a pipe or a device, not a file")
        return cls(io.FileIO(path), status.st_size)

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; all that are left if it is negative or None."""
        return super().read(-1 if size is None else min(size, self._length))


class Inflater:
    """The zlib stream in the next `packed` bytes of a file, read like a file of its own."""

    def __init__(self, file: BinaryIO, packed: int) -> None:
        self._file = file
        self._left = packed
        self._zlib = zlib.decompressobj()

    def read(self, count: int) -> bytes:
        """At most `count` bytes, and none only at the end; raises zlib.error on damage."""
        while not self._zlib.eof:
            packed = self._zlib.unconsumed_tail
            if not packed:
                packed = self._file.read(min(self._left, CHUNK))
                self._left -= len(packed)
            data = self._zlib.decompress(packed, count)
            if data or not packed:
                return data
        return b""
