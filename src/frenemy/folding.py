"""Tables of numbers that are never broken: where the terminal is narrow, columns go below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Column, Table

NAME = 24  # characters, at which the name of a column is broken if its cells are not wider


class FoldedTable:
    """A table of which as many columns stand side by side as there is room for, the rest below.

    Args:
        heads: names of the columns that say what a row is; each part has them again.
        columns: names of the others, whose cells are never broken.
        title: above all.

    >>> table = FoldedTable(["metric"], ["a", "b"])
    >>> table.add_row(["fid"], ["5.00 ± 0.30", "7.00 ± 0.40"])
    >>> with (console := Console(width=24)).capture() as shown:
    ...     console.print(table)
    >>> [line for line in map(str.split, shown.get().splitlines()) if "±" in line]
    [['fid', '5.00', '±', '0.30'], ['fid', '7.00', '±', '0.40']]
    """

    def __init__(self, heads: Sequence[str], columns: Sequence[str], title: str = "") -> None:
        self._heads = heads
        self._columns = columns
        self._title = title
        self._rows: list[tuple[Sequence[str], Sequence[str]]] = []

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def add_row(self, heads: Sequence[str], cells: Sequence[str]) -> None:
        """Adds a row: what it is, and a cell for each column."""
        self._rows.append((heads, cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        first = 0
        while first < len(self._columns) or first == 0:
            last = first + 1
            while last < len(self._columns) and self._fits(console, options, first, last + 1):
                last += 1
            yield self._part(first, last)
            first = last

    def _fits(self, console: Console, options: ConsoleOptions, first: int, last: int) -> bool:
        free = options.update(max_width=10_000)
        needed = Measurement.get(console, free, self._part(first, last)).minimum
        return needed <= options.max_width

    def _part(self, first: int, last: int) -> Table:
        heads = [Column(escape(name), no_wrap=True) for name in self._heads]
        table = Table(
            *heads, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left"
        )
        table.title = escape(self._title) if self._title and not first else None
        for i, name in enumerate(self._columns[first:last], first):
            cells = [cell_len(row[1][i]) for row in self._rows]
            width = max(1, min(cell_len(name), NAME), *cells)
            table.add_column(escape(name), justify="right", overflow="fold", width=width)
        for row_heads, cells in self._rows:
            table.add_row(*map(escape, (*row_heads, *cells[first:last])))
        return table
