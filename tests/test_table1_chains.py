"""The chains of Table 1 against those by which the recipes draw."""

import functools
import math

import numpy as np
import pytest
import torch

from frenemy import recipes
from frenemy.begin import train
from frenemy.data import open_dataset
from frenemy.experiment import arguments_of
from frenemy.judge.table1 import Table
from frenemy.model import Model, set_up
from frenemy.rivals.gsn import consecutive
from frenemy.sampling import drawing, to_pixels
from frenemy.table1 import Asked, Rival, Shows, build, chains, prepare, tasks
from frenemy.table1.chains import (
    by_chains,
    consecutive_of_gsn,
    of_cae,
    of_dbn,
    of_denoising,
    of_gsn,
    of_rbm,
)

SMALL = {
    "rbm": {"units": 6},
    "dbn": {"units": 6, "top_units": 5},
    "cae": {"units": 6, "layer_epochs": 1},
    "denoising": {"units": 6},
    "gsn": {"units": 6},
}


@functools.cache
def digits():
    return open_dataset(None)


@pytest.mark.parametrize(
    ("name", "chain", "steps", "start"),
    [
        ("rbm", of_rbm, 3, -math.sqrt(3)),  # the lowest z, which names the first start
        ("dbn", of_dbn, 1, -math.sqrt(3)),  # its lower layers draw too, but not for its chain
        ("cae", of_cae, 3, -math.sqrt(3)),
        ("denoising", of_denoising, 3, -math.sqrt(3)),
        ("gsn", of_gsn, 3, -math.sqrt(3)),
    ],
)
def test_so_many_steps_are_what_the_recipe_draws(name, chain, steps, start):
    recipe = recipes.vary(recipes.RECIPES[name], **SMALL[name], sampling_steps=steps)
    experiment = set_up(recipe, digits(), seed=0)
    for stage in range(len(experiment.stages)):
        experiment.begin(stage, seed=0)
    game = experiment.game
    arguments = vars(arguments_of(recipe))
    with torch.no_grad(), drawing(game) as nets:
        z = torch.full((1, game.prior.size), start)
        torch.manual_seed(1)
        drawn = game.sampler(nets, z, ())
        torch.manual_seed(1)
        state, step = chain(nets, arguments, 1)
        for _ in range(steps):
            shown, state = step(state)
    as_pixels = drawn.add(1).div(2).flatten()
    shown = shown.add(1).div(2) if shown.ndim == 4 else shown  # images, or pixels in [0, 1]
    torch.testing.assert_close(shown.flatten(), as_pixels)


def played(name, tmp_path, **changes):
    recipe = recipes.vary(recipes.RECIPES[name], **changes)
    return Model.load(train(recipe, digits(), steps=1, out=tmp_path / name).path)


def test_the_time_for_a_sample_is_that_of_as_many_steps_as_the_chain_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "STEPS", 4000)
    model = played("rbm", tmp_path, units=6, sampling_steps=5)

    def autoregressive(nets, arguments, count):
        def step(x):
            x = 0.8 * x + torch.randn(count, 8)
            return x, x

        return torch.zeros(count, 8), step

    drawn = by_chains(autoregressive)(model, digits(), 20, 0)
    # tau = 1.8 / .2 = 9; of 64 chains of 4,000 steps its error is about .17, four times which is
    assert drawn.steps * 5 == pytest.approx(9, abs=0.7)
    assert drawn.images.shape == (20, 1, 8, 8) and not drawn.real


def test_chains_that_stay_where_they_start_are_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "STEPS", 1000)
    model = played("rbm", tmp_path, units=6)

    def staying(nets, arguments, count):
        places = torch.randn(count, 8)
        return places, lambda x: (places + torch.randn(count, 8), x)

    drawn = by_chains(staying)(model, digits(), 20, 0)
    assert drawn.steps is None and "does not mix" in drawn.notes[0]


def test_a_gsn_is_judged_by_consecutive_expectations_from_a_test_image(tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "STEPS", 300)
    model = played("gsn", tmp_path, units=6)
    drawn = consecutive_of_gsn(model, digits(), 300, 0)
    assert drawn.images.shape == (300, 1, 8, 8) and drawn.real == 1
    assert np.array_equal(drawn.images[0], digits().test.images[0])
    first = torch.from_numpy(drawn.images[:1]).float().div(127.5).sub(1)
    net = model.game.players["GSN"].best
    assert np.array_equal(drawn.images[1:], to_pixels(consecutive(net, first[0], 299, seed=0)))
    assert 1 <= drawn.steps < 30


def test_a_gsn_is_reported_without_that_image_too(tmp_path, monkeypatch):
    gsn = Rival("gsn", "Deep GSN", "gsn", 1, quick={"units": 6}, draw=consecutive_of_gsn)
    monkeypatch.setattr(build, "SAMPLES", 200)
    monkeypatch.setattr(chains, "STEPS", 200)
    monkeypatch.setattr(tasks, "ROWS", [gsn, *(r for r in tasks.ROWS if r.name == "noise")])
    asked = Asked(out=tmp_path / "table", quick=True)
    table = prepare(digits(), asked).build(Shows())
    (row, _) = table.rows
    (note,) = row.notes
    assert "without the test image that its chain starts at" in note
    with_it, without = row.nats("authors").value, float(note.split()[-3].replace("−", "-"))
    # one of 179 test images is hit by a sample: it gains some ten nats, and the mean a share
    assert without < with_it and row.judged[0].samples == 200
    assert Table.load(tmp_path / "table" / "table1.jsonl") == table
