"""Checkpoints: exact round trips, and damage of any kind."""

import dataclasses
import functools
import json
import os
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from frenemy import checkpoint
from frenemy.checkpoint import Progress
from frenemy.data import Source
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Stage
from frenemy.game import Game, Player, Prior, alternating
from frenemy.objectives import minimax_d, nonsaturating_g
from frenemy.run import Run, file_digest


def make_game(width=3, optimiser=torch.optim.Adam):
    D = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0))
    G = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 4), nn.Unflatten(1, (1, 2, 2)))
    players = {
        "D": Player(D, optimiser(D.parameters(), lr=0.1)),
        "G": Player(G, optimiser(G.parameters(), lr=0.1), averaging=0.9),
    }
    return Game(players, alternating({minimax_d: 1}, {nonsaturating_g: 1}), Prior("uniform", 2), 5)


SOURCE = Source(np.zeros((5, 1, 2, 2), np.uint8))


def only(game):
    return Experiment([Stage(game, 1)], SOURCE)


def images(stream, i):
    return torch.full((5, 1, 2, 2), float(stream + i) / 10), None


def new_run(folder):
    (folder / "run" / "checkpoints").mkdir(parents=True)
    return Run(folder / "run", {"recipe": "mine", "keep_checkpoints": 2})


@pytest.fixture
def run(tmp_path):
    return new_run(tmp_path)


@functools.cache
def two_checkpoints():
    """The bytes of the checkpoints of rounds 1 and 2, by file name."""
    import tempfile
    from pathlib import Path

    game = make_game()
    with tempfile.TemporaryDirectory() as folder:
        run = new_run(Path(folder))
        for step in (1, 2):
            game.play(images, seed=0, step=step)
            checkpoint.save(run, only(game), Progress(step))
        return {path.name: path.read_bytes() for path in run.checkpoints()}


@pytest.mark.parametrize(
    "optimiser", [torch.optim.Adam, torch.optim.RMSprop, torch.optim.SGD, torch.optim.Adafactor]
)
def test_a_restored_game_goes_on_bit_for_bit(run, optimiser):
    game = make_game(optimiser=optimiser)
    for step in range(3):
        game.play(images, seed=7, step=step)
    before = Progress(3, 0, 1.5, {"D/minimax_d": 0.1 + 0.2}, {"D/minimax_d": 3})
    checkpoint.save(run, only(game), before)
    loaded = checkpoint.load(run)
    assert loaded is not None
    tensors, progress = loaded
    assert progress == before
    other = make_game(optimiser=optimiser)
    checkpoint.restore(only(other), 0, tensors)
    for step in range(3, 6):
        assert game.play(images, seed=7, step=step) == other.play(images, seed=7, step=step)
    for name in game.players:
        ours, theirs = game.players[name].state(), other.players[name].state()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_another_game_refuses_the_tensors(run):
    checkpoint.save(run, only(make_game()), Progress(1))
    tensors, _ = checkpoint.load(run) or pytest.fail("nothing saved")
    with pytest.raises(FrenemyError, match="does not fit"):
        checkpoint.restore(only(make_game(width=4)), 0, tensors)


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(run):
    """Or the one before it would be taken, and the newer one deleted."""
    for step in (1, 2):
        checkpoint.save(run, only(make_game()), Progress(step))
    newest = run.checkpoints()[0]
    newest.unlink()
    newest.mkdir()
    with pytest.raises(FrenemyError, match="cannot be read") as error:
        checkpoint.load(run)
    assert not isinstance(error.value, checkpoint.Damaged)


def test_no_checkpoint_is_none(run):
    assert checkpoint.load(run) is None


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    position=st.floats(0, 1, exclude_max=True, allow_subnormal=False),
    damage=st.sampled_from(["flip", "cut", "insert", "empty"]),
    byte=st.integers(1, 255),
)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path_factory, position, damage, byte
):
    run = new_run(tmp_path_factory.mktemp("runs"))
    (newest, content), (older, good) = two_checkpoints().items()
    at = int(position * len(content))
    damaged = {
        "flip": content[:at] + bytes([content[at] ^ byte]) + content[at + 1 :],
        "cut": content[:at],
        "insert": content[:at] + bytes([byte]) + content[at:],
        "empty": b"",
    }[damage]
    (run.path / "checkpoints" / newest).write_bytes(damaged)
    (run.path / "checkpoints" / older).write_bytes(good)
    with pytest.warns(UserWarning, match=f"{newest} is damaged"):
        loaded = checkpoint.load(run)
    assert loaded is not None and loaded[1].step == 1


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.integers(0, 2**64 - 1).map(lambda n: n.to_bytes(8, "little") + b"{}"),  # header length
        st.sampled_from(
            [
                b'{"__metadata__":{"frenemy":"{}"},"a":{"dtype":"F32","shape":[999999999999],'
                b'"data_offsets":[0,3999999999996]}}',
                b'{"__metadata__":{"frenemy":"[1, 2]"}}',
                b'{"__metadata__":{"frenemy":"{\\"nonsense\\": 1}"}}',
                b"{}",
            ]
        ).map(lambda header: len(header).to_bytes(8, "little") + header),
    )
)
def test_a_forged_checkpoint_with_a_true_digest_is_refused_in_one_line(tmp_path_factory, content):
    run = new_run(tmp_path_factory.mktemp("runs"))
    part = run.path / "part"
    part.write_bytes(content)
    part.rename(run.path / "checkpoints" / f"00000001-{file_digest(part)}.safetensors")
    with warnings.catch_warnings(), pytest.raises(FrenemyError, match="damaged") as caught:
        warnings.simplefilter("ignore")
        checkpoint.load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="names are of bytes on POSIX alone")
def test_a_folder_whose_name_is_not_utf_8_holds_a_run_like_any_other(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        run = new_run(folder)
    except OSError:
        pytest.skip("this file system has no such names")
    game = make_game()
    game.play(images, seed=0, step=1)
    checkpoint.save(run, only(game), Progress(1))
    loaded = checkpoint.load(run)
    assert loaded is not None and loaded[1] == Progress(1)
    state = checkpoint.content(only(game), 0)
    assert loaded[0].keys() == state.keys()
    assert all(torch.equal(loaded[0][key], value) for key, value in state.items())


@pytest.mark.parametrize(
    "change",
    [
        *({"step": -1}, {"step": 1.5}, {"seconds": "x"}, {"sums": {"a": "x"}}),
        *({"counts": {"a": 0.5}}, {"memory": {"samples": 3}}, {"memory": [[1]]}, {"stage": 2**70}),
    ],
    ids=str,
)
def test_progress_that_is_none_is_damage(run, change):
    metadata = {"frenemy": json.dumps({**dataclasses.asdict(Progress(1)), **change})}
    run.save_checkpoint(
        1, lambda part: safetensors.torch.save_file({"a": torch.zeros(1)}, part, metadata)
    )
    with pytest.raises(checkpoint.Damaged):
        checkpoint.read(run.checkpoints()[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_no_checkpoint(run):
    os.mkfifo(run.path / "checkpoints" / "00000001-0123456789abcdef.safetensors")
    with pytest.raises(FrenemyError, match="cannot be read"):  # and not for ever
        checkpoint.load(run)
