"""What a judge found as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from frenemy.errors import FrenemyError
from frenemy.figures import Figure
from frenemy.judge.copying import Pair
from frenemy.judge.metrics import metric_of
from frenemy.judge.plots import curve
from frenemy.judge.report import ARROWS, Better, Report, class_rows
from frenemy.judge.sets import Drawn
from frenemy.pages import render
from frenemy.pictures import enlarge, grid, nearest_grid

SHOWN = 64  # samples in the grid
COPIES = 16  # pairs that are shown


def page(
    report: Report, figures: Mapping[str, Sequence[Figure]], samples: Figure | None = None
) -> str:
    """The report as HTML with its curves, and with figures under their titles, where there are any.

    At the top the samples stand beside the verdict.

    Everything is in the text: pictures as data: URIs, plots as SVG. All words are escaped.
    """
    better = {line.metric: _direction(line.better) for line in report.lines}
    rows = [
        (line.metric, better[line.metric], [line.results.get(name) for name in report.columns])
        for line in report.lines
    ]
    found = [estimate for *_, row in rows for estimate in row if estimate]
    curves = [
        curve(points, f"{metric} ({better[metric][1]})" if any(better.get(metric, "")) else metric)
        for metric, points in report.curves.items()
        if any(math.isfinite(value) for _, value, _ in points)
    ]
    names = [*better, *report.curves]
    return render(
        "judge.html",
        report=report,
        samples=samples,
        rows=rows,
        classes=class_rows(report) if report.by_class else None,
        notes=list(dict.fromkeys(estimate.note for estimate in found if estimate.note)),
        figures={title: shown for title, shown in figures.items() if shown},
        curves=curves,
        metrics=list(dict.fromkeys(filter(None, map(metric_of, names)))),
    )


def _direction(better: Better) -> tuple[str, str]:
    """An arrow, and what it means."""
    return ARROWS[better], f"{better} is better" if better else ""


def samples_figure(fake: NDArray[np.uint8]) -> Figure:
    """The first 64 samples, or all if there are fewer, as they come.

    Args:
        fake: uint8 (M, C, H, W), C = 1 or 3.

    Raises:
        FrenemyError: there are none.
    """
    shown = fake[:SHOWN]
    size = "{1} x {0} pixels".format(*fake.shape[2:])
    alt = f"A grid of {len(shown):,} generated images of {size}"
    told = f"The first {len(shown):,} of {len(fake):,} samples, {size}, uncurated."
    return Figure([grid(enlarge(shown))], alt, told)


def neighbours_figure(
    *, fake: NDArray[np.uint8], train: NDArray[np.uint8], index: NDArray[np.int64]
) -> Figure:
    """Rows of five samples and, sixth and apart, the training image nearest to the fifth.

    So Figure 2 of Goodfellow et al. (2014), Generative Adversarial Networks, shows that a
    generator has not memorised.

    Args:
        fake: uint8 (M, C, H, W), C = 1 or 3; train: uint8 (N, C, H, W).
        index: of the training image nearest to each sample, (M,), as of `compare_with_training`.

    Raises:
        FrenemyError: as `pictures.nearest_grid`.
    """
    alt = (
        "Rows of images: five generated ones, then, set apart, the training image nearest to the "
        "fifth"
    )
    told = (
        "In each row five samples and, right of the bar, the training image nearest to the fifth. "
        "A generator that has memorised shows the same picture on both sides of the bar."
    )
    return Figure([nearest_grid(fake=fake, train=train, index=index)], alt, told)


def copies_figure(
    *, fake: NDArray[np.uint8], train: NDArray[np.uint8] | Drawn, pairs: Sequence[Pair]
) -> Figure:
    """Samples above the training images that they copy, the most certain first.

    Args:
        fake: uint8 (M, C, H, W), C = 1 or 3; train: uint8 (N, C, H, W).
        pairs: of `Copies`; the first 16 are shown.

    Raises:
        FrenemyError: there are none.
    """
    if not pairs:
        raise FrenemyError("no copies to show")
    shown = pairs[:COPIES]
    above = fake[[pair.sample for pair in shown]]
    below = train[np.array([pair.training for pair in shown])]
    rows = grid(enlarge(np.concatenate([above, below])), columns=len(shown))
    alt = f"Two rows of {len(shown)} images: samples, and below each the training image it copies"
    ways = "; ".join(dict.fromkeys(map(str, shown)))
    told = (
        f"The {len(shown):,} most certain of {len(pairs):,} copies: samples above, training images "
        f"below. What was done to these: {ways}."
    )
    return Figure([rows], alt, told)
