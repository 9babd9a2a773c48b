"""Tables of numbers that are never broken: where the terminal is narrow, columns go below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

NAME = 24  # characters, at which the name of a column is broken if its cells are not wider
NARROWEST = 4  # characters of what says what a row is, where there is no room


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
        heads = [self._width(0, i, cell_len(name)) for i, name in enumerate(self._heads)]
        cells = [self._width(1, i) for i, _ in enumerate(self._columns)]
        names = [max(min(cell_len(name), NAME), 1) for name in self._columns]
        wide = [max(pair) for pair in zip(cells, names, strict=True)]
        first, room = 0, options.max_width
        while first < len(self._columns) or first == 0:
            last = first + 1
            while last < len(wide) and _needed(console, [*heads, *wide[first : last + 1]]) <= room:
                last += 1
            widths = [*heads, *wide[first:last]]
            if (too_much := _needed(console, widths) - room) > 0:  # break the names instead
                saved = sum(wide[first:last]) - sum(cells[first:last])
                head = max(NARROWEST, heads[0] - max(0, too_much - saved))
                widths = [head, *heads[1:], *cells[first:last]]
            yield self._part(first, last, widths)
            first = last

    def _width(self, part: int, i: int, least: int = 1) -> int:
        return max(least, *(cell_len(row[part][i]) for row in self._rows), 1)

    def _part(self, first: int, last: int, widths: Sequence[int]) -> Table:
        columns = [*self._heads, *self._columns[first:last]]
        table = _table(widths)
        if self._title and not first:
            table.title, table.title_justify = escape(self._title), "left"
        for i, (column, name) in enumerate(zip(table.columns, columns, strict=True)):
            column.header = escape(name)
            column.justify = "right" if i >= len(self._heads) else "left"
        for heads, cells in self._rows:
            table.add_row(*map(escape, (*heads, *cells[first:last])))
        return table


def _table(widths: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for width in widths:
        table.add_column(overflow="fold", width=width)
    return table


def _needed(console: Console, widths: Sequence[int]) -> int:
    """Characters that a table with columns so wide takes."""
    free = console.options.update(max_width=10_000)
    return Measurement.get(console, free, _table(widths)).minimum
