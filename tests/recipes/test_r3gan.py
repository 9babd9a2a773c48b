"""R3GAN: what was published is the default, and all that moves does so through the burn-in."""

import numpy as np
import pytest
import torch

from frenemy import recipes
from frenemy.data import Facts, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.game import value_at
from frenemy.objectives import pairing_d, pairing_g
from frenemy.penalties import r1, r2

CIFAR = Facts((3, 32, 32), 50_000, tuple("abcdefghij"))
FACES64, FACES256 = Facts((3, 64, 64), 70_000), Facts((3, 256, 256), 70_000)


def stage_of(facts, **arguments):
    with torch.device("meta"):
        (stage,) = recipes.vary(recipes.r3gan, **arguments)(facts)
    return stage


def weights(player):
    return sum(p.numel() for p in player.net.parameters())


@pytest.mark.parametrize(
    ("facts", "sizes", "minibatch", "images", "gammas", "half_life"),
    [  # Huang et al. (2024), Tables 5 to 7, and the settings that were published with them
        (CIFAR, (20_781_952, 21_280_512), 512, 250e6, (0.05, 0.005), 5e6),
        (FACES64, (22_429_824, 22_381_440), 256, 100e6, (2.0, 0.2), 0.5e6),
        (FACES256, (23_057_952, 23_009_568), 256, 200e6, (150.0, 15.0), 0.5e6),
    ],
)
def test_the_published_settings_are_the_defaults(
    facts, sizes, minibatch, images, gammas, half_life
):
    stage = stage_of(facts)
    game, burnt_in = stage.game, 20_000_000 // stage.game.minibatch + 1
    G, D = game.players["G"], game.players["D"]
    assert (weights(G), weights(D)) == sizes
    assert (game.minibatch, stage.epochs * facts.count) == (minibatch, pytest.approx(images))
    assert (game.prior.kind, game.prior.size) == ("gaussian", 64)
    for player in (G, D):
        assert player.schedule(0) == {"lr": 2e-4, "betas": (0.0, 0.9)}
        assert player.schedule(burnt_in) == {
            "lr": pytest.approx(5e-5), "betas": (0.0, pytest.approx(0.99))
        }  # fmt: skip
    of_D, of_G = game.turns
    assert [*of_D.moves["D"]] == [pairing_d, r1, r2] and of_G.moves == {"G": {pairing_g: 1.0}}
    for penalty in (r1, r2):
        found = [value_at(t, of_D.moves["D"][penalty]) for t in (0, burnt_in, 2 * burnt_in)]
        assert found == pytest.approx([gammas[0], gammas[1], gammas[1]])
    assert D.averaging is None
    assert G.averaging.decay(0, minibatch) == 0  # at first the average is G itself
    assert G.averaging.decay(burnt_in, minibatch) == pytest.approx(0.5 ** (minibatch / half_life))


def test_all_that_moves_does_so_along_half_a_cosine():
    game = stage_of(CIFAR, burn_in=512 * 100, rate=4e-4).game
    half = game.players["G"].schedule(50)
    assert half["lr"] == pytest.approx(2.5e-4) and half["betas"][1] == pytest.approx(0.945)
    (of_D, _) = game.turns
    assert value_at(50, of_D.moves["D"][r1]) == pytest.approx(0.0275)


def experiment_of(**arguments):
    """On random images in two classes."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (64, 1, 16, 16), np.uint8)
    source = Source(images, np.arange(64) % 2, classes=("a", "b"))
    small = {"width": 16, "blocks": 1, "minibatch": 8, "burn_in": 80, "images": 160}
    recipe = recipes.vary(recipes.r3gan, **{**small, **arguments})
    return Experiment(recipe(source.facts), source)


def play(experiment, rounds):
    streams = experiment.minibatch(experiment.game, 0, torch.device("cpu"))
    return [experiment.game.play(streams, seed=0, step=step) for step in range(rounds)]


def test_augmentation_becomes_as_probable_as_is_said():
    rows = play(experiment_of(augmented=0.4), 12)
    found = [row["augmented"].item() for row in rows]
    assert found == sorted(found) and found[4] == pytest.approx(0.2)
    assert found[9:] == pytest.approx([0.4] * 3)


def test_penalties_are_taken_by_the_networks_own_slopes(monkeypatch):
    experiment = experiment_of()
    monkeypatch.setattr("frenemy.round.slopes", lambda *_: pytest.fail("by torch.func"))
    monkeypatch.setattr(torch.autograd, "grad", once_per_player(torch.autograd.grad))
    (row,) = play(experiment, 1)
    assert row["D/r1"].item() > 0
    assert next(iter(row)) == "D/pairing_d"  # which is shown as D's loss


def once_per_player(grad):
    """Refuses gradients that are to be differentiated again."""

    def refuse(*arguments, create_graph=False, **options):
        assert not create_graph
        return grad(*arguments, **options)

    return refuse


def test_D_learns_to_tell_images_from_samples():
    rows = play(experiment_of(rate=2e-3, gamma=0.1, augmented=0.0), 40)
    first, last = (
        np.mean([row["D/pairing_d"].item() for row in part]) for part in (rows[:3], rows[-5:])
    )
    assert last < 0.8 * first  # which is log 2: it tells them apart by chance alone


def test_classes_are_told_to_both_unless_they_are_left_out():
    assert experiment_of().game.conditions is not None
    assert experiment_of(classes=False).game.conditions is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"width": 12}, "12"),
        ({"rate": 0.0}, "rate is 0"),
        ({"augmented": 1.5}, "augmented is 1.5"),
        ({"minibatch": 0}, "minibatch is 0"),
        ({"burn_in": 0}, "burn_in is 0"),
        ({"gamma": -1.0}, "gamma is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(FrenemyError, match=said):
        stage_of(CIFAR, **arguments)
