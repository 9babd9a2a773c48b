"""The digits that come with the package, so that everything can be tried without a download.

1,797 handwritten digits, 8x8 with values 0 .. 16: the test part of the UCI machine learning
repository's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), as bundled
with scikit-learn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frenemy.data.contents import Contents, File, Origin, from_arrays, numbered
from frenemy.data.pixels import Resize

_PATH = Path(__file__).with_name("digits.npz")


def origin() -> Origin:
    """The embedded digits."""
    return Origin("embedded UCI digits", "digits", (File.at(_PATH),), _read)


def _read(resize: Resize | None) -> Contents:
    with np.load(_PATH, allow_pickle=False) as arrays:
        images, values = arrays["images"], arrays["labels"]
    labels, classes = numbered(values, len(images), _PATH)
    return from_arrays([images[:, None]], resize, scale=255 / 16, labels=labels, classes=classes)
