"""The game on one's own pictures: what is chosen for them, and that it holds."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from frenemy.choosing import Budget, Open, TooLarge
from frenemy.data import Facts, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, from_pixels
from frenemy.nets.augment import Augment
from frenemy.nets.augmented import Augmented
from frenemy.objectives import hinge_d, level, pairing_d, pairing_g, wasserstein_g
from frenemy.penalties import r1, r2
from frenemy.recipes.pictures import LEAST, WIDTHS, Pictures, pictures
from frenemy.sampling import generate, noise

FACES = Facts((1, 32, 32), 27_334)


def machine(images_a_second, minutes=30.0):
    """One on which networks of width 16 see so many images a second, and wider ones fewer."""

    def rounds(arguments):
        speed = images_a_second * (16 / arguments.width) ** 1.5
        return int(60 * minutes * speed / arguments.minibatch)

    return Budget(rounds, f"{minutes:g} minutes")


SHAPES = [(1, 32, 32), (3, 32, 32), (3, 64, 64), (1, 28, 28), (3, 48, 64)]
COUNTS = [10, 400, 2_000, 30_000, 1_000_000]
SPEEDS = [300, 10_000]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("speed", SPEEDS)
def test_nothing_is_chosen_that_the_time_does_not_allow(shape, count, speed):
    budget = machine(speed)
    choice = Pictures().choose(Facts(shape, count, ("a", "b")), budget)
    chosen = choice.arguments
    assert choice.rounds == budget.rounds(chosen)
    assert chosen.ends == ((0, choice.rounds * chosen.minibatch),)
    assert choice.rounds * chosen.minibatch >= WIDTHS[chosen.width]
    wider = [width for width in WIDTHS if width > chosen.width]
    for width in wider[:1]:  # and nothing less than it does
        more = Pictures(width=width)
        assert budget.rounds(more) * more.minibatch < WIDTHS[width]
    assert len(choice.reasons) == 5
    assert choice.reasons[2].endswith(": the widest worth training on so many")
    assert f"{count:,} pictures of {shape[2]}x{shape[1]}" in choice.reasons[0]


def test_the_longer_and_the_faster_the_wider():
    widths = [
        Pictures().choose(FACES, machine(speed, minutes)).arguments.width
        for speed, minutes in ((300, 5), (2500, 5), (10_000, 120), (200_000, 240))
    ]
    assert widths == sorted(widths)
    assert len(set(widths)) == 4


def test_what_is_given_stays():
    given = Pictures(images=100_000, width=24, rate=1e-3, minibatch=32, classes=False)
    budget = machine(1000)
    choice = given.choose(FACES, budget)
    assert choice.arguments == given
    assert choice.rounds == budget.rounds(given)
    assert choice.reasons[2] == "networks of width 24: as given"
    assert isinstance(given, Open)


def test_what_does_not_fit_the_memory_is_told():
    def rounds(arguments):
        if arguments.width > 24:
            raise TooLarge("32 are too many")
        return 10**6

    reasons = Pictures().choose(FACES, Budget(rounds, "a day")).reasons
    assert reasons[2] == "networks of width 24: those of width 32 do not fit the memory"


@pytest.mark.parametrize(
    ("facts", "budget", "said"),
    [
        (
            FACES,
            machine(10, 0.5),
            rf"0.5 minutes: time for only \d+ images; it takes at least {LEAST:,}: give",
        ),
        (
            Facts((1, 32, 32), 7, name="few"),
            machine(1000),
            "few: 7 pictures .*: give ten or more in all",
        ),
        (Facts((3, 30, 32), 99), machine(1000), "30"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_training(facts, budget, said):
    with pytest.raises(FrenemyError, match=said):
        Pictures().choose(facts, budget)


def test_where_there_is_no_time_at_all_wide_networks_are_not_tried():
    tried = []

    def rounds(arguments):
        tried.append(arguments.width)
        return 0

    with pytest.raises(FrenemyError, match="time for only 0 images"):
        Pictures().choose(FACES, Budget(rounds, "1 second"))
    assert len(tried) < 3


def test_the_players_are_told_the_classes_if_there_are_any_and_nobody_objects():
    classed = Facts((3, 16, 16), 100, ("cat", "dog"))
    (told,) = pictures(classed, Pictures(width=4))
    (untold,) = pictures(classed, Pictures(width=4, classes=False))
    assert told.game.conditions is not None
    assert untold.game.conditions is None


def test_the_rate_falls_to_a_tenth_when_the_images_end():
    (stage,) = pictures(FACES, Pictures(width=4, images=64_000, rate=1e-3))
    schedule = stage.game.players["G"].schedule
    assert schedule(0)["lr"] == pytest.approx(1e-3)
    assert schedule(64_000 // stage.game.minibatch)["lr"] == pytest.approx(1e-4)


def test_more_time_stretches_what_is_left_of_the_schedules():
    chosen = Pictures(width=4, rate=1.0).choose(FACES, machine(1000)).arguments
    end = chosen.ends[0][1] // chosen.minibatch

    def rate(arguments, t):
        (stage,) = pictures(FACES, arguments)
        return stage.game.players["G"].schedule(t)["lr"]

    half = end // 2
    longer = chosen.stretched(half, half + end)
    assert rate(longer, half - 5) == rate(chosen, half - 5)  # what is played stays as it was
    assert rate(longer, half + end) == pytest.approx(0.1) == rate(chosen, end)
    assert rate(longer, half + end // 2) == pytest.approx(rate(chosen, end * 3 // 4), rel=1e-3)
    given = Pictures(images=1000)
    assert given.stretched(5, 50) == given  # who says how many has said when they end


@pytest.mark.parametrize(("objective", "held"), [("pairing", 0.01), ("hinge", None)])
def test_logits_of_which_differences_count_are_held_about_0(objective, held):
    (stage,) = pictures(FACES, Pictures(width=4, objective=objective))
    of_D, of_G = stage.game.turns
    assert of_D.moves["D"].get(level) == held and level not in of_G.moves["G"]


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_D_sees_the_contrast_of_a_minibatch(classes):
    (stage,) = pictures(replace(FACES, classes=classes), Pictures(width=4, augmenting=False))
    first, *_ = (m for m in stage.game.nets["D"].modules() if isinstance(m, nn.Conv2d))
    assert first.bias is not None  # without, D is blind to it: see tests/nets/test_dcgan.py


def test_penalties_are_played_as_often_as_is_asked():
    def turns(**arguments):
        (stage,) = pictures(FACES, Pictures(width=4, **arguments))
        return [[*turn.moves.get("D", turn.moves.get("G"))] for turn in stage.game.turns], [
            turn.every for turn in stage.game.turns
        ]

    assert turns() == ([[pairing_d, level], [pairing_g]], [1, 1])
    assert turns(objective="hinge") == ([[hinge_d], [wasserstein_g]], [1, 1])
    assert turns(gamma=1.0) == ([[pairing_d, level, r1, r2], [pairing_g]], [1, 1])
    every = turns(gamma=1.0, penalty_every=8)
    assert every == ([[pairing_d, level], [r1, r2], [pairing_g]], [1, 8, 1])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ["r1", "r2"]),
        ({"penalty_share": 0.25}, ["r1", "r2"]),
        ({"penalty": "differences"}, ["ar1", "ar2"]),
        ({"penalty": "differences", "penalty_share": 0.25, "penalty_every": 4}, ["ar1", "ar2"]),
    ],
)
def test_penalties_are_the_ones_that_are_asked_for(arguments, names):
    (stage,) = pictures(FACES, Pictures(width=2, minibatch=8, gamma=1.0, **arguments))
    x = torch.rand(8, 1, 32, 32) * 2 - 1
    record = stage.game.play(lambda stream, i: (x, None), seed=0, step=0)
    assert {name: record[f"D/{name}"].item() > 0 for name in names} == dict.fromkeys(names, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"penalty": "none"}, "no penalty 'none'"),
        ({"penalty_share": 0.0}, "penalty_share is 0.0: give more than 0"),
        ({"penalty_share": 2.0}, "penalty_share is 2.0: give 1 or less"),
        ({"gamma": 1.0, "penalty_every": 0}, "every is 0"),
    ],
)
def test_penalties_that_make_no_sense_are_refused(arguments, said):
    with pytest.raises(FrenemyError, match=said):
        pictures(FACES, Pictures(width=2, **arguments))


@pytest.mark.parametrize(
    ("shape", "side", "sides"),
    [
        (None, 20, [32]),  # they differ
        (None, 300, [32, 64, 128, 256]),
        ((3, 64, 64), 64, [32, None]),
        ((1, 28, 28), 28, [None]),
        ((3, 48, 64), 48, [32, None]),
        ((3, 256, 256), 256, [32, 64, 128, None]),
        ((3, 37, 41), 37, [32]),  # no start gives them
        ((1, 8, 8), 8, [32]),
    ],
)
def test_pictures_are_as_large_as_there_is_time_for(shape, side, sides):
    found = Pictures(minibatch=32).sides(shape, side)
    assert list(found) == sides
    needed = list(found.values())
    assert needed[0] == 0
    assert needed == sorted(needed)
    if 64 in found:
        assert found[64] == 250 * 64 * 64 // 32


@pytest.mark.parametrize("arguments", [{"width": 0}, {"rate": 0.0}, {"images": 0}])
def test_nothing_is_not_taken_for_what_is_open(arguments):
    (name,) = arguments
    with pytest.raises(FrenemyError, match=f"{name} is 0"):
        pictures(FACES, Pictures(**{"width": 4, **arguments}))


@pytest.mark.parametrize(
    ("objective", "of_real", "of_generated", "p"),
    [
        ("hinge", 0.4, -1.0, 0.5),
        ("hinge", -0.4, -1.0, 0.0),
        ("least-squares", 0.4, 0.0, 0.0),  # nearer to what D says of samples
        ("least-squares", 0.6, 0.0, 0.5),
        ("pairing", -7.0, -8.0, 0.5),  # only differences count
        ("wasserstein", 7.0, 8.0, 0.0),
    ],
)
def test_images_are_augmented_where_D_is_sure_of_real_ones(objective, of_real, of_generated, p):
    arguments = Pictures(width=2, minibatch=250_000, objective=objective)
    (stage,) = pictures(FACES, arguments)
    after = stage.game.turns[0].after
    r = SimpleNamespace(Dx=torch.full((4,), of_real), DGz=torch.full((4,), of_generated))
    assert after(r)["augmented"].item() == p


def halves(count):
    """Grey pictures, light above and dark below; nothing differs along a row."""
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(170, 231, count), random.integers(25, 86, count)], 1)
    rows = levels.repeat(8, axis=1)[:, None, :, None]
    return np.broadcast_to(rows, (count, 1, 16, 16)).astype(np.uint8)


def lying(images):
    """How many are light above and dark below, and how much pixels of a row differ, in levels."""
    upper, lower = images[:, :, :8].mean((1, 2, 3)), images[:, :, 8:].mean((1, 2, 3))
    return (upper - lower > 60).mean(), images.std(3).mean()


def test_samples_show_nothing_of_the_augmentation(monkeypatch):
    monkeypatch.setattr(Augment, "adapt", lambda self, *_: self.p.clone())
    source = Source(halves(64))
    (stage,) = pictures(source.facts, Pictures(width=8, minibatch=16, rate=2e-3))
    game = stage.game
    D = game.players["D"].net
    assert isinstance(D, Augmented) and isinstance(D.T, Augment)
    D.T.set(0.5)
    minibatch = Experiment([stage], source).minibatch(game, 0, game.device)
    for step in range(1500):
        game.play(minibatch, seed=0, step=step)
    seen = D.T(from_pixels(torch.from_numpy(source.images.copy())).repeat(4, 1, 1, 1))
    as_seen, along_seen = lying(seen.numpy() * 127.5)
    as_drawn, along_drawn = lying(generate(game, source.facts, noise(game, 200, 0), 200))
    # of two seeds all lay right, and 6 and 7 levels differed; of what D saw .41 to .45, and 32
    assert as_seen < 0.6 and along_seen > 25
    assert as_drawn > 0.95 and along_drawn < 12
