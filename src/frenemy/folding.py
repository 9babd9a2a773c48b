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
        first, room = 0, options.max_width
        while first < len(self._columns) or first == 0:
            last = first + 1
            while last < len(self._columns) and self._needed(console, first, last + 1) <= room:
                last += 1
            if self._needed(console, first, last) <= room:
                yield self._part(console, first, last)
            else:
                too_much = self._needed(console, first, last, 1) - room
                yield self._part(console, first, last, 1, max(0, too_much))
            first = last

    def _needed(self, console: Console, *part: int) -> int:
        free = console.options.update(max_width=10_000)
        return Measurement.get(console, free, self._part(console, *part)).minimum

    def _part(
        self, console: Console, first: int, last: int, widest: int = NAME, less: int = 0
    ) -> Table:
        """Some of the columns.

        Args:
            console: that it is for.
            first, last: which columns.
            widest: their names are broken there, or at the width of the cells.
            less: characters by which the first head is narrower than it should be, and broken.
        """
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        if self._title and not first:
            table.title, table.title_justify = escape(self._title), "left"
        for i, name in enumerate(self._heads):
            width = max(cell_len(text) for text in (name, *(row[0][i] for row in self._rows)))
            width = width if i else max(NARROWEST, width - less)
            table.add_column(escape(name), overflow="fold", width=width)
        for i, name in enumerate(self._columns[first:last], first):
            cells = [cell_len(row[1][i]) for row in self._rows]
            width = max(min(cell_len(name), widest), 1, *cells)
            table.add_column(escape(name), justify="right", overflow="fold", width=width)
        for heads, cells in self._rows:
            table.add_row(*map(escape, (*heads, *cells[first:last])))
        return table
