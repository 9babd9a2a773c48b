"""Metrics of reference columns: measured once, and again if anything that they are of changes."""

import dataclasses
import math

import numpy as np
import pytest

from frenemy.judge import kept as module
from frenemy.judge.estimate import Estimate
from frenemy.judge.kept import Kept
from frenemy.judge.sets import HELD_OUT, SAMPLES, Drawn, Sets, noise_like

pytestmark = pytest.mark.usefixtures("cache")


def images(seed, count=6):
    return noise_like(np.zeros((count, 1, 4, 4), np.uint8), seed)


def sets(**other):
    train = Drawn(images(0), np.arange(6))
    valid = Drawn(images(1), np.arange(6))
    fields = {
        "judged": {SAMPLES: images(2), HELD_OUT: images(3)},
        "reference": images(0),
        "train": train,
        "valid": valid,
        "test": images(4),
        "labels": np.arange(6),
        "classes": ("a", "b"),
        "digest": "of the files",
    }
    return Sets(**{**fields, **other})


FOUND = {"fid": Estimate(1 / 3, math.nan, "a note", (0.1, 1e-30)), "other": Estimate(-0.0, 2.0)}


def test_what_was_measured_once_is_not_measured_again():
    key = Kept.of(sets(), HELD_OUT, "random", 0)
    assert key is not None
    first = key.once("fid", lambda: FOUND)
    again = Kept.of(sets(), HELD_OUT, "random", 0)
    second = again.once("fid", lambda: pytest.fail("measured again"))
    assert repr(second) == repr(first) == repr(FOUND)  # to the last bit, and NaN as NaN
    assert again.once("kid", lambda: {}) == {}  # another metric


def test_every_thing_that_a_metric_is_of_is_part_of_the_key(monkeypatch):
    judged = sets().judged
    others = [
        sets(judged={**judged, HELD_OUT: images(9)}),
        sets(reference=images(9)),
        sets(train=Drawn(images(0), np.arange(5))),
        sets(valid=Drawn(images(9), np.arange(6))),
        sets(test=images(9)),
        sets(labels=np.arange(6)[::-1]),
        sets(labels=None),
        sets(classes=("a", "c")),
        sets(digest="of others"),
        sets(told={HELD_OUT: np.arange(6)}),
    ]
    keys = [Kept.of(x, HELD_OUT, "random", 0) for x in (sets(), *others)]
    keys += [Kept.of(sets(), SAMPLES, "random", 0), Kept.of(sets(), HELD_OUT, "lite0", 0)]
    keys.append(Kept.of(sets(), HELD_OUT, "random", 1))
    monkeypatch.setattr(module, "_code", lambda: "of another version")
    keys.append(Kept.of(sets(), HELD_OUT, "random", 0))
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert {field.name for field in dataclasses.fields(Sets)} == {
        *("judged", "reference", "train", "valid", "test", "labels", "classes", "told", "digest")
    }  # a field that is new has to be thought of here


def test_of_images_that_nothing_identifies_nothing_is_kept():
    assert Kept.of(sets(digest=""), HELD_OUT) is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"fid": {"value": 1}}', '{"fid": 3}'])
def test_a_damaged_file_is_measured_again(cache, text):
    key = Kept.of(sets(), HELD_OUT)
    key.once("fid", lambda: FOUND)
    (path,) = cache.rglob("fid.json")
    path.write_text(text)
    with pytest.warns(UserWarning, match="is damaged"):
        assert repr(key.once("fid", lambda: FOUND)) == repr(FOUND)
    assert repr(key.once("fid", lambda: pytest.fail("it was not mended"))) == repr(FOUND)


def test_a_digit_that_was_flipped_is_measured_again(cache):
    key = Kept.of(sets(), HELD_OUT)
    key.once("fid", lambda: FOUND)
    (path,) = cache.rglob("fid.json")
    digits = [i for i, letter in enumerate(path.read_text()) if letter in "1234"]
    text = bytearray(path.read_bytes())
    text[digits[0]] += 1
    path.write_bytes(text)
    with pytest.warns(UserWarning, match="is damaged"):
        assert repr(key.once("fid", lambda: FOUND)) == repr(FOUND)


def test_where_nothing_can_be_written_it_is_measured(cache):
    (cache / "metrics").write_text("a file, where a folder should be")
    with pytest.warns(UserWarning, match="not kept"):
        assert Kept.of(sets(), HELD_OUT).once("fid", lambda: FOUND) == FOUND
