"""Games of kinds that no recipe plays yet go through the same loop: trained, resumed, drawn."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frenemy import open_dataset, recipes, resume, train
from frenemy.cli import main
from frenemy.data import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.experiment import vary
from frenemy.game_table import game_tables
from frenemy.model import Model, set_up
from frenemy.pictures import load_picture

from .new_games import GAMES

EVERY = pytest.mark.parametrize("recipe", GAMES.values(), ids=GAMES)
COUNT, STEPS = 120, 155  # an epoch is 30 rounds; the 100th of a stage is measured


@pytest.fixture(scope="module")
def data():
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 8, 8), np.uint8)
    source = Source(images, np.arange(COUNT) % 3, classes=("a", "b", "c"))
    return Dataset(source, source, source, "random images")


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A run of every game that was never stopped."""
    out = tmp_path_factory.mktemp("runs")
    return {name: train(GAMES[name], data, out=out / name, steps=STEPS) for name in GAMES}


def newest(run):
    return load_file(run.checkpoints()[0])


@EVERY
@pytest.mark.parametrize("at", [1, 30, 33])  # 30: where the second stage begins
def test_a_run_that_was_stopped_ends_the_same(recipe, at, data, runs, tmp_path):
    through = runs[recipe.__name__]
    train(recipe, data, out=tmp_path / "run", steps=at)
    run = resume(tmp_path / "run", recipe=recipe, data=data, steps=STEPS)
    expected, found = newest(through), newest(run)
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    assert run.rows()[-1] == through.rows()[-1]


@EVERY
def test_it_is_loaded_without_its_data_and_draws_by_a_seed(recipe, data, runs):
    model = Model.load(runs[recipe.__name__].path, recipe=recipe)
    given = {}
    if recipe.__name__ == "two_directions":
        with pytest.raises(FrenemyError, match="conditioned on images"):
            model.sample(2)
        given = {"images": data.test.images[:6]}
    first = model.sample(6, seed=1, **given)
    assert first.shape == (6, 1, 8, 8)
    assert np.array_equal(model.sample(6, seed=1, **given), first)
    given = {key: images[:4] for key, images in given.items()}
    assert np.array_equal(model.sample(4, seed=1, **given), first[:4])


@EVERY
def test_its_health_is_measured(recipe, runs):
    measured = {key for row in runs[recipe.__name__].rows() for key in row}
    assert {"health/diversity", "health/precision"} <= measured


@EVERY
def test_its_samples_make_a_film(recipe, runs, tmp_path):
    run = runs[recipe.__name__]
    assert main(["film", str(run.path), "-o", str(tmp_path / "film.gif")]) == 0
    sizes = {load_picture(path).shape for path in run.samples()}
    assert len(sizes) == 1  # small images are enlarged to about the same size


@EVERY
def test_a_dry_run_shows_every_network(recipe, data):
    experiment = set_up(recipe, data, seed=0)
    for table, stage in zip(game_tables(experiment), experiment.stages, strict=True):
        players = set(table.columns[0].cells)
        assert players == stage.game.players.keys()


@pytest.mark.parametrize("classes", [True, False])
def test_a_dry_run_counts_every_parameter_in_a_layer_of_its_own(classes):
    data = open_dataset("embedded:emoji")
    recipe = vary(recipes.pictures, width=4, classes=classes)
    (table,) = game_tables(set_up(recipe, data, seed=0))
    columns = [list(column.cells) for column in table.columns]
    for name in ("D", "G"):
        rows = [row for row in zip(*columns, strict=True) if row[0] == name]
        layers = [row for row in rows if row[2] or "beside" in row[1]]
        *_, total = (row for row in rows if row[1].startswith("Adam"))
        assert not any("Sequential" in layer for _, layer, _, _ in layers)
        counts = [int(count.replace(",", "")) for *_, count in layers if count]
        assert sum(counts) == int(total[3].replace(",", ""))
        assert any("Modulated, beside" in row[1] for row in layers) == (name == "G" and classes)


def test_a_growing_game_is_shown_at_the_size_of_each_stage(data):
    tables = game_tables(set_up(GAMES["growing"], data, seed=0))
    shapes = [set(table.columns[2].cells) for table in tables]
    assert "1x8x8" in shapes[1]
    assert "1x8x8" not in shapes[0]


@EVERY
def test_parts_of_minibatches_are_played_and_gone_on_with(recipe, data, tmp_path):
    whole = train(recipe, data, out=tmp_path / "whole", steps=8, parts=2)
    train(recipe, data, out=tmp_path / "run", steps=3, parts=2)
    run = resume(tmp_path / "run", recipe=recipe, data=data, steps=8)
    expected, found = newest(whole), newest(run)
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_buffers_of_after_and_of_begin_are_in_the_checkpoint(data, runs):
    state = newest(runs["augmented"])
    assert state["0.D.net.p"] != 0.5
    assert newest(runs["growing"])["1.G.net.share"] == 1
    mean = newest(runs["chain"])["0.net.net.mean"]
    expected = torch.from_numpy(2 * data.train.mean() - 1).float()
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-6)  # rounding to float32
    assert newest(runs["noisy"])["0.G.net.length"] > 0
