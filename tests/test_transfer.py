"""A run that begins like another, or from its weights."""

import numpy as np
import pytest
import torch

from frenemy import begin, recipes
from frenemy.data import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import arguments_of
from frenemy.model import Model
from frenemy.transfer import like

SMALL = recipes.vary(recipes.pictures, width=4, minibatch=4, images=40)


def plan(recipe, data, settings):
    """As `begin.train` does, before it plays."""
    return begin.plan(like(recipe, settings.init or settings.like), data, settings)


def images(classes, seed=0, shape=(1, 16, 16)):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (12, *shape), np.uint8)
    labels = np.arange(12) % classes if classes else None
    source = Source(pixels, labels, classes=tuple("abcdef"[:classes]))
    return Dataset(source, source, source, "random images")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return begin.train(SMALL, images(2), steps=3, out=tmp_path_factory.mktemp("first") / "run")


def test_it_begins_where_the_other_ended(first, tmp_path):
    planned = plan(
        recipes.pictures, images(2), begin.Settings(steps=1, init=first.path, out=tmp_path / "run")
    )
    assert "all" not in planned.reasons[-1]
    planned.experiment.begin(0, seed=7)
    there = Model.load(first.path, recipe=SMALL).game.players
    for name, player in planned.experiment.game.players.items():
        expected = there[name].best.state_dict()
        assert all(torch.equal(v, expected[k]) for k, v in player.net.state_dict().items())
        assert all(torch.equal(v, expected[k]) for k, v in player.best.state_dict().items())


def test_what_a_stage_fits_to_the_data_is_fitted_too(tmp_path):
    data = images(0, shape=(1, 4, 4))
    two = recipes.vary(recipes.gaussians, components=2, axes=3)
    run = begin.train(two, data, out=tmp_path / "two")
    three = recipes.vary(recipes.gaussians, components=3, axes=3)
    planned = plan(three, data, begin.Settings(init=run.path, out=tmp_path / "three"))
    planned.experiment.begin(0, seed=0)
    (net,) = planned.experiment.game.nets.values()
    assert net.means.abs().max() > 0 and not torch.equal(net.factors[0], torch.eye(3))


def test_other_classes_begin_anew_and_all_else_is_taken(first, tmp_path):
    out = tmp_path / "run"
    planned = plan(recipes.pictures, images(3), begin.Settings(steps=1, init=first.path, out=out))
    G = planned.experiment.game.players["G"].net
    planned.experiment.begin(0, seed=7)
    assert all(numbers.shape[0] == 3 and not numbers.any() for numbers in G.numbers)
    expected = Model.load(first.path, recipe=SMALL).game.players["G"].best
    assert torch.equal(G.net[0].weight, expected.net[0].weight)
    total = len(G.state_dict())
    assert f"{total - len(G.numbers)} of G's {total}" in planned.reasons[-1]
    run = planned.play()
    assert run.header["arguments"]["width"] == 4  # its arguments were taken
    assert begin.resume(out, data=images(3), steps=2, recipe=recipes.pictures).checkpoints()


def test_what_is_given_is_not_taken_from_the_other(first, tmp_path):
    other = recipes.vary(recipes.pictures, minibatch=6)
    settings = begin.Settings(steps=1, like=first.path, out=tmp_path / "run")
    run = plan(other, images(2), settings).run
    assert (run.header["arguments"]["minibatch"], run.header["arguments"]["width"]) == (6, 4)
    assert "init" not in run.header


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_same_weights(first, tmp_path):
    settings = begin.Settings(steps=2, init=first.path, out=tmp_path / "run")
    run = plan(recipes.pictures, images(2), settings).play()
    expected = Model.load(run.path).sample(3)
    for file in run.checkpoints():
        file.unlink()
    begin.resume(run.path, data=images(2))
    assert np.array_equal(Model.load(run.path).sample(3), expected)


def test_one_stopped_before_its_first_checkpoint_goes_on_with_the_same_weights(first, tmp_path):
    def stop(training):
        raise InterruptedError

    settings = {"data": images(2), "steps": 2, "init": first.path}
    whole = begin.train(recipes.pictures, **settings, out=tmp_path / "whole")
    with pytest.raises(InterruptedError):
        begin.train(recipes.pictures, **settings, out=tmp_path / "run", watcher=stop)
    started = Model.load(tmp_path / "run").sample(3)
    assert np.array_equal(started, Model.load(first.path).sample(3))
    run = begin.resume(tmp_path / "run", data=images(2))
    assert np.array_equal(Model.load(run.path).sample(3), Model.load(whole.path).sample(3))


@pytest.mark.parametrize(
    ("recipe", "shape", "said"),
    [
        (recipes.digits2014, (1, 16, 16), "was begun with pictures, not digits2014"),
        (
            recipes.vary(recipes.pictures, width=6),
            (3, 32, 32),
            "none of its weights fit D: give the --size",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    first, tmp_path, recipe, shape, said
):
    settings = begin.Settings(steps=1, init=first.path, out=tmp_path / "run")
    with pytest.raises(FrenemyError, match=said):
        plan(recipe, images(0, shape=shape), settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"augmenting": False}, {"classes": False}])
def test_what_is_wrapped_another_way_is_the_same_network(first, tmp_path, changes):
    out = tmp_path / "run"
    recipe = recipes.vary(recipes.pictures, **changes)
    planned = plan(recipe, images(2), begin.Settings(steps=1, init=first.path, out=out))
    planned.experiment.begin(0, seed=7)
    there = Model.load(first.path, recipe=SMALL).game.players["D"].best
    here = planned.experiment.game.players["D"].best
    layers = torch.nn.Conv2d | torch.nn.Linear
    theirs, mine = (
        [m.weight for m in net.modules() if isinstance(m, layers)] for net in (there, here)
    )
    same = [torch.equal(a, b) for a, b in zip(theirs, mine, strict=True)]
    assert all(same[:-1])  # the last one, to a logit, is another's where it is told no classes


def test_a_recipe_of_ones_own_lends_too(tmp_path):
    mine = recipes.vary(honest, width=4)
    one = begin.train(mine, images(0), steps=1, out=tmp_path / "one")
    assert arguments_of(like(honest, one.path)).width == 4
    assert arguments_of(like(recipes.vary(honest, width=6), one.path)).width == 6


MINE = recipes.Yardstick(minibatch=4)


def honest(facts, arguments=MINE):
    return recipes.dcgan(facts, arguments)
