"""Autoencoders as recipes: what follows their codes, what they refuse, and what a run can do."""

import numpy as np
import pytest
import torch

from frenemy import recipes, train
from frenemy.data import Facts, open_dataset
from frenemy.errors import FrenemyError
from frenemy.experiment import from_pixels
from frenemy.model import Model
from frenemy.recipes import vary
from frenemy.walks import walk

CODING = pytest.mark.parametrize(
    "recipe", [recipes.autoencoder, recipes.vae, vary(recipes.vae, visible="gaussian")]
)


def test_the_codes_of_a_trained_autoencoder_follow_the_prior(tmp_path):
    recipe = vary(recipes.autoencoder, code=5, units=64)
    run = train(recipe, open_dataset(None), steps=1000, out=tmp_path / "run")
    G = Model.load(run.path).game.nets["G"]
    x = from_pixels(torch.tensor(open_dataset(None).train.images[:]))
    with torch.no_grad():
        z = G.encode(x)
        assert z.mean(0).abs().max() < 0.2  # it went on learning in the rounds that it remembers
        assert (torch.cov(z.T) - torch.eye(5)).abs().max() < 0.3
        torch.testing.assert_close(G(z), G.reconstruct(x), rtol=0, atol=1e-4)  # float32 inverses


@CODING
def test_a_run_can_be_walked(recipe, tmp_path):
    run = train(vary(recipe, units=16), open_dataset(None), steps=3, out=tmp_path / "run")
    model = Model.load(run.path)
    assert len(np.unique(model.sample(5, seed=1), axis=0)) == 5
    assert len(walk(model, 2, 3))


@CODING
def test_bad_numbers_and_points_are_refused(recipe):
    facts = Facts((1, 8, 8), 100)
    for changes, said in (
        ({"code": 0}, "code is 0: give 1 or more"),
        ({"units": 0}, "units is 0: give"),
        ({"rate": 0}, "rate is 0: give more than 0"),
    ):
        with pytest.raises(FrenemyError, match=said):
            vary(recipe, **changes)(facts)
    with pytest.raises(FrenemyError, match="has points in the plane"):
        recipe(open_dataset("toy:ring").facts)
