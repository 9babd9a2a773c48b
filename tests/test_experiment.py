"""Stages, epochs and rounds by exact arithmetic; the streams of minibatches."""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from frenemy.data import Facts, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Stage, arguments_of, from_pixels, require_shape, vary
from frenemy.game import Game, Player, Prior, Turn

CPU = torch.device("cpu")


def game_of(minibatch, steps=1, every=1):
    """What an experiment asks of a game: its minibatch and its turns."""
    turns = (Turn({"D": {}}, steps=steps, every=every), Turn({"G": {}}))
    return SimpleNamespace(minibatch=minibatch, turns=turns)


def source_of(count, labels=True, shape=(1, 2, 2)):
    """Images whose number is written in their first two pixels."""
    images = np.zeros((count, *shape), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    return Source(images, np.arange(count) if labels else None, name="stand-in")


def experiment_of(*stages, count=100, labels=True):
    stages = [Stage(game, epochs) for game, epochs in stages]
    return Experiment(stages, source_of(count, labels))


# Epochs and rounds


@pytest.mark.parametrize(
    ("minibatch", "steps", "every", "share"),
    [(10, 1, 1, 0.1), (10, 3, 1, 0.3), (10, 1, 4, 0.025), (10, 3, 4, 0.075), (250, 1, 1, 2.5)],
)
def test_an_epoch_is_one_pass_of_the_first_turn(minibatch, steps, every, share):
    game = game_of(minibatch, steps, every)
    found = experiment_of((game, 1)).epochs_per_round(game)
    assert found == pytest.approx(share, rel=1e-15)  # one or two roundings of float64


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("minibatch", [7, 100, 128])
@pytest.mark.parametrize("count", [60, 1439, 50_000, 98_058])
@pytest.mark.parametrize("epochs", ["1", "22", "50", "250", "0.5", "1.1"])
def test_a_stage_has_as_few_rounds_as_make_its_epochs(count, minibatch, steps, epochs):
    game = game_of(minibatch, steps)
    stages = [Stage(game, float(epochs))]
    experiment = Experiment(stages, range(count))  # only its length is asked
    exact = max(1, math.ceil(Fraction(epochs) * count / (minibatch * steps)))
    assert experiment.rounds(experiment.stages[0]) == exact


def test_rounds_of_other_epochs_may_be_asked():
    experiment = experiment_of((game_of(10), 7))
    (stage,) = experiment.stages
    assert experiment.rounds(stage) == 70
    assert experiment.rounds(stage, 2) == 20
    assert experiment.rounds(stage, 0.001) == 1
    assert experiment.rounds(stage, 0) == 1


def test_where_nobody_has_a_turn_a_round_is_an_epoch():
    game = SimpleNamespace(minibatch=7, turns=())
    experiment = experiment_of((game, 1))
    assert experiment.rounds(experiment.stages[0]) == 1
    assert experiment.rounds(experiment.stages[0], 3) == 3


def test_a_round_belongs_to_the_stage_that_has_begun_and_not_ended():
    experiment = experiment_of((game_of(10), 2), (game_of(30), 1), (game_of(10), 3))
    ends = [20, 20 + 4]  # 100 images: 2 epochs of 10 rounds; 1 epoch of 3.3
    expected = [0] * ends[0] + [1] * (ends[1] - ends[0]) + [2] * 30
    found = [experiment.stage_of(step) for step in range(len(expected))]
    assert [i for i, _ in found] == expected
    assert all(first == [0, *ends][i] for i, first in found)
    assert experiment.stage_of(10**9)[0] == 2  # the last stage has no end


def test_one_stage_has_all_rounds():
    experiment = experiment_of((game_of(10), 1))
    assert [experiment.stage_of(step)[0] for step in (0, 9, 10, 1000)] == [0] * 4


def test_the_run_is_for_the_last_stages_game():
    first, last = game_of(10), game_of(20)
    assert experiment_of((first, 1), (last, 1)).game is last


# Minibatches


def test_images_are_floats_from_minus_one_to_one():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x = from_pixels(levels)
    assert x.dtype == torch.float32
    assert (x.min(), x.max()) == (-1, 1)
    expected = levels.double() / 255 * 2 - 1
    torch.testing.assert_close(x.double(), expected, rtol=0, atol=1e-7)  # float32 near 1
    assert torch.equal(((x + 1) * 127.5).round().byte(), levels)  # and back without a loss
    assert torch.equal(levels.flatten(), torch.arange(256, dtype=torch.uint8))


def test_minibatches_are_the_sources_batches_of_seed_and_stream():
    game = game_of(10)
    experiment = experiment_of((game, 1))
    draw = experiment.minibatch(game, 3, CPU)
    for stream in (0, 1):
        for i in (0, 4, 11):
            x, y = draw(stream, i)
            pixels, labels = experiment.source.batch((3, stream), i, 10)
            assert torch.equal(x, from_pixels(torch.from_numpy(pixels)))
            assert y.tolist() == labels.tolist()


def test_unlabelled_images_have_no_y():
    game = game_of(10)
    assert experiment_of((game, 1), labels=False).minibatch(game, 0, CPU)(0, 0)[1] is None


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_every_stream_passes_over_every_image_once_an_epoch(stream):
    game = game_of(10)
    draw = experiment_of((game, 1)).minibatch(game, 0, CPU)
    for epoch in range(2):
        seen = [y for i in range(10) for y in draw(stream, 10 * epoch + i)[1].tolist()]
        assert sorted(seen) == list(range(100))


def test_streams_seeds_and_epochs_have_orders_of_their_own():
    game = game_of(100)
    experiment = experiment_of((game, 1))
    orders = {
        tuple(experiment.minibatch(game, seed, CPU)(stream, i)[1].tolist())
        for seed in (0, 1)
        for stream in (0, 1)
        for i in (0, 1)
    }
    assert len(orders) == 8


# Shapes


def test_require_shape_lets_the_right_ones_pass_and_names_the_wrong_one():
    facts = source_of(5, shape=(3, 4, 6)).facts
    assert require_shape(facts, "mine", (3, 4, 6), hint="add --size 4") is None
    with pytest.raises(FrenemyError) as refused:
        require_shape(facts, "mine", (1, 28, 28), hint="add --size 32")
    message = str(refused.value)
    parts = ("mine", "1x28x28", "stand-in", "3x4x6", "add --size 32")
    assert all(part in message for part in parts)
    assert "\n" not in message


# What is fitted to the data


def averaged(G):
    return Player(G, torch.optim.SGD(G.parameters(), lr=0.1), averaging=0.9)


def test_a_stage_begins_with_what_it_finds_in_the_data_and_so_does_the_average():
    G, D = nn.Linear(2, 4), nn.Linear(4, 1)
    players = {"G": averaged(G), "D": Player(D, torch.optim.SGD(D.parameters()))}
    game = Game(players, [Turn({"D": {}})], Prior("gaussian", 2), 10)

    def begin(source):
        G.bias.copy_(torch.from_numpy(source.mean()).flatten())

    experiment = Experiment([Stage(game, 1, begin)], source_of(100))
    experiment.begin(0, seed=0)
    assert torch.equal(G.bias, torch.from_numpy(experiment.source.mean()).flatten().float())
    assert torch.equal(players["G"].average.bias, G.bias)


def test_a_beginning_may_say_what_it_does_and_is_done_whoever_listens():
    net = nn.BatchNorm1d(4, affine=False)
    game = Game({"G": Player.fitted(net)}, [], Prior("gaussian", 2), 10)

    def begin(source):
        yield "first"
        net.running_mean.add_(1)
        yield "second"
        net.running_mean.mul_(3)

    experiment, told = Experiment([Stage(game, 1, begin)], source_of(100)), []
    experiment.begin(0, seed=0, tell=told.append)
    assert told == ["first", "second"]
    experiment.begin(0, seed=0)
    assert net.running_mean.tolist() == [12.0] * 4
    assert game.device == CPU


def test_an_average_that_has_begun_is_left_alone():
    G = nn.Linear(2, 4)
    player = averaged(G)
    player.optimiser = torch.optim.Adam(G.parameters())
    player.theta = list(G.parameters())
    player.move([torch.ones_like(p) for p in player.theta], step=0, images=10)
    before = player.average.bias.clone()
    game = Game({"G": player}, [Turn({"G": {}})], Prior("gaussian", 2), 10)
    begin = functools.partial(nn.init.zeros_, G.bias)
    Experiment([Stage(game, 1, lambda _: begin())], source_of(100)).begin(0, seed=0)
    assert torch.equal(player.average.bias, before)


def test_what_a_beginning_draws_is_a_function_of_the_seed_and_the_stage():
    G = nn.Linear(2, 4)
    game = Game({"G": averaged(G)}, [Turn({"G": {}})], Prior("gaussian", 2), 10)
    stages = [Stage(game, 1, lambda _: nn.init.normal_(G.bias)) for _ in range(2)]
    drawn = []
    for stage, seed in ((0, 0), (0, 0), (1, 0), (0, 1)):
        torch.rand(stage + 3)
        Experiment(stages, source_of(100)).begin(stage, seed)
        drawn.append(tuple(G.bias.tolist()))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_every_image_is_shown_from_left_to_right_half_of_the_time():
    images = np.zeros((100, 1, 2, 2), np.uint8)
    images[..., 0] = 255  # the left is white
    game = game_of(50)
    experiment = Experiment([Stage(game, 1)], Source(images))
    draw = experiment.minibatch(game, 3, CPU, mirror=True)
    x = torch.cat([draw(0, i)[0] for i in range(20)])
    assert (x[..., 0] == -x[..., 1]).all()  # nothing is between the two
    white = (x[:, 0, 0, 0] == 1).double().mean().item()
    assert abs(white - 0.5) < 4 * 0.5 / math.sqrt(len(x))  # four standard errors
    again = experiment.minibatch(game, 3, CPU, mirror=True)
    assert torch.equal(again(0, 7)[0], draw(0, 7)[0])
    assert not torch.equal(again(1, 7)[0], draw(0, 7)[0])  # of another stream


# Arguments


@dataclass(frozen=True)
class Some:
    rate: float = 0.1
    k: int = 1


def of_some(facts, some=Some(rate=0.5)):
    return facts, some


def test_vary_changes_what_it_names_and_leaves_the_recipes_own_defaults():
    facts = Facts((1, 2, 2), 5)
    assert vary(of_some)(facts) == (facts, Some(0.5, 1))
    varied = vary(vary(of_some, k=3), k=4)
    assert varied(facts) == (facts, Some(0.5, 4))
    assert arguments_of(varied) == Some(0.5, 4)


def test_vary_names_the_argument_that_there_is_not():
    with pytest.raises(FrenemyError, match="no recipe argument 'rat': did you mean rate"):
        vary(of_some, rat=1)
    with pytest.raises(FrenemyError, match="takes no arguments: leave out rate"):
        vary(lambda facts: [], rate=1)
