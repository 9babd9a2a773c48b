"""`frenemy compare` of runs that differ by their seed alone, or by more."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from frenemy.cli import main
from frenemy.judge.estimate import Estimate
from frenemy.judge.report import Line, Report

from .command_line import errors

HINGE, MINIMAX = [2.0, 2.3, 2.1], [5.0, 5.4, 5.1]


@pytest.fixture
def judged(run, tmp_path, monkeypatch):
    """Makes runs of the same game but for what is given, with a report each; gives their names."""
    monkeypatch.chdir(tmp_path)

    def make(name, value, *, seed=0, error=0.01, step=60, judged_by=0, **changes):
        header = json.loads((run / "run.json").read_text())
        header.pop("game_digest", None)  # of what is changed here
        arguments = {**header["arguments"], **changes.pop("arguments", {})}
        folder = tmp_path / name
        folder.mkdir()
        header |= {"seed": seed, "arguments": arguments, **changes}
        (folder / "run.json").write_text(json.dumps(header))
        line = Line("fid10k_random", "lower", {"samples": Estimate(value, error)})
        protocol = {"reference digest": "d", "features random": "f", "size": "1x8x8"}
        target = f"{name} (round {step})"
        protocol["seed"] = str(judged_by)
        Report(target, "real", protocol, ["samples"], [line]).save(folder / "judge.json")
        return name

    return make


@pytest.fixture
def six(judged):
    """Two settings with three seeds each."""
    return [
        judged(f"{name}{seed}", value, seed=seed, arguments={"objective": name})
        for name, values in (("minimax", MINIMAX), ("hinge", HINGE))
        for seed, value in enumerate(values)
    ]


def test_names_that_are_not_utf8_are_spelled_out(judged, tmp_path):
    names = [judged("a", 1.0), judged("b\udce9", 2.0, arguments={"objective": "hinge"})]
    assert main(["compare", *names, "--csv", "c.csv", "--json", "c.json"]) == 0
    assert "b\\udce9" in (tmp_path / "c.csv").read_text("utf-8")


def test_seeds_of_one_setting_are_one_column(six, capsys):
    assert main(["compare", *six]) == 0
    printed = capsys.readouterr().out
    (row,) = [line.split() for line in printed.splitlines() if "±" in line]
    assert row == ["fid10k_random", "↓", "5.17", "±", "0.12", "2.133", "±", "0.088", "*"]
    assert "minimax0 (round 60): 3 seeds: minimax0 (round 60), minimax1 (round 60), " in printed
    assert "standard error of their mean" in printed


def test_json_holds_the_mean_its_error_and_every_seed(six, capsys):
    assert main(["compare", *six, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [group["seeds"] for group in found["groups"]] == [[0, 1, 2], [0, 1, 2]]
    (line,) = found["lines"]
    for result, values, differs in zip(
        line["results"], (MINIMAX, HINGE), (None, True), strict=True
    ):
        assert result["values"] == values
        assert result["value"] == pytest.approx(np.mean(values))
        assert result["error"] == pytest.approx(stats.sem(values))
        assert (result["error_of"], result["differs"]) == ("seeds", differs)


def test_csv_has_a_row_for_each_metric_and_column(six, tmp_path, capsys):
    out = tmp_path / "new" / "table.csv"
    assert main(["compare", *six, "--csv", str(out)]) == 0
    assert "±" in capsys.readouterr().out  # the table is shown, too
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    assert [row["group"] for row in rows] == [
        "minimax0 (round 60): 3 seeds",
        "hinge0 (round 60): 3 seeds",
    ]
    assert [row["seeds"] for row in rows] == ["3", "3"]
    assert float(rows[1]["error"]) == pytest.approx(stats.sem(HINGE))
    assert [row["differs"] for row in rows] == ["", "True"]


def test_of_one_seed_the_judges_error_stands_and_is_marked(six, judged, capsys):
    alone = judged("ns", 3.0, error=0.25, arguments={"objective": "nonsaturating"})
    assert main(["compare", *six, alone]) == 0
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if "±" in line]
    assert "3.00 ± 0.25¹" in row and "0.12¹" not in row
    assert "¹ of one seed, with the judge's own error" in printed


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 0},  # the same seed again
        {"arguments": {"objective": "hinge"}},
        {"target": {"steps": 90}},
        {"device": "cuda"},
        {"mirror": True},
        {"versions": {"torch": "another"}},
        {"step": 50},  # another round of the run was judged
    ],
    ids=lambda changes: "".join(changes),
)
def test_what_differs_by_more_than_the_seed_stands_alone(judged, changes, capsys):
    a, b = judged("a", 1.0), judged("b", 2.0, **{"seed": 1, **changes})
    assert main(["compare", a, b, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [len(group["runs"]) for group in found["groups"]] == [1, 1]
    assert [x["error_of"] for x in found["lines"][0]["results"]] == ["judge", "judge"]


def test_what_says_nothing_of_the_game_parts_no_seeds(judged, capsys):
    a = judged("a", 1.0, device="cuda:0", keep_checkpoints=2)
    b = judged("b", 2.0, seed=1, device="cuda:1", keep_checkpoints=9, threads=7)
    assert main(["compare", a, b, "--json", "-"]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert group["seeds"] == [0, 1]


def test_runs_of_as_many_minutes_are_seeds_whatever_rounds_these_were(judged, capsys):
    def timed(name, seed, rounds, minutes=30.0):
        more = {"target": {"steps": rounds}, "arguments": {"ends": [[0, 100 * rounds]]}}
        return judged(name, 1.0 + seed, seed=seed, step=rounds, minutes=minutes, **more)

    runs = [timed("a", 0, 1000), timed("b", 1, 1100), timed("c", 2, 900, minutes=10.0)]
    assert main(["compare", *runs, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [group["seeds"] for group in found["groups"]] == [[0, 1], [2]]


def test_a_narrow_terminal_keeps_numbers_whole(six, judged, monkeypatch):
    alone = judged("ns", 3.0, arguments={"objective": "nonsaturating"})
    console = Console(width=50)
    monkeypatch.setattr("frenemy.terminal.console", console)
    with console.capture() as shown:
        assert main(["compare", *six, alone]) == 0
    for number in ("5.17 ± 0.12", "2.133 ± 0.088 *", "3.000 ± 0.010¹"):
        assert number in shown.get()


class TestBadInput:
    def test_places(self, six, tmp_path, capsys):
        assert "only one of them" in errors(capsys, "compare", *six, "--csv", "-", "--json", "-")
        assert "is a folder" in errors(capsys, "compare", *six, "--csv", tmp_path)
        assert "takes two runs or more" in errors(capsys, "compare", six[0])

    def test_a_damaged_run(self, six, tmp_path, capsys):
        (tmp_path / six[1] / "run.json").write_text("{")
        assert "run.json" in errors(capsys, "compare", *six)
        shutil.rmtree(tmp_path / six[1])
        assert "is not there" in errors(capsys, "compare", *six)
