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

from frenemy.data.contents import Contents, File, Origin, from_arrays, numbered
from frenemy.data.pixels import Resize

PREFIX = "embedded:"
_HERE = Path(__file__).parent


def _digits(path: Path, resize: Resize | None) -> Contents:
    with np.load(path, allow_pickle=False) as arrays:
        images, values = arrays["images"], arrays["labels"]
    labels, classes = numbered(values, len(images), path)
    return from_arrays([images[:, None]], resize, scale=255 / 16, labels=labels, classes=classes)


def _emoji(path: Path, resize: Resize | None) -> Contents:
    with np.load(path, allow_pickle=False) as arrays:
        images, names = arrays["images"].transpose(0, 3, 1, 2), arrays["labels"]
    classes, labels = np.unique(names, return_inverse=True)
    return from_arrays([images], resize, labels=labels, classes=tuple(classes.tolist()))


def _set(kind: str, file: str, read: Callable[[Path, Resize | None], Contents]) -> Origin:
    path = _HERE / file
    name = file.removesuffix(".npz")
    return Origin(kind, name, (File.at(path),), functools.partial(read, path))


EMBEDDED: dict[str, Callable[[], Origin]] = {
    f"{PREFIX}digits": lambda: _set("embedded UCI digits", "digits.npz", _digits),
    f"{PREFIX}emoji": lambda: _set("embedded Noto emoji", "emoji.npz", _emoji),
}
"""By the names that `open_dataset` takes."""

DEFAULT = f"{PREFIX}digits"
