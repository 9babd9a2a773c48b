"""What the benchmarks of `pictures` print, in miniature: docs/numbers.md has their real tables."""

import importlib.util
import json
import subprocess
import sys
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

from frenemy import open_dataset, train
from frenemy.experiment import vary

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def imported(name):
    """A benchmark as a module."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VARIANTS = imported("variants").VARIANTS


def printed(name, *arguments):
    """By a benchmark."""
    command = [sys.executable, BENCHMARKS / name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(markdown):
    """The cells of each row of the first table in Markdown, its heads first."""
    lines = dropwhile(lambda line: not line.startswith("| "), markdown.splitlines())
    table = takewhile(lambda line: line.startswith("| "), lines)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return [row for row in cells if row[0] != "---"]


def test_a_race_is_played_once_and_told_of_twice(tmp_path):
    race = (
        "race.py", "--data", "embedded:digits", "--size", 16, "--minutes", 0.05, "--threads", 1,
        "--seeds", 0, 1, "--recipe", "dcgan:width=2", "sngan:width=2", "--features", "random",
        "--samples", 100, "--precision", "float32", "--out", tmp_path,
    )  # fmt: skip
    first = printed(*race)
    heads, *found = rows(first)
    assert heads[:5] == ["recipe", "data", "minutes", "seeds", "images seen"]
    assert [row[0] for row in found] == ["`dcgan:width=2`", "`sngan:width=2`"]
    played = [json.loads(line) for line in (tmp_path / "race.jsonl").read_text().splitlines()]
    assert [(row["recipe"], row["seed"]) for row in played] == [
        ("dcgan:width=2", 0), ("sngan:width=2", 0), ("dcgan:width=2", 1), ("sngan:width=2", 1)
    ]  # fmt: skip
    kid = heads.index("kid100_random")
    for row in found:
        mine = [x["found"]["kid100_random"][0] for x in played if f"`{x['recipe']}`" == row[0]]
        mean, spread = map(float, row[kid].split(" ± "))
        assert mean == float(f"{sum(mine) / 2:.4g}")
        assert spread == float(f"{abs(mine[0] - mine[1]) / 2:.2g}")
    assert (tmp_path / "race.png").exists()
    assert rows(printed(*race)) == [heads, *found]
    assert len((tmp_path / "race.jsonl").read_text().splitlines()) == 4


def test_a_search_goes_on_where_it_was_stopped(tmp_path):
    def searched(trials):
        return rows(
            printed(
                "search.py", "--data", "embedded:digits", "--size", 16, "--minutes", 0.01,
                "--trials", trials, "--features", "random", "--out", tmp_path,
            )
        )  # fmt: skip

    heads, *first = searched(1)
    trial, *waiting = first  # the best first, then those that are still to be played
    assert float(trial[1]) > 0 and not any(row[1] for row in waiting)
    assert trial[heads.index("width")] == "32" and trial[heads.index("objective")] == "pairing"
    again = [row for row in searched(2)[1:] if row[1]]
    assert trial in again and sorted(row[0] for row in again) == ["0", "1"]


def test_penalties_are_compared_at_equal_time(tmp_path):
    kinds = "none", "exact", "exact, every 4", "differences of .01"
    found = rows(
        printed(
            "penalties.py", "--tasks", "ring", "--miniature", "--kinds", *kinds,
            "--out", tmp_path / "rows.jsonl",
        )
    )  # fmt: skip
    assert [row[0] for row in found[1:]] == list(kinds)
    costs, *games = [
        json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()
    ]
    seconds = {game["kind"]: game["rounds"] * costs["costs"][game["kind"]] for game in games}
    # a second each, within half a round
    assert seconds == {kind: pytest.approx(1, abs=costs["costs"][kind] / 2) for kind in kinds}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_pictures_is_a_game(name, tmp_path):
    recipe = vary(VARIANTS[name], width=2, minibatch=4)
    data = open_dataset("embedded:digits", size=16)
    run = train(recipe, data, out=tmp_path / "run", steps=4)
    assert run.rows()[-1]["step"] == 4
