"""Table 1 as text, Markdown, CSV and a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure as Canvas
from rich.console import Group
from rich.text import Text

from frenemy.figures import Figure
from frenemy.folding import FoldedTable
from frenemy.judge.estimate import Estimate
from frenemy.judge.table1 import Judged, Row, Table
from frenemy.pictures import Images, channels_last
from frenemy.runs import duration

COLUMNS = (
    *("nats", "seeds", "published", "finer grid"),
    *("trained", "in", "a sample", "samples"),
)
PAPERS = (10_000, 1_000, 10_000)
"""Samples, validation and test images of the paper's protocol."""
AUTHORS, FINER = "authors", "default"
"""Of the grids of `parzen`: that of the authors' code, by which the paper's numbers are."""
FIELDS = (
    *("name", "model", "nats", "error", "seeds", "error_over_seeds", "sigma"),
    *("nats_finer_grid", "published", "published_error", "published_by", "quick", "rounds"),
    *("whole", "train_seconds", "draw_seconds", "samples_per_independent", "sample_seconds"),
    *("samples", "validation_images", "test_images", "machine", "notes"),
)
"""Of a table as CSV."""
WIDTH, HEIGHT = 19.0, 0.62
"""Inches of the picture, and of each of its rows."""


def short(seconds: float | None) -> str:
    """A time of any size.

    >>> short(0.000_021), short(0.0042), short(3.21), short(7260.0), short(None)
    ('21 µs', '4.2 ms', '3.21 s', '2:01:00', '')
    """
    if seconds is None:
        return ""
    for unit, least in (("s", 1.0), ("ms", 1e-3)):
        if least <= seconds < 100:
            return f"{seconds / least:.3g} {unit}"
    return duration(seconds) if seconds >= 100 else f"{seconds * 1e6:.3g} µs"


def cells(row: Row) -> list[str]:
    """What stands in the columns of a row; what is not known is empty."""
    if not row.judged:
        return ["failed", "", _number(row.published), "", "quick" * row.quick, "", "", ""]
    first, among = row.judged[0], row.over_seeds(AUTHORS)
    mixes = all(one.steps is not None for one in row.judged)
    return [
        str(row.nats(AUTHORS)),
        "1" if among is None else f"± {among:.2g} of {len(row.judged)}",
        _number(row.published),
        str(row.nats(FINER)),
        _trained(first),
        short(row.mean("train_seconds")),
        short(row.mean("sample_seconds")) if mixes else "does not mix",
        f"{first.samples:,}",
    ]


def _number(published: Estimate | None) -> str:
    """As it was printed, and whether it is quoted from memory."""
    if published is None:
        return ""
    error = "" if math.isnan(published.error) else f" ± {published.error:g}"
    return f"{published.value:,.10g}{error}{' (unchecked)' * ('unchecked' in published.note)}"


def _trained(one: Judged) -> str:
    """How long a game was played; of a quick table so in every row."""
    quick = "quick: " * one.quick
    if not one.rounds:
        return f"{quick}not trained"
    of = f"{one.rounds:,}" + (f" of {one.whole:,}" if one.rounds != one.whole else "")
    return f"{quick}{of} round{'s' if one.whole != 1 else ''}"


def remarks(table: Table) -> list[str]:
    """What the columns mean, on what data, and what the numbers are worth."""
    found = [one for one in table.judged if not one.fault]
    told = [f"{table.description}. {_protocol(found)}"] if found else [table.description]
    told.append(_about_published(table))
    if table.quick:
        told.append(
            "Quick: every training was cut short, as its row says, so these numbers say nothing of "
            "how good the models can be."
        )
    told.append(
        "The last rows show what the number is worth: true training images, centroids of these by "
        "k-means, and noise. A model that is above the true images is not better than they are."
    )
    return told + [f"{row.model}: {note}." for row in table.rows for note in row.notes]


def _protocol(found: Sequence[Judged]) -> str:
    samples, valid, test = (
        max(numbers) for numbers in zip(*((x.samples, x.valid, x.test) for x in found), strict=True)
    )
    machines = "; ".join(dict.fromkeys(one.machine for one in found if one.machine))
    fewer = (samples, valid, test) != PAPERS
    return (
        f"Mean log-likelihood of {test:,} test images in nats by Parzen windows on {samples:,} "
        f"samples, whose width {valid:,} validation images choose; ± std / √n over the test images."
        + (" The paper takes 10,000, 1,000 and 10,000: of fewer samples it is lower." * fewer)
        + " A sample means an independent one: of a Markov chain, as many steps as its "
        "autocorrelation time." + (f" Trained on {machines}." if machines else "")
    )


def _about_published(table: Table) -> str:
    if table.published == "MNIST":
        return "The published numbers are of these test images."
    if table.published == "TFD":
        return (
            "The published numbers are of another data set: the Toronto Face Database, mean and "
            "error over its five folds, unless these images are its first fold."
        )
    return "Published are numbers of MNIST and of the Toronto Face Database: none of these images."


def table1_text(table: Table) -> Group:
    """For the terminal."""
    shown = FoldedTable(["model"], COLUMNS, title="Table 1" + ", quick" * table.quick)
    for row in table.rows:
        shown.add_row([row.model], cells(row))
    return Group(shown, *map(Text, remarks(table)))


def table1_markdown(table: Table, strips: Mapping[str, str]) -> str:
    """As Markdown.

    Args:
        table: what is shown.
        strips: of each row's name, the place of its picture of samples.
    """
    lines = [["model", *COLUMNS, "look like"], ["---"] * (len(COLUMNS) + 2)]
    for row in table.rows:
        looks = f"![{row.model}]({strips[row.name]})" if row.name in strips else ""
        lines.append([row.model, *cells(row), looks])
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{rows}\n" + "\n\n".join(remarks(table)) + "\n"


def table1_csv(table: Table) -> str:
    """As CSV: all numbers of a row in full."""
    file = io.StringIO()
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in table.rows:
        found: dict[str, object] = {"name": row.name, "model": row.model, "quick": row.quick}
        if published := row.published:
            error = "" if math.isnan(published.error) else published.error
            found |= {"published": published.value, "published_error": error}
            found |= {"published_by": published.note}
        nats, finer = row.nats(AUTHORS), row.nats(FINER)
        if nats is not None and finer is not None:
            first, among = row.judged[0], row.over_seeds(AUTHORS)
            found |= {
                "nats": nats.value, "error": nats.error, "seeds": len(row.judged),
                "error_over_seeds": "" if among is None else among,
                "sigma": " ".join(f"{one.nats[AUTHORS].sigma:.4g}" for one in row.judged),
                "nats_finer_grid": finer.value, "rounds": first.rounds, "whole": first.whole,
                "train_seconds": row.mean("train_seconds"),
                "draw_seconds": row.mean("draw_seconds"),
                "samples_per_independent": row.mean("steps"),
                "sample_seconds": row.mean("sample_seconds"),
                "samples": first.samples, "validation_images": first.valid,
                "test_images": first.test, "machine": first.machine,
            }  # fmt: skip
        writer.writerow({**found, "notes": " ".join(f"{note}." for note in row.notes)})
    return file.getvalue()


def table1_figure(table: Table, strips: Mapping[str, Images]) -> Figure:
    """As a picture, with samples beside each row.

    Args:
        table: what is shown.
        strips: of each row's name, its samples side by side, (C, H, W).
    """
    rows = table.rows
    places = {"": 0.0, "ours": 0.2, "published": 0.39, "trained": 0.55, "in": 0.78}
    places["a sample"] = 0.87

    def texts(row: Row) -> list[str]:
        found = dict(zip(COLUMNS, cells(row), strict=True))
        ours = f"{found['nats']} {found['seeds']}" if len(row.judged) > 1 else found["nats"]
        others = [found[name] for name in COLUMNS if name in places]
        return [row.model, ours, *others]

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots(
            len(rows) + 1, 2, width_ratios=[2.1, 1],
            height_ratios=[0.5, *[1.0] * len(rows)], squeeze=False,
        )  # fmt: skip
        for axis in axes.flat:
            axis.set_axis_off()
        lines = [(axes[0, 0], [*places], "bold")]
        lines += [(axes[i, 0], texts(row), "normal") for i, row in enumerate(rows, 1)]
        for left, line, weight in lines:
            for place, text in zip(places.values(), line, strict=True):
                left.text(place, 0.5, text.replace("$", r"\$"), va="center", fontweight=weight)
        for right, row in zip(axes[1:, 1], rows, strict=True):
            if row.name in strips:
                right.imshow(channels_last(strips[row.name]), cmap="gray", vmin=0, vmax=255)

    told = "; ".join(f"{row.model} {cells(row)[0]}" for row in rows)
    alt = f"Table 1{', quick' * table.quick}: {told}"
    return Figure(draw, alt, " ".join(remarks(table)), (WIDTH, HEIGHT * (len(rows) + 1)))
