"""MATLAB's .mat files of level 5 (version 7 and older): which numeric arrays they hold.

Follows MathWorks, "MAT-File Format", chapter 1. The fields of structures are arrays with names such
as dataset.train.images. Cells, arrays of structures, text, sparse and complex arrays are passed
over; version 7.3 is HDF5, another format.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from frenemy.data.streams import CHUNK, Inflater, check_claim, read_exactly
from frenemy.errors import FrenemyError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15  # the elements at the top level that hold arrays
_STORED = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
_STRUCTURE = 2
_NUMERIC = range(6, 16)  # classes of arrays: double, single and eight kinds of integers
_REAL = (6, 7)
_COMPLEX, _LOGICAL = 0x0800, 0x0200  # flags
_SHORT = 256  # bytes that flags, dimensions or a name may take
_FIELDS = 128  # of all structures in one element
_FIELD_NAME = 64  # bytes


def is_matfile(start: bytes) -> bool:
    """Whether a file that starts with these 128 bytes is a .mat file of level 5."""
    return start[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


@dataclass(frozen=True)
class Variable:
    """A numeric array in a .mat file, its data not read yet.

    Attributes:
        path: the file.
        name: the variable's name.
        shape: its shape, without zeros; the first axis is stored fastest.
        dtype: how its numbers are stored, which may be narrower than their class; bool where they
            are logical.
        real: whether its class is a floating type, however its numbers are stored.
        start: where in the file its element starts.
        packed: how many bytes the element takes if it is compressed, else None.
        skip: how many bytes of the (inflated) element precede the data.
        rest: how many follow it there.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    real: bool
    start: int
    packed: int | None
    skip: int
    rest: int

    @property
    def nbytes(self) -> int:
        """The size of the data."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> NDArray:
        """The array, in its own axes and stored type.

        Raises:
            FrenemyError: if the data are damaged.
        """
        with self.path.open("rb") as file:
            file.seek(self.start)
            stream = file if self.packed is None else Inflater(file, self.packed)
            try:
                read_exactly(stream.read, self.skip, self.path)
                data = read_exactly(stream.read, self.nbytes, self.path)
                # At the end, up to 7 bytes of padding later, zlib verifies its checksum.
                if self.packed is not None and _passed(stream.read, self.rest + 8):
                    raise zlib.error("more data than the shape says")
            except zlib.error as error:
                raise FrenemyError(f"{self.path}: damaged `{self.name}`: {error}") from error
        return np.frombuffer(data, self.dtype).reshape(self.shape, order="F")


def _passed(read: Callable[[int], bytes], count: int) -> bool:
    """Whether there are `count` bytes to pass over, and passes over them."""
    while count and (piece := read(min(count, CHUNK))):
        count -= len(piece)
    return count == 0


def variables(path: Path) -> list[Variable]:
    """The numeric real arrays in a .mat file of level 5; only what precedes their data is read.

    Raises:
        FrenemyError: if the file is damaged.
    """
    size = path.stat().st_size
    found = list[Variable]()
    with path.open("rb") as file:
        order = "<" if read_exactly(file.read, _HEADER, path).endswith(b"IM") else ">"
        position = _HEADER
        while position < size:
            file.seek(position)
            kind, length = np.frombuffer(read_exactly(file.read, 8, path), f"{order}u4").tolist()
            check_claim(path, length, size - position - 8, packed=False)
            if kind == _COMPRESSED:
                found += _Element(path, order, file, position + 8, length).variables()
            elif kind == _MATRIX:
                found += _Element(path, order, file, position, None).variables()
            position += 8 + length
    return found


class _Element:
    """What precedes the data of one array, read from its element on, its bytes counted."""

    def __init__(
        self, path: Path, order: str, file: BinaryIO, start: int, packed: int | None
    ) -> None:
        file.seek(start)
        self._stream = file if packed is None else Inflater(file, packed)
        self._path = path
        self._order = order
        self._start = start
        self._packed = packed
        self._position = self._end = 0
        self._fields_left = _FIELDS

    def variables(self) -> list[Variable]:
        """The array, or those in a structure, if there are real numbers in it."""
        try:
            return self._array("")
        except zlib.error as error:
            raise self._damaged(str(error)) from error

    def _array(self, within: str) -> list[Variable]:
        """Those of an array within a structure of this name: the stream stands behind it then."""
        kind, length, _ = self._tag()
        end = self._position + length
        if not within:
            self._end = end
            if self._packed is not None:
                check_claim(self._path, end, self._packed, packed=True)
            return self._parsed(kind, within, end)
        found = self._parsed(kind, within, end) if length else []
        left = end - self._position
        if end > self._end or left < 0 or not _passed(self._stream.read, left):
            raise self._damaged(f"`{within}` has another length than it says")
        self._position = end
        return found

    def _parsed(self, kind: int, within: str, end: int) -> list[Variable]:
        flags = self._short("u4")
        if kind != _MATRIX or len(flags) == 0:
            raise self._damaged("an element is not an array")
        group = flags[0] & 0xFF
        if group not in (_STRUCTURE, *_NUMERIC) or flags[0] & _COMPLEX:
            return []
        shape = tuple(self._short("i4").tolist())
        own = self._short("u1").tobytes().decode("latin-1")
        name = within or own  # a field has no name of its own, nor has a function's workspace
        if own and not own.isidentifier():
            raise self._damaged("a variable has an impossible name")
        if len(shape) > 32 or min(shape, default=-1) < 0:
            raise self._damaged(f"`{name}` has an impossible shape")
        if group == _STRUCTURE:
            return self._fields(name) if math.prod(shape) == 1 else []
        if 0 in shape:
            return []
        kind, length, inside = self._tag()
        if kind not in _STORED:
            raise self._damaged(f"`{name}` is stored as type {kind}, which is not of numbers")
        dtype = np.dtype(self._order + _STORED[kind])
        if flags[0] & _LOGICAL and group not in _REAL and dtype.itemsize == 1:
            dtype = np.dtype(bool)
        skip = self._position - (4 if inside else 0)
        variable = Variable(
            *(self._path, name, shape, dtype, group in _REAL, self._start, self._packed, skip),
            rest=self._end - skip - length,
        )
        if variable.nbytes != length or skip + length > end:
            raise self._damaged(
                f"`{name}` has {length:,} bytes, which its shape {shape} disagrees with"
            )
        return [variable]

    def _fields(self, within: str) -> list[Variable]:
        """The arrays in the fields of one structure."""
        width, names = self._short("i4"), self._short("u1", _FIELDS * _FIELD_NAME).tobytes()
        if len(width) != 1 or width[0] < 1 or len(names) % width[0]:
            raise self._damaged(f"the fields of `{within}` have impossible names")
        starts = range(0, len(names), width[0])
        self._fields_left -= len(starts)
        if self._fields_left < 0:
            raise self._damaged(f"structures have more than {_FIELDS} fields")
        found = list[Variable]()
        for start in starts:
            field = names[start : start + width[0]].partition(b"\0")[0].decode("latin-1")
            if not field.isidentifier():
                raise self._damaged(f"a field of `{within}` has an impossible name")
            found += self._array(f"{within}.{field}")
        return found

    def _tag(self) -> tuple[int, int, bytes]:
        """An element's type and length, and its data where they lie in the tag itself."""
        tag = self._take(8)
        first, second = np.frombuffer(tag, f"{self._order}u4").tolist()
        if first >> 16:
            return first & 0xFFFF, first >> 16, tag[4:]
        return first, second, b""

    def _short(self, code: str, most: int = _SHORT) -> NDArray:
        """The numbers in an element that precedes the data."""
        _, length, inside = self._tag()
        if length > (len(inside) or most):
            raise self._damaged(f"{length:,} bytes before the data of an array")
        data = inside or self._take(-(-length // 8) * 8)  # padded to 8 bytes
        if length % np.dtype(code).itemsize:
            raise self._damaged("a number is cut off")
        return np.frombuffer(data[:length], self._order + code)

    def _take(self, count: int) -> bytes:
        self._position += count
        return bytes(read_exactly(self._stream.read, count, self._path))

    def _damaged(self, reason: str) -> FrenemyError:
        return FrenemyError(f"{self._path}: damaged: {reason}")
