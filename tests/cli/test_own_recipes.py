"""A recipe in a file of one's own plays in every verb, and no run makes code run by itself."""

import hashlib
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file

from frenemy.cli import main
from frenemy.run import Run

from .command_line import errors

FILE = '''"""A small game."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn

from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, alternating
from frenemy.objectives import minimax_d, nonsaturating_g


@dataclasses.dataclass(frozen=True)
class Small:
    rate: float = 0.1
    hidden: int = 8


def small(facts, arguments: Small = Small()):
    """A small game."""
    pixels, rate, hidden = math.prod(facts.shape), arguments.rate, arguments.hidden
    G = nn.Sequential(nn.Linear(3, hidden), nn.Linear(hidden, pixels), nn.Tanh())
    G.append(nn.Unflatten(1, facts.shape))
    D = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 1), nn.Flatten(0))
    players = {n: Player(m, torch.optim.SGD(m.parameters(), rate)) for n, m in [("D", D), ("G", G)]}
    turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0})
    return [Stage(Game(players, turns, Prior("uniform", 3), 20), 1)]
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "game.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def played(file, tmp_path):
    """A run of the file's recipe."""
    out = tmp_path / "run"
    assert frenemy("train", "--recipe", f"{file}:small", "--rate", 0.5, "--steps", 2, "--out", out)
    return out


def frenemy(*words):
    return main([str(word) for word in words]) == 0


def uses(run, *more):
    """A command line for every verb that loads a run's model."""
    out = run.parent
    return [
        ("sample", run, "-n", 2, *more),
        ("walk", run, "--points", 2, "--steps", 2, *more),
        ("mix", run, "--seeds", 1, 2, *more),
        ("directions", run, "-n", 1, *more),
        ("invert", run, run / "samples" / "00000000.png", *more),
        ("neighbours", run, "-n", 5, *more),
        ("judge", run, "--metrics", "parzen", "--samples", 20, "-o", out / "judge.json", *more),
        ("train", "--resume", run, "--steps", 3, *more),
    ]


def test_a_run_keeps_the_file_its_digest_and_the_arguments(file, played):
    header = Run.open(played).header
    assert header["recipe"] == f"{file}:small" and header["recipe_file"] == str(file)
    assert header["recipe_digest"] == hashlib.sha256(FILE.encode()).hexdigest()
    assert header["arguments"] == {"rate": 0.5, "hidden": 8}


def test_every_verb_takes_the_recipe_and_says_which_one_is_meant(file, played, capsys):
    for verb in uses(played):
        line = errors(capsys, *verb)
        assert f"{played} was begun with a recipe that is not frenemy's own" in line
        assert f"--recipe {file}:small" in line
    for verb in uses(played, "--recipe", f"{file}:small"):
        assert frenemy(*verb)
    assert Run.open(played).header["arguments"] == {"rate": 0.5, "hidden": 8}
    assert frenemy("film", played)  # pictures need no recipe


def test_a_resumed_run_is_the_longer_run(file, played, tmp_path):
    own = ("--recipe", f"{file}:small")
    assert frenemy("train", *own, "--rate", 0.5, "--steps", 4, "--out", tmp_path / "whole")
    assert frenemy("train", "--resume", played, *own, "--steps", 4)
    whole, parts = (
        load_file(Run.open(tmp_path / name).checkpoints()[0]) for name in ("whole", "run")
    )
    assert whole.keys() == parts.keys() and all(torch.equal(whole[k], parts[k]) for k in whole)


def test_another_file_is_refused_until_it_is_said_to_be_meant(file, played, capsys):
    file.write_text(FILE + "# changed\n")
    own = ("--recipe", f"{file}:small")
    for verb in uses(played, *own):
        line = errors(capsys, *verb)
        assert f"was begun with recipe_digest {hashlib.sha256(FILE.encode()).hexdigest()}" in line
        assert "--recipe-changed" in line
    for verb in uses(played, *own, "--recipe-changed"):
        assert frenemy(*verb)
    assert frenemy("train", "--resume", played, *own, "--steps", 4)  # now it is the run's


def test_a_file_that_has_moved_is_the_same(file, played, tmp_path):
    moved = file.rename(tmp_path / "moved.py")
    assert frenemy("sample", played, "--recipe", f"{moved}:small")


def test_another_recipe_of_the_same_file_or_of_frenemy_is_refused(file, played, run, capsys):
    file.write_text(FILE.replace("def small", "def digits2014"))
    own = ("--recipe", f"{file}:digits2014")
    assert f"recipe {file}:small, not {file}:digits2014" in errors(capsys, "sample", played, *own)
    assert f"recipe digits2014, not {file}:digits2014" in errors(capsys, "sample", run, *own)


def test_a_module_is_found_in_the_working_directory_and_may_import_its_neighbours(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "games_of_mine").mkdir()
    (tmp_path / "games_of_mine" / "small.py").write_text(FILE)
    (tmp_path / "games_of_mine" / "__init__.py").write_text("from .small import small\n")
    (tmp_path / "beside.py").write_text("from games_of_mine.small import small\n")
    for own in ("games_of_mine:small", "games_of_mine.small:small", "beside.py:small"):
        shutil.rmtree("runs", ignore_errors=True)
        assert frenemy("train", "--recipe", own, "--steps", 1)
        header = Run.open(tmp_path / "runs" / "small").header
        assert header["recipe"] == "games_of_mine.small:small"
        assert header["recipe_file"] == str(tmp_path / "games_of_mine" / "small.py")
        assert frenemy("sample", "runs/small", f"--recipe={own}", "-n", 1)


def test_help_shows_the_recipes_arguments(file, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--recipe", f"{file}:small", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--rate FLOAT (default: 0.1)" in shown and "--hidden INT (default: 8)" in shown


def test_a_dry_run_shows_the_game(file, capsys):
    assert frenemy("train", "--recipe", f"{file}:small", "--hidden", 5, "--dry-run")
    assert "Linear" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "import torch\n",
            "import torch, nowhere\n",
            r"No module named 'nowhere' \(game.py, line 8",
        ),
        ("def small(", "def small((", r"SyntaxError: .* \(game.py, line 22\)$"),
        (
            "pixels, rate",
            "pixels = 1 / 0  # ",
            r"fails: ZeroDivisionError: .* \(game.py, line 24\)$",
        ),
        ("pixels, rate", "1 / 0  # ", r"fails: ZeroDivisionError: .* \(game.py, line 24\)$"),
        (
            "nonsaturating_g: 1",
            "lambda r: r.nothing: 1",
            r"fails: .*'nothing' \(game.py, line 29\)$",
        ),
        ("nn.Linear(pixels, 1)", "nn.Linear(7, 1)", r"fails: RuntimeError: .* shapes"),
        ("hidden: int", "hidden: Int", r"fails: NameError: name 'Int' is not defined"),
        ("hidden: int", "seed: int", r"--seed is an option of train: rename it"),
        (
            "return [Stage",
            "return [] and [Stage",
            r"a recipe returns a list of stages, but this one \[",
        ),
    ],
)
def test_what_fails_in_the_file_is_told_in_one_line(file, capsys, tmp_path, old, new, said):
    assert old in FILE
    file.write_text(FILE.replace(old, new))
    words = ("train", "--recipe", f"{file}:small", "--out", tmp_path / "run", "--steps", 1)
    assert re.search(said, errors(capsys, *words))


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("game.py", "give FILE.py:NAME or MODULE:NAME"),
        ("nowhere.py:small", "No such file"),
        ("nowhere:small", "No module named 'nowhere'"),
        ("game.py:smal", "did you mean small?"),
        ("game.py:big", "there are: small"),
    ],
)
def test_a_recipe_that_is_not_there(file, capsys, monkeypatch, own, said):
    monkeypatch.chdir(file.parent)
    assert said in errors(capsys, "train", "--recipe", own)


def test_two_recipes_and_arguments_of_a_resumed_run_are_refused(file, played, capsys):
    own = ("--recipe", f"{file}:small")
    assert "give one recipe" in errors(capsys, "train", "digits", *own)
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(played), *own, "--rate", "1"])
    assert "--rate" in capsys.readouterr().err
    assert "leave out" in errors(capsys, "judge", "x.npz", "--against", "y.npz", *own)
