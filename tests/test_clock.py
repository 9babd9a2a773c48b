"""A run that is to end by the clock: its end is set anew by how fast it really is."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch

from frenemy import begin, recipes
from frenemy.choosing import Choice
from frenemy.data import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.run import Run, step_of
from frenemy.terminal import TrainingDisplay

MINUTES, TOLD = 0.1, 8.0  # 6 seconds; rounds a second, as the trial has it


class Stopped(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Timed(recipes.Pictures):
    """As many rounds as there is time for, of tiny networks."""

    width: int = 2
    minibatch: int = 4
    rate: float = 1e-3

    def choose(self, facts, budget):
        rounds = budget.rounds(self)
        ends = ((0, rounds * self.minibatch),)
        return Choice(dataclasses.replace(self, ends=ends), rounds, [], tried=self)


def timed(facts, arguments=Timed()):
    return recipes.pictures(facts, arguments)


@pytest.fixture
def data():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), np.uint8)
    source = Source(pixels)
    return Dataset(source, source, source, "random images")


@pytest.fixture
def clock(monkeypatch):
    """Sets how many seconds each round takes, from which one on."""

    def set_to(*seconds):
        now = itertools.accumulate(itertools.chain(seconds, itertools.repeat(seconds[-1])))
        monkeypatch.setattr(
            "frenemy.training.time", SimpleNamespace(monotonic=lambda: next(now))
        )  # is asked once a round, and once when playing begins

    monkeypatch.setattr("frenemy.fitting.Rehearsal.speed", lambda *_: TOLD)
    return set_to


def outcome(path):
    run = Run.open(path)
    tensors = safetensors.torch.load_file(run.checkpoints()[0])
    return {
        "tensors": {key: value.numpy().tobytes() for key, value in tensors.items()},
        "pictures": {p.name: p.read_bytes() for p in run.samples()},
        "ends": run.header["arguments"]["ends"],
        "target": run.header["target"],
        "log": run.rows(),
    }


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        (0.125, 48),  # as fast as it was thought,
        (0.25, 24),  # half as fast,
        (0.0625, 96),  # twice
    ],
)
def test_a_run_ends_when_its_time_does(data, tmp_path, clock, seconds, rounds):
    clock(seconds)
    seen = []
    run = begin.train(
        timed, data, minutes=MINUTES, out=tmp_path / "run",
        watcher=lambda training: seen.append(training.progress.seconds),
    )  # fmt: skip
    assert len(seen) == rounds
    assert seen[-1] == pytest.approx(60 * MINUTES)
    assert run.header["target"] == {"steps": rounds}
    assert run.header["arguments"]["ends"][0] == (0, 192)
    assert run.header["arguments"]["ends"][-1][1] == 4 * rounds  # and so do its schedules
    assert begin.REPLAN not in run.header
    assert [int(p.stem) for p in run.samples()][-1] == rounds


def test_one_that_slows_down_ends_nearly_then(data, tmp_path, clock):
    clock(*[0.125] * 20, 0.1875)
    seen = []
    begin.train(
        timed, data, minutes=MINUTES, out=tmp_path / "run",
        watcher=lambda training: seen.append(training.progress.seconds),
    )  # fmt: skip
    assert 60 * MINUTES <= seen[-1] <= 1.2 * 60 * MINUTES


def test_one_whose_time_is_over_already_plays_one_round_more(data, tmp_path, clock):
    clock(2.0)
    run = begin.train(timed, data, minutes=MINUTES, out=tmp_path / "run")
    assert run.header["target"] == {"steps": 5}
    assert int(run.samples()[-1].stem) == 5


def test_one_whose_end_was_moved_is_bit_identical_wherever_it_was_stopped(data, tmp_path, clock):
    clock(0.25)
    whole = begin.train(timed, data, minutes=MINUTES, out=tmp_path / "whole").path
    recipe = timed

    def stop(training):
        training.save()
        raise Stopped

    clock(0.25)
    path = tmp_path / "parts"
    with pytest.raises(Stopped):
        begin.train(recipe, data, minutes=MINUTES, out=path, watcher=stop)
    for _ in range(23):
        clock(0.25)
        with pytest.raises(Stopped):
            begin.resume(path, recipe=recipe, data=data, watcher=stop)
    clock(0.25)
    begin.resume(path, recipe=recipe, data=data)
    assert outcome(path) == outcome(whole)


def test_the_new_end_is_told_in_a_line(data, tmp_path, clock, capsys):
    clock(0.25)
    with TrainingDisplay() as display:
        begin.train(timed, data, minutes=MINUTES, out=tmp_path / "run", watcher=display)
    assert "ends after 24 rounds, not 48" in capsys.readouterr().out


def test_whoever_gives_another_end_means_it(data, tmp_path, clock):
    clock(0.25)

    def stop(training):
        training.save()
        raise Stopped

    path = tmp_path / "run"
    with pytest.raises(Stopped):
        begin.train(timed, data, minutes=MINUTES, out=path, watcher=stop)
    assert Run.open(path).header[begin.REPLAN] == {"step": 4, "minutes": MINUTES}
    run = begin.resume(path, recipe=timed, data=data, steps=9)
    assert run.header["target"] == {"steps": 9}
    assert begin.REPLAN not in run.header
    clock(0.25)
    run = begin.resume(path, recipe=timed, data=data, minutes=2 * MINUTES)
    assert run.header["target"] == {"steps": 48}


@pytest.mark.parametrize(("done", "rounds"), [(1, 2), (2, 3), (3, 4), (9, 10)])
def test_an_end_is_not_moved_again_before_another_round(done, rounds):
    assert begin._replanned(done, rounds, MINUTES) == {}


def test_more_time_before_the_first_checkpoint_stretches_the_schedules_too(data, tmp_path, clock):
    clock(0.125)

    def stop(training):
        raise Stopped

    path = tmp_path / "run"
    with pytest.raises(Stopped):
        begin.train(timed, data, minutes=MINUTES, out=path, watcher=stop)
    assert [step_of(file) for file in Run.open(path).checkpoints()] == [0]
    clock(0.125)
    run = begin.resume(path, recipe=timed, data=data, minutes=4 * MINUTES)
    assert run.header["target"] == {"steps": 192}
    assert run.header["arguments"]["ends"][-1][1] == 4 * 192


def test_several_processes_do_not_end_by_the_clock(data, tmp_path, clock, monkeypatch):
    clock(0.125)
    run = begin.train(timed, data, steps=2, out=tmp_path / "run")
    monkeypatch.setattr("frenemy.begin.world_here", lambda: 2)
    with pytest.raises(FrenemyError, match="several processes cannot plan by time"):
        begin.resume(run.path, recipe=timed, data=data, minutes=1.0)


def test_a_recipe_that_is_edited_while_it_is_played_goes_on_as_it_was(
    data, tmp_path, clock, monkeypatch
):
    clock(0.25)

    def edit(_):  # which `describe` would read
        for place in ("frenemy.origin.describe", "frenemy.begin.describe"):
            monkeypatch.setattr(place, lambda _: pytest.fail("it was read again"))

    run = begin.train(timed, data, minutes=MINUTES, out=tmp_path / "run", watcher=edit)
    assert run.header["target"] == {"steps": 24}  # its end was moved
