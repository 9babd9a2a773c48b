"""What is fitted and not played: whole runs, points in the plane, and what is refused."""

import numpy as np
import pytest

from frenemy import recipes, train
from frenemy.cli import main
from frenemy.data import Dataset, Facts, Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.model import Model
from frenemy.recipes import vary
from frenemy.run import step_of
from frenemy.walks import walk

FITTED = pytest.mark.parametrize("name", ["gaussians", "kde", "kmeans"])


@FITTED
def test_one_round_fits_it_and_ends_the_run(name, tmp_path, capsys):
    assert main(["train", name, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "run: done" in said and "health" not in said
    model = Model.load(tmp_path / "run")
    assert model.sample(20, seed=0).shape == (20, 1, 8, 8)
    with pytest.raises(FrenemyError, match="has no G that samples from z"):
        walk(model, 2, 2)


@FITTED
def test_what_it_does_is_told_to_a_watcher(name, tmp_path):
    told = []
    train(
        recipes.RECIPES[name],
        open_dataset(None),
        out=tmp_path / "run",
        watcher=lambda training: told.append(training.doing),
    )
    assert all(told[:-1]) and len(told) > 1 and told[-1] == ""


@FITTED
def test_there_is_no_minibatch_to_cut(name, tmp_path):
    run = train(recipes.RECIPES[name], open_dataset(None), out=tmp_path / "run", parts=7)
    assert step_of(run.checkpoints()[0]) == 1


@FITTED
def test_points_in_the_plane_are_fitted_too(name, tmp_path):
    data = open_dataset("toy:ring")
    run = train(recipes.RECIPES[name], data, out=tmp_path / "run")
    points = Model.load(run.path).sample(500, seed=0)[:, :, 0, 0]
    real = data.train.images[:5000, :, 0, 0]
    distances = np.linalg.norm(points[:, None] - real[None], axis=2).min(1)
    # a kernel of .1 pixels of [0, 1] is one of .2 of the plane, in two dimensions
    assert np.median(distances) < (0.4 if name == "kde" else 0.1)


@FITTED
def test_more_components_than_images_are_refused(name):
    recipe = vary(recipes.RECIPES[name], components=301)
    with pytest.raises(FrenemyError, match="300 images of faces are too few for 301 components"):
        recipe(Facts((1, 8, 8), 300, name="faces"))


@pytest.mark.parametrize("name, least", [("gaussians", 2), ("kde", 2), ("kmeans", 1)])
def test_so_few_images_will_do(name, least, tmp_path):
    images = np.arange(3 * 64, dtype=np.uint8).reshape(3, 1, 8, 8)
    few = Source(images[:least])
    data = Dataset(few, few, few, "few images")
    model = Model.load(
        train(recipes.RECIPES[name], data, out=tmp_path / "run").path, recipe=recipes.RECIPES[name]
    )
    assert model.sample(4, seed=0).shape == (4, 1, 8, 8)
    with pytest.raises(FrenemyError, match="too few"):
        recipes.RECIPES[name](Facts((1, 8, 8), least - 1))


@pytest.mark.parametrize(
    "name, wrong, said",
    [
        ("gaussians", {"axes": 65}, "too few for 65 axes"),
        ("gaussians", {"components": -1}, "components is -1"),
        ("kde", {"bandwidth": -0.1}, "bandwidth is -0.1"),
    ],
)
def test_wrong_numbers_are_refused(name, wrong, said):
    with pytest.raises(FrenemyError, match=said):
        vary(recipes.RECIPES[name], **wrong)(Facts((1, 8, 8), 300))
