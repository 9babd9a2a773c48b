"""A report that is added to an earlier one of the same images, so that no metric of it is lost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate
from frenemy.judge.metrics import metric_of
from frenemy.judge.report import Line, Report
from frenemy.judge.verdict import Evidence, verdict_of
from frenemy.pages import is_ours

SUBJECT = "samples digest"
"""The entry of a protocol that tells the images that were judged."""


def page_of(path: Path) -> Path:
    """Where the page lies of the report at `path`."""
    return path.with_suffix(".html")


def earlier(path: Path) -> Report | None:
    """The report at `path`, to which another may be added; None if there is none.

    Raises:
        FrenemyError: something else is there, or beside it where the page would be.
    """
    page = page_of(path)
    if page.exists() and not is_ours(page):
        raise FrenemyError(
            f"{page} is not a page of frenemy's: move it, or give another place by -o"
        )
    if not path.exists():
        return None
    try:
        return Report.load(path)
    except FrenemyError as error:
        raise FrenemyError(f"{error}; move it, or give another place by -o") from None


def added(new: Report, old: Report) -> Report:
    """The new report with what only the old one has, if both are of the same images.

    They are if they judge the same samples by the same protocol, features aside, of which either
    may have its own.

    Warns:
        UserWarning: they are not, so that the new one stands alone.
    """
    if differs := _difference(new, old):
        warnings.warn(
            f"an earlier report of {old.target} is not added to: other {differs}", stacklevel=2
        )
        return new
    lines = _lines(new.lines, old.lines)
    evidence = {**old.evidence, **{k: v for k, v in new.evidence.items() if v or k not in _LOOKED}}
    found = {**found_in(old.lines), **found_in(new.lines)}
    return replace(
        new,
        protocol={**old.protocol, **new.protocol},
        columns=_in_order(new.columns, old.columns),
        lines=lines,
        warnings=list(dict.fromkeys([*old.warnings, *new.warnings])),
        curves={**old.curves, **new.curves},
        by_class={
            name: _lines(new.by_class.get(name, ()), old.by_class.get(name, ()))
            for name in dict.fromkeys([*new.by_class, *old.by_class])
        },
        evidence=evidence,
        verdict=verdict_of(Evidence(found=found, **evidence)) if evidence else None,
    )


_LOOKED = ("repeats", "copied", "copies", "lost")
"""What evidence has only of what was looked at."""


def found_in(lines: Sequence[Line]) -> dict[str, Mapping[str, Estimate]]:
    """Results by the metric's name, those of the first features."""
    found: dict[str, Mapping[str, Estimate]] = {}
    for line in lines:  # those of the first features come first
        if metric := metric_of(line.metric):
            found.setdefault(metric.name, line.results)
    return found


def _difference(new: Report, old: Report) -> str:
    """What keeps two reports apart, or ""."""
    for key in {**old.protocol, **new.protocol}:
        mine, theirs = new.protocol.get(key), old.protocol.get(key)
        alone = key.startswith("features ") and None in (mine, theirs)
        if mine != theirs and not alone:
            return "images that were judged" if key == SUBJECT else key
    return ""


def _lines(new: Sequence[Line], old: Sequence[Line]) -> list[Line]:
    """The lines of both, in the order of the old ones; of one name, the new one."""
    found = {line.metric: line for line in (*old, *new)}
    return list(found.values())


def _in_order(new: Sequence[str], old: Sequence[str]) -> list[str]:
    """The columns of both, the longer row's order first."""
    longer, other = (new, old) if len(new) >= len(old) else (old, new)
    return list(dict.fromkeys([*longer, *other]))
