"""The sets that come with the package."""

import numpy as np
import pytest

from frenemy import begin, recipes
from frenemy.data import open_dataset
from frenemy.errors import FrenemyError


def test_emoji_are_small_pictures_in_colour_with_classes():
    emoji = open_dataset("embedded:emoji")
    assert emoji.description == "embedded Noto emoji, 1,906 images 32x32 colour, 9 classes"
    assert emoji.train.classes[2] == "Flags"
    flags = emoji.train.images[np.asarray(emoji.train.labels) == 2]
    corners = flags[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]  # flags are drawn on white
    assert (corners == 255).mean() > 0.95
    assert emoji.train.images.std() > 50  # and not all of it is white


def test_the_digits_have_a_name_too():
    assert open_dataset("embedded:digits").train.digest == open_dataset(None).train.digest


def test_a_run_finds_them_again_from_wherever_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = recipes.vary(recipes.pictures, width=4, minibatch=8, augmenting=False)
    run = begin.train(few, "embedded:emoji", steps=1, out=tmp_path / "run")
    assert run.header["data"]["path"] == "embedded:emoji"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    begin.resume(tmp_path / "run", steps=2)


def test_a_set_that_there_is_not_is_told_with_those_that_there_are():
    with pytest.raises(FrenemyError, match="did you mean embedded:emoji"):
        open_dataset("embedded:emojis")
