"""What lessons found as one HTML file, or as Markdown with its pictures in a folder beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from latex2mathml.converter import convert

from frenemy.errors import FrenemyError
from frenemy.figures import Figure
from frenemy.files import writable, write_atomically
from frenemy.judge.estimate import Estimate
from frenemy.lab.index import Entry
from frenemy.lab.lesson import Check, Played, Result
from frenemy.pages import render

SIGNS = {"=": "", "at least": "≥ ", "at most": "≤ "}


@dataclass(frozen=True)
class Row:
    """A check in words: measured, exact, difference and tolerance as text, and the verdict."""

    what: str
    measured: str
    exact: str
    difference: str
    tolerance: str
    holds: bool


def row(check: Check) -> Row:
    """How a table shows a check.

    >>> row(Check("4 x share", 3.1, math.pi, tolerance=0.1)).difference
    '−0.042'
    """
    estimate = Estimate(check.measured, check.error)
    return Row(
        check.what,
        _number(check.measured) if math.isnan(check.error) else str(estimate),
        SIGNS[check.relation] + _number(check.exact),
        _number(check.difference, 2),
        _number(check.tolerance, 2),
        check.holds,
    )


def _number(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}".replace("-", "−")


def page(lessons: Sequence[Played], index: Sequence[Entry] = ()) -> str:
    """The lessons as HTML that needs no network and no script: formulas are MathML."""
    return render(
        "lab.html",
        lessons=lessons,
        index=index,
        rows={lesson.name: [row(check) for check in lesson.result.checks] for lesson in lessons},
        mathml=mathml,
        total=sum(lesson.seconds for lesson in lessons),
    )


def mathml(latex: str) -> str:
    """A displayed formula, from LaTeX."""
    named = latex.replace(r"\arg", r"\mathrm{arg}\,")  # which the converter does not know
    below = re.sub(r"\\(min|max|sup|inf|lim)_", r"\\\1\\limits_", named)  # as LaTeX sets them
    return convert(below, display="block")


def save(lessons: Sequence[Played], path: Path, index: Sequence[Entry] = ()) -> Path:
    """Writes the lessons as .html, or as .md with their pictures in a folder of that name.

    Args:
        lessons: in order.
        path: of the page.
        index: what of the paper is shown where; it comes first.

    Raises:
        FrenemyError: `path` ends otherwise, or something cannot be written.
    """
    refuse_place(path)
    text = page(lessons, index) if path.suffix == ".html" else _document(lessons, path, index)
    return write_atomically(path, lambda part: part.write_text(text, "utf-8"))


def refuse_place(path: Path) -> None:
    """Refuses where lessons cannot be written, before any is played for it.

    Raises:
        FrenemyError: a name that ends otherwise than .html or .md and is no folder's; or a file
            where a folder has to be, or a folder where a file; or nothing can be written there.
    """
    if path.suffix not in ("", ".html", ".md"):
        raise FrenemyError(f"{path}: lessons are written as .html or .md, or give a folder")
    if path.suffix and path.is_dir():
        raise FrenemyError(f"{path} is a folder: give the name of a file, or another folder")
    folder = path.with_suffix("")
    if path.suffix != ".html" and folder.exists() and not folder.is_dir():
        raise FrenemyError(f"{folder} is a file where pictures need a folder: give another name")
    writable(path.parent if path.suffix else path)


def _document(lessons: Sequence[Played], path: Path, index: Sequence[Entry]) -> str:
    """The lessons as Markdown; writes their pictures."""
    folder = path.with_suffix("")
    parts = [
        "# The lab",
        "Claims of the paper as experiments with known answers, run and written by `frenemy lab`; "
        "`--all -o lab.md` runs them all.",
    ]
    if index:
        parts += ["What of the paper, and of a lecture on it, is shown where:", _indexed(index)]
    for lesson in lessons:
        result = lesson.result
        parts += [f"## {lesson.name}", f"*{_plain(lesson.claim)}*", _plain(result.told.strip())]
        for formula in result.formulas:
            parts += [
                f"```math\n{formula.latex.strip()}\n```",
                _plain(f"{formula.told} ({formula.source})"),
            ]
        parts.append(_table(result.checks))
        figures = save_figures(lesson.name, result, folder, film=".webp")
        for saved, figure in figures.items():
            link = quote(saved.relative_to(path.parent).as_posix())
            parts += [f"![{_plain(figure.alt)}]({link})", f"*{_plain(figure.caption)}*"]
    return "\n\n".join(parts) + "\n"


def _indexed(index: Sequence[Entry]) -> str:
    def shown(entry: Entry) -> str:
        code = f"`frenemy {entry.command}`"
        return f"[{code}](#{entry.lesson})" if entry.lesson else code

    lines = [f"| {_plain(entry.what)} | {shown(entry)} |" for entry in index]
    return "\n".join(["| what | by |", "| --- | --- |", *lines])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def _table(checks: Sequence[Check]) -> str:
    head = "| | measured | exact | difference | allowed | |\n| --- | --- | --- | --- | --- | --- |"
    lines = [
        f"| {_plain(r.what)} | {r.measured} | {r.exact} | {r.difference} | "
        f"{r.tolerance} | {'holds' if r.holds else '**fails**'} |"
        for r in map(row, checks)
    ]
    return "\n".join([head, *lines])


def save_figures(name: str, result: Result, folder: Path, film: str = ".gif") -> dict[Path, Figure]:
    """Writes the figures of a lesson as NAME.png, NAME-2.png ..., and its film.

    Args:
        name: of the lesson.
        result: of it.
        folder: that is made if it is missing.
        film: the ending of the film's name: .gif, .webp or .mp4.

    Raises:
        FrenemyError: one cannot be written.
    """
    figures = {
        folder / (f"{name}.png" if i == 1 else f"{name}-{i}.png"): figure
        for i, figure in enumerate(result.figures, 1)
    }
    if result.film is not None:
        figures[folder / f"{name}{film}"] = result.film
    return {figure.save(path): figure for path, figure in figures.items()}
