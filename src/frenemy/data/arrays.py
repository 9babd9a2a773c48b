"""numpy's own files: .npy, and the images (and labels) in an .npz. Never pickled objects.

Images are (N, H, W), (N, H, W, C) or (N, C, H, W), C being 1 to 4 (the second or fourth is
opacity), of numbers as `frenemy.data.levels` has them; their names are told by
`frenemy.data.named`.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from frenemy.data.contents import Contents, from_arrays
from frenemy.data.layout import images_first
from frenemy.data.levels import Range, range_of
from frenemy.data.named import Piece, read_named
from frenemy.data.pixels import Resize
from frenemy.data.streams import check_member, in_one_line, read_exactly, shown
from frenemy.errors import FrenemyError

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"

_HEAD = 1 << 14
"""Bytes that hold any header of a plain array; structured arrays may have longer ones."""


class _Header(NamedTuple):
    """What precedes an array's data: its shape and type, and how many bytes it took to say so."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    length: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def may_be_images(self) -> bool:
        return len(self.shape) in (3, 4) and self.dtype.kind in "biuf"


def _read_header(read: Callable[[int], bytes], path: Path) -> _Header:
    """The header at the start of what `read` gives, of which up to `_HEAD` bytes are consumed."""
    head = io.BytesIO(read(_HEAD))
    try:
        version = npy.read_magic(head)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format is not read")
        parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = parse(head)
    except Exception as error:  # a damaged header is Python text: anything may come of parsing it
        raise FrenemyError(f"{path}: damaged NPY header: {in_one_line(error)}") from error
    if dtype.hasobject:
        raise FrenemyError(f"{path}: holds Python objects, which are not read; save plain numbers")
    return _Header(shape, fortran, dtype, head.tell())


def read_npy(path: Path, resize: Resize | None, given: Range | None) -> Contents:
    """The images in one .npy file."""
    with path.open("rb") as file:
        header = _read_header(file.read, path)
    present = path.stat().st_size - header.length
    if header.nbytes != present:
        raise FrenemyError(
            f"{path}: damaged: its header claims {header.nbytes:,} bytes of data, "
            f"it has {present:,}"
        )
    if header.nbytes == 0:
        raise FrenemyError(f"{path}: holds nothing: its shape is {header.shape}")
    order = "F" if header.fortran else "C"
    array = np.memmap(path, header.dtype, "r", header.length, header.shape, order)
    images = images_first(array, str(path))
    return from_arrays([images], resize, shown=range_of([images], path, given))


def read_npz(path: Path, resize: Resize | None, given: Range | None) -> Contents:
    """The images in one .npz file, and their labels and parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                info.filename.removesuffix(".npy"): _Member.of(archive, info, path)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
            if not members:
                raise FrenemyError(f"{path}: a zip without pictures and NumPy arrays")

            def turned(piece: Piece) -> NDArray:
                return images_first(members[piece.name].read(), f"{path}: `{shown(piece.name)}`")

            candidates = [name for name, x in members.items() if x.header.may_be_images()]
            return read_named(members, candidates, turned, path, resize, given)
    except FrenemyError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damage, zlib and struct theirs
        raise FrenemyError(f"{path}: damaged zip archive: {in_one_line(error)}") from error


class _Member(NamedTuple):
    """One array of an .npz file, which is open."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    header: _Header
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.header.shape

    @property
    def dtype(self) -> np.dtype:
        return self.header.dtype

    @classmethod
    def of(cls, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> _Member:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FrenemyError(f"{path}: {shown(info.filename)} is not compressed as numpy does it")
        check_member(path, info, path.stat().st_size)
        with archive.open(info) as file:
            header = _read_header(file.read, path)
        if header.length + header.nbytes != info.file_size:
            raise FrenemyError(
                f"{path}: damaged: {shown(info.filename)} claims {header.nbytes:,} bytes of data, "
                f"it has {info.file_size - header.length:,}"
            )
        return cls(archive, info, header, path)

    def read(self) -> NDArray:
        with self.archive.open(self.info) as file:
            file.read(self.header.length)
            data = read_exactly(file.read, self.header.nbytes, self.path)
            file.read(1)  # at the end of the data zipfile verifies its checksum
        order = "F" if self.header.fortran else "C"
        return np.frombuffer(data, self.header.dtype).reshape(self.header.shape, order=order)
