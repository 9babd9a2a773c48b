"""Low precision and minibatches in parts, stopped and gone on with, end bit for bit."""

import pytest
import safetensors.torch
import torch
from torch import nn

from frenemy import Model, resume, train
from frenemy.cli import main
from frenemy.data import Facts
from frenemy.experiment import Stage
from frenemy.game import Game, HalfLife, Player, Prior, alternating
from frenemy.objectives import minimax_d, nonsaturating_g
from frenemy.run import Run


def frenemy(*words):
    assert main([str(word) for word in words]) == 0


def outcome(path):
    run = Run.open(path)
    tensors = safetensors.torch.load_file(run.checkpoints()[0])
    return {
        "tensors": {key: value.numpy().tobytes() for key, value in tensors.items()},
        "log": run.rows(),
        "pictures": {p.name: p.read_bytes() for p in run.samples()},
    }


@pytest.mark.parametrize(
    ("recipe", "setting", "value"),
    [("digits2014", "precision", "bfloat16"), ("digits2014", "parts", 2), ("digits", "parts", 2)],
)
def test_a_setting_of_the_engine_stays_the_runs_and_it_ends_bit_identical(
    tmp_path, monkeypatch, recipe, setting, value
):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 3)  # so that rows straddle the stops
    monkeypatch.setattr("frenemy.training.TICK", 2)  # and so do the looks at the game's health
    words = ("train", recipe, f"--{setting}", value, "--out")
    frenemy(*words, tmp_path / "whole", "--steps", 6)
    frenemy(*words, tmp_path / "parts", "--steps", 2)
    for steps in (3, 6):
        frenemy("train", "--resume", tmp_path / "parts", "--steps", steps)
        assert Run.open(tmp_path / "parts").header[setting] == value
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    frenemy("train", recipe, "--out", tmp_path / "plain", "--steps", 6)
    assert outcome(tmp_path / "plain")["tensors"] != outcome(tmp_path / "whole")["tensors"]


def test_a_minibatch_that_cannot_be_cut_is_told_in_one_line(tmp_path, capsys):
    words = ("train", "digits2014", "--parts", 3, "--steps", 1, "--out", tmp_path / "run")
    assert main([str(word) for word in words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("frenemy: ") and "cannot be cut into 3 equal parts" in line


# Convolutions, whose weights lie channels last in low precision


def convolutional(facts: Facts) -> list[Stage]:
    """Convolutions, normalised over the minibatch, and fused Adam."""
    channels, height, width = facts.shape
    G = nn.Sequential(
        *(nn.Linear(4, 6 * height * width // 4), nn.Unflatten(1, (6, height // 2, width // 2))),
        *(nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, channels, 4, 2, 1), nn.Tanh()),
    )
    D = nn.Sequential(
        *(nn.Conv2d(channels, 6, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(6, 5, 3, 1, 1)),
        *(nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(5 * height * width // 4, 1), nn.Flatten(0)),
    )

    def player(net: nn.Module, averaging: HalfLife | None = None) -> Player:
        adam = torch.optim.Adam(net.parameters(), 1e-2, betas=(0.5, 0.9), fused=True)
        return Player(net, adam, averaging=averaging)

    players = {"D": player(D), "G": player(G, HalfLife(100))}
    turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0})
    return [Stage(Game(players, turns, Prior("gaussian", 4), 20), epochs=1)]


class Stopped(Exception):
    pass


def test_convolutions_in_low_precision_end_bit_identical_wherever_they_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 3)
    monkeypatch.setattr("frenemy.training.TICK", 2)
    steps = 6

    def stop(training):
        training.save()
        raise Stopped

    def look(training):
        conv = training.experiment.game.nets["D"][2].weight
        assert conv.dtype == torch.float32
        assert conv.is_contiguous(memory_format=torch.channels_last)

    settings = {"steps": steps, "seed": 5, "precision": "bfloat16"}
    train(convolutional, out=tmp_path / "whole", watcher=look, **settings)
    with pytest.raises(Stopped):
        train(convolutional, out=tmp_path / "parts", watcher=stop, **settings)
    for _ in range(1, steps):
        with pytest.raises(Stopped):
            resume(tmp_path / "parts", recipe=convolutional, watcher=stop)
    resume(tmp_path / "parts", recipe=convolutional)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    drawn = [
        Model.load(tmp_path / name, recipe=convolutional).sample(3) for name in ("whole", "parts")
    ]
    assert (drawn[0] == drawn[1]).all()
