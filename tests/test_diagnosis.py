"""The rules: each failure mode by its evidence, and nothing said of games that go well."""

import random

import pytest

from frenemy.diagnosis import (
    FEWEST,
    SAMPLES,
    SOON,
    SURE,
    YOUNGEST,
    diagnose,
    measurements_of,
    outcome,
)

WELL = {
    "D ahead": 0.7,
    "G signal": 0.5,
    "diversity": 0.95,
    "repeats": 0.0,
    "precision": 0.8,
    "recall": 0.7,
    "coverage": 0.9,
    "distance": 1.0,
    "motion": 0.05,
}
FAR = {"precision": 0.0, "coverage": 0.0, "distance": 8.0}
ALIKE = {"diversity": 0.02, "diversity in play": 0.02, "repeats": 0.9}


def history(count=20, **changed):
    """So many measurements, 100 rounds apart; a changed value may be a function of their number."""
    rows = []
    for i in range(count):
        row = {"step": 100 * (i + 1), **WELL, **changed}
        rows.append({k: v(i) if callable(v) else v for k, v in row.items()})
    return rows


def failure(rows):
    return ", ".join(finding.failure for finding in diagnose(rows)) or None


def test_a_game_that_goes_well_is_left_alone():
    assert diagnose(history()) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"G signal": 1e-4, "D ahead": 1.0}, "diminished gradient"),
        ({"G signal": 1e-4, "D ahead": 0.9}, None),  # D has not won
        ({"G signal": 0.9, "D ahead": 1.0}, None),  # G hears of it
        ({"G signal": 1e-4, "D ahead": 1.0, "diversity": 0.1}, "diminished gradient"),
        ({"diversity": 0.1}, "mode collapse"),
        ({"diversity": 0.1, "motion": 1.5}, "mode collapse"),  # chased from mode to mode
        ({"diversity": 0.4, "coverage": 0.3}, "mode collapse"),
        ({"diversity": 0.4}, None),  # narrow, but it covers the data
        ({"diversity": 0.4, "coverage": 0.5}, "mode collapse"),
        ({"diversity": lambda i: 0.48 * 1.03 ** (i - 19), "coverage": 0.3}, None),  # it widens
        ({"diversity": 0.4, "motion": 1.5}, "non-convergence"),
        ({"repeats": 0.3}, "mode collapse"),
        ({"diversity within classes": 0.2}, "mode collapse"),  # each class is one picture
        ({"diversity within classes": 0.4}, None),
        ({"coverage": 0.2}, "mode collapse"),  # good samples, most kinds never made
        ({"coverage": 0.2, "precision": 0.1}, None),  # not good yet
        ({"coverage": 0.3}, None),
        ({"coverage": lambda i: 0.2 if i != 12 else 0.3}, None),  # not for long
        ({"motion": 1.2}, "non-convergence"),
        ({"motion": 0.8}, None),  # lively, and good
        ({"motion": 0.6, "coverage": 0.2}, "non-convergence"),
        ({"motion": 0.6, "coverage": 0.45}, None),
        ({"motion": lambda i: 50 * 0.8**i, "coverage": 0.2}, None),  # coming to rest
        ({"diversity": 0.1, "diversity in play": 0.8}, None),  # the average lags behind
        ({"D ahead": 0.0}, "D does not learn"),
        ({"D ahead": 0.0, "motion": 5.0, "G signal": 1e-4}, "D does not learn"),
        ({"D ahead": lambda i: 0.3 * (i % 8 == 0)}, None),  # at times it is ahead of G
        ({"D ahead": 0.5}, None),  # at the optimum
        ({"D ahead": 0.5, **FAR}, "D does not learn"),
        ({"D ahead": 1.0, **FAR}, "G makes no headway"),
        ({"D ahead": 1.0, **FAR, "G signal": 1e-4}, "diminished gradient"),
        ({"D ahead": 1.0, **FAR, "distance": lambda i: 8 * 0.9**i}, None),  # it comes nearer
        ({"D ahead": 1.0, **FAR, "coverage": lambda i: 0.1 * (i > 12)}, None),  # it is there
        ({"D ahead": 1.0, **FAR, "motion": 2.0}, "non-convergence"),
        ({"D ahead": 1.0, "diversity": 0.1, "motion": 1e-3}, "G makes no headway"),
        ({"D ahead": 0.9, "diversity": 0.1, "motion": 1e-3}, "mode collapse"),
    ],
)
def test_each_failure_mode_has_its_evidence(changed, expected):
    assert failure(history(**changed)) == expected


def test_a_young_game_is_given_time():
    rows = history(diversity=0.2)
    assert diagnose(rows[: FEWEST - 1]) == []
    assert failure(rows[:FEWEST]) == "mode collapse"


@pytest.mark.parametrize(
    ("changed", "images", "youngest"),
    [
        ({"diversity": 0.2}, YOUNGEST / 10, FEWEST),
        ({"diversity": 0.2}, YOUNGEST / 15, 15),
        ({"diversity": 0.2}, 1e6, FEWEST),
        ({"diversity": 0.2}, 10, 25),  # images alone would take a day
        (ALIKE, SOON / 4, SURE),
        (ALIKE, SOON / 8, 8),
        (ALIKE, 1e6, SURE),
        (ALIKE, 10, 10),
    ],
)
def test_a_games_age_is_in_images_and_measurements(changed, images, youngest):
    rows = history(30, **changed, images=lambda i: images * (i + 1))
    assert next(n for n in range(31) if diagnose(rows[:n])) == youngest


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (ALIKE, "mode collapse"),
        ({**ALIKE, "diversity in play": 0.5}, None),  # an average that lags behind
        ({**ALIKE, "repeats": 0.1}, None),  # as from the mean image on
        ({**ALIKE, "diversity": lambda i: 0.02 * 1.1**i}, None),  # they begin to differ
        ({**ALIKE, "diversity": lambda i: 0.02 if i != 3 else 0.2}, None),
        ({**ALIKE, "D ahead": 1.0}, None),  # D has won: too early to tell
        ({**ALIKE, "diversity": lambda i: 0.05 - 0.01 * (i % 2)}, "mode collapse"),  # up and down
    ],
)
def test_one_picture_again_and_again_is_told_soon(changed, expected):
    assert failure(history(5, **changed)) == expected


@pytest.mark.parametrize("age", [0, 3, 20])
def test_a_game_that_blew_up_is_not(age):
    rows = [*history(age, diversity=0.1), {"step": 100 * age + 40, "finite": 0.0}]
    (finding,) = diagnose(rows)
    assert (finding.failure, finding.since) == ("non-convergence", 100 * age + 40)
    assert finding.evidence == "a loss or a weight is not finite"


def test_since_when():
    rows = history(30, diversity=lambda i: 0.1 if i >= 20 else 0.9)
    (finding,) = diagnose(rows)
    # the median of five is the new value from the third of them on: number 22, of round 2,300
    assert finding.since == 2300
    assert finding.remedy


class Read(list):
    """A list that counts how often it is read."""

    times = 0

    def __getitem__(self, which):
        self.times += 1
        return super().__getitem__(which)


def test_one_by_one_the_same_is_found_as_at_once():
    draw = random.Random(0)
    signs = [{}, {"diversity": 0.1}, {"motion": 1.5}, {"G signal": 1e-4, "D ahead": 1.0}]
    regimes = [draw.choice(signs) for _ in range(30)]
    rows = [
        {"step": 100 * (i + 1), **WELL, **regimes[i // 10], "repeats": draw.uniform(0, 0.2)}
        for i in range(300)
    ]
    at_once = [diagnose(rows[:count]) for count in range(len(rows) + 1)]
    assert len({finding.failure for findings in at_once for finding in findings}) == 3
    found = []
    for count, expected in enumerate(at_once):
        read = Read(rows[:count])
        found = diagnose(read, found)
        assert found == expected
        assert read.times <= 6  # however long the failure


def test_a_failure_that_passed_is_not_told():
    assert diagnose(history(30, diversity=lambda i: 0.1 if i < 20 else 0.9)) == []


def test_single_measurements_do_not_decide():
    assert diagnose(history(motion=lambda i: 5.0 if i % 4 == 0 else 0.05)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"G signal": 1e-4, "D ahead": 0.997}, "D ranks 99.7% of pairs correctly, and 0.0001 of"),
        ({"diversity": 0.123}, "0.12 times as far from each other as real images, 0% repeat"),
        ({"motion": 1.25}, "moves by 1.25 of the distance between two real images"),
        ({"D ahead": 0.0}, "D ranks 0.0% of pairs correctly"),
        ({"D ahead": 0.999, **FAR}, "samples are 8.0 times as far from real images as these"),
    ],
)
def test_the_evidence_is_in_words(changed, said):
    assert said in diagnose(history(**changed))[0].evidence


def test_what_was_not_measured_is_no_evidence():
    rows = [{"step": 100 * i, "diversity": 0.1} for i in range(1, 20)]
    (finding,) = diagnose(rows)
    assert finding.evidence == "samples are 0.10 times as far from each other as real images"


def test_measurements_that_are_missing_accuse_nobody():
    assert diagnose([{"step": 100 * i} for i in range(1, 30)]) == []
    assert diagnose([]) == []


def test_rows_of_a_log_become_measurements():
    rows = [
        {"step": 50, "D/minimax_d": 1.0},
        {"step": 100, "D/minimax_d": 1.0, "health/motion": 0.1, "findings": ["mode collapse"]},
    ]
    assert measurements_of(rows) == [{"step": 100, "motion": 0.1}]


def test_of_several_stages_the_last_ones_measurements_are_kept():
    rows = [{"step": 50 * i, "stage": 0, "health/motion": 0.1} for i in range(1, 4)]
    assert len(measurements_of(rows)) == 3
    rows.append({"step": 200, "stage": 1, "D/minimax_d": 1.0})
    assert measurements_of(rows) == []
    rows.append({"step": 250, "stage": 1, "health/motion": 0.2})
    assert measurements_of(rows) == [{"step": 250, "motion": 0.2}]


def test_a_game_without_failures_goes_well_as_far_as_can_be_seen():
    found = outcome(history())
    assert (found.word, found.findings) == ("well", ())
    assert found.sentence.startswith("no sign of non-convergence, mode collapse, a diminished")
    assert "kinds rarer than about 1 in 100" in found.sentence
    # of a kind with a share of 1 in 100 there is likely to be one among so many; of 1 in 400 not
    assert 0.99**SAMPLES < 0.1 < 0.5 < 0.9975**SAMPLES


def test_an_outcome_tells_of_the_failure():
    found = outcome(history(diversity=0.1), {"gamma": 1.0})
    assert found.word == "failure"
    assert found.findings == diagnose(history(diversity=0.1), arguments={"gamma": 1.0})
    assert found.sentence.startswith("mode collapse since round 1,000: samples are 0.10 times")
    assert found.sentence.endswith("Try: --gamma 10.")


def without(*names):
    return [{k: v for k, v in row.items() if k not in names} for row in history()]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "nothing was measured yet"),
        (history(7), "too early: 7 of 10 measurements, 70,000 of 100,000 images"),
        ([{**m, "images": 5e4} for m in history(21)], "too early: 50,000 of 100,000 images"),
        (without("precision", "recall", "coverage", "repeats", "distance"), "fewer than 50 diff"),
        (without(*[name for name in WELL if "D" not in name]), "there is only one distinct real"),
        (
            history(coverage=0.3, diversity=lambda i: 0.48 * 1.03 ** (i - 19)),
            "samples are still close to each other, but spreading",
        ),
        (
            history(**{**FAR, "distance": lambda i: 8 * 0.9**i}),
            "no sample is close to a real image yet",
        ),
    ],
)
def test_what_cannot_be_told_is_said_so_with_the_reason(rows, said):
    found = outcome(rows)
    assert found.word == "cannot tell" and found.sentence.startswith("cannot tell: ")
    assert said in found.sentence
