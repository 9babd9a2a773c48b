"""Two real processes play one run: what one writes and says, and that they play as one."""

import math
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from frenemy.cli import main
from frenemy.run import Run

FILE = '''"""A game without chance within it."""

import math

import torch
from torch import nn

from frenemy.experiment import Stage
from frenemy.game import Game, Player, Prior, alternating
from frenemy.objectives import minimax_d, nonsaturating_g
from frenemy.penalties import r1


def smooth(facts):
    pixels = math.prod(facts.shape)
    G = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, pixels), nn.Tanh())
    G.append(nn.Unflatten(1, facts.shape))
    D = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 8), nn.Softplus(), nn.Linear(8, 1))
    D.append(nn.Flatten(0))
    sgd = {net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5) for net in (D, G)}
    players = {"D": Player(D, sgd[D]), "G": Player(G, sgd[G], averaging=0.9)}
    turns = alternating({minimax_d: 1.0, r1: 0.1}, {nonsaturating_g: 1.0})
    return [Stage(Game(players, turns, Prior("gaussian", 3), 20), 1)]
'''


def by_two(*words):
    """`frenemy train` of two processes, and what it prints."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, "-m", *launcher, "-m", "frenemy", "train", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def by_one(*words):
    assert main(["train", *map(str, words)]) == 0


def tensors(path):
    return load_file(Run.open(path).checkpoints()[0])


@pytest.mark.timeout(600)
def test_two_processes_write_one_run_and_go_on_with_it(tmp_path):
    path = tmp_path / "run"
    said = by_two("digits2014", "--steps", 60, "--out", path)
    assert said[0].startswith("embedded UCI digits") and said[-1].startswith(f"{path}: done")
    assert sum("done" in line for line in said) == 1
    assert [row["step"] for row in Run.open(path).rows()] == [50]
    assert by_two("--resume", path, "--steps", 110)[-1].startswith(f"{path}: done")
    run = Run.open(path)
    assert [row["step"] for row in run.rows()] == [50, 100]
    assert [int(p.name[:8]) for p in run.checkpoints()] == [110, 60]
    assert [*tmp_path.iterdir()] == [path] and not [*path.rglob("*.part")]


@pytest.mark.timeout(600)
def test_two_processes_play_as_one_does_or_as_one_in_two_parts(tmp_path):
    (tmp_path / "game.py").write_text(FILE)
    own = ("--recipe", f"{tmp_path / 'game.py'}:smooth")
    by_two(*own, "--steps", 12, "--out", tmp_path / "two")
    by_two(*own, "--steps", 20, "--resume", tmp_path / "two")
    by_one(*own, "--steps", 20, "--out", tmp_path / "one")
    by_one(*own, "--steps", 20, "--out", tmp_path / "parts", "--parts", 2)
    by_one(*own, "--steps", 1, "--out", tmp_path / "begun")
    one, begun = tensors(tmp_path / "one"), tensors(tmp_path / "begun")
    # Means of 20 float32 numbers in another order differ by some 6e-8 of the largest, each round;
    # steps of SGD are proportional to them, and 20 rounds make less than a hundredfold of it.
    # (Adam divides a gradient by its size: where it vanishes, rounding alone makes its sign.)
    close = {"rtol": 0, "atol": 6e-6}
    for name in ("two", "parts"):
        torch.testing.assert_close(tensors(tmp_path / name), one, **close)
    moved = [(one[k] - begun[k]).norm().item() for k in one if ".net." in k and "weight" in k]
    assert math.hypot(*moved) > 0.1  # which is not for want of anything to differ
