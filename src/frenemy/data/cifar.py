"""CIFAR-10's python batches (Krizhevsky, 2009).

Each is a pickled dictionary: `data`, uint8 (n, 3072), an image being its red, green and blue plane
of 32x32, and `labels`, n whole numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import (
    Contents,
    File,
    Origin,
    from_arrays,
    numbered,
    train_then_test,
)
from frenemy.data.pickles import load_dict
from frenemy.data.pixels import Resize
from frenemy.errors import FrenemyError

_INNER = "cifar-10-batches-py"


def find_set(folder: Path) -> Origin | None:
    """The batches data_batch_1 .. 5 and test_batch in a folder or its cifar-10-batches-py."""
    inner = next((x for x in (folder, folder / _INNER) if (x / "data_batch_1").is_file()), None)
    if inner is None:
        return None
    names = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    paths = {name: path for name in names if (path := inner / name).is_file()}
    files = tuple(File.at(path, name) for name, path in paths.items())
    read = functools.partial(_read_set, paths)
    return Origin("CIFAR-10 batches", folder.name, files, read)


def _read_set(paths: dict[str, Path], resize: Resize | None) -> Contents:
    meta = paths.get("batches.meta")
    names = [] if meta is None else load_dict(meta).get("label_names", [])
    batches = [_read_batch(path) for name, path in paths.items() if name != "batches.meta"]
    values = np.concatenate([labels for _, labels in batches])
    first = next(iter(paths.values()))
    labels, classes = numbered(values, len(values), first)
    test = len(batches[-1][0]) if "test_batch" in paths else 0
    return from_arrays(
        [data for data, _ in batches],
        resize,
        labels=labels,
        classes=_named(classes, names),
        parts=train_then_test(len(values) - test, test),
        mixed=test > 0,
    )


def _read_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray]:
    """Images (n, 3, 32, 32) and labels (n,) of one batch."""
    batch = load_dict(path)
    data, labels = batch.get("data"), batch.get("labels")
    if not (
        isinstance(data, np.ndarray)
        and data.dtype == np.uint8
        and data.ndim == 2
        and data.shape[1] == 3072
        and len(data)
    ):
        raise FrenemyError(f"{path}: not a CIFAR-10 batch: it has no `data` of uint8 (n, 3072)")
    if not isinstance(labels, list | np.ndarray) or len(labels) != len(data):
        raise FrenemyError(f"{path}: not a CIFAR-10 batch: it has not one of `labels` an image")
    if isinstance(labels, list):
        if not all(type(label) is int and 0 <= label < 256 for label in labels):
            raise FrenemyError(f"{path}: not a CIFAR-10 batch: `labels` are not whole numbers")
        labels = np.array(labels)
    return data.reshape(-1, 3, 32, 32), labels


def _named(classes: tuple[str, ...], names: Sequence[object]) -> tuple[str, ...]:
    """The set's own names of its classes, where it gives them: "airplane" for "0" and so on."""
    if type(names) is not list or not all(isinstance(name, str) for name in names):
        return classes
    return tuple(
        str(names[int(label)]) if 0 <= int(label) < len(names) else label for label in classes
    )
