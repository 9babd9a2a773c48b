"""Tables that keep numbers whole."""

import pytest
from rich.console import Console

from frenemy.folding import FoldedTable

NUMBERS = [f"{i}.0{i} ± 0.{i}1" for i in range(6)]


@pytest.mark.parametrize("width", [24, 30, 40, 60, 80, 132])
def test_numbers_are_whole_however_narrow_the_terminal_is(width):
    table = FoldedTable(["metric", ""], [f"runs/a-long-name-{i} (round 60)" for i in range(6)])
    table.add_row(["fid10k_random", "↓"], NUMBERS)
    with (console := Console(width=width)).capture() as shown:
        console.print(table)
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= width
    assert all(any(number in line for line in lines) for number in NUMBERS)
    if width >= 40:
        rows = [line.split() for line in lines if "±" in line]
        assert all(row[:2] == ["fid10k_random", "↓"] for row in rows)
        assert " ".join(" ".join(row[2:]) for row in rows) == " ".join(NUMBERS)


def test_what_fits_stands_side_by_side():
    table = FoldedTable(["metric"], list("abc"), title="All [of] it")
    table.add_row(["fid"], ["1", "2", ""])
    with (console := Console(width=80)).capture() as shown:
        console.print(table)
    assert shown.get().count("fid") == 1
    assert shown.get().startswith("All [of] it")
