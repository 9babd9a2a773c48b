"""IDX files, the format of MNIST (LeCun, Cortes and Burges, 1998), plain or gzipped.

A file is two zero bytes, a type (8: unsigned bytes), the number of dimensions, each dimension as a
big-endian 32-bit number, and the data in C order.

EMNIST (Cohen et al., 2017) has six sets in one folder, told apart by what precedes the names of
their files. Their images lie transposed, and a text file tells which letters the labels are.
"""

from __future__ import annotations

import functools
import gzip
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import Contents, File, Origin, from_arrays, train_then_test
from frenemy.data.labels import labels_of, named_by_codes
from frenemy.data.layout import channels_first
from frenemy.data.levels import Range, range_of
from frenemy.data.pixels import Resize
from frenemy.data.streams import check_claim, read_exactly
from frenemy.errors import FrenemyError

GZIP = b"\x1f\x8b"
MAGIC = b"\0\0"
EMNIST = "emnist-"
_SET = re.compile(r"(emnist-[a-z]+)-train-images-idx3-ubyte")
_MAPPING = 1 << 14  # bytes; 62 lines are the most there are
_PLAUSIBLE = re.compile(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x04]")  # the format's types and ranks


def is_idx(start: bytes, name: str) -> bool:
    """Whether a file of this name that starts with these bytes is an IDX file, or gzipped.

    MP4 and HEIC begin with two zero bytes too: type and rank have to be plausible, or the name.
    """
    named = start.startswith(MAGIC) and "ubyte" in name
    return named or start.startswith(GZIP) or _PLAUSIBLE.match(start) is not None


def find_sets(folder: Path) -> dict[Path, Origin]:
    """The MNIST-style sets in a folder, by the paths that open them.

    Each has its train-images-idx3-ubyte(.gz) at least. The path of one of several is the folder
    and what precedes the names of its files.

    Raises:
        FrenemyError: if only one of the two parts of a set has labels.
    """
    sets = {
        match[1] for x in folder.glob(f"{EMNIST}*-train-images*") if (match := _SET.match(x.name))
    }
    found = {name: origin for name in ("", *sorted(sets)) if (origin := _find(folder, name))}
    if len(found) == 1:
        return {folder: next(iter(found.values()))}
    return {folder / name: origin for name, origin in found.items()}


def _find(folder: Path, name: str) -> Origin | None:
    """The set whose files' names begin with this name and a hyphen, if it is not empty."""
    prefix = f"{name}-" if name else ""
    found = {
        f"{part}-{what}": path
        for part, own in (("train", ("train",)), ("test", ("t10k", "test")))
        for what, rank in (("images", 3), ("labels", 1))
        if (path := _present(folder, [f"{prefix}{x}-{what}" for x in own], rank))
    }
    if "train-images" not in found:
        return None
    if "test-images" in found and ("train-labels" in found) != ("test-labels" in found):
        missing = "test-labels" if "train-labels" in found else "train-labels"
        beside = found[missing.replace("labels", "images")].name
        raise FrenemyError(
            f"{folder}: {beside.replace('images', 'labels').replace('idx3', 'idx1')} is missing; "
            "keep the labels of both parts, or none"
        )
    if (mapping := folder / f"{prefix}mapping.txt").is_file():
        found["mapping"] = mapping
    files = tuple(File.at(path, path.name) for path in found.values())
    kind = "EMNIST set" if name else "MNIST-style IDX set"
    return Origin(kind, name or folder.name, files, functools.partial(_read_set, found))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes; from a plain file, as a memory map.

    Raises:
        FrenemyError: if the file is damaged or holds another type.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            shape = _read_shape(file.read, path)
            count = math.prod(shape)
            check_claim(path, count, size, packed=packed)
            if packed:
                data = np.frombuffer(read_exactly(file.read, count, path), np.uint8)
                surplus = len(file.read(1))  # at the end of the data gzip's checksum is verified
            else:
                surplus = size - file.tell() - count
                data = np.memmap(path, np.uint8, "r", file.tell())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FrenemyError(f"{path}: damaged gzip data: {error}") from error
    if surplus:
        raise FrenemyError(f"{path}: damaged: its length does not agree with its shape {shape}")
    return data.reshape(shape)


def _read_shape(read: Callable[[int], bytes], path: Path) -> tuple[int, ...]:
    start = read_exactly(read, 4, path)
    if not start.startswith(MAGIC):
        raise FrenemyError(
            f"{path}: not an IDX file, which starts with two zero bytes; unpack it if it is an "
            "archive"
        )
    kind, rank = start[2:]
    if kind != 8:
        raise FrenemyError(f"{path}: IDX type 0x{kind:02x}; only unsigned bytes (0x08) are read")
    if rank not in (1, 3, 4):
        raise FrenemyError(f"{path}: {rank} dimensions; images have 3 or 4, labels 1")
    shape = np.frombuffer(read_exactly(read, 4 * rank, path), ">u4").tolist()
    if 0 in shape:
        raise FrenemyError(f"{path}: holds nothing: its shape is {tuple(shape)}")
    return tuple(shape)


def kind_of(path: Path) -> str:
    """What messages call a single file, whose name tells how its images lie."""
    return "EMNIST file" if path.name.startswith(EMNIST) else "IDX file"


def _read_images(path: Path) -> NDArray[np.uint8]:
    images = channels_first(read_idx(path))
    if images is None:
        raise FrenemyError(f"{path}: holds no images; pass the file of images, or the folder")
    return images.swapaxes(2, 3) if path.name.startswith(EMNIST) else images


def read_file(path: Path, resize: Resize | None, given: Range | None) -> Contents:
    """The images in one IDX file, plain or gzipped."""
    images = [_read_images(path)]
    return from_arrays(images, resize, shown=range_of(images, path, given))


def _read_set(found: Mapping[str, Path], resize: Resize | None, given: Range | None) -> Contents:
    parts = [part for part in ("train", "test") if f"{part}-images" in found]
    images = [_read_images(found[f"{part}-images"]) for part in parts]
    if len({part.shape[1:] for part in images}) > 1:
        path = found["test-images"]
        raise FrenemyError(f"{path}: images differ in size from those of {found['train-images']}")
    test = len(images[1]) if len(images) == 2 else 0
    labels, classes = None, ()
    if all(f"{part}-labels" in found for part in parts):
        values = [
            _read_labels(found[f"{part}-labels"], len(x))
            for part, x in zip(parts, images, strict=True)
        ]
        labels, classes = labels_of(
            np.concatenate(values), sum(map(len, images)), found["train-labels"]
        )
    if "mapping" in found:
        classes = named_by_codes(classes, _read_mapping(found["mapping"]))
    return from_arrays(
        images,
        resize,
        shown=range_of(images, found["train-images"], given),
        labels=labels,
        classes=classes,
        parts=train_then_test(len(images[0]), test),
        mixed=test > 0,
    )


def _read_labels(path: Path, count: int) -> NDArray[np.uint8]:
    labels = read_idx(path)
    if labels.shape != (count,):
        raise FrenemyError(f"{path}: holds labels {labels.shape} for {count:,} images")
    return labels


def _read_mapping(path: Path) -> list[list[int]]:
    """In each line a label and the codes of the characters that it stands for."""
    with path.open("rb") as file:
        lines = file.read(_MAPPING).splitlines()
    try:
        return [[int(word) for word in line.split()] for line in lines if line.strip()]
    except ValueError:
        raise FrenemyError(f"{path}: damaged: a line is not a label and codes") from None


def _present(folder: Path, stems: Sequence[str], rank: int) -> Path | None:
    names = (
        f"{stem}{mark}idx{rank}-ubyte{end}"
        for stem in stems
        for mark in "-."
        for end in ("", ".gz")
    )
    return next((path for name in names if (path := folder / name).is_file()), None)
