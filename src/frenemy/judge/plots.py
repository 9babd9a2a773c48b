"""Plots of features and of metrics, for the pages that the judge writes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.figures import BLUE, GREY, INK, VERMILION, Figure
from frenemy.judge.class_shares import ClassShares
from frenemy.judge.coverage import Neighbourhoods
from frenemy.judge.estimate import Estimate, checked

DRAWN = 1000  # points of each set: more of them hide one another, and make a heavy page
ALPHA = 0.85  # of points
MOST_BARS = 50  # classes of a chart


def embedding(*, real: Tensor, fake: Tensor, method: Literal["pca", "umap"] = "pca") -> Figure:
    """Both sets in a plane: 1,000 points of each, or all if there are fewer.

    "pca": the plane of the first two principal components of the real ones (Pearson 1901, On Lines
    and Planes of Closest Fit to Systems of Points in Space). "umap": fitted to both sets together
    (McInnes et al. 2018, UMAP: Uniform Manifold Approximation and Projection for Dimension
    Reduction); where umap-learn is not installed, PCA takes its place, and the caption says so.

    Args:
        real: features (N, d); fake: (M, d).
        method: how to come to two dimensions.

    Raises:
        FrenemyError: as `checked`, for fewer than three rows.
    """
    real, fake = (_drawn(rows) for rows in checked("embedding", 3, real=real, fake=fake))
    plane = _umap(real, fake) if method == "umap" else None
    labels = ("", "")
    if plane is not None:
        x, y = plane
        how = "UMAP of both sets together (distances between far groups mean little)"
    else:
        x, y, labels = _principal_plane(real, fake)
        how = "The plane of the first two principal components of the real features"
        if method == "umap":
            how += " (for UMAP: pip install 'frenemy[umap]')"
    kind = "PCA" if plane is None else "UMAP"

    def draw(axes: Axes) -> None:
        _dots(axes, x, BLUE, "o", f"real ({len(x):,})")
        _dots(axes, y, VERMILION, "^", f"generated ({len(y):,})")
        _label(axes, labels)

    alt = (
        f"Scatter plot of {len(x):,} real and {len(y):,} generated images in two dimensions "
        f"({kind}); {_overlap(x, y)}"
    )
    caption = (
        f"{how}: {len(x):,} real images and {len(y):,} generated ones. A good generator's points "
        "lie where the real ones do, in the same density."
    )
    return _plot(draw, alt, caption)


def precision_recall(*, real: Tensor, fake: Tensor, found: Neighbourhoods) -> tuple[Figure, Figure]:
    """Which samples lie among the real images, and which real images the samples reach.

    What lies where was decided among all images and all features, see
    `precision_recall_density_coverage` (Kynkäänniemi et al. 2019, Improved Precision and Recall
    Metric for Assessing Generative Models), and the titles say its values. At most 1,000 points of
    each set are drawn, and only the drawing is flat.

    Args:
        real: features (N, d); fake: (M, d).
        found: of these very sets.

    Raises:
        FrenemyError: as `checked`, for fewer than two rows.
    """
    real, fake = checked("precision and recall picture", 2, real=real, fake=fake)
    recalled, precise = _drawn(found.recalled) > 0, _drawn(found.precise) > 0  # of the same rows
    x, y, labels = _principal_plane(_drawn(real), _drawn(fake))

    def panel(
        name: str,
        value: Estimate,
        others: Tensor,
        points: Tensor,
        inside: Tensor,
        names: tuple[str, str],
        told: str,
    ) -> Figure:
        def draw(axes: Axes) -> None:
            _dots(axes, others, GREY, "o", names[0], size=2)
            _dots(axes, points[inside], BLUE, "o", f"{names[1]}, inside")
            _dots(axes, points[~inside], VERMILION, "x", "outside", size=5)
            axes.set_title(f"{name} {value}")
            _label(axes, labels)

        alt = (
            f"Scatter plot: {int(inside.sum()):,} of the {len(points):,} {names[1]} images drawn "
            f"lie among the {names[0]} ones; of all: {name.lower()} {value}"
        )
        return _plot(draw, alt, told)

    told_of_precision = (
        f"{len(y):,} of {len(fake):,} generated images and {len(x):,} of {len(real):,} real ones. "
        "A generated image is inside if it is nearer to some real image than that image's real "
        f"neighbour number {found.k} is. Many outside are bad samples."
    )
    told_of_recall = (
        "The same with the roles swapped: many outside are kinds of images that are never made. "
        "All dimensions of the features count, of which this plane shows two: a point may look "
        "inside and not be."
    )
    return (
        panel(
            "Precision", found.precision, x, y, precise, ("real", "generated"), told_of_precision
        ),
        panel("Recall", found.recall, y, x, recalled, ("generated", "real"), told_of_recall),
    )


def curve(points: Sequence[tuple[int, float, float]], title: str) -> Figure:
    """A metric over the rounds of a run, with a band of one standard error on both sides.

    Args:
        points: (round, value, error) in order; an error of NaN has no band, a value of NaN no
            point. Rounds that span more than a factor of 20 stand on a logarithmic axis.
        title: for the caption, and for those who cannot see it.

    Raises:
        FrenemyError: no value is finite.
    """
    shown = [point for point in points if math.isfinite(point[1])]
    if not shown:
        raise FrenemyError(f"curve of {title}: no finite value to draw")
    rounds = [t for t, _, _ in shown]
    values = [value for _, value, _ in shown]
    errors = [error if math.isfinite(error) else 0.0 for _, _, error in shown]
    first = min((t for t in rounds if t > 0), default=0)

    def draw(axes: Axes) -> None:
        low, high = (
            [v + sign * e for v, e in zip(values, errors, strict=True)] for sign in (-1, 1)
        )
        axes.fill_between(rounds, low, high, color=BLUE, alpha=0.25, linewidth=0)
        axes.errorbar(rounds, values, yerr=errors, color=BLUE, marker="o", markersize=4, capsize=3)
        if first and max(rounds) > 20 * first:
            if min(rounds) > 0:
                axes.set_xscale("log")
            else:  # there is no logarithm of round 0
                axes.set_xscale("symlog", linthresh=first)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("round")

    alt = (
        f"{title} over {len(shown)} checkpoints: {values[0]:.4g} at round {rounds[0]:,}, "
        f"{values[-1]:.4g} at round {rounds[-1]:,}"
    )
    return _plot(draw, alt, title, height=3.0)


def class_shares(found: ClassShares) -> Figure:
    """How many samples there are of each class, over how many are due, with 95 % intervals.

    Of more than 50 classes those that are least like chance, in their order.

    Args:
        found: by `frenemy.judge.class_shares.class_shares`.
    """
    worst = sorted(found.classes, key=lambda c: (c.p, -abs(c.corrected - c.due)))[:MOST_BARS]
    shown = [c for c in found.classes if c in worst]
    rows = range(len(shown))
    colours = [VERMILION if c.finding in ("lost", "rare") else BLUE for c in shown]
    values = [c.corrected for c in shown]
    ends = [
        [max(0.0, c.corrected - c.low) for c in shown],
        [max(0.0, c.high - c.corrected) for c in shown],
    ]

    def draw(axes: Axes) -> None:
        axes.barh(rows, [c.due for c in shown], 0.8, color=GREY, alpha=0.4, label="expected")
        axes.barh(rows, values, 0.4, color=colours)
        axes.errorbar(values, rows, xerr=ends, fmt="none", ecolor=INK, capsize=2, elinewidth=1)
        axes.bar(0, 0, color=BLUE, label="found")
        if VERMILION in colours:
            axes.bar(0, 0, color=VERMILION, label="lost or rare")
        axes.set_yticks(rows, [c.name[:20].replace("$", r"\$") for c in shown])
        axes.invert_yaxis()
        axes.set(xlabel=f"of {found.samples:,} samples", xlim=(0, None))
        axes.margins(y=0.01)
        axes.figure.legend(loc="outside lower center", ncols=3, columnspacing=1)

    told = []
    for finding in ("lost", "rare", "frequent"):
        if these := found.named(finding):
            names = ", ".join(
                f"{c.name} ({c.corrected:.0f} of {c.due:.0f} expected)" for c in these[:10]
            )
            told.append(f"{finding}: {names}" + (", ..." if len(these) > 10 else ""))
    said = "; ".join(told) or "no class differs from its expected share by more than chance"
    which = f"{len(found.classes):,} classes"
    if len(shown) < len(found.classes):
        which = f"the {len(shown)} of {which} that differ most"
    alt = f"Bar chart of {which}: expected and found numbers of samples of each; {said}"
    mistakes = (
        "corrected for the classifier's own mistakes, counted on images of known classes"
        if found.corrected
        else "as classified, not corrected for the classifier's mistakes"
    )
    caption = (
        f"Wide: how many of {found.samples:,} samples are expected in each class, by its share of "
        f"the real images. Narrow: how many are found, {mistakes}, with 95 % intervals. "
        f"{said[0].upper()}{said[1:]}. All classes together: p = {found.p:.2g}."
    )
    return _plot(draw, alt, caption, height=1.6 + 0.27 * len(shown))


# Drawing


def _plot(draw: Callable[[Axes], None], alt: str, caption: str, height: float = 4.2) -> Figure:
    """What `draw` makes of empty axes, 5 inches wide."""
    return Figure(lambda canvas: draw(canvas.subplots()), alt, caption, (5, height))


def _dots(
    axes: Axes, points: Tensor, colour: str, marker: str, label: str, size: float = 4
) -> None:
    """Points (N, 2), and how they are called in the legend."""
    if len(points):
        axes.plot(
            *points.T.tolist(),
            linestyle="none",
            marker=marker,
            color=colour,
            alpha=ALPHA,
            markersize=size,
            markeredgewidth=1.2 if marker == "x" else 0,  # a cross is nothing but edges
            label=label,
        )


def _label(axes: Axes, labels: tuple[str, str]) -> None:
    """Names the axes of a plane whose units mean nothing; the legend lies below."""
    axes.set(xlabel=labels[0], ylabel=labels[1], xticks=[], yticks=[])
    axes.figure.legend(loc="outside lower center", ncols=3, markerscale=1.5, columnspacing=1)


def _overlap(x: Tensor, y: Tensor) -> str:
    """How far apart the centres lie, in words for those who cannot see the plot."""
    spread = x.var(0).sum().sqrt().item()
    if not spread:
        return "all the real ones are in one place"
    distance = (x.mean(0) - y.mean(0)).norm().item() / spread
    return f"the centres lie {distance:.2g} standard deviations of the real ones apart"


# Points


def _drawn(rows: Tensor, count: int = DRAWN) -> Tensor:
    """At most `count` rows in float64, the same ones each time."""
    if len(rows) > count:
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        rows = rows[order[:count].sort().values.to(rows.device)]
    return rows.cpu().double()


def _principal_plane(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, tuple[str, str]]:
    """Both sets on the first two principal components of `real`, and what these are called.

    With X the centred real rows, X X' = U S^2 U' gives the components V = X' U / S: there are at
    most 1,000 rows, but there may be many more features. The sign of a component is that which
    makes its largest entry positive; one without variance is 0.

    Returns:
        (N, 2), (M, 2), and with the shares of the variance, labels of two axes.
    """
    centre = real.mean(0)
    x = real - centre
    squares, u = torch.linalg.eigh(x @ x.T)  # in ascending order
    squares, u = squares[-2:].flip(0), u[:, -2:].flip(1)
    total = x.square().sum()
    exists = squares > 1e-12 * total  # of less, rounding is the larger part
    components = x.T @ u / squares.clamp_min(1e-300).sqrt() * exists  # (d, 2)
    largest = components.gather(0, components.abs().argmax(0, keepdim=True))
    components = components * torch.where(largest < 0, -1.0, 1.0)
    first, second = (squares * exists / total.clamp_min(1e-300)).tolist()
    labels = f"1st component ({first:.0%} of real variance)", f"2nd component ({second:.0%})"
    return x @ components, (fake - centre) @ components, labels


def _umap(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor] | None:
    """Both sets by UMAP, (N, 2) and (M, 2); None if umap-learn is not installed."""
    try:
        from umap import UMAP  # pyright: ignore[reportMissingImports] (an extra)
    except ImportError:
        return None
    both = torch.cat([real, fake]).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sets that are small or fall apart: both may be
        reducer = UMAP(n_neighbors=min(15, len(both) - 1), random_state=0, n_jobs=1)
        plane = torch.as_tensor(reducer.fit_transform(both))
    return plane[: len(real)], plane[len(real) :]
