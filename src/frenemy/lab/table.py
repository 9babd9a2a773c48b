"""Lessons in the terminal: their list, the index, and what one measured beside what is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from frenemy.lab.index import Entry
from frenemy.lab.lesson import Played, Result, claim_of, name_of
from frenemy.lab.page import row


def lesson_list(lessons: Iterable[Callable[..., Result]]) -> Table:
    """Names and claims."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for lesson in lessons:
        table.add_row(f"[bold]{name_of(lesson)}", escape(claim_of(lesson)))
    return table


def index_table(entries: Iterable[Entry]) -> Table:
    """What there is to be shown, and the commands."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(no_wrap=True)
    for entry in entries:
        table.add_row(escape(entry.what), f"[bold]frenemy {escape(entry.command)}")
    return table


def lesson_rows(played: Played) -> Group:
    """What a lesson tells, and what it measured beside what is exact."""
    table = Table(Column("", max_width=44), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.pad_edge = False
    for heading in ("measured", "exact", "difference", "allowed"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for r in map(row, played.result.checks):
        verdict = Text("holds", style="green") if r.holds else Text("fails", style="bold red")
        cells = (r.measured, r.exact, r.difference, r.tolerance)
        table.add_row(escape(r.what), *cells, verdict)
    told = Text("\n\n".join(" ".join(p.split()) for p in played.result.told.split("\n\n")))
    return Group(Text(f"{played.name}: {played.claim}", style="bold"), Text(), told, table)
