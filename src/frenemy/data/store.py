"""The store: every set decoded once into a uint8 file, read from there as a memory map.

An entry is three files, named by a digest of all that they are a function of: the names and bytes
of the set's files, the options, and the version of this code.

    KEY.npy         uint8 (N, C, H, W), a plain NumPy file
    KEY.labels.npy  int64 (N,), if the set has labels
    KEY.json        what else is known of it; written last, so it tells that the entry is complete

The last holds checksums of all three, by which each is read once when the entry is opened: what has
changed on the disk since is built again.

Beside them lies an index, as in git: from the names, sizes and times of files to the digest of
their content, so that a second start reads none of them. Every file is written under another name,
then renamed. Any number of processes may build the same entry at once: they write the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from frenemy.data.contents import Contents, File, Origin, PartSizes
from frenemy.data.levels import Range, brightest
from frenemy.data.pixels import DECODERS, Resize
from frenemy.data.source import Source
from frenemy.data.streams import lasting_reason, shown
from frenemy.data.threads import each_in_order
from frenemy.errors import FrenemyError
from frenemy.files import WritingFailed, appearing, sweep
from frenemy.places import cache_folder

VERSION = 6
"""Part of every key; raise it when the same files would be decoded to other bytes."""

_TICK = 100_000_000
"""Nanoseconds: longer than the clock of any local file system stands still."""

_PIECE = 1 << 23
"""Bytes of decoded images that one thread makes at a time."""

_BLOCK = 1 << 22
"""Bytes of a file that share a checksum."""


class Stored(NamedTuple):
    """An entry of the store.

    Attributes:
        source: its images, in the order of `Contents.order`, and labels: read-only memory maps.
        parts: how many images, one part after the other, are train, valid and test by the set's
            own word; None if it has no parts of its own.
        unreadable: the names of images that were left out, and why.
        note: as `Contents.noted`.
        enlarged: how many images were smaller before.
    """

    source: Source
    parts: PartSizes | None
    unreadable: dict[str, str]
    note: str
    enlarged: int


def fetch(
    origin: Origin,
    resize: Resize | None,
    grey: bool = False,
    opaque: bool = False,
    given: Range | None = None,
) -> Stored:
    """The entry of a set; it is built first if it is not there, or damaged.

    Raises:
        FrenemyError: if the set cannot be read, its images differ in size and `resize` is None,
            or the store cannot be written.
    """
    folder = cache_folder()
    digest = origin.digest or _known_digest(origin.files, folder / "index")
    options = "native" if resize is None else f"{resize.fit} {resize.size}"
    if grey:
        options += " grey"
    if opaque:
        options += " opaque"
    if given:
        options += f" {given}"
    of = f"{VERSION}|{DECODERS}|{origin.kind}|{digest}|{options}"
    key = hashlib.sha256(of.encode()).hexdigest()
    stem = folder / "images" / key
    stored = _open(stem, origin.name)
    if stored is None:
        _build(stem, origin.read(resize, grey, opaque, given), origin, digest)
        stored = _open(stem, origin.name)
    if stored is None:
        raise FrenemyError(f"{folder}: what was just written to it reads differently")
    return stored


def content_digest(files: tuple[File, ...]) -> str:
    """sha256 over the names and bytes of files, as hexadecimal digits.

    A file that cannot be read counts by the reason why, so that its return changes the digest.

    Raises:
        FrenemyError: that reason may pass.
    """
    digest = hashlib.sha256()
    sums = each_in_order(_file_digest, files, 64, "reading")
    for file, one in zip(files, sums, strict=True):
        digest.update(os.fsencode(file.name) + b"\0" + one)
    return digest.hexdigest()


def _file_digest(file: File) -> bytes:
    try:
        with open(file.path, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except (OSError, MemoryError) as error:
        lasting_reason(error, file.path)
        number = getattr(error, "errno", None)
        return hashlib.sha256(f"unreadable: {number}".encode()).digest()


def _known_digest(files: tuple[File, ...], index: Path) -> str:
    """The content digest, from the index where it knows these files as they are now."""
    root = os.path.abspath(files[0].path)
    stamps = [f"{x.name}\0{x.size}\0{x.mtime_ns}\0{x.ctime_ns}" for x in files]
    page = index / hashlib.sha256(os.fsencode("\0".join((root, *stamps)))).hexdigest()
    with contextlib.suppress(OSError, ValueError):
        digest, checksum = page.read_text("ascii").split()
        if re.fullmatch("[0-9a-f]{64}", digest) and int(checksum) == zlib.crc32(digest.encode()):
            return digest
    newest = max(max(x.mtime_ns, x.ctime_ns) for x in files)
    # git's "racily clean" files: one that was written just now may be written again within the
    # same tick of the clock, and would look unchanged. Such files are read again next time.
    settled = newest < time.time_ns() - _TICK
    digest = content_digest(files)
    if settled:
        with _replacing(page) as file:
            file.write(f"{digest} {zlib.crc32(digest.encode())}\n".encode())
    return digest


def _build(stem: Path, contents: Contents, origin: Origin, digest: str) -> None:
    sweep(stem.parent)
    shape = _common_shape(contents, origin)
    order = contents.order()
    kept: list[int] = []
    highest = 0
    unreadable = dict(contents.unreadable)
    size = max(1, min(256, _PIECE // math.prod(shape)))
    with _replacing(_file(stem, ".npy")) as file:
        file.write(_header(np.uint8, (0, *shape)))
        images = origin.decode_each(contents.try_decode, order, size)
        for i, image in zip(order, images, strict=True):
            if isinstance(image, str):
                unreadable[contents.name_of(i)] = image
            else:
                kept.append(i)
                highest = max(highest, brightest(image))
                file.write(np.ascontiguousarray(image).data)
        if not kept:
            raise none_readable(origin, unreadable)
        if not origin.unchanged():
            raise FrenemyError(f"{origin.name}: its files changed while they were read; try again")
        file.seek(0)
        file.write(_header(np.uint8, (len(kept), *shape)))
    if contents.labels is not None:
        with _replacing(_file(stem, ".labels.npy")) as file:
            file.write(_header(np.int64, (len(kept),)))
            file.write(contents.labels[kept].data)
    about = {
        "digest": digest,
        "shape": [len(kept), *shape],
        "labels": contents.labels is not None,
        "classes": contents.classes,
        "parts": contents.part_sizes(kept),
        "unreadable": unreadable,
        "note": contents.noted(highest),
        "enlarged": _smaller(contents.sizes, shape),
        "checksums": {
            ending: _checksums(_file(stem, ending))
            for ending in (".npy", ".labels.npy")[: 1 + (contents.labels is not None)]
        },
    }
    with _replacing(_file(stem, ".json")) as file:
        file.write(json.dumps(sealed(about), indent=1).encode())


def sealed(about: Mapping[str, object]) -> dict[str, object]:
    """The same with a checksum of all of it."""
    return {**about, "checksum": zlib.crc32(json.dumps(about).encode())}


def unsealed(data: str | bytes) -> dict[str, Any]:
    """What was `sealed`, from its JSON; raises ValueError, or KeyError, if it is damaged."""
    about = json.loads(data)
    checksum = about.pop("checksum")
    if sealed(about)["checksum"] != checksum:
        raise ValueError("damaged")
    return about


def _checksums(path: Path) -> list[int]:
    """CRC-32 of each block of a file."""

    def checksum(start: int) -> int:
        with path.open("rb") as file:
            file.seek(start)
            return zlib.crc32(file.read(_BLOCK))

    return list(each_in_order(checksum, range(0, path.stat().st_size, _BLOCK), 1, "checking"))


def _common_shape(contents: Contents, origin: Origin) -> tuple[int, int, int]:
    if contents.count == 0:
        raise none_readable(origin, contents.unreadable)
    if contents.shape is None:
        common = ", ".join(f"{n:,} of {size}" for size, n in contents.sizes.most_common(3))
        more = " ..." if len(contents.sizes) > 3 else ""
        raise FrenemyError(
            f"{origin.name}: images of {len(contents.sizes):,} sizes ({common}{more}); "
            "bring them to one with --size, such as --size 64"
        )
    channels, height, width = contents.shape
    if min(height, width) > 1 and _smaller(contents.sizes, (channels, 2, 2)) == contents.count:
        raise FrenemyError(f"{origin.name}: images 1 pixel wide or high have nothing to enlarge")
    return contents.shape


def _smaller(sizes: Mapping[str, int], shape: tuple[int, int, int]) -> int:
    """How many images have a side that is shorter than the shape's."""
    _, height, width = shape
    sides = ((size.split("x"), count) for size, count in sizes.items())
    return sum(n for (w, h), n in sides if int(w) < width or int(h) < height)


def none_readable(origin: Origin, unreadable: Mapping[str, str]) -> FrenemyError:
    """What is said of a set, none of whose images can be read for these reasons."""
    name, reason = next(iter(unreadable.items()))
    return FrenemyError(
        f"{origin.name}: none of its {len(unreadable):,} images can be read; "
        f"{shown(name)}: {reason}"
    )


def _open(stem: Path, name: str) -> Stored | None:
    """The entry of the set of this name, or None if it is missing or damaged."""
    try:
        about = unsealed(_file(stem, ".json").read_bytes())
        for ending, sums in about["checksums"].items():
            if _checksums(_file(stem, ending)) != sums:
                return None
        shape, labels = tuple(about["shape"]), None
        images = _mapped(_file(stem, ".npy"), np.uint8, shape)
        if about["labels"]:
            labels = _mapped(_file(stem, ".labels.npy"), np.int64, shape[:1])
        source = Source(images, labels, name, about["digest"], tuple(about["classes"]))
        parts, enlarged = about["parts"] and tuple(about["parts"]), int(about["enlarged"])
        return Stored(source, parts, about["unreadable"], str(about["note"]), enlarged)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FrenemyError):
        return None


def _mapped(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray:
    header = _header(dtype, shape)
    with path.open("rb") as file:
        start = file.read(len(header))
        length = file.seek(0, io.SEEK_END)
    if start != header or length != len(header) + math.prod(shape) * np.dtype(dtype).itemsize:
        raise ValueError(f"{path} is damaged")
    return np.asarray(np.memmap(path, dtype, "r", len(header), shape))


def _header(dtype: DTypeLike, shape: tuple[int, ...]) -> bytes:
    """What precedes the data of a .npy file; as long for any N, as NumPy leaves room to grow."""
    header = io.BytesIO()
    descr = npy.dtype_to_descr(np.dtype(dtype))
    npy.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _file(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path` when it is complete and on the disk, or never.

    Raises:
        FrenemyError: if it cannot be written.
    """
    try:
        with appearing(path.parent, lambda _: path.name) as part, part.open("wb") as file:
            yield file
    except WritingFailed as error:
        raise FrenemyError(f"{error}; FRENEMY_CACHE says where the cache lies") from error
