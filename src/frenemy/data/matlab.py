"""Images in a .mat file: which array they are, and which of its axes is what.

MATLAB files do not say, so a rule decides. Of the arrays that can be images the largest is taken,
a logical one (a mask) only to be refused:

- (H, W, C, N), C being 1 or 3;
- (N, H, W) or (H, W, N), of which the square one holds: H equals W, and N differs;
- (H * W, N) or (N, H * W), of which the square one holds: H * W is a square. A flat image is
  column-major, as MATLAB's are.

Where both of a pair hold, the length of the labels decides; without labels MATLAB's habit does:
N is the last axis. Labels are a vector of one whole number an image, called one of `LABEL_NAMES`.
Pixels are uint8, floats in [0, 1], or floats that are the whole numbers 0 .. 255. The five `folds`
of the Toronto Face Database tell the parts: the first of them is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import PARTS, Contents, from_arrays, numbered
from frenemy.data.layout import extremes, pixel_scale
from frenemy.data.matfile import Variable, variables
from frenemy.data.pixels import Resize
from frenemy.errors import FrenemyError

FOLD_CODES = np.array([PARTS.index(part) for part in ("train", "train", "valid", "test")], np.uint8)
"""The parts that 0 (unlabelled), 1, 2 and 3 mean in the `folds` of the Toronto Face Database."""

LABEL_NAMES = ("labels", "label", "labs", "labs_ex", "y", "targets", "target", "gnd")


def read_file(path: Path, resize: Resize | None) -> Contents:
    """The images in one .mat file."""
    found = variables(path)
    vectors = [
        x for x in found if x.name.lower() in LABEL_NAMES and max(x.shape) == math.prod(x.shape)
    ]
    counts = {max(vector.shape) for vector in vectors}
    candidates = [
        (variable, axes)
        for variable in found
        if variable not in vectors and (axes := _axes(variable.shape, counts))
    ]
    if not candidates:
        shapes = ", ".join(f"{x.name} {x.shape}" for x in found) or "none"
        raise FrenemyError(
            f"{path}: no array can be images (H, W, C, N), or square ones (N, H, W), (H, W, N), "
            f"(N, H * W) or (H * W, N); found {shapes}; save uint8 (N, H, W, C) as .npy"
        )
    variable, axes = max(candidates, key=lambda x: (x[0].dtype != bool, math.prod(x[0].shape)))
    images = _oriented(variable.read(), axes)
    labels, classes = None, ()
    for vector in vectors:
        if max(vector.shape) == len(images):
            labels, classes = numbered(vector.read(), len(images), path)
            break
    return from_arrays(
        [images],
        resize,
        scale=_scale(images, variable),
        labels=labels,
        classes=classes,
        parts=_first_fold(found, len(images)),
    )


def _first_fold(found: Sequence[Variable], count: int) -> NDArray[np.uint8] | None:
    """The parts by the first column of (N, 5) `folds`, if they hold codes of all parts."""
    for folds in found:
        if folds.name == "folds" and folds.shape == (count, 5):
            codes = folds.read()[:, 0]
            if {2, 3} <= set(codes.tolist()) <= set(range(len(FOLD_CODES))):
                return FOLD_CODES[codes.astype(np.int64)]
    return None


def _axes(shape: tuple[int, ...], counts: set[int]) -> str:
    """Which of the layouts an array has: "HWCN", "NHW", "HWN", "PN", "NP" (P = H * W), or ""."""
    if len(shape) == 4:
        return "HWCN" if shape[2] in (1, 3) else ""
    if len(shape) == 3:
        fits = {"HWN": shape[0] == shape[1] > 1, "NHW": shape[1] == shape[2] > 1}
    elif len(shape) == 2:
        fits = {"PN": _side(shape[0]) > 1, "NP": _side(shape[1]) > 1}
    else:
        return ""
    possible = [axes for axes, fit in fits.items() if fit]
    labelled = [axes for axes in possible if shape[axes.index("N")] in counts]
    return next(iter(labelled or possible), "")


def _side(pixels: int) -> int:
    """The side of a square of so many pixels, or 0 if there is none."""
    side = math.isqrt(pixels)
    return side if side * side == pixels else 0


def _oriented(array: NDArray, axes: str) -> NDArray:
    """The array as a view (N, C, H, W)."""
    match axes:
        case "HWCN":
            return array.transpose(3, 2, 0, 1)
        case "HWN":
            return array.transpose(2, 0, 1)[:, None]
        case "NHW":
            return array[:, None]
        case "PN":
            array = array.T
    side = _side(array.shape[1])
    return array.reshape(len(array), 1, side, side).transpose(0, 1, 3, 2)


def _scale(images: NDArray, variable: Variable) -> float:
    """What a pixel is multiplied by to lie in 0 .. 255."""
    if not variable.real:
        return pixel_scale(images, variable.path)
    low, high = extremes(images)
    if low >= 0 and high <= 1:
        return 255
    if low >= 0 and high <= 255 and all(np.array_equal(x, np.floor(x)) for x in images):
        return 1  # MATLAB's numbers are doubles unless one takes care
    raise FrenemyError(
        f"{variable.path}: `{variable.name}` must lie in [0, 1] or be whole numbers 0 .. 255, "
        f"not [{low:.4g}, {high:.4g}]"
    )
