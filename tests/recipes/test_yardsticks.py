"""The yardsticks: what was published is their default, and D learns in each."""

import copy

import numpy as np
import pytest
import torch

from frenemy import recipes
from frenemy.data import Facts, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.nets.sngan import power_iteration
from frenemy.objectives import hinge_d, minimax_d, nonsaturating_g, wasserstein_d, wasserstein_g
from frenemy.penalties import wgan_gp

from . import tiny

FACES = Facts((3, 64, 64), 10_000)
YARDSTICKS = pytest.mark.parametrize("name", ["dcgan", "wgan_gp", "sngan"])


def stage_of(name, facts=FACES, **arguments):
    with torch.device("meta"):
        (stage,) = recipes.vary(recipes.RECIPES[name], **arguments)(facts)
    return stage


def experiment_of(name, **arguments):
    """On random images."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (64, 1, 16, 16), np.uint8)
    source = Source(images)
    recipe = recipes.vary(recipes.RECIPES[name], **arguments)
    return Experiment(recipe(source.facts), source)


def play(experiment, rounds):
    streams = experiment.minibatch(experiment.game, 0, torch.device("cpu"))
    return [experiment.game.play(streams, seed=0, step=step) for step in range(rounds)]


@pytest.mark.parametrize(
    ("name", "k", "minibatch", "z", "rate", "betas", "D", "G", "rounds"),
    [
        (*("dcgan", 1, 128, 100, 2e-4, (0.5, 0.999)), {minimax_d: 1}, nonsaturating_g, 25e4 / 128),
        *[
            (
                *("wgan_gp", 5, 64, 100, 1e-4, (0.0, 0.9)),
                *({wasserstein_d: 1, wgan_gp: 10}, wasserstein_g, 100_000),
            ),
            ("sngan", 5, 64, 128, 2e-4, (0.0, 0.9), {hinge_d: 1}, wasserstein_g, 50_000),
        ],
    ],
)
def test_the_published_settings_are_the_defaults(name, k, minibatch, z, rate, betas, D, G, rounds):
    stage = stage_of(name)
    game = stage.game
    of_D, of_G = game.turns
    assert (of_D.moves, of_G.moves) == ({"D": D}, {"G": {G: 1}})
    assert (of_D.steps, of_G.steps, of_D.every, of_G.every) == (k, 1, 1, 1)
    assert (game.minibatch, game.prior.kind, game.prior.size) == (minibatch, "gaussian", z)
    for player in game.players.values():
        (group,) = player.optimiser.param_groups
        assert isinstance(player.optimiser, torch.optim.Adam)
        assert group["betas"] == betas and group["weight_decay"] == 0
        assert player.schedule is not None and player.schedule(0) == {"lr": rate}
        assert player.average is None
    assert stage.epochs * FACES.count / (minibatch * k) == pytest.approx(rounds)


@pytest.mark.parametrize(
    ("name", "side", "G", "D"),
    [("dcgan", 64, 3_576_704, 2_765_568), ("sngan", 32, 4_276_739, 1_053_825)],
)
def test_the_published_widths_are_the_defaults(name, side, G, D):
    nets = stage_of(name, Facts((3, side, side), 10)).game.nets
    assert {n: sum(p.numel() for p in net.parameters()) for n, net in nets.items()} == {
        "G": G,
        "D": D,
    }


def test_only_the_rate_of_sngan_falls_and_any_may():
    def rates(name, *rounds, **arguments):
        schedule = stage_of(name, width=2, **arguments).game.players["G"].schedule
        assert schedule is not None
        return [schedule(t)["lr"] for t in rounds]

    assert rates("dcgan", 0, 10**6) == [2e-4, 2e-4]
    assert rates("wgan_gp", 0, 10**6) == [1e-4, 1e-4]
    assert rates("sngan", 0, 25_000, 50_000, 60_000) == [2e-4, 1e-4, 0, 0]
    assert rates("dcgan", 500, decay=1000) == [1e-4]
    stage = stage_of("wgan_gp", width=2, decay=1000)  # and the game ends with it
    assert stage.epochs * FACES.count / (5 * 64) == pytest.approx(1000)


@YARDSTICKS
def test_an_average_is_made_if_one_is_asked_for(name):
    players = stage_of(name, width=2, averaging=0.999).game.players
    assert players["G"].averaging == 0.999
    assert players["D"].average is None


@YARDSTICKS
def test_a_few_rounds_lower_the_loss_of_D(name):
    experiment = experiment_of(name, width=4, minibatch=8, rate=1e-3)
    records = play(experiment, 15)
    terms = experiment.game.turns[0].moves["D"]
    losses = [sum(w * r[f"D/{t.__name__}"].item() for t, w in terms.items()) for r in records]
    assert np.mean(losses[-3:]) < losses[0]


def test_sngan_iterates_once_a_step_of_D_and_not_at_the_turn_of_G():
    experiment = experiment_of("sngan", width=2, minibatch=4, rate=0.0)  # weights stay
    D = experiment.game.nets["D"]
    with torch.no_grad():
        for p in D.parameters():
            p.add_(torch.randn_like(p))
    expected = copy.deepcopy(D)
    play(experiment, 2)
    for _ in range(2 * 5):
        power_iteration(expected)
    found = D.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in expected.state_dict().items())


@YARDSTICKS
@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"minibatch": 0}, {"rate": -1.0}, {"decay": -1}, {"averaging": 1.5}],
)
def test_what_makes_no_sense_is_refused(name, wrong):
    (field,) = wrong
    with pytest.raises(FrenemyError, match=f"{field} is "):
        recipes.vary(recipes.RECIPES[name], **{"width": 2, **wrong})(tiny.source_for(name).facts)
