"""The sets that come with the package, so that everything can be tried without a download.

`embedded:digits`: 1,797 handwritten digits, 8x8 with values 0 .. 16: the test part of the UCI
machine learning repository's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak,
1998), as bundled with scikit-learn.

`embedded:emoji`: 1,906 emoji of 32x32 pixels in nine classes: Google's Noto Emoji (Apache License
2.0), without those that differ in the skin alone, on white (`benchmarks/emoji.py` made the file).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from frenemy.data.contents import Contents, File, Origin, from_arrays
from frenemy.data.labels import labels_of
from frenemy.data.levels import Range, range_of
from frenemy.data.pixels import Resize

PREFIX = "embedded:"
_HERE = Path(__file__).parent


def _digits(path: Path, resize: Resize | None, given: Range | None) -> Contents:
    with np.load(path, allow_pickle=False) as arrays:
        images, values = arrays["images"], arrays["labels"]
    labels, classes = labels_of(values, len(images), path)
    shown = range_of([images], path, given or Range(0, 16))
    return from_arrays([images[:, None]], resize, shown=shown, labels=labels, classes=classes)


def _emoji(path: Path, resize: Resize | None, given: Range | None) -> Contents:
    with np.load(path, allow_pickle=False) as arrays:
        images, names = arrays["images"].transpose(0, 3, 1, 2), arrays["labels"]
    labels, classes = labels_of(names, len(images), path)
    shown = range_of([images], path, given)
    return from_arrays([images], resize, shown=shown, labels=labels, classes=classes)


def _set(
    kind: str, file: str, read: Callable[[Path, Resize | None, Range | None], Contents]
) -> Origin:
    path = _HERE / file
    name = file.removesuffix(".npz")
    return Origin(kind, name, (File.at(path),), functools.partial(read, path))


EMBEDDED: dict[str, Callable[[], Origin]] = {
    f"{PREFIX}digits": lambda: _set("embedded UCI digits", "digits.npz", _digits),
    f"{PREFIX}emoji": lambda: _set("embedded Noto emoji", "emoji.npz", _emoji),
}
"""By the names that `open_dataset` takes."""

DEFAULT = f"{PREFIX}digits"
