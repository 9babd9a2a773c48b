"""Verdicts: the right word for what is known."""

import pytest

from frenemy.judge.estimate import Estimate
from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES
from frenemy.judge.verdict import Evidence, verdict_of

EQUAL = "samples, 200 at a time"
GOOD = {
    "precision": {SAMPLES: 0.9, HELD_OUT: 0.95},
    "recall": {SAMPLES: 0.2, EQUAL: 0.8, HELD_OUT: 0.9},
    "sharpness": {SAMPLES: 0.95},
    "two-sample": {SAMPLES: 0.8},
    "copying": {SAMPLES: 0.0},
}


def word(found=GOOD, **known):
    results = {
        name: {column: Estimate(x, 0.01) for column, x in row.items()}
        for name, row in found.items()
    }
    counts = {"samples": 10_000, "held_out": 200, "equal": EQUAL}
    return verdict_of(Evidence(**(counts | known), found=results))


def test_samples_are_compared_with_as_many_held_out_images():
    assert word().word == "good"
    said = "80 of 100 real images lie among the samples; among as many held-out images 90 do."
    assert said in str(word())
    assert word(equal=SAMPLES).word == "collapsed"  # as if 10,000 were compared with 200


@pytest.mark.parametrize(
    ("changes", "known", "expected"),
    [
        ({"recall": {SAMPLES: 0.5, HELD_OUT: 0.9}}, {}, "fair"),
        ({"precision": {SAMPLES: 0.6, HELD_OUT: 0.9}}, {}, "fair"),
        ({"two-sample": {SAMPLES: 0.97}}, {}, "fair"),
        ({"recall": {SAMPLES: 0.1, HELD_OUT: 0.9}}, {}, "collapsed"),
        ({"precision": {SAMPLES: 0.1, HELD_OUT: 0.9}}, {}, "unlike real images"),
        # in features where noise lies among real images, too, kernel distances tell
        ({"kid": {SAMPLES: 12.0, NOISE: 22.0}, "recall": {SAMPLES: 0.0}}, {}, "unlike real images"),
        ({"kid": {SAMPLES: 1.0, NOISE: 22.0}}, {}, "good"),
        ({"kid": {SAMPLES: 0.001, NOISE: -0.001}}, {}, "good"),
        ({"precision": {SAMPLES: 0.1, HELD_OUT: 0.8, NOISE: 0.95}}, {}, "good"),
        # noise drives samples out of the real images' reach, and these out of theirs
        ({"recall": {SAMPLES: 0.1, HELD_OUT: 0.9}, "sharpness": {SAMPLES: 2.0}}, {}, "noisy"),
        # blurred images can have more precision than real ones, or none in features that see blur
        ({"precision": {SAMPLES: 1.0, HELD_OUT: 0.9}, "sharpness": {SAMPLES: 0.4}}, {}, "blurred"),
        ({"precision": {SAMPLES: 0.1, HELD_OUT: 0.9}, "sharpness": {SAMPLES: 0.4}}, {}, "blurred"),
        ({}, {"lost": ["7"]}, "kinds missing"),
        ({}, {"copied": True, "copies": "Copied."}, "copied"),
        # one test image over and over is no copy of a training image, and copies of few are
        ({}, {"repeats": 0.9, "copied": True, "copies": "Copied."}, "collapsed"),
        ({}, {"samples": 60}, "too few images to say"),
        ({}, {"samples": 60, "repeats": 0.9}, "collapsed"),
        ({}, {"held_out": 20}, "too few images to say"),
    ],
)
def test_the_word_for_what_is_wrong(changes, known, expected):
    assert word(GOOD | changes, **known).word == expected


def test_where_noise_lies_among_real_images_nothing_is_made_of_samples_that_do():
    told = "90 of 100 samples lie among the real images"
    assert told in str(word())
    fooled = GOOD | {"precision": {SAMPLES: 0.9, HELD_OUT: 0.8, NOISE: 0.95}}
    assert told not in str(word(fooled))


def test_everything_that_is_wrong_is_told():
    found = word(GOOD | {"sharpness": {SAMPLES: 0.42}}, lost=["7", "9"], ails="mode collapse.")
    assert found.word == "blurred"
    assert "42% of the fine detail" in str(found) and "far too rare: 7, 9." in str(found)
    assert str(found).endswith("During training: mode collapse.")


def test_without_the_metrics_that_it_needs_there_is_no_verdict():
    found = word({"fid": {SAMPLES: 1.0, HELD_OUT: 1.0}})
    assert found.word == "no full verdict"
    assert "Not measured: precision, recall, sharpness, copying" in str(found)


def test_what_is_certain_without_them_is_told():
    assert word({"fid": {SAMPLES: 1.0}}, repeats=1.0).word == "collapsed"
