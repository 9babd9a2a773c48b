"""Lesson: Table 1 of the paper, read: what was reached, and what the number is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from typing_extensions import Doc

from frenemy.data import open_dataset
from frenemy.errors import FrenemyError, at_least
from frenemy.figures import BLUE, GREY, INK, VERMILION, Canvas, Figure
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.judge.sets import noise_like
from frenemy.judge.table1 import OTHER_NETWORKS, Judged, Nats, Row, Table
from frenemy.lab.lesson import Check, Formula, Result

GRID = "authors"  # of the paper's code, by which the published numbers are
FILE = "table1.jsonl"
TRAINING, CENTROIDS, NOISE = "training", "kmeans", "noise"  # rows of what is no model
FORMULAS = (
    Formula(
        r"\frac{1}{n} \sum_{i=1}^n \log \frac{1}{m} \sum_{j=1}^m"
        r" \mathcal{N}(x_i; \, x'_j, \sigma^2 I)",
        "What Table 1 has: a Gaussian on each of m samples x', σ chosen on validation images, and"
        " the mean log-density of n test images x.",
        "Goodfellow et al. (2014), Generative Adversarial Nets, section 5, after Breuleux et al."
        " (2011), Quickly Generating Representative Samples from an RBM-Derived Process",
    ),
    Formula(
        r"\text{ours} \geq \text{published} - 4 \sqrt{s_{\text{ours}}^2 + s_{\text{published}}^2}",
        "When a number is reached, as far as its errors tell.",
        "standard errors of a difference",
    ),
)


def table1(
    *,
    seed: Annotated[int, Doc("of the small table, if none is given")] = 0,
    table: Annotated[Path | None, Doc("what `frenemy table1` made: its folder or .jsonl")] = None,
    count: Annotated[int, Doc("samples in each row of the small table")] = 200,
) -> Result:
    """Table 1 ranks samples by a number that centroids of k-means can win.

    Raises:
        FrenemyError: there is no such table.
    """
    at_least(0, seed=seed)
    at_least(2, count=count)
    read = small(count, seed) if table is None else load(table)
    rows = {row.name: row for row in read.rows if row.judged}
    if not rows:
        raise FrenemyError(f"{table}: no row of the table has a number yet: frenemy table1 goes on")
    told = f"""\
Table 1 of the paper compares models by the Parzen log-likelihood of test images under their\
 samples. {_source(read, table)}

{_ranked(rows.values())}

{_worth(rows)} Nobody should tune a model for this number: it says little of how samples look\
 (Theis et al. 2016), and is lower of fewer samples."""
    checks = [*_reached(read, rows), *_yardsticks(rows)]
    if not checks:
        raise FrenemyError(
            f"{table}: has neither published rows that were trained whole nor training images and"
            " noise: there is nothing to check"
        )
    return Result(told, FORMULAS, checks, (_chart(list(rows.values())),))


def load(path: Path) -> Table:
    """The table in a folder, or in its file.

    Raises:
        FrenemyError: there is none, or it is none.
    """
    file = path / FILE if path.is_dir() else path
    found = Table.load(file)
    if found is None:
        raise FrenemyError(f"{file}: no table there: frenemy table1 --data MNIST -o DIR makes one")
    return found


def small(count: int, seed: int) -> Table:
    """Rows of what is no model, on the embedded digits: a table that takes seconds.

    Args:
        count: of training images, of centroids of k-means, and of images of noise.
        seed: of all three.
    """
    data = open_dataset(None)
    real, valid = unit_pixels(data.test.images), unit_pixels(data.valid.images)
    images = data.train.random(min(count, len(data.train)), seed)
    x = unit_pixels(data.train.images).flatten(1).double().numpy()
    rng = np.random.default_rng(seed)
    centroids = torch.from_numpy(kmeans2(x, len(images), minit="++", rng=rng)[0]).float()
    rows = (
        (TRAINING, "True training images", unit_pixels(images)),
        (CENTROIDS, "k-means centroids", centroids),
        (NOISE, "Noise", unit_pixels(noise_like(images, seed))),
    )
    judged = [_judged(name, model, seed, real, valid, fake) for name, model, fake in rows]
    return Table({}, data.description, "", False, judged)


def _judged(name: str, model: str, seed: int, real: Tensor, valid: Tensor, fake: Tensor) -> Judged:
    of = parzen(real=real, valid=valid, fake=fake)
    nats = {grid: Nats(p.found.value, p.of_images, p.sigma) for grid, p in of.items()}
    return Judged(name, model, seed, nats, len(fake), len(valid), len(real))


def _source(read: Table, path: Path | None) -> str:
    if path is not None:
        short = " It is a quick one: trainings were cut short." if read.quick else ""
        return f"This one was read from {path}: {read.description}.{short}"
    return (
        "To read a finished one, give --table DIR: frenemy table1 --data MNIST -o DIR makes it, in"
        " hours, or with --quick in minutes. Here are its last rows alone, which need no training:"
        f" training images, centroids and noise, judged on {read.description}."
    )


def _ranked(rows: Iterable[Row]) -> str:
    """From the highest number to the lowest."""
    order = sorted(rows, key=lambda row: -_of(row)[0])
    told = (f"{row.model} {_of(row)[0]:.1f} ± {_of(row)[1]:.1f}" for row in order)
    return f"In nats: {'; '.join(told)}.".replace(" -", " −")


def _worth(rows: dict[str, Row]) -> str:
    if TRAINING not in rows:
        return "The table has no training images to compare with."
    best = _of(rows[TRAINING])
    above = [row.model for row in rows.values() if _of(row)[0] > best[0]]
    told = f"True training images, as if they were samples, have {best[0]:.1f} ± {best[1]:.1f}."
    if above:
        told += f" Above them, and not better than they are: {', '.join(above)}."
    return told


def _of(row: Row) -> tuple[float, float]:
    """A row's nats, and their error over test images and, where there are several, over seeds."""
    found = row.nats(GRID)
    assert found is not None  # of rows that were judged
    return found.value, math.hypot(found.error, row.over_seeds(GRID) or 0.0)


def _reached(read: Table, rows: dict[str, Row]) -> list[Check]:
    """Rows of which a number was published on these data, if they were trained to the end."""
    checks = []
    for row in rows.values():
        whole = not read.quick and all(one.rounds == one.whole for one in row.judged)
        same = read.published == "MNIST" and row.name not in OTHER_NETWORKS
        if row.published is None or not whole or not same:
            continue  # what was published of faces is another data set's, or another network's
        (value, error), published = _of(row), row.published
        other = 0.0 if math.isnan(published.error) else published.error
        slack = 4 * math.hypot(error, other)
        what = f"{row.model}: nats, and as published"
        checks.append(Check(what, value, published.value, slack, error, "at least"))
    return checks


def _yardsticks(rows: dict[str, Row]) -> list[Check]:
    """What has to hold of rows that are no models."""
    checks = []
    if NOISE in rows:
        noise = _of(rows[NOISE])
        for row in rows.values():
            if row.name != NOISE:
                value, error = _of(row)
                gap, error = value - noise[0], math.hypot(error, noise[1])
                checks.append(Check(f"{row.model} − noise: nats", gap, 0.0, 0.0, error, "at least"))
    if {TRAINING, CENTROIDS} <= set(rows):
        images, centroids = rows[TRAINING], rows[CENTROIDS]
        if images.judged[0].samples == centroids.judged[0].samples:
            (value, error), (other, its) = _of(centroids), _of(images)
            what = "as many centroids − training images: nats"
            error = math.hypot(error, its)
            checks.append(Check(what, value - other, 0.0, 0.0, error, "at least"))
    return checks


def _chart(rows: Sequence[Row]) -> Figure:
    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        at = [-i for i in range(len(rows))]
        for y, row in zip(at, rows, strict=True):
            value, error = _of(row)
            colour = GREY if row.name in (TRAINING, CENTROIDS, NOISE) else BLUE
            ax.errorbar(value, y, xerr=error, fmt="o", color=colour)
            if row.published is not None:
                other = 0 if math.isnan(row.published.error) else row.published.error
                ax.errorbar(
                    row.published.value, y + 0.25, xerr=other, fmt="x", color=VERMILION, ms=6
                )
            if row.name == TRAINING:
                ax.axvline(value, color=INK, ls=":", lw=1)
        ax.set_yticks(at, [row.model for row in rows])
        ax.set(xlabel="nats", ylim=(0.6 - len(rows), 0.6))

    told = "; ".join(f"{row.model} {_of(row)[0]:.1f}" for row in rows)
    return Figure(
        draw,
        f"Parzen log-likelihoods in nats: {told}.",
        "Dots: ours (grey: what is no model). Crosses: published. Dotted: true training images.",
        (7, 1.2 + 0.36 * len(rows)),
    )
