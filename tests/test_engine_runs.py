"""Low precision and minibatches in parts, stopped and gone on with, end bit for bit."""

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from frenemy import resume, train
from frenemy.cli import main
from frenemy.data import Facts
from frenemy.experiment import Stage
from frenemy.game import Game, HalfLife, Player, Prior, Round, alternating
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
    monkeypatch.setattr("frenemy.monitor.AT_FIRST", 1)  # and so do measurements,
    monkeypatch.setattr("frenemy.monitor.MEASURE_EVERY", 2)  # and what they remember
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
    assert not (tmp_path / "run").exists()


# Convolutions, whose weights lie channels last in low precision


def players(facts: Facts) -> dict[str, Player]:
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

    return {"D": player(D), "G": player(G, HalfLife(100))}


def convolutional(facts: Facts) -> list[Stage]:
    turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0})
    return [Stage(Game(players(facts), turns, Prior("gaussian", 4), 20), epochs=1)]


def judged_by_the_first(facts: Facts) -> list[Stage]:
    """Two stages of three rounds; in the second G also plays against the first one's D."""
    first, last = players(facts), players(facts)
    judge = first["D"].net

    def pleases_the_judge(r: Round) -> Tensor:
        return -judge(r.Gz)

    stages: list[Stage] = []
    for here, more in ((first, {}), (last, {pleases_the_judge: 1.0})):
        turns = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0, **more})
        game = Game(here, turns, Prior("gaussian", 4), 20)
        stages.append(Stage(game, epochs=60 / facts.count))
    return stages


class Stopped(Exception):
    pass


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", [convolutional, judged_by_the_first])
def test_convolutions_laid_out_anew_end_bit_identical_wherever_they_stop(
    tmp_path, monkeypatch, recipe, precision
):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 3)
    monkeypatch.setattr("frenemy.monitor.AT_FIRST", 1)
    monkeypatch.setattr("frenemy.monitor.MEASURE_EVERY", 2)
    steps = 6

    def stop(training):
        training.save()
        raise Stopped

    def look(training):
        game = training.experiment.stages[training.progress.stage].game
        conv = game.nets["D"][2].weight
        assert conv.dtype == torch.float32
        assert conv.is_contiguous(memory_format=torch.channels_last)

    settings = {"steps": steps, "seed": 5, "precision": precision}
    train(recipe, out=tmp_path / "whole", watcher=look, **settings)
    with pytest.raises(Stopped):
        train(recipe, out=tmp_path / "parts", watcher=stop, **settings)
    for _ in range(1, steps):
        with pytest.raises(Stopped):
            resume(tmp_path / "parts", recipe=recipe, watcher=stop)
    resume(tmp_path / "parts", recipe=recipe)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
