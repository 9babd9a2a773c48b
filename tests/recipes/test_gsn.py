"""The GSN as a game: its schedule, its momentum, its sampler, and what it refuses."""

import numpy as np
import pytest
import torch

from frenemy import recipes, train
from frenemy.data import Facts, open_dataset
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.model import Model
from frenemy.recipes import vary
from frenemy.rivals.gsn import consecutive
from frenemy.training import NotFinite

SMALL = {"units": 30, "minibatch": 10}
DIGITS = Facts((1, 8, 8), 100)


def test_the_rate_falls_by_the_epoch():
    (stage,) = recipes.gsn(Facts((1, 28, 28), 60_000))
    schedule = stage.game.players["GSN"].schedule
    assert stage.epochs == 125 and stage.game.minibatch == 100
    for t, epoch in ((0, 0), (599, 0), (600, 1), (1200, 2), (599_999, 999)):
        assert schedule(t)["lr"] == pytest.approx(0.25 * 0.995**epoch, rel=1e-12)


def test_momentum_follows_a_moving_average_of_the_gradients():
    source = open_dataset(None).train
    experiment = Experiment(vary(recipes.gsn, **SMALL)(source.facts), source)
    game = experiment.game
    player, seen = game.players["GSN"], []
    minibatch = experiment.minibatch(game, 0, torch.device("cpu"))
    before = [p.detach().clone() for p in player.theta]

    def look(r, turn, gradients):
        seen.append([g.clone() for g in gradients["GSN"]])
        return {}

    for step in range(3):
        game.play(minibatch, seed=0, step=step, observe=look)
    for p, begun, first, second, third in zip(player.theta, before, *seen, strict=True):
        v = (first, (first + second) / 2, (first + second) / 4 + third / 2)
        # sums of float32, in another order
        torch.testing.assert_close(p.detach(), begun - 0.25 * sum(v), rtol=0, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
def test_networks_of_other_depths_learn_and_draw(tmp_path, layers):
    recipe = vary(recipes.gsn, layers=layers, sampling_steps=5, **SMALL)
    model = Model.load(train(recipe, open_dataset(None), steps=5, out=tmp_path / "run").path)
    images = model.sample(6, seed=1)
    assert images.shape == (6, 1, 8, 8) and len(np.unique(images)) > 2


def test_a_sample_is_a_chain_of_so_many_steps_from_a_remembered_image():
    def drawn(steps, z):
        source = open_dataset(None).train
        (stage,) = vary(recipes.gsn, units=30, sampling_steps=steps)(source.facts)
        with torch.no_grad():
            net = stage.game.nets["GSN"]
            for p in net.parameters():
                p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(len(p))))
            net.starts.begin(source)
            torch.manual_seed(3)
            return net, stage.game.sampler(stage.game.nets, z, ())

    edge = 3**0.5
    for z in (-edge, 0.0, edge):
        net, found = drawn(4, torch.tensor([[z]]))
        image = net.images(net.starts(torch.tensor([[z]])))[0]
        last = consecutive(net, image, 4, seed=3)[-1]
        torch.testing.assert_close(found[0], last, rtol=0, atol=1e-5)  # pixels round on the way


def test_points_are_no_pixels(tmp_path):
    with pytest.raises(FrenemyError, match="has points in the plane"):
        train(recipes.gsn, open_dataset("toy:ring"), steps=1, out=tmp_path / "run")


def test_divergence_is_told(tmp_path):
    recipe = vary(recipes.gsn, rate=1e38, **SMALL)
    with pytest.raises(NotFinite, match="GSN's term walkback_cross_entropy is not finite: try"):
        train(recipe, open_dataset(None), steps=100, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rate": -1.0}, "rate is -1.0"),
        ({"decay": 1.5}, "decay is 1.5: give 1 or less"),
        ({"momentum": 2.0}, "momentum is 2.0: give 1 or less"),
        ({"sampling_steps": 0}, "sampling_steps is 0: give 1 or more"),
        ({"minibatch": 0}, "minibatch is 0"),
        ({"layers": 5, "walkback": 2}, "walkback is 2: 5 layers need 3 steps"),
    ],
)
def test_arguments_out_of_range_are_refused(options, match):
    with pytest.raises(FrenemyError, match=match):
        vary(recipes.gsn, **options)(DIGITS)
