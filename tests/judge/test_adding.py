"""Reports that are added to: no metric is lost, and none of other images is taken."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from frenemy.data import open_dataset
from frenemy.errors import FrenemyError
from frenemy.judge.adding import SUBJECT, added, earlier, page_of
from frenemy.judge.report import Report
from frenemy.judging import Protocol, Target, judge
from frenemy.pages import render


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


def judged(digits, metrics, images=None, **how):
    images = np.asarray(digits.valid.images) if images is None else images
    protocol = Protocol(metrics=metrics, **{"features": ["pixels"], **how})
    return judge(Target("x", images), digits, protocol).report


def names(report):
    return [line.metric.partition("179")[0] for line in report.lines]


def test_two_judgings_say_what_one_of_both_does(digits):
    metrics = ["kid", "precision", "recall", "sharpness", "copying", "two-sample"]
    whole = judged(digits, metrics)
    parts = [judged(digits, metrics[:3]), judged(digits, metrics[3:])]
    for new, old in (parts, parts[::-1]):
        found = added(new, old)
        assert {x.metric: x.results for x in found.lines} == {
            x.metric: x.results for x in whole.lines
        }
        assert found.verdict == whole.verdict and found.columns == whole.columns
        assert set(found.warnings) == set(whole.warnings)
    assert "no full verdict" in (parts[0].verdict.word, parts[1].verdict.word)


def test_copies_that_were_found_before_are_still_told(digits):
    copies = digits.train.random(150, seed=3)
    old = judged(digits, ["copying"], copies)
    new = judged(digits, ["kid", "precision", "recall"], copies)
    assert old.verdict.word == added(new, old).verdict.word == "copied"


def test_a_metric_that_is_measured_again_is_the_new_one(digits):
    old = judged(digits, ["kid", "recall"])
    new = judged(digits, ["recall"])
    doubted = replace(old, lines=[replace(line, results={}) for line in old.lines])
    found = added(new, doubted)
    assert names(found) == ["kid", "recall"]
    assert not found.lines[0].results and found.lines[1] == new.lines[0]


def test_other_features_stand_beside_the_first(digits):
    old, new = judged(digits, ["kid"]), judged(digits, ["kid"], features=["random"])
    found = added(new, old)
    assert [line.metric for line in found.lines] == ["kid179_pixels", "kid179_random"]
    assert {"features pixels", "features random"} < set(found.protocol)


def others(digits):
    images = np.asarray(digits.valid.images).copy()
    images[0, 0, 0, 0] ^= 1
    return {
        "images that were judged": judged(digits, ["kid"], images),
        "seed": judged(digits, ["kid"], seed=1),
        "samples": judged(digits, ["kid"], samples=100),
        "reference": judged(digits, ["kid"], reference="all"),
    }


def test_numbers_of_other_images_or_another_protocol_are_never_mixed(digits):
    new = judged(digits, ["recall"])
    for what, old in others(digits).items():
        with pytest.warns(UserWarning, match=f"of x is not added to: other {what}"):
            assert added(new, old) == new


@pytest.mark.parametrize("key", [SUBJECT, "versions", "size", "reference digest"])
def test_a_report_that_does_not_tell_all_is_not_added_to(digits, key):
    new, old = judged(digits, ["recall"]), judged(digits, ["kid"])
    old = replace(old, protocol={k: v for k, v in old.protocol.items() if k != key})
    with pytest.warns(UserWarning, match="is not added to"):
        assert added(new, old) == new


def test_a_report_that_was_saved_is_added_to_as_one_that_was_not(digits, tmp_path):
    old, new = judged(digits, ["copying", "kid"]), judged(digits, ["recall"])
    loaded = earlier(old.save(tmp_path / "judge.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loaded == old and added(new, loaded) == added(new, old)


class TestWhatLiesThere:
    def test_nothing(self, tmp_path):
        assert earlier(tmp_path / "judge.json") is None

    def test_a_page_of_ours_may_be_replaced(self, tmp_path):
        page = render("judge.html", report=Report("x", "y", {}, [], []), samples=None, rows=[],
                      classes=None, notes=[], figures={}, curves=[], metrics=[])  # fmt: skip
        (tmp_path / "judge.html").write_text(page, "utf-8")
        assert earlier(tmp_path / "judge.json") is None

    @pytest.mark.parametrize("text", ["<html>my own</html>", "", '<meta name="generator">'])
    def test_a_page_of_others_may_not(self, tmp_path, text):
        page = tmp_path / "judge.html"
        page.write_text(text)
        with pytest.raises(FrenemyError, match=r"judge\.html is not a page of frenemy's: move it"):
            earlier(tmp_path / "judge.json")
        assert page.read_text() == text

    @pytest.mark.parametrize("text", ["", "[1, 2]", '{"mine": 1}'])
    def test_what_is_no_report_may_not(self, tmp_path, text):
        path = tmp_path / "mine.json"
        path.write_text(text)
        with pytest.raises(FrenemyError, match=r"mine\.json is not a report .*; move it, or give"):
            earlier(path)

    def test_the_page_lies_beside_the_report(self, tmp_path):
        assert page_of(tmp_path / "a.json") == tmp_path / "a.html"
