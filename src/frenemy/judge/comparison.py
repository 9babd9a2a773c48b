"""Several reports side by side: what is comparable, and what differs for certain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import error_of_difference
from frenemy.judge.metrics import metric_of
from frenemy.judge.report import ARROWS, Report

CERTAIN = 2.6
"""Standard errors by which equal runs differ once in a hundred times."""


class Kind(NamedTuple):
    """A line's metric with its setting, by what it sees, and of how many samples.

    What the name does not say is "".
    """

    metric: str
    features: str
    samples: str


def kind_of(name: str) -> Kind:
    """The name of a line, taken apart.

    >>> kind_of("fid10k_classifier-mnist"), kind_of("ais100x16x1000-quick").metric
    (Kind(metric='fid', features='classifier-mnist', samples='10k'), 'ais100x16x1000-quick')
    >>> kind_of("recall179-k5_random")
    Kind(metric='recall-k5', features='random', samples='179')
    """
    found = re.fullmatch(r"([a-z-]+)(\d+k?)(-[a-z0-9]+)?_(.+)", name)
    if not found:
        return Kind(name, "", "")
    return Kind(found[1] + (found[3] or ""), found[4], found[2])


def not_comparable(first: Report, other: Report, line: str) -> str:
    """Why this line of the first report may not be compared with the other's, or "".

    Lines are comparable if they are of one name, which states metric, sample count and features,
    and if the features' weights, the reference images with what a run's preparation makes of them,
    and the images' size and what was done to bring them to it are the same in both protocols.

    >>> a, b = (Report("", "", {"size": size}, [], []) for size in ("1x8x8", "1x16x16"))
    >>> not_comparable(a, b, "fid10k_random")
    'no such line there'
    """
    wanted = kind_of(line)
    there = [x.metric for x in other.lines if "samples" in x.results]
    alike = [kind for kind in map(kind_of, there) if kind[:2] == wanted[:2]]
    if not alike:
        return "no such line there"
    reasons = []
    if line not in there:
        counts = " or ".join(kind.samples for kind in alike)
        reasons.append(f"other sample counts ({wanted.samples}; {counts})")
    facts = {
        "reference images": ("reference digest", "reference"),
        "sizes or ways to them": ("size",),
        "features": (f"features {wanted.features}",),
    }
    for name, keys in facts.items():
        # the whole digest, or in reports without it, the text with a part of it
        key = next((k for k in keys if k in first.protocol or k in other.protocol), keys[0])
        mine, theirs = first.protocol.get(key), other.protocol.get(key)
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            reasons.append(f"{name} that one report does not tell whole: judge it again")
        else:
            shown = f" ({mine}; {theirs})" if len(mine) + len(theirs) <= 120 else ""
            reasons.append(f"other {name}{shown}")
    return ", ".join(reasons)


def _same_images(first: Report, other: Report, line: str) -> bool:
    """Whether a line that is comparable was measured on the same real images in the same order.

    The reference images are drawn by the seed; the test images, on which the metrics are that look
    at no features, are not.
    """
    metric = metric_of(line)
    on_test_images = metric is not None and metric.measure is None
    return on_test_images or first.protocol.get("seed") == other.protocol.get("seed")


def comparison_table(reports: Sequence[Report]) -> Group:
    """Several reports side by side: what they have in common, and where it differs for certain.

    A difference from the first is marked where it exceeds 2.6 of its standard errors, which
    equal runs do once in a hundred. Where both were measured on the same real images, what these
    make of both values has no part in that error (see `error_of_difference`). What is not
    comparable with the first (see `not_comparable`), or is not in it, is left out of the table and
    told below it, with the reason.

    Raises:
        FrenemyError: nothing is comparable.
    """
    first, *others = reports
    columns = [Column(escape(report.target), justify="right") for report in reports]
    table = Table(Column("metric", no_wrap=True), "", *columns, box=box.SIMPLE_HEAD)
    table.caption = f"* differs from the first by more than {CERTAIN} standard errors (p < .01)"
    left_out: dict[str, list[str]] = {}  # lines by the reason
    for line in first.lines:
        mine = line.results.get("samples")
        if mine is None:
            continue
        cells: list[str] = []
        for report in others:
            reason = not_comparable(first, report, line.metric)
            if reason:
                left_out.setdefault(f"{report.target}: {reason}", []).append(line.metric)
                cells.append("")
                continue
            found = next(x for x in report.lines if x.metric == line.metric).results["samples"]
            same = _same_images(first, report, line.metric)
            noise = CERTAIN * error_of_difference(mine, found, same_images=same)
            cells.append(f"{found} *" if abs(found.value - mine.value) > noise else str(found))
        if any(cells):
            table.add_row(escape(line.metric), ARROWS[line.better], str(mine), *map(escape, cells))
    if not table.row_count:
        said = "; ".join(left_out) or "it has no line of samples"
        raise FrenemyError(f"nothing is comparable with {first.target}: {said}")
    known = {kind_of(line.metric)[:2] for line in first.lines if "samples" in line.results}
    for report in others:  # lines of other sample counts are told as those of the first
        for line in report.lines:
            if "samples" in line.results and kind_of(line.metric)[:2] not in known:
                reason = f"{report.target}: no such line in {first.target}"
                left_out.setdefault(reason, []).append(line.metric)
    told = [f"not compared with {reason}: {', '.join(lines)}" for reason, lines in left_out.items()]
    return Group(table, *(Text(text, style="yellow") for text in told))
