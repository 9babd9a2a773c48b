"""What is chosen fits the memory and the time, on machines and images that are made up."""

import math
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from frenemy import begin, recipes
from frenemy.choosing import FASTER, Budget, EngineChoice, TooLarge, fitted, parts_that_fit
from frenemy.data import Dataset, Facts, Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.fitting import Rehearsal, in_words
from frenemy.model import set_up
from frenemy.nets.layers import start_of
from frenemy.recipes.pictures import LEAST, Pictures

GIB = 2**30


@dataclass
class MadeUp:
    """A game whose memory and speed are known."""

    minibatch: int = 64
    least: int = 2
    state: float = 0.0
    image: float = 1.0
    step: float = 0.0
    full: float = 1.0
    low: float = 1.0

    def __post_init__(self):
        self.asked = []

    def fixed(self):
        return self.state

    def need(self, images):
        self.asked.append(images)
        return max(self.step, images * self.image)  # the optimiser's step, or the pass of G and D

    def speed(self, parts, precision):
        return (self.low if precision == "bfloat16" else self.full) / (1 + 0.05 * parts)


def source(chance):
    """Facts of any images."""
    count = round(10 ** chance.uniform(0.9, 6))
    sides = chance.choice([(s, s) for s in (16, 24, 28, 32, 48, 64, 100, 128, 256)] + [(96, 128)])
    classes = chance.choice([0, 0, 2, 10, 1000])
    return Facts((chance.choice([1, 3, 4]), *sides), count, tuple(map(str, range(classes))))


def test_fifty_made_up_sources_and_machines_are_given_nothing_that_does_not_fit():
    chance, fine = random.Random(14), 0
    for _ in range(50):
        facts, minutes = source(chance), chance.choice([0.5, 2, 5, 30, 240])
        room, flops = GIB * 10 ** chance.uniform(-1, 2), 10 ** chance.uniform(10, 14)
        gain, tries_low = chance.uniform(0.5, 3), chance.random() < 0.5
        pixels, known = math.prod(facts.shape[1:]), {}

        def trial_of(arguments, pixels=pixels, flops=flops, gain=gain):
            work = 1e3 * pixels * arguments.width**2 * arguments.minibatch
            return MadeUp(
                arguments.minibatch,
                state=1e6 * arguments.width**2,
                image=200.0 * pixels * arguments.width,
                step=5e5 * arguments.width**2,
                full=flops / work,
                low=gain * flops / work,
            )

        def rounds(arguments, minutes=minutes, room=room, known=known, low=tries_low):
            found = fitted(
                *(trial_of(arguments), room),
                **{"parts": None, "precision": "auto", "timed": True, "tries_low": lambda: low},
            )
            known[arguments] = found
            return round(60 * minutes * found.speed)

        minibatch = chance.choice([1, 7, 32, 64, 96])
        try:
            choice = Pictures(minibatch=minibatch).choose(facts, Budget(rounds, "some minutes"))
        except FrenemyError as error:
            assert "\n" not in str(error)
            continue
        fine += 1
        how, trial = known[choice.tried], trial_of(choice.tried)
        assert choice.tried.width == choice.arguments.width
        assert minibatch % how.parts == 0
        assert trial.fixed() + trial.need(minibatch // how.parts) <= room
        assert choice.rounds / trial.speed(how.parts, how.precision) <= 1.2 * 60 * minutes
        assert choice.rounds * minibatch >= LEAST - minibatch
        assert how.precision == ("bfloat16" if tries_low and gain > FASTER else "float32")
        assert start_of(facts.shape)
    assert fine >= 25


@pytest.mark.parametrize(
    ("room", "parts"), [(1e9, 1), (64, 1), (63, 2), (32, 2), (31, 4), (4, 16), (2, 32)]
)
def test_there_are_as_few_parts_as_fit(room, parts):
    trial = MadeUp()
    assert parts_that_fit(trial, room) == parts
    assert all(n * trial.image <= room for n in trial.asked)  # nor was anything larger tried


def test_with_room_enough_one_small_part_tells():
    trial = MadeUp(state=5.0)
    assert parts_that_fit(trial, 1e6) == 1
    assert trial.asked == [2]


def test_whole_minibatches_or_equal_parts():
    assert parts_that_fit(MadeUp(minibatch=7), 7) == 1
    with pytest.raises(TooLarge):
        parts_that_fit(MadeUp(minibatch=7), 6)  # two at once at least, and 7 has no parts
    assert parts_that_fit(MadeUp(minibatch=7, least=1), 6) == 7
    assert parts_that_fit(MadeUp(minibatch=1), 1) == 1


def test_too_little_memory_is_told_with_what_to_do():
    with pytest.raises(
        TooLarge, match=r"2 images at once take 3\.0 GiB of memory, and 2\.5 are free: give a sm"
    ):
        parts_that_fit(MadeUp(state=GIB, image=GIB), 2.5 * GIB)


@pytest.mark.parametrize(
    ("low", "given", "expected"),
    [
        (1.05, "auto", "float32"),
        (1.2, "auto", "bfloat16"),
        (1.2, "float32", "float32"),
        (0.5, "bfloat16", "bfloat16"),
    ],
)
def test_bfloat16_is_played_where_it_is_faster_by_a_tenth(low, given, expected):
    how = {"parts": 1, "timed": True, "tries_low": lambda: True}
    found = fitted(MadeUp(low=low), 1e9, precision=given, **how)
    assert found.precision == expected
    if given == "auto":
        assert found.gain == pytest.approx(low)
        assert f"bfloat16 is {low:.2f} times as fast" in in_words(found, MadeUp())


def test_without_units_for_it_it_is_not_tried():
    def speed(parts, precision):
        assert precision == "float32"
        return 1.0

    trial = MadeUp()
    trial.speed = speed
    how = {"parts": 1, "precision": "auto", "timed": True, "tries_low": lambda: False}
    assert fitted(trial, 1.0, **how) == EngineChoice(1, "float32", 1.0)


def test_who_says_how_many_rounds_gets_the_same_ones_on_every_machine():
    how = {"parts": None, "precision": "auto", "timed": False, "tries_low": lambda: True}
    assert fitted(MadeUp(low=9.0), 1e9, **how) == EngineChoice(1, "float32")


# ---- real games


def dataset(shape=(3, 16, 16), count=24):
    pixels = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    source = Source(pixels)
    return Dataset(source, source, source, "random images")


def rehearsal(minibatch=16, **arguments):
    recipe = recipes.vary(recipes.pictures, width=4, minibatch=minibatch, images=10, **arguments)
    experiment = set_up(recipe, dataset(), 0)
    return Rehearsal(experiment, torch.device("cpu"), mirror=False)


@pytest.mark.parametrize("arguments", [{}, {"normalised": False, "gamma": 0.1}], ids=str)
def test_what_a_round_needs_grows_no_faster_than_its_images(arguments):
    trial = rehearsal(**arguments)
    trial.fixed()
    few, many, most = map(trial.need, (4, 8, 16))
    assert few < many <= 2 * few and many < most <= 2 * many
    weights = sum(p.numel() for player in trial.players.values() for p in player.theta)
    assert trial.fixed() >= 4 * 3 * weights  # Adam keeps two numbers of each


def test_the_parts_that_fit_are_the_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.fitting.memory_left", lambda _: 1e12)
    recipe = recipes.vary(recipes.pictures, width=4, minibatch=16)
    plan = begin.plan(recipe, dataset(), begin.Settings(steps=1, out=tmp_path / "run"))
    assert (plan.run.header["parts"], plan.run.header["precision"]) == (1, "float32")
    trial = rehearsal()
    enough = (trial.fixed() + 2 * trial.need(2)) / 0.6  # surely, for 4 images at once
    monkeypatch.setattr("frenemy.fitting.memory_left", lambda _: 1.01 * enough)
    plan = begin.plan(recipe, dataset(), begin.Settings(steps=1, out=tmp_path / "run"))
    parts = plan.run.header["parts"]
    assert parts in (2, 4)
    (said,) = [line for line in plan.reasons if "parts" in line]
    assert f"split into {parts} parts, to save memory, each normalised separately" in said
    settings = begin.Settings(steps=1, out=tmp_path / "run", parts=8)
    assert begin.plan(recipe, dataset(), settings).run.header["parts"] == 8
    monkeypatch.setattr("frenemy.fitting.memory_left", lambda _: 1e4)
    with pytest.raises(FrenemyError, match=r"2 images at once take \d+\.\d GiB of memory"):
        begin.plan(recipe, dataset(), begin.Settings(steps=1, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_precision_that_is_faster_is_the_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.fitting.low_is_fast", lambda _: True)
    speeds = {"float32": 100.0, "bfloat16": 150.0}
    monkeypatch.setattr(
        "frenemy.fitting.Rehearsal.speed", lambda self, parts, precision: speeds[precision]
    )
    recipe = recipes.vary(recipes.pictures, width=4)
    settings = begin.Settings(minutes=10, out=tmp_path / "run")
    plan = begin.plan(recipe, dataset(), settings)
    assert plan.run.header["precision"] == "bfloat16"
    assert plan.run.header["target"] == {"steps": 90_000}
    assert any("150.0 rounds a second in bfloat16 (bfloat16 is 1.50" in x for x in plan.reasons)
    settings = begin.Settings(minutes=10, out=tmp_path / "run", precision="float32")
    header = begin.plan(recipe, dataset(), settings).run.header
    assert (header["precision"], header["target"]) == ("float32", {"steps": 60_000})


@pytest.fixture
def photographs(tmp_path):
    """Of 64 x 64 pixels, in a file."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 3, 64, 64), np.uint8)
    np.save(tmp_path / "photographs.npy", pixels)
    return tmp_path / "photographs.npy"


@pytest.fixture
def quickly(monkeypatch):
    """Machines play so many rounds a second at 32 pixels, and a quarter at twice as many."""

    def quickly(at_32, room_at_64=math.inf):
        def speed(trial, parts, precision):
            tried.append(side(trial))
            return at_32 * (32 / side(trial)) ** 2

        def side(trial):
            return trial._experiment.source.shape[1]

        def fits(trial, room_there):
            if side(trial) == 64 and room_there > room_at_64:
                raise TooLarge("no")
            return 1

        tried = []
        monkeypatch.setattr("frenemy.fitting.low_is_fast", lambda _: False)
        monkeypatch.setattr("frenemy.choosing.parts_that_fit", fits)
        monkeypatch.setattr("frenemy.fitting.Rehearsal.speed", speed)
        return tried

    return quickly


WHOLE_SIZE = 250 * 64 * 64 // 32 / 600  # rounds a second that see enough of 64 pixels in 10 minutes


@pytest.mark.parametrize(
    ("at_32", "side", "tried"),
    [
        (0.9 * WHOLE_SIZE, 32, [32]),  # larger ones are no faster
        (3.9 * WHOLE_SIZE, 32, [32, 64]),
        (4.1 * WHOLE_SIZE, 64, [32, 64]),
    ],
)
def test_pictures_are_as_large_as_there_is_time_for(
    photographs, quickly, tmp_path, at_32, side, tried
):
    known = quickly(at_32)
    recipe = recipes.vary(recipes.pictures, width=4, minibatch=32)
    settings = begin.Settings(minutes=10, out=tmp_path / "run", keep_best="none")
    plan = begin.plan(recipe, photographs, settings)
    assert (known, plan.data.shape) == (tried, (3, side, side))
    assert plan.run.header["data"]["size"] == (None if side == 64 else side)
    said = plan.reasons[-1]
    assert said.startswith("no larger size: it would take 32,000 rounds") == (side == 32)
    assert said.endswith(", with time for 31,200") == (tried == [32, 64] and side == 32)
    settings = begin.Settings(steps=1, out=tmp_path / "run", keep_best="none")
    assert begin.plan(recipe, photographs, settings).data.shape == (3, 32, 32)
    whole = open_dataset(photographs)  # a size that was chosen already
    assert begin.plan(recipe, whole, settings).data.shape == (3, 64, 64)


def test_where_larger_ones_do_not_fit_the_memory_smaller_ones_are_played(
    photographs, quickly, tmp_path
):
    tried = quickly(9 * WHOLE_SIZE, room_at_64=0)
    recipe = recipes.vary(recipes.pictures, width=4, minibatch=32)
    settings = begin.Settings(minutes=10, out=tmp_path / "run", keep_best="none")
    plan = begin.plan(recipe, photographs, settings)
    assert plan.data.shape == (3, 32, 32)
    assert (tried, plan.reasons[-1]) == ([32], "no larger size: no")


def test_pictures_like_anothers_are_of_its_size(photographs, quickly, tmp_path):
    quickly(9 * WHOLE_SIZE)
    recipe = recipes.vary(recipes.pictures, width=4, minibatch=32)
    settings = {"steps": 1, "keep_best": "none"}
    one = begin.Settings(out=tmp_path / "one", **settings)
    data = open_dataset(photographs, size=16)
    begin.plan(recipe, data, one).play()
    other = begin.Settings(out=tmp_path / "other", like=tmp_path / "one", **settings)
    assert begin.plan(recipe, photographs, other).data.shape == (3, 16, 16)
    whole = begin.Settings(out=tmp_path / "whole", **settings)
    begin.plan(recipe, open_dataset(photographs), whole).play()  # 64 pixels, as they are
    other = begin.Settings(out=tmp_path / "other", like=tmp_path / "whole", **settings)
    assert begin.plan(recipe, photographs, other).data.shape == (3, 64, 64)
    wide = np.random.default_rng(0).integers(0, 256, (32, 3, 32, 48), np.uint8)
    np.save(tmp_path / "wide.npy", wide)
    settings["out"] = tmp_path / "widely"
    begin.plan(recipe, open_dataset(tmp_path / "wide.npy"), begin.Settings(**settings)).play()
    other = begin.Settings(**{**settings, "out": tmp_path / "o"}, init=tmp_path / "widely")
    assert begin.plan(recipe, tmp_path / "wide.npy", other).data.shape == (3, 32, 48)


def test_two_runs_do_not_lend_arguments(photographs, tmp_path):
    settings = begin.Settings(steps=1, init=tmp_path / "a", like=tmp_path / "b")
    with pytest.raises(FrenemyError, match="leave out --like"):
        begin.plan(recipes.pictures, photographs, settings)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rounds_are_timed_by_playing_some(precision):
    trial = rehearsal(4)
    before = {k: v.clone() for k, v in trial.players["G"].state().items()}
    assert 0 < trial.speed(2, precision) < math.inf
    after = trial.players["G"].state()
    assert any(not torch.equal(v, after[k]) for k, v in before.items())


def test_a_rehearsal_leaves_the_users_random_numbers_alone():
    trial = rehearsal(4)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trial.need(4)
    assert torch.equal(torch.rand(2), expected)


def test_memory_that_runs_out_in_a_trial_is_told_in_a_line(monkeypatch):
    trial = rehearsal(4)

    def play(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(type(trial._game), "play", play)
    how = {"parts": 1, "precision": "auto", "tries_low": lambda: False}
    with pytest.raises(TooLarge, match="out of memory in a trial round: give a smaller --size"):
        fitted(trial, 1.0, timed=True, **how)
