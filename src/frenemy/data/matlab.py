"""Images in a .mat file: which array they are, and which of its axes is what.

Names decide as in an .npz file (`frenemy.data.named`). MATLAB files do not say which axis is what,
so a rule does:

- (H, W, C, N), C being 1 or 3;
- (N, H, W) or (H, W, N), of which the square one holds: H equals W, and N differs;
- (H * W, N) or (N, H * W), of which the square one holds: H * W is a square. A flat image is
  column-major, as MATLAB's are, but for train0 .. train9 and test0 .. test9, Roweis's MNIST.

Where both of a pair hold, the length of the labels decides; without labels MATLAB's habit does:
N is the last axis. The five `folds` of the Toronto Face Database tell the parts: the first of them
is taken. EMNIST has all in the fields of a structure, of which `mapping` tells the characters that
labels stand for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frenemy.data.contents import PARTS, Contents
from frenemy.data.labels import named_by_codes
from frenemy.data.levels import Range
from frenemy.data.matfile import Variable, variables
from frenemy.data.named import Piece, named_as_labels, read_named
from frenemy.data.pixels import Resize
from frenemy.errors import FrenemyError

FOLD_CODES = np.array([PARTS.index(part) for part in ("train", "train", "valid", "test")], np.uint8)
"""The parts that 0 (unlabelled), 1, 2 and 3 mean in the `folds` of the Toronto Face Database."""

CHANNELS = 4
"""The most that a picture has: (64, 64, 3) is one, and no three grey images."""

FLAT = 4
"""The shortest side of flat images: any table has a square number of columns by chance."""


def read_file(path: Path, resize: Resize | None, given: Range | None) -> Contents:
    """The images in one .mat file."""
    found = {x.name: x for x in variables(path)}
    vectors = {name for name, x in found.items() if max(x.shape) == math.prod(x.shape)}
    counts = {max(found[name].shape) for name in vectors if named_as_labels(name)}
    axes = {
        name: found_axes
        for name, x in found.items()
        if name not in vectors and (found_axes := _axes(x.shape, counts))
    }
    if not axes:
        shapes = ", ".join(f"{x.name} {x.shape}" for x in found.values()) or "none"
        raise FrenemyError(
            f"{path}: no array can be images (H, W, C, N), or square ones (N, H, W), (H, W, N), "
            f"(N, H * W) or (H * W, N); found {shapes}; save uint8 (N, H, W, C) as .npy"
        )

    def turned(piece: Piece) -> NDArray:
        variable = found[piece.name]
        if piece.name not in axes:
            raise FrenemyError(f"{path}: `{piece.name}` is {variable.shape}, which no images are")
        array = variable.read()
        if variable.real and array.dtype.kind != "f":
            array = array.astype(np.result_type(array, np.float16))
        images = _oriented(array, axes[piece.name])
        return images if piece.digit is None else images.swapaxes(2, 3)

    contents = read_named(found, list(axes), turned, path, resize, given)
    folds = _first_fold(found.values(), contents.count)
    contents = contents if folds is None else replace(contents, parts=folds)
    mapping = next((x for name, x in found.items() if name.endswith(".mapping")), None)
    if mapping is None or len(mapping.shape) != 2:
        return contents
    rows = mapping.read()[:, :2].astype(np.int64).tolist()
    return replace(contents, classes=named_by_codes(contents.classes, rows))


def _first_fold(found: Iterable[Variable], count: int) -> NDArray[np.uint8] | None:
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
        fits = {
            "HWN": shape[0] == shape[1] > 1 and shape[2] > CHANNELS,
            "NHW": shape[1] == shape[2] > 1 and shape[0] > CHANNELS,
        }
    elif len(shape) == 2:
        fits = {"PN": _side(shape[0]) >= FLAT, "NP": _side(shape[1]) >= FLAT}
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
