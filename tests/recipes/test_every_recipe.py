"""Every recipe, by its name in the list alone: what each has to be able to do."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frenemy import recipes, resume, train
from frenemy.choosing import Open
from frenemy.cli import main
from frenemy.data import Facts
from frenemy.engine import Engine, Share
from frenemy.experiment import arguments_of
from frenemy.model import Model, set_up
from frenemy.pictures import channels_last
from frenemy.recipes import paper2014
from frenemy.run import Run
from frenemy.training import NotFinite

from . import tiny

EVERY = pytest.mark.parametrize("name", recipes.RECIPES)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, width in tiny.WIDTHS.items():
        monkeypatch.setattr(paper2014, name, width)


def begin(name, out, steps):
    return train(tiny.recipe_of(name), tiny.dataset_for(name), out=out, steps=steps)


def newest(run):
    return load_file(run.checkpoints()[0])


@EVERY
def test_every_parameter_gets_a_gradient(name):
    experiment = set_up(tiny.recipe_of(name), tiny.dataset_for(name), seed=0)
    for i, stage in enumerate(experiment.stages):
        game = experiment.to(torch.device("cpu"), i)
        experiment.begin(i, seed=0)
        moved: dict[tuple[str, int], bool] = {}

        def look(r, turn, gradients, moved=moved):
            for letter, gradient in gradients.items():
                for number, g in enumerate(gradient):
                    assert g is None or g.isfinite().all()
                    moved[letter, number] = moved.get((letter, number), False) or g is not None
            return {}

        streams = experiment.minibatch(stage.game, 0, torch.device("cpu"))
        record = game.play(streams, seed=0, step=0, observe=look)
        assert all(value.isfinite() for value in record.values())
        count = {letter: len(player.theta) for letter, player in game.players.items()}
        assert all(moved[letter, n] for letter in count for n in range(count[letter]))
        assert all(p.requires_grad for net in game.nets.values() for p in net.parameters())


@EVERY
def test_a_dry_run_shows_the_game(name, tmp_path, capsys):
    np.save(tmp_path / "images.npy", channels_last(tiny.source_for(name).images))
    recipe, given = recipes.RECIPES[name], []
    if isinstance(arguments_of(recipe), Open):  # or the clock decides
        recipe, given = recipes.vary(recipe, width=8), ["--width", "8", "--steps", "3"]
    data = str(tmp_path / "images.npy")
    assert main(["train", name, *given, "--data", data, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    facts = tiny.source_for(name).facts
    for stage in recipe(Facts(facts.shape, facts.count)):  # an array has no classes
        for net in stage.game.nets.values():
            assert f"{sum(p.numel() for p in net.parameters()):,}" in shown


@EVERY
def test_what_is_saved_is_loaded_and_draws(name, tmp_path, capsys):
    run = begin(name, tmp_path / "run", 2)
    model = Model.load(run.path, recipe=tiny.recipe_of(name))  # its images are in memory alone
    first = model.sample(5, seed=3)
    assert first.shape[0] == 5
    assert first.dtype == np.uint8
    assert np.array_equal(model.sample(5, seed=3), first)
    assert np.array_equal(model.sample(7, seed=3)[:5], first)
    again = Model.load(run.path, recipe=tiny.recipe_of(name))
    assert np.array_equal(again.sample(5, seed=3), first)
    assert main(["film", str(run.path)]) == 0
    assert (run.path / "film.gif").stat().st_size


@EVERY
def test_a_run_goes_on_as_if_it_had_never_stopped(name, tmp_path):
    through = begin(name, tmp_path / "through", 2 * tiny.ROUNDS)
    begin(name, tmp_path / "parts", tiny.ROUNDS)
    data = tiny.dataset_for(name)
    parts = resume(
        tmp_path / "parts", recipe=tiny.recipe_of(name), data=data, steps=2 * tiny.ROUNDS
    )
    expected, found = newest(through), newest(parts)
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    pictures = [[(p.name, p.read_bytes()) for p in run.samples()] for run in (through, parts)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("name", ["rbm", "dbn", "cae", "autoencoder", "vae", "gmmn", "diffusion"])
def test_divergence_is_told_and_what_to_try(name, tmp_path):
    recipe = recipes.vary(tiny.recipe_of(name), rate=1e30)
    with pytest.raises(NotFinite, match="is not finite: try --rate "):
        train(recipe, tiny.dataset_for(name), steps=60, out=tmp_path / "run")


@EVERY
def test_a_run_is_loaded_without_its_data(name, tmp_path):
    run = begin(name, tmp_path / "run", 1)
    header = json.loads((run.path / "run.json").read_text("utf-8"))
    facts = tiny.source_for(name).facts
    loaded = Model.load(run.path, recipe=tiny.recipe_of(name)).facts
    assert (loaded.shape, loaded.count, loaded.classes) == (facts.shape, facts.count, facts.classes)
    assert header["data"]["classes"] == list(facts.classes)
    assert isinstance(Run.open(run.path), Run)


def close(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        # float64: sums over a minibatch in another order, some rounds of it
        torch.testing.assert_close(found[key], value, rtol=1e-8, atol=1e-10, msg=f"{key} differs")


@EVERY
def test_accumulated_equals_whole(name):
    whole = tiny.played(name, Engine())
    close(tiny.played(name, Engine(share=Share(parts=2))), whole)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """What two processes found, of all recipes."""
    out = tmp_path_factory.mktemp("two")
    script = Path(tiny.__file__)
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, out]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], capture_output=True, text=True
    )
    assert len([*out.iterdir()]) == len(recipes.RECIPES), done.stderr
    return out


@EVERY
def test_two_processes_equal_one(name, by_two):
    close(load_file(by_two / f"{name}.safetensors"), tiny.played(name, Engine()))
