"""What a judge found: every metric for the model and for the two reference columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from frenemy.errors import FrenemyError
from frenemy.files import write_atomically
from frenemy.judge.estimate import Estimate
from frenemy.judge.sets import HELD_OUT, SAMPLES

Better = Literal["lower", "higher", ""]
ARROWS: Mapping[Better, str] = {"lower": "↓", "higher": "↑", "": ""}

PUBLISHED = "published"
"""The column of figures that others measured on the same test images."""

CERTAIN = 2.6
"""Standard errors by which equal runs differ once in a hundred times."""


@dataclass(frozen=True)
class Line:
    """One metric, by the name of its protocol, and what it gives each column.

    Attributes:
        metric: such as "fid10k_classifier-mnist".
        better: which direction is.
        results: by column; one that the metric cannot judge is left out.
    """

    metric: str
    better: Better
    results: Mapping[str, Estimate]


@dataclass(frozen=True)
class Report:
    """The table of `frenemy judge`.

    Attributes:
        target: what was judged; against: what by.
        protocol: how, as words: samples, features, seed, versions ...
        columns: the target, held-out real images, noise; and "published", where
            others' figures of the same test images stand.
        lines: the metrics.
        warnings: what the numbers are worth where that is in doubt.
        curves: for each metric of a run's checkpoints, (round, value, error) in order.
    """

    target: str
    against: str
    protocol: Mapping[str, str]
    columns: Sequence[str]
    lines: Sequence[Line]
    warnings: Sequence[str] = ()
    curves: Mapping[str, Sequence[tuple[int, float, float]]] = field(default_factory=dict)

    def save(self, path: Path) -> Path:
        """Writes it as JSON; numbers that are not finite become null."""
        text = json.dumps(_plain(self), indent=2, allow_nan=False) + "\n"
        return write_atomically(path, lambda part: part.write_text(text, "utf-8"))

    @classmethod
    def load(cls, path: Path) -> Report:
        """Reads what `save` wrote.

        Raises:
            FrenemyError: it is not there, or no such report.
        """
        try:
            found = json.loads(path.read_text("utf-8"))
            lines = [
                Line(
                    str(line["metric"]),
                    _better(line["better"]),
                    {str(k): _estimate(v) for k, v in line["results"].items()},
                )
                for line in found["lines"]
            ]
            curves = {
                str(k): [(int(t), _number(v), _number(e)) for t, v, e in points]
                for k, points in found["curves"].items()
            }
            return cls(
                str(found["target"]),
                str(found["against"]),
                {str(k): str(v) for k, v in found["protocol"].items()},
                [str(name) for name in found["columns" if "columns" in found else "subjects"]],
                lines,
                [str(text) for text in found["warnings"]],
                curves,
            )
        except FileNotFoundError:
            raise FrenemyError(f"{path} is not there: make it with `frenemy judge`") from None
        except KeyError as error:
            raise FrenemyError(f"{path} is no report of `frenemy judge`: no {error}") from None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise FrenemyError(f"{path} is no report of `frenemy judge`: {error}") from None


class Kind(NamedTuple):
    """A line's metric, by what it sees, and of how many samples: "" where the name does not say."""

    metric: str
    features: str
    samples: str


def kind_of(name: str) -> Kind:
    """The name of a line, taken apart.

    >>> kind_of("fid10k_classifier-mnist"), kind_of("ais100x16x1000-quick").metric
    (Kind(metric='fid', features='classifier-mnist', samples='10k'), 'ais100x16x1000-quick')
    """
    found = re.fullmatch(r"([a-z-]+)(\d+k?)_(.+)", name)
    return Kind(found[1], found[3], found[2]) if found else Kind(name, "", "")


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


def report_table(report: Report) -> Group:
    """The judge's table, and what the numbers are worth."""
    columns = [Column(name, justify="right", overflow="fold") for name in report.columns]
    title = f"{report.target}, against {report.against}"
    table = Table(
        Column("metric", no_wrap=True), "", *columns, title=escape(title), title_justify="left"
    )
    table.box, table.padding, table.pad_edge = box.SIMPLE_HEAD, (0, 1, 0, 0), False
    notes: dict[str, list[str]] = {}  # the page has those of noise too
    for line in report.lines:
        cells = [str(line.results.get(name, "")) for name in report.columns]
        table.add_row(escape(line.metric), ARROWS[line.better], *cells)
        for name in (SAMPLES, HELD_OUT, PUBLISHED):
            if name in line.results and (note := line.results[name].note):
                notes.setdefault(f"{name}: {note}", []).append(line.metric)
    said = [Text(f"{', '.join(of)}, {note}") for note, of in notes.items()]
    warnings = [Text(f"warning: {text}", style="yellow") for text in report.warnings]
    return Group(table, *said, *warnings)


def comparison_table(reports: Sequence[Report]) -> Group:
    """Several reports side by side: what they have in common, and where it differs for certain.

    A difference from the first is marked where it exceeds 2.6 of its standard errors, which
    equal runs do once in a hundred. What is not comparable with the first (see `not_comparable`),
    or is not in it, is left out of the table and told below it, with the reason.

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
            noise = CERTAIN * math.hypot(mine.error, found.error)
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


def _estimate(found: Mapping[str, Any]) -> Estimate:
    shared = tuple(float(x) for x in found.get("shared", ()))
    return Estimate(_number(found["value"]), _number(found["error"]), str(found["note"]), shared)


def _better(found: str) -> Better:
    if found not in ("lower", "higher", ""):
        raise ValueError(f"{found!r} is not a direction")
    return found


def _number(found: float | None) -> float:
    return math.nan if found is None else float(found)


def _plain(thing: Any) -> Any:
    """Dataclasses as dictionaries, NaN as None."""
    if hasattr(thing, "__dataclass_fields__"):
        return {name: _plain(getattr(thing, name)) for name in thing.__dataclass_fields__}
    if isinstance(thing, Mapping):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(value) for value in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return None
    return thing
