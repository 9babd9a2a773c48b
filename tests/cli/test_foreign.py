"""Options as other programs call them."""

import pytest

from frenemy.cli import VERBS, main
from frenemy.cli.foreign import CALLED
from frenemy.cli.functions import filling, options_of
from frenemy.recipes import RECIPES


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_foreign_option_is_told_its_name_here(capsys):
    said = refused(capsys, "train", "digits", "--batch_size=64", "--lr", "0.1")
    assert "frenemy: --batch-size: the option is called --minibatch" in said
    assert "frenemy: --lr: the option is called --rate" in said
    said = refused(capsys, "sample", "run", "--gpu", "0", "--batch-size", "3")
    assert "--gpu: the option is called --device cuda:N" in said
    assert "--minibatch" not in said  # which sample has not


RECIPE = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Arguments:
    lr: float = 0.1
def mine(facts, arguments: Arguments = Arguments()): ...
"""


def test_a_recipe_of_ones_own_may_call_its_options_so(capsys, tmp_path):
    (tmp_path / "game.py").write_text(RECIPE)
    own = ["--recipe", f"{tmp_path / 'game.py'}:mine"]
    said = refused(capsys, "train", *own, "--lr", "1", "--stepz")
    assert "--stepz" in said and "called" not in said


def test_every_hint_is_true_of_train_and_hides_no_option():
    ours = set(options_of(VERBS["train"]))
    for recipe in RECIPES.values():
        ours |= options_of(filling(recipe)).keys()
    assert {name.split()[0] for name in CALLED.values()} - {"--step"} <= ours
    assert not ours & CALLED.keys()
