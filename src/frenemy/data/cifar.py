"""CIFAR-10 and CIFAR-100, as python batches and as binary files (Krizhevsky, 2009).

A python batch is a pickled dictionary: `data`, uint8 (n, 3072), an image being its red, green and
blue plane of 32x32, and n whole numbers, `labels` or (of 100 classes) `fine_labels`. A binary file
has for each image a byte for its label (of 100 classes two, the second being the fine one), and
the same 3072 bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import Contents, File, Origin, from_arrays, train_then_test
from frenemy.data.labels import labels_of
from frenemy.data.levels import Range, range_of
from frenemy.data.pickles import load_dict
from frenemy.data.pixels import Resize
from frenemy.errors import FrenemyError

_PIXELS = 3 * 32 * 32
_NAMES = 1 << 14  # bytes that hold the names of 100 classes


@dataclass(frozen=True)
class _Layout:
    """How one of the four archives lies in a folder.

    Attributes:
        kind: what it is called.
        inner: the folder that the archive unpacks.
        train: the names of the files to train on.
        test: that of the test part.
        meta: that of the names of the classes.
        read: images and labels of one file.
        names: what the file of names says, without checks.
    """

    kind: str
    inner: str
    train: tuple[str, ...]
    test: str
    meta: str
    read: Callable[[Path], tuple[NDArray[np.uint8], NDArray]]
    names: Callable[[Path], object]

    @property
    def files(self) -> tuple[str, ...]:
        """All names, the test part's and that of the names of the classes last."""
        return *self.train, self.test, self.meta

    def lies_in(self, folder: Path) -> bool:
        """Whether its first file is there; where that is called `train`, names must be, too."""
        first = (folder / self.train[0]).is_file()
        return first and (len(self.train) > 1 or (folder / self.meta).is_file())


def find_sets(folder: Path) -> dict[Path, Origin]:
    """The set in a folder, if there is one, by the path that opens it: the folder."""
    layout = next((x for x in LAYOUTS if x.lies_in(folder)), None)
    if layout is None:
        return {}
    paths = {name: path for name in layout.files if (path := folder / name).is_file()}
    files = tuple(File.at(path, name) for name, path in paths.items())
    read = functools.partial(_read_set, layout, paths)
    return {folder: Origin(layout.kind, folder.name, files, read)}


def one_file_of(path: Path) -> str:
    """What the set is called of which this file is one, or ""."""
    near = (x.kind for x in LAYOUTS if path.name in x.files and x.lies_in(path.parent))
    return next(near, "")


def _read_set(
    layout: _Layout, paths: dict[str, Path], resize: Resize | None, given: Range | None
) -> Contents:
    meta = paths.get(layout.meta)
    batches = [layout.read(path) for name, path in paths.items() if name != layout.meta]
    images = [data for data, _ in batches]
    values = np.concatenate([labels for _, labels in batches])
    first = next(iter(paths.values()))
    labels, classes = labels_of(values, len(values), first)
    test = len(images[-1]) if layout.test in paths else 0
    return from_arrays(
        images,
        resize,
        shown=range_of(images, first, given),
        labels=labels,
        classes=classes if meta is None else _named(classes, layout.names(meta)),
        parts=train_then_test(len(values) - test, test),
        mixed=test > 0,
    )


def _read_batch(path: Path, key: str) -> tuple[NDArray[np.uint8], NDArray]:
    """Images (n, 3, 32, 32) and labels (n,) of one python batch."""
    batch = load_dict(path)
    data, labels = batch.get("data"), batch.get(key)
    if not (
        isinstance(data, np.ndarray)
        and data.dtype == np.uint8
        and data.ndim == 2
        and data.shape[1] == _PIXELS
        and len(data)
    ):
        raise FrenemyError(f"{path}: not a CIFAR batch: it has no `data` of uint8 (n, {_PIXELS})")
    if not isinstance(labels, list | np.ndarray) or len(labels) != len(data):
        raise FrenemyError(f"{path}: not a CIFAR batch: it has not one of `{key}` an image")
    if isinstance(labels, list):
        if not all(type(label) is int and 0 <= label < 256 for label in labels):
            raise FrenemyError(f"{path}: not a CIFAR batch: `{key}` are not whole numbers")
        labels = np.array(labels)
    return data.reshape(-1, 3, 32, 32), labels


def _read_names(path: Path, key: str) -> object:
    return load_dict(path).get(key, [])


def _read_binary(path: Path, before: int) -> tuple[NDArray[np.uint8], NDArray]:
    """The same of a binary file, in which so many bytes precede each image, the last its label."""
    size, record = path.stat().st_size, before + _PIXELS
    if size == 0 or size % record:
        raise FrenemyError(f"{path}: damaged: {size:,} bytes are not images of {record:,} each")
    records = np.memmap(path, np.uint8, "r").reshape(-1, record)
    return records[:, before:].reshape(-1, 3, 32, 32), np.asarray(records[:, before - 1])


def _read_lines(path: Path) -> object:
    with path.open("rb") as file:
        return file.read(_NAMES).decode("latin-1").split()


def _named(classes: tuple[str, ...], names: object) -> tuple[str, ...]:
    """The set's own names of its classes, where it gives them: "airplane" for "0" and so on."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return classes
    return tuple(
        str(names[int(label)]) if 0 <= int(label) < len(names) else label for label in classes
    )


def _layout(
    kind: str, inner: str, train: Sequence[str], test: str, meta: str, key: str = "",
    before: int = 0,
) -> _Layout:  # fmt: skip
    """Python batches whose labels are under a key, or files with so many bytes before an image."""
    if key:
        read = functools.partial(_read_batch, key=f"{key}s")
        names = functools.partial(_read_names, key=f"{key}_names")
        return _Layout(kind, inner, tuple(train), test, meta, read, names)
    read = functools.partial(_read_binary, before=before)
    return _Layout(kind, inner, tuple(train), test, meta, read, _read_lines)


_TEN = [f"data_batch_{i}" for i in (1, 2, 3, 4, 5)]
_TEN_BINARY = [f"{name}.bin" for name in _TEN]
_FINE = "fine_label_names.txt"

LAYOUTS = (
    _layout("CIFAR-10 batches", "cifar-10-batches-py", _TEN, "test_batch", "batches.meta", "label"),
    _layout("CIFAR-100 batches", "cifar-100-python", ["train"], "test", "meta", "fine_label"),
    _layout(
        *("CIFAR-10 binary files", "cifar-10-batches-bin", _TEN_BINARY, "test_batch.bin"),
        meta="batches.meta.txt",
        before=1,
    ),
    _layout(
        *("CIFAR-100 binary files", "cifar-100-binary", ["train.bin"], "test.bin", _FINE), before=2
    ),
)
"""Of the archives that their author gives out."""
