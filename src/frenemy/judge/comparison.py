"""Several reports side by side: what is comparable, and what differs for certain."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.console import Group as RenderableGroup
from rich.text import Text

from frenemy.errors import FrenemyError
from frenemy.escapes import printable
from frenemy.folding import FoldedTable
from frenemy.judge.metrics import metric_of
from frenemy.judge.report import ARROWS, Better, Line, Report
from frenemy.judge.seeds import CERTAIN, Judged, OverSeeds, grouped

ONE_SEED = "¹"
"""Marks what is of one seed where others are of several."""

FIELDS = ["metric", "better", "group", "runs", "seeds", "value", "error", "error_of", "differs"]
"""Of a comparison as CSV."""


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
    'not measured there'
    """
    wanted = kind_of(line)
    there = [x.metric for x in other.lines if "samples" in x.results]
    alike = [kind for kind in map(kind_of, there) if kind[:2] == wanted[:2]]
    if not alike:
        return "not measured there"
    reasons = []
    if line not in there:
        counts = " or ".join(kind.samples for kind in alike)
        reasons.append(f"other sample counts ({wanted.samples}; {counts})")
    facts = {
        "reference images": ("reference digest", "reference"),
        "sizes or resizing": ("size",),
        "features": (f"features {wanted.features}",),
    }
    for name, keys in facts.items():
        # the whole digest, or in reports without it, the text with a part of it
        key = next((k for k in keys if k in first.protocol or k in other.protocol), keys[0])
        mine, theirs = first.protocol.get(key), other.protocol.get(key)
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            reasons.append(f"{name}, which one report does not state in full: judge it again")
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


@dataclass(frozen=True)
class Group:
    """A column of a comparison: one run, or several that differ by their seed alone.

    Attributes:
        name: as its only run is called, or the first of several and their number.
        runs: what was judged.
        seeds: of the runs; None where it is not known.
    """

    name: str
    runs: Sequence[str]
    seeds: Sequence[int | None]


@dataclass(frozen=True)
class Compared:
    """A line of a comparison.

    Attributes:
        metric, better: as of a report's line.
        results: of each group, None where nothing of it is comparable.
        differs: of each group, whether it differs from the first for certain.
    """

    metric: str
    better: Better
    results: Sequence[OverSeeds | None]
    differs: Sequence[bool]


@dataclass(frozen=True)
class Comparison:
    """What groups of runs have in common, and where they differ from the first for certain.

    Attributes:
        groups: the columns.
        lines: the metrics.
        left_out: what is not comparable with the first report: the metrics, by run and reason.
    """

    groups: Sequence[Group]
    lines: Sequence[Compared]
    left_out: Mapping[tuple[str, str], Sequence[str]]

    def json(self) -> str:
        """All of it, with the value of each seed; numbers that are not finite are null."""
        lines = [
            {
                "metric": line.metric,
                "better": line.better,
                "results": [row for row in _records(self.groups, line) if row],
            }
            for line in self.lines
        ]
        groups = [dataclasses.asdict(group) for group in self.groups]
        told = [
            {"run": run, "reason": reason, "metrics": [*metrics]}
            for (run, reason), metrics in self.left_out.items()
        ]
        found = {"groups": groups, "lines": lines, "not_compared": told}
        return json.dumps(found, indent=2, allow_nan=False) + "\n"

    def csv(self) -> str:
        """A row for each metric and group; what is not known is empty."""
        text = io.StringIO()
        table = csv.DictWriter(text, FIELDS, extrasaction="ignore")
        table.writeheader()
        for line in self.lines:
            for group, record in zip(self.groups, _records(self.groups, line), strict=True):
                if record:
                    runs = "; ".join(map(printable, group.runs))
                    about = {"metric": line.metric, "better": line.better, "runs": runs}
                    table.writerow({**about, **record})
        return text.getvalue()


def _records(groups: Sequence[Group], line: Compared) -> list[dict[str, Any]]:
    """What a line says of each group, by name; nothing where it says nothing."""
    records: list[dict[str, Any]] = []
    for i, (group, found) in enumerate(zip(groups, line.results, strict=True)):
        if found is None:
            records.append({})
            continue
        told = {
            "group": printable(group.name),
            "value": _finite(found.shown.value),
            "error": _finite(found.shown.error),
            "error_of": "seeds" if found.seeds > 1 else "judge",
            "seeds": found.seeds,
            "values": [_finite(one.value) for one in found.found],
            "differs": line.differs[i] if i else None,  # from the first
        }
        records.append(told)
    return records


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def compare(judged: Sequence[Judged]) -> Comparison:
    """Several reports side by side, those that differ by their seed alone as one.

    What is not comparable with the first report (see `not_comparable`), or is not in it, is left
    out and kept with the reason.

    Raises:
        FrenemyError: nothing is comparable.
    """
    first, groups = judged[0].report, grouped(judged)
    left_out: dict[tuple[str, str], list[str]] = {}
    lines: list[Compared] = []
    for line in first.lines:
        if "samples" not in line.results:
            continue
        results: list[tuple[OverSeeds, Sequence[Report]] | None] = []
        for group in groups:
            reports: list[Report] = []
            for report in (one.report for one in group):
                reason = not_comparable(first, report, line.metric)
                if reason:
                    left_out.setdefault((report.target, reason), []).append(line.metric)
                else:
                    reports.append(report)
            results.append(_over_seeds(reports, line.metric) if reports else None)
        if any(results[1:]) or len(groups) == 1:
            lines.append(_compared(line, results))
    if not lines:
        reasons = [f"{run}: {reason}" for run, reason in left_out]
        said = "; ".join(reasons) or "it has no line of samples"
        raise FrenemyError(f"nothing is comparable with {first.target}: {said}")
    known = {kind_of(line.metric)[:2] for line in first.lines if "samples" in line.results}
    for report in (one.report for one in judged[1:]):
        for line in report.lines:  # lines of other sample counts are told as those of the first
            if "samples" in line.results and kind_of(line.metric)[:2] not in known:
                reason = report.target, f"not measured in {first.target}"
                left_out.setdefault(reason, []).append(line.metric)
    return Comparison([_group(group) for group in groups], lines, left_out)


def _over_seeds(reports: Sequence[Report], line: str) -> tuple[OverSeeds, Sequence[Report]]:
    """What a line says of comparable reports of one group; and these."""
    found = [next(x for x in r.lines if x.metric == line).results["samples"] for r in reports]
    same = all(_same_images(reports[0], report, line) for report in reports)
    return OverSeeds.of(found, same_images=same), reports


def _compared(line: Line, results: Sequence[tuple[OverSeeds, Sequence[Report]] | None]) -> Compared:
    assert results[0] is not None  # the first report is comparable with itself
    base, mine = results[0]
    differs = [
        result is not None
        and base.differs(
            result[0],
            same_images=all(
                _same_images(mine[0], report, line.metric) for report in (*mine, *result[1])
            ),
        )
        for result in results[1:]
    ]
    found = [None if result is None else result[0] for result in results]
    return Compared(line.metric, line.better, found, [False, *differs])


def _group(group: Sequence[Judged]) -> Group:
    runs = [one.report.target for one in group]
    name = runs[0] if len(runs) == 1 else f"{runs[0]}: {len(runs)} seeds"
    return Group(name, runs, [one.seed for one in group])


def comparison_table(comparison: Comparison) -> RenderableGroup:
    """A comparison as a table, and below it what is not compared, with the reason.

    What differs from the first group for certain is marked. Where some groups are of several
    seeds, so is what is of one.
    """
    several = any(len(group.runs) > 1 for group in comparison.groups)
    table = FoldedTable(["metric", ""], [group.name for group in comparison.groups])
    for line in comparison.lines:
        cells: list[str] = []
        for found, differs in zip(line.results, line.differs, strict=True):
            one = several and found is not None and found.seeds == 1
            cell = "" if found is None else f"{found.shown}{ONE_SEED if one else ''}"
            cells.append(f"{cell} *" if differs else cell)
        table.add_row([line.metric, ARROWS[line.better]], cells)
    notes = [
        f"{group.name}: {', '.join(group.runs)}"
        for group in comparison.groups
        if len(group.runs) > 1
    ]
    if len(comparison.groups) > 1:
        notes.append(f"* differs from the first by more than {CERTAIN} standard errors (p < .01)")
    if several:
        notes.append("the error of several seeds is the standard error of their mean")
    if any(found.seeds == 1 for line in comparison.lines for found in line.results if found):
        mark = f"{ONE_SEED} " if several else ""
        notes.append(f"{mark}of one seed, with the judge's own error: another gives another value")
    told = [
        f"not compared with {run}: {reason}: {', '.join(metrics)}"
        for (run, reason), metrics in comparison.left_out.items()
    ]
    return RenderableGroup(
        table, *(Text(note) for note in notes), *(Text(text, style="yellow") for text in told)
    )
