"""Boltzmann machines with arguments other than their defaults, and what they refuse."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frenemy import recipes, resume, train
from frenemy.data import Facts, open_dataset
from frenemy.errors import FrenemyError
from frenemy.model import Model, set_up
from frenemy.recipes import vary
from frenemy.walks import mix, walk

KEPT = {"cd": (1, 0), "pcd": (1, 10), "tempering": (4, 10)}
"""Of each kind of chain: how many temperatures, and chains at each."""
SMALL = {"units": 20, "temperatures": 4, "minibatch": 10, "sampling_steps": 5}
NAMES = pytest.mark.parametrize("name", ["rbm", "dbn"])


def small(name, **more):
    deep = {"top_units": 30} if name == "dbn" else {}
    return vary(recipes.RECIPES[name], **{**SMALL, **deep, **more})


@pytest.mark.parametrize("visible", ["binary", "gaussian"])
@pytest.mark.parametrize("chain", KEPT)
def test_every_kind_of_chain_and_pixel_is_learned_and_drawn_from(tmp_path, chain, visible):
    recipe = small("rbm", chain=chain, visible=visible)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Model.load(train(recipe, open_dataset(None), steps=5, out=tmp_path / "run").path)
    net = model.game.nets["RBM"]
    assert net.chains.shape == (*KEPT[chain], 64)
    assert int(net.turn) == (5 if chain == "tempering" else 0)
    images = model.sample(6, seed=1)
    assert images.shape == (6, 1, 8, 8) and len(np.unique(images)) > 2
    for lines in (lambda: walk(model, 2, 2), lambda: mix(model, (1, 2))):
        with pytest.raises(FrenemyError, match="has no G that samples from z, only RBM"):
            lines()


@pytest.mark.parametrize("visible", ["binary", "gaussian"])
@pytest.mark.parametrize("chain", KEPT)
@pytest.mark.parametrize("layers", [2, 3])
def test_a_stage_learns_its_own_layer_alone(layers, chain, visible):
    data = open_dataset(None)
    recipe = small("dbn", layers=layers, chain=chain, visible=visible)
    experiment = set_up(recipe, data, seed=0)
    assert len(experiment.stages) == layers + 1

    def state():
        return {k: v.clone() for k, v in experiment.game.nets["DBN"].state_dict().items()}

    top = f"rbms.{layers - 1}."
    tuned = [top, "recognition.", *(f"rbms.{i}.{p}" for i in range(layers - 1) for p in "Wb")]
    for i, stage in enumerate(experiment.stages):
        experiment.begin(i, seed=0)
        before = state()
        streams = experiment.minibatch(stage.game, 0, torch.device("cpu"))
        for step in range(3):
            stage.game.play(streams, seed=0, step=step)
        own = tuned if i == layers else [f"rbms.{i}."]
        after = state()
        moved = {k for k in before if not torch.equal(after[k], before[k])}
        assert all(any(k.startswith(part) for part in own) for k in moved)
        learned = {f"{part}W" for part in own if part.startswith("rbms.") and part[-1] == "."}
        assert moved > learned
        images = stage.game.sampler(stage.game.nets, stage.game.prior(6), ())
        assert images.shape == (6, 1, 8, 8) and len(images.unique()) > 2


def test_a_deep_network_is_trained_through_its_stages_and_drawn_from(tmp_path):
    data = open_dataset(None)
    recipe = small("dbn", layers=3, rounds=4, fine_tuning=4)
    run = train(recipe, data, out=tmp_path / "run")
    model = Model.load(run.path)
    assert (model.progress.step, model.progress.stage) == (16, 3)
    images = model.sample(6, seed=1)
    assert images.shape == (6, 1, 8, 8) and len(np.unique(images)) > 2
    assert len(recipes.vary(recipe, fine_tuning=0)(data.facts)) == 3


@NAMES
@pytest.mark.parametrize("chain", KEPT)
def test_a_round_asks_for_no_value(name, chain):
    """Tensors without values refuse who asks for one, as a GPU would be waited for."""
    with torch.device("meta"):
        stages = small(name, chain=chain)(Facts((1, 8, 8), 100))
    for game in (stage.game for stage in stages):
        (turn,), (player,) = game.turns, game.players.values()
        x = torch.zeros(10, 1, 8, 8, device="meta")
        z = torch.zeros(10, game.prior.size, device="meta")
        r = game.round(turn, z, lambda x=x: (x, None))
        ((term, _),) = next(iter(turn.moves.values())).items()
        torch.autograd.grad(term(r).mean(), player.theta)
        if turn.after is not None:
            turn.after(r)
        assert game.sampler(game.nets, z, ()).device.type == "meta"


@NAMES
def test_pixels_of_any_range_are_probabilities(name):
    rng = np.random.default_rng(0)
    for low, high in ((0, 1), (-1, 1), (0, 4095)):
        images = rng.uniform(low, high, (30, 8, 8)).astype(np.float32)
        images.flat[:2] = low, high
        if (low, high) != (0, 1):
            with pytest.raises(FrenemyError, match="say what is black and what is white"):
                open_dataset(images)
        data = open_dataset(images, range=f"{low}..{high}")
        experiment = set_up(small(name), data, seed=0)
        net = experiment.game.nets[name.upper()]
        rbm = net if name == "rbm" else net.rbm(0)
        x, _ = experiment.minibatch(experiment.game, 0, torch.device("cpu"))(0, 0)
        v = rbm.visible(x)
        assert v.min() >= 0 and v.max() <= 1 and v.max() - v.min() > 0.9


REFUSED = {
    "units": 0,
    "k": 0,
    "temperatures": 0,
    "rate": -1.0,
    "momentum": 1.5,
    "decay": float("nan"),
    "rounds": 0,
    "steady": 1.5,
    "fine_rate": -1.0,
    "sampling_steps": 0,
    "minibatch": 0,
}
DEEP = {"layers": 1, "top_units": 0, "fine_tuning": -1}


@pytest.mark.parametrize(
    ("name", "argument"),
    [*itertools.product(["rbm", "dbn"], REFUSED), *(("dbn", argument) for argument in DEEP)],
)
def test_arguments_out_of_range_are_refused_by_their_names(name, argument):
    recipe = small(name, chain="tempering", **{argument: {**REFUSED, **DEEP}[argument]})
    with pytest.raises(FrenemyError, match=rf"^{argument.replace('_', '.')} is .*: give"):
        recipe(Facts((1, 8, 8), 100))


@NAMES
@pytest.mark.parametrize("chain", KEPT)
def test_chains_go_on_as_if_they_had_never_stopped(tmp_path, name, chain):
    deep = {"rounds": 3, "fine_tuning": 4} if name == "dbn" else {}
    recipe, data = small(name, chain=chain, **deep), open_dataset(None)
    through = train(recipe, data, steps=10, out=tmp_path / "through")
    train(recipe, data, steps=5, out=tmp_path / "parts")
    parts = resume(tmp_path / "parts", recipe=recipe, data=data, steps=10)
    expected, found = (load_file(run.checkpoints()[0]) for run in (through, parts))
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


@NAMES
def test_points_are_no_pixels(tmp_path, name):
    with pytest.raises(FrenemyError, match="has points in the plane"):
        train(recipes.RECIPES[name], open_dataset("toy:ring"), steps=1, out=tmp_path / "run")
