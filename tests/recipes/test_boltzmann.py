"""Boltzmann machines with arguments other than their defaults, and what they refuse."""

import warnings

import numpy as np
import pytest

from frenemy import recipes, train
from frenemy.data import open_dataset
from frenemy.errors import FrenemyError
from frenemy.model import Model
from frenemy.recipes import vary
from frenemy.walks import mix, walk

KEPT = {"cd": (1, 0), "pcd": (1, 10), "tempering": (4, 10)}
"""Of each kind of chain: how many temperatures, and chains at each."""


@pytest.mark.parametrize("visible", ["binary", "gaussian"])
@pytest.mark.parametrize("chain", KEPT)
def test_every_kind_of_chain_and_pixel_is_learned_and_drawn_from(tmp_path, chain, visible):
    small = {"units": 20, "temperatures": 4, "minibatch": 10, "sampling_steps": 5}
    recipe = vary(recipes.rbm, chain=chain, visible=visible, **small)
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


def test_points_are_no_pixels(tmp_path):
    with pytest.raises(FrenemyError, match="has points in the plane"):
        train(recipes.rbm, open_dataset("toy:ring"), steps=1, out=tmp_path / "run")
