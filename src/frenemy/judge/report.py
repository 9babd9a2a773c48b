"""What a judge found: every metric for the model and for the two reference columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta
from rich.console import Group
from rich.text import Text

from frenemy.errors import FrenemyError
from frenemy.files import is_absent, read_regular, reason_of, write_atomically
from frenemy.folding import FoldedTable
from frenemy.judge.estimate import Estimate
from frenemy.judge.sets import HELD_OUT, SAMPLES
from frenemy.judge.verdict import Verdict
from frenemy.schema import conforming

Better = Literal["lower", "higher", ""]
ARROWS: Mapping[Better, str] = {"lower": "↓", "higher": "↑", "": ""}

MOST_CLASSES = 12
"""That the terminal shows, the least recognised."""

PUBLISHED = "published"
"""The column of figures that others measured on the same test images."""

LARGEST = 1 << 26
"""Bytes of a report's file: those of by far the most classes have a few million."""

Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]


class KeptEstimate(TypedDict):
    """An estimate as a file holds it; numbers that are not finite are null."""

    value: Finite | None
    error: Finite | None
    note: str
    shared: NotRequired[Annotated[str, Meta(pattern=r"^[-+.e0-9 ]*$")]]


class KeptLine(TypedDict):
    """A line as a file holds it."""

    metric: str
    better: Better
    results: dict[str, KeptEstimate]


class KeptVerdict(TypedDict):
    """A verdict as a file holds it."""

    word: str
    said: list[str]


class KeptEvidence(TypedDict, total=False):
    """What a verdict is made of, but for the lines, as a file holds it: arguments of `Evidence`."""

    samples: int
    held_out: int
    equal: str
    repeats: float
    copied: bool
    copies: str
    lost: list[str]
    ails: str


class Kept(TypedDict):
    """A report as a file holds it."""

    target: str
    against: str
    protocol: dict[str, str]
    columns: NotRequired[list[str]]
    subjects: NotRequired[list[str]]  # as older ones call them
    lines: list[KeptLine]
    warnings: list[str]
    curves: dict[str, list[tuple[int, Finite | None, Finite | None]]]
    by_class: NotRequired[dict[str, list[KeptLine]]]
    verdict: NotRequired[KeptVerdict | None]
    evidence: NotRequired[KeptEvidence]


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
        by_class: lines of each class by its name, the least recognised first.
        verdict: what it comes to; None where nothing was measured to compare with.
        evidence: of that, what no line tells: arguments of `Evidence`, by name.
    """

    target: str
    against: str
    protocol: Mapping[str, str]
    columns: Sequence[str]
    lines: Sequence[Line]
    warnings: Sequence[str] = ()
    curves: Mapping[str, Sequence[tuple[int, float, float]]] = field(default_factory=dict)
    by_class: Mapping[str, Sequence[Line]] = field(default_factory=dict)
    verdict: Verdict | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Every result as a row of a table: metric, column, value, error, better and note.

        >>> line = Line("fid10k_random", "lower", {"samples": Estimate(0.5, 0.1)})
        >>> [row] = Report("run", "digits", {}, ["samples"], [line]).rows()
        >>> row["metric"], row["column"], row["value"], row["error"]
        ('fid10k_random', 'samples', 0.5, 0.1)
        """
        return [
            {
                "metric": line.metric, "column": column, "value": found.value,
                "error": found.error, "better": line.better, "note": found.note,
            }
            for line in self.lines
            for column, found in line.results.items()
        ]  # fmt: skip

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
            found = conforming(read_regular(path, LARGEST), Kept)
            curves = {
                k: [(t, _number(v), _number(e)) for t, v, e in points]
                for k, points in found["curves"].items()
            }
            verdict = found.get("verdict")
            return cls(
                found["target"],
                found["against"],
                found["protocol"],
                found["columns" if "columns" in found else "subjects"],
                _lines(found["lines"]),
                found["warnings"],
                curves,
                {name: _lines(lines) for name, lines in found.get("by_class", {}).items()},
                verdict and Verdict(verdict["word"], verdict["said"]),
                found.get("evidence", {}),
            )
        except OSError as error:
            if is_absent(path, error):
                raise FrenemyError(f"{path} is not there: make it with `frenemy judge`") from None
            reason = reason_of(error)
            raise FrenemyError(f"{path} is not a report of `frenemy judge`: {reason}") from None
        except (KeyError, ValueError) as error:
            raise FrenemyError(f"{path} is not a report of `frenemy judge`: {error}") from None


def report_table(report: Report) -> Group:
    """The verdict, the judge's table, and what the numbers are worth."""
    title = f"{report.target}, against {report.against}"
    table = FoldedTable(["metric", ""], report.columns, title)
    notes: dict[str, list[str]] = {}  # the page has those of noise too
    for line in report.lines:
        cells = [str(line.results.get(name, "")) for name in report.columns]
        table.add_row([line.metric, ARROWS[line.better]], cells)
        for name in (SAMPLES, HELD_OUT, PUBLISHED):
            if name in line.results and (note := line.results[name].note):
                notes.setdefault(f"{name}: {note}", []).append(line.metric)
    said = [Text(f"{', '.join(of)}, {note}") for note, of in notes.items()]
    warnings = [Text(f"warning: {text}", style="yellow") for text in report.warnings]
    told: list[Text] = []
    if report.verdict:
        colour = "bold green" if report.verdict.word == "good" else "bold yellow"
        word = (f"{report.verdict.word.capitalize()}. ", colour)
        told = [Text.assemble(word, " ".join(report.verdict.said))]
    classes = [_class_table(report)] if report.by_class else []
    return Group(*told, table, *said, *classes, *warnings)


def class_rows(report: Report) -> tuple[list[str], dict[str, list[str]]]:
    """The heads of a table of classes, and the cells of each: what was found of it, by column."""
    lines = [line for lines in report.by_class.values() for line in lines]
    columns = [name for name in report.columns if any(name in x.results for x in lines)]
    names = dict.fromkeys(_stem(line.metric) for line in lines)
    heads = [f"{name}, {column}" for name in names for column in columns]
    rows = {
        of_class: [str(line.results.get(column, "")) for line in lines for column in columns]
        for of_class, lines in report.by_class.items()
    }
    return heads, rows


def _stem(line: str) -> str:
    """A line's name without its protocol."""
    return re.split(r"\d", line)[0]


def _class_table(report: Report) -> Group:
    heads, rows = class_rows(report)
    table = FoldedTable(["class"], heads)
    for of_class, cells in list(rows.items())[:MOST_CLASSES]:
        table.add_row([of_class], cells)
    more = len(rows) - MOST_CLASSES
    return Group(table, *([Text(f"and {more:,} more, on the page")] if more > 0 else []))


def _lines(found: Sequence[Mapping[str, Any]]) -> list[Line]:
    return [
        Line(
            line["metric"],
            line["better"],
            {name: _estimate(estimate) for name, estimate in line["results"].items()},
        )
        for line in found
    ]


def _estimate(found: Mapping[str, Any]) -> Estimate:
    shared = tuple(float(x) for x in found.get("shared", "").split())
    return Estimate(_number(found["value"]), _number(found["error"]), found["note"], shared)


def _number(found: float | None) -> float:
    return math.nan if found is None else float(found)


def _plain(thing: Any) -> Any:
    """Dataclasses as dictionaries, NaN as None, an estimate's many deviations as one text."""
    if isinstance(thing, Estimate):
        shared = " ".join(f"{x:.4g}" for x in thing.shared)
        told = {"value": _plain(thing.value), "error": _plain(thing.error), "note": thing.note}
        return {**told, "shared": shared} if shared else told
    if hasattr(thing, "__dataclass_fields__"):
        return {name: _plain(getattr(thing, name)) for name in thing.__dataclass_fields__}
    if isinstance(thing, Mapping):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(value) for value in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return None
    return thing
