"""Reports: what is saved is what is loaded; what is no report is refused."""

import json
import math
from dataclasses import replace

import pytest

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate
from frenemy.judge.report import Line, Report, class_rows
from frenemy.judge.sets import SAMPLES
from frenemy.judge.verdict import Verdict

REPORT = Report(
    target="runs/größe 1",
    against="digits",
    protocol={"samples": "10,000", "seed": "7"},
    columns=["runs/größe 1", "held-out images", "noise"],
    lines=[
        Line(
            "fid10k_random",
            "lower",
            {
                "runs/größe 1": Estimate(12.5, 0.25, "few samples", (0.125, -0.5)),
                "noise": Estimate(1e5, 1e-17),
            },
        ),
        Line("copying10k_random", "", {}),
    ],
    warnings=["only 200 images"],
    curves={"fid10k_random": [(100, 40.5, 0.5), (2000, 12.5, 0.25)]},
    by_class={
        "cat[0]": [Line("recognised50_random", "higher", {SAMPLES: Estimate(0.25, 0.06)})],
        "dog": [Line("recognised50_random", "higher", {SAMPLES: Estimate(0.9, 0.04)})],
    },
    verdict=Verdict("blurred", ["They have 40% of the detail."]),
)


def test_what_is_loaded_is_what_was_saved(tmp_path):
    path = REPORT.save(tmp_path / "judge.json")
    assert Report.load(path) == REPORT


def test_a_report_without_warnings_and_curves_is_loaded(tmp_path):
    bare = Report("a", "b", {}, [], [], [])
    assert Report.load(bare.save(tmp_path / "judge.json")) == bare


def test_what_is_not_finite_is_null_in_the_file_and_nan_when_loaded(tmp_path):
    strange = Report(
        "a",
        "b",
        {},
        ["a"],
        [Line("kid10k_random", "lower", {"a": Estimate(math.inf, math.nan)})],
        curves={"kid10k_random": [(1, math.nan, math.nan), (2, 0.5, -math.inf)]},
    )
    path = strange.save(tmp_path / "judge.json")
    text = path.read_text("utf-8")
    assert "NaN" not in text  # which is no JSON
    assert "Infinity" not in text
    found = Report.load(path)
    estimate = found.lines[0].results["a"]
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.error)
    (_, first, _), (_, second, error) = found.curves["kid10k_random"]
    assert math.isnan(first)
    assert second == 0.5
    assert math.isnan(error)


def test_a_report_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(FrenemyError, match=r"judge\.json is not there: .*frenemy judge"):
        Report.load(tmp_path / "judge.json")


def changed(**fields):
    return json.dumps(
        {
            "target": "a",
            "against": "b",
            "protocol": {},
            "columns": ["a"],
            "lines": [],
            "warnings": [],
            "curves": {},
        }
        | fields
    ).encode()


def line(**fields):
    whole = {
        "metric": "fid",
        "better": "lower",
        "results": {"a": {"value": 1, "error": 1, "note": ""}},
    }
    return changed(lines=[whole | fields])


def test_the_file_that_the_next_test_damages_is_a_report(tmp_path):
    (tmp_path / "judge.json").write_bytes(line())
    assert Report.load(tmp_path / "judge.json").lines[0].results == {"a": Estimate(1, 1)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"target": "a"}',
        changed(protocol=[]),
        changed(curves={"fid": [[1, 2]]}),
        changed(curves={"fid": [["one", 2, 3]]}),
        changed(lines=[{}]),
        line(better="sideways"),
        line(results={"a": {"value": "much", "error": 0, "note": ""}}),
        line(results={"a": 3}),
        line(results=3),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "judge.json"
    path.write_bytes(content)
    with pytest.raises(
        FrenemyError, match=r"judge\.json is not a report of `frenemy judge`: "
    ) as told:
        Report.load(path)
    assert "\n" not in str(told.value)


def test_a_folder_is_no_report(tmp_path):
    with pytest.raises(FrenemyError, match="is not a report"):
        Report.load(tmp_path)


def test_a_report_that_cannot_be_written_says_so(tmp_path):
    path = REPORT.save(tmp_path / "judge.json")
    before = path.read_bytes()
    with pytest.raises(FrenemyError, match="cannot write here"):
        REPORT.save(path / "judge.json")  # in a file
    assert path.read_bytes() == before


def test_classes_are_told_in_rows():
    report = replace(REPORT, columns=[SAMPLES, "noise"])
    heads, rows = class_rows(report)
    assert heads == ["recognised, samples"]
    assert rows == {"cat[0]": ["0.250 ± 0.060"], "dog": ["0.900 ± 0.040"]}
