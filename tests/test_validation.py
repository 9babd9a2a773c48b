"""What validation images say of samples: how good, and whether they are training images."""

import numpy as np
import pytest
import torch

from frenemy import validation
from frenemy.best import Validation, best_of, copying
from frenemy.data import Dataset, Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.validation import Validator, is_validated

from .emitting import Emits, game_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


def found(data, emitted, times=100.0, metric="kid"):
    game = game_of(Emits(lambda _: emitted), data.shape)
    return Validator(metric, "random", game, data, 0, CPU).of(50, times)


class TestCopies:
    def test_of_training_images_are_certain(self, digits):
        # 250 looked up of 1,439: repeats aside all are copies, less what digits alike as twins cost
        assert found(digits, digits.train.images).copied > 0.9

    def test_a_part_of_them_is_found_too(self, digits):
        mixed = np.concatenate([digits.test.images, digits.train.images[:20]])
        assert 0 < found(digits, mixed).copied < 20 / len(mixed)  # the share's lower end

    def test_moved_and_mirrored_ones_are(self, digits):
        moved = np.roll(digits.train.images, 1, axis=3)[..., ::-1]
        assert found(digits, moved).copied > 0

    @pytest.mark.parametrize("part", ["test", "valid"])
    def test_held_out_images_are_none(self, digits, part):
        assert found(digits, getattr(digits, part).images).copied == 0

    def test_nobody_looks_before_g_can_know_them(self, digits):
        assert found(digits, digits.train.images, times=validation.KNOWN - 1).copied is None

    def test_nor_among_a_handful(self, digits):
        few = Source(digits.train.images[:9])
        data = Dataset(few, digits.valid, digits.test, "few")
        assert found(data, digits.train.images).copied is None


class TestMetrics:
    def test_worse_samples_have_worse_values(self, digits):
        noise = np.random.default_rng(0).integers(0, 256, digits.test.images.shape, np.uint8)
        one = np.repeat(digits.test.images[:1], 50, 0)
        for metric, sign in (("kid", 1), ("fid", 1), ("recall", -1), ("coverage", -1)):
            values = [found(digits, x, metric=metric).value for x in (digits.test.images, one)]
            assert sign * values[0] < sign * values[1], metric
        values = [found(digits, x).value for x in (digits.test.images, noise)]
        assert values[0] < values[1]

    def test_the_test_images_have_no_part(self, digits):
        other = Dataset(digits.train, digits.valid, digits.train, "another test part")
        assert found(digits, digits.test.images) == found(other, digits.test.images)

    @pytest.mark.parametrize("name", validation.NAMES)
    def test_each_has_a_better_end_and_is_measured_of_samples(self, digits, name):
        assert validation.METRICS[name].better in ("lower", "higher")
        game = game_of(Emits(lambda _: digits.test.images), digits.shape)
        validator = Validator(name, "random", game, digits, 0, CPU)
        if validation.METRICS[name].classes:
            with pytest.raises(FrenemyError, match="know no classes"):
                validator.try_out()
        else:
            validator.try_out()
            assert validator.of(50, 0).value is not None

    def test_what_cannot_be_measured_is_told_and_never_the_best(self, digits, monkeypatch):
        game = game_of(Emits(lambda _: digits.test.images), digits.shape)
        validator = Validator("kid", "random", game, digits, 0, CPU)

        def fails(*_):
            raise FrenemyError("there is a hair in it")

        monkeypatch.setattr(Validator, "_draw", fails)
        with pytest.warns(UserWarning, match="round 50: .* a hair in it"):
            nothing = validator.of(50, 100)
        assert nothing == Validation(50, "kid", None, None)
        assert best_of([nothing], lower=True) is None


@pytest.mark.parametrize("minibatch", [7, 64, 500])
def test_gaps_are_of_50_000_images_or_a_quarter_of_what_was_played(minibatch):
    at = [n for n in range(1, 2_000_000 // minibatch) if is_validated(n, minibatch)]
    for before, after in zip([0, *at], at, strict=False):
        gap = (after - before) * minibatch
        assert gap >= 50_000 or 0.24 * before * minibatch <= gap  # rounds are whole
        assert gap < max(50_000 + minibatch, 0.26 * before * minibatch)


def test_the_best_is_the_first_of_the_least_without_copies():
    found = [
        Validation(1, "kid", 0.3, None),
        Validation(2, "kid", 0.2, 0.0),
        Validation(3, "kid", 0.1, 0.04),
        Validation(4, "kid", None, 0.0),
        Validation(5, "kid", 0.2, 0.0),
    ]
    assert best_of(found, lower=True) == found[1]
    assert best_of(found, lower=False) == found[0]
    assert best_of(found[2:4], lower=True) is None


def test_copying_lasts_from_its_first_sign_to_the_first_look_without():
    shares = [0.0, 0.1, None, 0.2]
    found = [Validation(step, "kid", 0.1, share) for step, share in enumerate(shares, 1)]
    (finding,) = copying(found, best=1, arguments={"augmenting": False})
    assert finding.since == 2 and "20.0%" in finding.evidence and "round 1," in finding.evidence
    assert "--augmenting" in finding.remedy
    assert not copying([*found, Validation(5, "kid", 0.1, 0.0)])
    assert not copying(found[:1]) and not copying([])
