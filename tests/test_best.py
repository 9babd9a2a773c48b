"""The best checkpoint of a run: which it is, that it stays, and that nothing ever loses it."""

import re

import numpy as np
import pytest
import safetensors.torch

import frenemy.run
from frenemy import Model, recipes, resume, train
from frenemy.begin import plan
from frenemy.best import validations_of
from frenemy.data import Dataset, Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.experiment import Stage
from frenemy.run import Run, step_of
from frenemy.settings import Settings

from .emitting import Emits, game_of

ROUNDS = 12
BRIGHTER = [90, 90, 30, 60, 20, 25, 40, 15, 30, 60, 20, 90, 45]  # grey levels, by age
COPIES_FROM = 7


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Validates a few samples, every second round of ten images."""
    monkeypatch.setattr("frenemy.validation.BETWEEN", 20)
    monkeypatch.setattr("frenemy.validation.KNOWN", 0)
    monkeypatch.setattr("frenemy.validation.COUNT", 60)


def brighter(images, age):
    return np.minimum(np.array(images, np.int64) + BRIGHTER[age], 255).astype(np.uint8)


def honest(facts):
    """Emits test images, more or less too bright."""
    images = open_dataset(None).test.images
    return [Stage(game_of(Emits(lambda age: brighter(images, age)), facts.shape), 1)]


def copying(facts):
    """The same, but training images at last."""
    data = open_dataset(None)

    def at(age):
        return brighter((data.test if age < COPIES_FROM else data.train).images, age)

    return [Stage(game_of(Emits(at), facts.shape), 1)]


def outcome(path):
    """All that has to be the same, but for the clock."""
    run = Run.open(path)
    kept = {
        step_of(p): {k: v.tolist() for k, v in safetensors.torch.load_file(p).items()}
        for p in run.checkpoints()
    }
    return run.rows(), run.header["best"], kept


def played(recipe, digits, path, **settings):
    settings = {"steps": ROUNDS, "keep_best": "kid", "out": path, **settings}
    return train(recipe, digits, **settings)


def test_the_best_is_the_least_value_that_was_recorded_and_draws(digits, tmp_path):
    run = played(honest, digits, tmp_path / "run", watcher=lambda training: training.save())
    found = validations_of(run.rows(), "kid")
    assert [one.step for one in found] == [2, 4, 6, 8, 10, 12]
    least = min(found, key=lambda one: one.value)
    assert run.header["best"] == {"step": least.step, "value": least.value}
    assert least.step in (4, 10)  # those of 20 grey levels
    assert [step_of(p) for p in run.checkpoints()] == sorted({12, 11, least.step}, reverse=True)
    model = Model.load(run.path, step="best", recipe=honest)
    assert model.progress.step == int(model.game.players["G"].net.age) == least.step


def test_higher_is_better_of_recall(digits, tmp_path):
    run = played(honest, digits, tmp_path / "run", keep_best="recall")
    found = validations_of(run.rows(), "recall")
    assert run.header["best"]["value"] == max(one.value for one in found)


def test_the_first_sign_of_copying_is_told_and_the_checkpoint_before_it_kept(digits, tmp_path):
    told = []

    def watch(training):
        told.append([finding.failure for finding in training.findings])

    run = played(copying, digits, tmp_path / "run", watcher=watch)
    found = validations_of(run.rows(), "kid")
    assert [bool(one.copied) for one in found] == [one.step >= COPIES_FROM for one in found]
    assert told == [["copying"] if n >= 8 else [] for n in range(1, ROUNDS + 1)]
    assert run.header["best"]["step"] == 4  # though samples of round 10 are as bright
    (finding,) = run.header["findings"]
    assert (finding["failure"], finding["since"]) == ("copying", 8)
    assert "the best checkpoint, of round 4, is from before that" in finding["evidence"]
    assert run.header["health"]["word"] == "failure"
    assert run.rows()[-1]["findings"] == ["copying"]
    assert 4 in map(step_of, run.checkpoints())


class Stopped(Exception):
    """What a watcher raises."""


@pytest.mark.parametrize("recipe", [honest, copying])
def test_a_run_stopped_after_every_round_keeps_the_same_best(digits, tmp_path, recipe):
    whole = played(recipe, digits, tmp_path / "whole")

    def stop(training):
        training.save()
        raise Stopped

    with pytest.raises(Stopped):
        played(recipe, digits, tmp_path / "parts", watcher=stop)
    for _ in range(ROUNDS - 1):
        with pytest.raises(Stopped):
            resume(tmp_path / "parts", recipe=recipe, watcher=stop)
    resume(tmp_path / "parts", recipe=recipe)
    rows, best, kept = outcome(tmp_path / "parts")
    expected = outcome(whole.path)
    assert (rows, best, kept[ROUNDS]) == (*expected[:2], expected[2][ROUNDS])
    assert kept[best["step"]] == expected[2][best["step"]]


class Killed(BaseException):
    """As by SIGKILL: nothing is written any more."""


class Writes:
    """Everything that a run writes, which fails from write number `last` on."""

    def __init__(self, monkeypatch, last=10**9):
        self.count, self.last = 0, last
        for owner, name in ((Run, "log"), (frenemy.run, "appearing")):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, write):
        def instead(*arguments):
            self.count += 1
            if self.count > self.last:
                raise Killed
            return write(*arguments)

        return instead


def test_a_kill_between_any_two_writes_never_loses_the_best(digits, tmp_path, monkeypatch):
    settings = {"checkpoint_seconds": 1000, "steps": 8}
    with monkeypatch.context() as patch:
        writes = Writes(patch)
        expected = outcome(played(honest, digits, tmp_path / "whole", **settings).path)
    assert expected[1]["step"] == 4
    best = []
    for last in range(2, writes.count):
        path = tmp_path / f"run{last}"
        with monkeypatch.context() as patch, pytest.raises(Killed):
            Writes(patch, last)
            played(honest, digits, path, **settings)
        if (named := Run.open(path).header.get("best")) is not None:
            assert Model.load(path, step="best", recipe=honest).progress.step == named["step"]
            best.append(named["step"])
        resume(path, recipe=honest)
        assert outcome(path) == expected, last
    assert {2, 4} <= set(best)  # both were the best, for a time


def test_one_that_was_written_and_not_named_is_named_when_it_goes_on(digits, tmp_path):
    run = played(honest, digits, tmp_path / "run", steps=4)
    best = run.header["best"]
    run.update(best=None, target={"steps": 5})
    assert resume(run.path, recipe=honest).header["best"] == best


def test_of_those_that_are_gone_none_is_the_best(digits, tmp_path):
    run = played(honest, digits, tmp_path / "run", steps=4)
    for path in run.checkpoints():
        path.unlink()
    with pytest.warns(UserWarning, match="no checkpoint"):
        again = resume(run.path, recipe=honest)
    assert again.header["best"] == run.header["best"]
    assert Model.load(run.path, step="best", recipe=honest).progress.step == 4


class TestWhoKeepsOne:
    @pytest.mark.parametrize(("held_out", "metric"), [(4, "kid"), (3, None)])
    def test_a_recipe_that_chooses_for_itself_does(self, tmp_path, held_out, metric):
        pixels = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), np.uint8)
        some, few = Source(pixels), Source(pixels[:held_out])
        small = recipes.vary(recipes.pictures, width=2, minibatch=4)
        run = train(small, Dataset(some, few, some, "noise"), steps=2, out=tmp_path / "run")
        assert run.header["keep_best"] == metric
        assert (run.header.get("best") or {}).get("step") == (2 if metric else None)

    def test_one_that_is_told_so_keeps_none(self, tmp_path):
        source = Source(np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), np.uint8))
        settings = Settings(steps=2, keep_best="none", out=tmp_path / "run")
        planned = plan(recipes.pictures, Dataset(source, source, source, "noise"), settings)
        assert planned.run.header["keep_best"] is None

    @pytest.mark.parametrize(("side", "features"), [(16, "random"), (28, "lite0")])
    def test_photographs_are_compared_as_people_see_them(
        self, tmp_path, monkeypatch, side, features
    ):
        monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))  # no classifier of these
        monkeypatch.setattr("frenemy.validation.lite0_is_here", lambda: True)
        source = Source(np.random.default_rng(0).integers(0, 256, (12, 1, side, side), np.uint8))
        settings = Settings(steps=2, out=tmp_path / "run")
        planned = plan(recipes.pictures, Dataset(source, source, source, "noise"), settings)
        assert planned.run.header["best_features"] == features

    def test_others_do_not(self, digits, tmp_path):
        run = train(honest, digits, steps=2, out=tmp_path / "run")
        assert run.header["keep_best"] is None and "best" not in run.header
        with pytest.raises(FrenemyError, match="begun without --keep-best"):
            Model.load(run.path, step="best", recipe=honest)

    @pytest.mark.parametrize(
        ("metric", "said"),
        [
            ("banana", "metric to keep the best"),
            ("density", "no metric"),
            ("vendi", "no metric"),
            ("classes", "no classes"),
        ],
    )
    def test_what_cannot_be_measured_is_refused_before_anything(
        self, digits, tmp_path, monkeypatch, metric, said
    ):
        monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))  # no classifier of digits
        with pytest.raises(FrenemyError, match=said):
            played(honest, digits, tmp_path / "run", keep_best=metric)
        assert not (tmp_path / "run").exists()


def test_a_run_goes_on_where_its_features_are_not(digits, tmp_path, monkeypatch):
    path = tmp_path / "run"
    header = train(honest, digits, steps=8, keep_best="kid", out=path).header

    def missing(name):
        raise FrenemyError(f"no {name} here")

    monkeypatch.setattr("frenemy.validation.require_features", missing)
    said = f"validation is off from here on: no {re.escape(header['best_features'])} here"
    with pytest.warns(UserWarning, match=said):
        run = resume(path, recipe=honest, data=digits, steps=ROUNDS)
    assert step_of(run.checkpoints()[0]) == ROUNDS
    assert run.header["best"] == header["best"]
