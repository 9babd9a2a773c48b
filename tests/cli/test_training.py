"""`frenemy train`, in this process; `test_resume.py` runs real processes."""

import json
import shutil

import numpy as np
import pytest

from frenemy.cli import main
from frenemy.model import Model
from frenemy.run import Run

from .command_line import errors


def test_train_writes_the_run(run):
    header = json.loads((run / "run.json").read_text())
    assert header["recipe"] == "digits2014" and header["target"] == {"steps": 60}
    assert header["arguments"]["objective"] == "nonsaturating"
    assert [row["step"] for row in Run.open(run).rows()] == [50]
    assert Run.open(run).samples()[0].name == "00000000.png"
    assert Run.open(run).samples()[-1].name == "00000060.png"


def test_log_rows_hold_the_terms_and_beliefs(run):
    (row,) = Run.open(run).rows()
    assert set(row) == {
        *("step", "epoch", "D/minimax_d", "G/nonsaturating_g", "D(x)", "D(G(z))"),
    }
    assert row["D/minimax_d"] == pytest.approx(2 * np.log(2), abs=0.1)  # D knows nothing yet


def test_dry_run_prints_the_game_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits2014", "--objective", "minimax", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for expected in ("Maxout", "1,639,264", "0.5 minimax_d", "minimax_g", "100 uniform"):
        assert expected in printed  # 1,639,264: 100.1200 + 1200.1200 + 1200.64 and biases
    assert not list(tmp_path.iterdir())


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", "digits2014", "--steps", "1"]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["digits2014", "digits2014-2"]


def test_simultaneous_play_from_the_command_line(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--simultaneous", "--steps", "50", "--out", str(out)]) == 0
    assert Run.open(out).header["arguments"]["simultaneous"] is True


def test_a_run_goes_on_to_another_end_and_needs_no_pictures_for_it(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--steps", "2", "--out", str(out)]) == 0
    assert main(["train", "--resume", str(out), "--steps", "4"]) == 0
    assert Model.load(out).progress.step == 4
    shutil.rmtree(out / "samples")
    assert main(["train", "--resume", str(out)]) == 0
    assert capsys.readouterr().out.endswith("run: done\n")


def test_tensorboard_events_are_written(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--tensorboard", "--steps", "50", "--out", str(out)]) == 0
    assert any((out / "events").iterdir())


def test_colour_faces_are_played_in_grey_and_reopened_so(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "faces.npy", rng.integers(0, 256, (30, 9, 9, 3), np.uint8))
    out, data = tmp_path / "run", tmp_path / "faces.npy"
    words = ["digits", "--data", data, "--size", "8", "--grey", "--steps", "2", "--out", out]
    assert main(["train", *map(str, words)]) == 0
    assert Run.open(out).header["data"]["shape"] == [1, 8, 8]
    assert Model.load(out).data().shape == (1, 8, 8)


class TestBadInput:
    def test_missing_data(self, capsys, tmp_path):
        line = errors(capsys, "train", "mnist", "--data", tmp_path / "mnist")
        assert "no such file or folder" in line and "train-images-idx3-ubyte" in line

    def test_wrong_shape_is_said_before_training(self, capsys, tmp_path):
        out = tmp_path / "run"
        line = errors(capsys, "train", "mnist2014", "--out", out)
        assert "1x28x28" in line and "1x8x8" in line and not out.exists()

    def test_taken_directory(self, capsys, run):
        line = errors(capsys, "train", "digits2014", "--out", run)
        assert f"--resume {run}" in line

    def test_unwritable_directory(self, capsys, tmp_path):
        (tmp_path / "file").write_text("not a directory")
        assert "cannot write" in errors(capsys, "train", "digits2014", "--out", tmp_path / "file/x")

    def test_options_with_resume(self, capsys, run):
        assert "only --device" in errors(capsys, "train", "--resume", run, "--seed", 1)

    def test_no_recipe(self, capsys):
        assert "train what?" in errors(capsys, "train", "--seed", 1)

    def test_two_targets(self, capsys):
        arguments = ("train", "digits2014", "--steps", 5, "--epochs", 1)
        assert "one of --steps" in errors(capsys, *arguments)

    @pytest.mark.parametrize("key", ["seed", "data", "threads", "device"])
    def test_an_incomplete_description(self, capsys, tmp_path, run, key):
        header = json.loads((run / "run.json").read_text())
        del header[key]
        (tmp_path / "run.json").write_text(json.dumps(header))
        for verb in ("sample", "train --resume"):
            assert f"{key} is wrong" in errors(capsys, *verb.split(), tmp_path)

    def test_arguments_that_the_recipe_does_not_take(self, capsys, tmp_path, run):
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        header = json.loads((run / "run.json").read_text())
        for arguments in ({"minibatch": "x"}, {"colour": 1}):
            header["arguments"] = arguments
            (copy / "run.json").write_text(json.dumps(header))
            assert "recipe" in errors(capsys, "sample", copy)

    def test_changed_data(self, capsys, tmp_path):
        images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
        np.save(tmp_path / "images.npy", images)
        out, data = tmp_path / "run", tmp_path / "images.npy"
        command = ["train", "digits2014", "--data", str(data), "--steps", "2", "--out", str(out)]
        assert main(command) == 0
        np.save(data, images[::-1])
        assert "has changed" in errors(capsys, "train", "--resume", out)
        assert main(["sample", str(out), "-n", "1"]) == 0  # needs no data

    def test_a_game_that_explodes_is_named(self, capsys, tmp_path):
        out = tmp_path / "run"
        arguments = ("train", "digits2014", "--rate", "1e30", "--steps", 100, "--out", out)
        line = errors(capsys, *arguments)
        assert "round 1: G's term nonsaturating_g is not finite" in line and "--rate" in line
        assert not Run.open(out).checkpoints()
