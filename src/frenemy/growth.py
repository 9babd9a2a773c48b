"""How the samples of a run grew, as a strip of labelled frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from frenemy.escapes import printable
from frenemy.figures import DPI, Figure
from frenemy.pictures import Images, channels_last, load_picture, of_one_size
from frenemy.run import Run

FRAMES = 6  # of a strip, where no rounds are named
NARROWEST = 128  # pixels of a frame that a label fits above
LETTER = 20  # of a frame's width: the height of the letters above it
LARGEST = 30  # points of these


def nearest(drawn: Sequence[Path], rounds: Sequence[int]) -> list[Path]:
    """The sample pictures that were drawn nearest to these rounds, each once, in that order.

    >>> drawn = [Path(f"samples/{step:08d}.png") for step in (0, 100, 126)]
    >>> [path.stem for path in nearest(drawn, (120, 1, 500))]
    ['00000126', '00000000']
    """
    found = [min(drawn, key=lambda path: abs(int(path.stem) - wanted)) for wanted in rounds]
    return list(dict.fromkeys(found))


def spread(drawn: Sequence[Path]) -> list[Path]:
    """A few sample pictures from the first to the last, with equally many left out between."""
    count = min(FRAMES, len(drawn))
    return [drawn[round(i)] for i in np.linspace(0, len(drawn) - 1, count)]


def strip_of(run: Run, drawn: Sequence[Path]) -> Figure:
    """Sample pictures of a run side by side, each below its round and, if it is known, its epoch.

    Args:
        run: the run.
        drawn: one or more of its `samples`.
    """
    epochs = [(row["step"], row["epoch"] / row["step"]) for row in run.rows() if row.get("epoch")]
    labels: list[str] = []
    for step in (int(path.stem) for path in drawn):
        _, epochs_per_round = min(epochs, key=lambda at: abs(at[0] - step), default=(0, math.nan))
        known = not math.isnan(epochs_per_round)
        epoch = f"\nepoch {step * epochs_per_round:,.3g}" if known else ""
        labels.append(f"round {step:,}{epoch}")
    frames = of_one_size([load_picture(path) for path in drawn])
    times = math.ceil(NARROWEST / frames[0].shape[2])
    frames = [frame.repeat(times, axis=1).repeat(times, axis=2) for frame in frames]
    at = ", ".join(label.replace("\n", " (") + ")" * ("\n" in label) for label in labels)
    alt = f"The same samples at {at}"
    return Figure(
        lambda canvas: _draw(canvas, frames, labels),
        alt,
        f"Samples of {printable(str(run.path))} of the same z at {at}.",
        _size(frames),
    )


def _points(width: int) -> float:
    """Of the letters above a frame so many pixels wide."""
    return min(LARGEST, width / LETTER * 72 / DPI)


def _margins(width: int) -> tuple[int, int]:
    """Pixels between frames so wide, and above them, for two lines of text."""
    letter = _points(width) * DPI / 72
    return round(letter / 2), round(3.2 * letter)


def _size(frames: Sequence[Images]) -> tuple[float, float]:
    height, width = frames[0].shape[1:]
    gap, head = _margins(width)
    return (len(frames) * (width + gap) - gap) / DPI, (height + head) / DPI


def _draw(canvas: Canvas, frames: Sequence[Images], labels: Sequence[str]) -> None:
    """Each frame pixel for pixel."""
    canvas.set_layout_engine("none")
    height, width = frames[0].shape[1:]
    gap, head = _margins(width)
    across, down = (side * DPI for side in _size(frames))
    for i, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        left = i * (width + gap)
        axes = canvas.add_axes((left / across, 0.0, width / across, height / down))
        axes.axis("off")
        colours = np.broadcast_to(frame, (3, height, width))  # of grey ones as well
        axes.imshow(channels_last(colours), interpolation="none", aspect="auto")
        middle = (left + width / 2) / across, (height + head / 2) / down
        canvas.text(*middle, label, ha="center", va="center", fontsize=_points(width))
