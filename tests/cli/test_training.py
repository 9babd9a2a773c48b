"""`frenemy train`, in this process; `test_resume.py` runs real processes."""

import io
import json
import re
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from frenemy.begin import plan
from frenemy.checkpoint import size
from frenemy.cli import main
from frenemy.model import Model
from frenemy.recipes import RECIPES
from frenemy.run import Run
from frenemy.settings import Settings

from .command_line import errors


def test_train_writes_the_run(run):
    header = json.loads((run / "run.json").read_text())
    assert header["recipe"] == "digits2014" and header["target"] == {"steps": 60}
    assert header["arguments"]["objective"] == "nonsaturating"
    assert [row["step"] for row in Run.open(run).rows()] == [50]
    assert Run.open(run).samples()[0].name == "00000000.png"
    assert Run.open(run).samples()[-1].name == "00000060.png"


def test_a_terminal_shows_the_samples_at_the_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("frenemy.terminal.console", Console(force_terminal=True, width=80))
    monkeypatch.setenv("LINES", "24")
    assert main(["train", "digits2014", "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    picture = [line for line in capsys.readouterr().out.splitlines() if "▀" in line]
    assert len(picture) == 20  # so high a terminal, less a few lines


def test_log_rows_hold_the_terms_and_beliefs(run):
    (row,) = Run.open(run).rows()
    assert {name for name in row if not name.startswith("health/")} == {
        *("step", "epoch", "D/minimax_d", "G/nonsaturating_g", "D(x)", "D(G(z))"),
    }
    assert row["D/minimax_d"] == pytest.approx(2 * np.log(2), abs=0.1)  # D knows nothing yet


def test_a_run_knows_what_black_and_white_were(tmp_path, capsys):
    bits = np.random.default_rng(0).integers(0, 2, (40, 8, 8)).astype(np.uint8)
    np.save(tmp_path / "bits.npy", bits)
    out = tmp_path / "run"
    how = ["--data", str(tmp_path / "bits.npy"), "--range", "0..1", "--out", str(out)]
    assert main(["train", "digits2014", "--steps", "2", *how]) == 0
    assert main(["train", "--resume", str(out), "--steps", "3"]) == 0
    assert set(np.unique(Model.load(out).data().train.images)) == {0, 255}
    assert "--resume" in errors(capsys, "train", "--resume", out, "--range", "0..1")
    line = errors(capsys, "judge", out, "--range", "0..1")
    assert "--range: the run knows that of its own images; it is for --against" in line
    others = Model.load(out).data(tmp_path / "bits.npy")  # as the run's own, if they have moved
    assert set(np.unique(others.test.images)) == {0, 255}


def test_dry_run_prints_the_game_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits2014", "--objective", "minimax", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for expected in ("Maxout", "1,639,264", "0.5 minimax_d", "minimax_g", "100 uniform"):
        assert expected in printed  # 1,639,264: 100.1200 + 1200.1200 + 1200.64 and biases
    assert not list(tmp_path.iterdir())


def test_dry_run_says_when_it_would_end_and_who_plays_at_once(capsys):
    alone = ["train", "digits2014", "--no-simultaneous", "--dry-run"]
    assert main([*alone, "--steps", "1234"]) == 0
    alternating = capsys.readouterr().out
    assert "ends after 1,234 rounds" in alternating and "simultaneously" not in alternating
    assert main(["train", "digits2014", "--minutes", "2", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "ends after 2.0 minutes" in printed and printed.count("simultaneously") == 2


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", "digits2014", "--steps", "1"]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["digits2014", "digits2014-2"]


def test_play_in_turns_from_the_command_line(tmp_path):
    out, turns = tmp_path / "run", ["--no-simultaneous", "--steps", "50"]
    assert main(["train", "digits2014", *turns, "--out", str(out)]) == 0
    assert Run.open(out).header["arguments"]["simultaneous"] is False


def test_a_run_goes_on_to_another_end_and_needs_no_pictures_for_it(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--steps", "2", "--out", str(out)]) == 0
    assert main(["train", "--resume", str(out), "--steps", "4"]) == 0
    assert Model.load(out).progress.step == 4
    capsys.readouterr()
    assert main(["train", "--resume", str(out)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "already finished (4 rounds)" in line and "--steps" in line
    shutil.rmtree(out / "samples")
    assert main(["train", "--resume", str(out), "--steps", "5"]) == 0


def test_a_run_goes_on_where_its_images_have_moved(capsys, tmp_path):
    rng = np.random.default_rng(0)
    images, out = tmp_path / "images.npy", tmp_path / "run"
    np.save(images, rng.integers(0, 256, (40, 9, 9), np.uint8))
    words = ["digits2014", "--data", images, "--size", 8, "--steps", 2, "--out", out]
    assert main(["train", *map(str, words)]) == 0
    moved = images.rename(tmp_path / "moved.npy")
    np.save(tmp_path / "others.npy", rng.integers(0, 256, (40, 9, 9), np.uint8))
    resume = ("train", "--resume", out, "--steps", 3)
    capsys.readouterr()
    line = errors(capsys, *resume)
    assert f"{images}: no such file" in line and "--data" in line
    assert "is not what" in errors(capsys, *resume, "--data", tmp_path / "others.npy")
    assert main([*map(str, resume), "--data", str(moved)]) == 0
    assert Model.load(out).progress.step == 3
    assert main(["train", "--resume", str(out), "--steps", "4"]) == 0  # where they are is kept


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_with_a_line_and_its_status(capfd, tmp_path, monkeypatch, number):
    def interrupt_twice(self, training):
        signal.raise_signal(number)
        signal.raise_signal(number)

    monkeypatch.setattr("frenemy.terminal.TrainingDisplay.__call__", interrupt_twice)
    assert main(["train", "digits2014", "--out", str(tmp_path / "run")]) == 128 + number
    first, last = capfd.readouterr().err.strip().splitlines()
    assert "saving after this round" in first
    assert last.startswith("frenemy: stopped at once") and "that of round 0 is kept" in last


def test_tensorboard_gets_the_numbers_and_the_pictures(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--tensorboard", "--steps", "50", "--out", str(out)]) == 0
    events = reader.EventAccumulator(str(out / "events"), {"images": 0}).Reload()
    (row,) = Run.open(out).rows()
    assert events.Scalars("D(x)")[0].value == pytest.approx(row["D(x)"], rel=1e-6)  # float32
    drawn = {int(path.stem): path for path in Run.open(out).samples()}
    pictures = {image.step: image.encoded_image_string for image in events.Images("samples")}
    assert pictures.keys() == drawn.keys()
    with Image.open(io.BytesIO(pictures[50])) as shown, Image.open(drawn[50]) as saved:
        assert np.array_equal(np.asarray(shown.convert("L")), np.asarray(saved))


def test_a_plan_says_what_a_checkpoint_takes(tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--steps", "2", "--keep-checkpoints", "1", "--out", str(out)]
    assert main(["train", "digits", *words, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert main(["train", "digits", *words]) == 0
    said = re.search(r"a checkpoint takes ([\d,]+) MB: the newest is kept", told)
    assert said and said[0] in capsys.readouterr().out
    (checkpoint,) = Run.open(out).checkpoints()
    taken = checkpoint.stat().st_size / 1e6
    assert int(said[1]) == pytest.approx(taken, abs=0.6)  # rounded, and the file has a head


@pytest.mark.parametrize("recipe", ["digits", "digits2014"])
def test_the_size_of_a_checkpoint_is_known_before_the_first_round(recipe, tmp_path):
    planned = plan(RECIPES[recipe], settings=Settings(steps=1, out=tmp_path / "run"))
    told = size(planned.experiment)
    (file,) = planned.play().checkpoints()
    assert told == size(planned.experiment)
    assert told == sum(value.nbytes for value in load_file(file).values())


def test_a_dry_run_of_a_run_that_goes_on_shows_its_game_and_how_far_it_is(run, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["train", "--resume", str(run), "--dry-run", "--steps", "90"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Maxout" in told and f"{run} goes on from round 60; a checkpoint takes" in told
    assert told.endswith("ends after 90 rounds")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_colour_faces_are_played_in_grey_and_reopened_so(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "faces.npy", rng.integers(0, 256, (30, 9, 9, 3), np.uint8))
    out, data = tmp_path / "run", tmp_path / "faces.npy"
    words = ["digits", "--data", data, "--size", "8", "--grey", "--steps", "2", "--out", out]
    assert main(["train", *map(str, words)]) == 0
    assert Run.open(out).header["data"]["shape"] == [1, 8, 8]
    assert Model.load(out).data().shape == (1, 8, 8)


@pytest.fixture
def folder(tmp_path):
    """Pictures of 16x16 in two classes."""
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(15):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


def test_a_folder_alone_is_enough(folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "--data", str(folder), "--steps", "3", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "24 pictures of 16x16 in colour, 2 classes, on which G and D are conditioned" in told
    assert "96 images in 3 rounds: every picture 4.0 times" in told
    header = json.loads((out / "run.json").read_text())
    assert header["recipe"] == "pictures"
    assert header["arguments"]["width"] == 16
    assert header["arguments"]["ends"] == [[0, 96]]
    assert main(["sample", str(out), "--class", "dogs", "-n", "4", "-o", str(out / "d.npz")]) == 0
    drawn = np.load(out / "d.npz")["images"]
    expected = Model.load(out).sample(4, labels=np.array([1] * 4))
    assert np.array_equal(drawn, expected.transpose(0, 2, 3, 1))
    assert not np.array_equal(expected, Model.load(out).sample(4, labels=np.array([0] * 4)))
    assert "no class 'dog': did you mean dogs?" in errors(capsys, "sample", out, "--class", "dog")


def test_more_time_moves_the_end_of_the_schedules(folder, tmp_path):
    out = tmp_path / "run"
    assert main(["train", "--data", str(folder), "--steps", "3", "--out", str(out)]) == 0
    assert main(["train", "--resume", str(out), "--steps", "5"]) == 0
    header = json.loads((out / "run.json").read_text())
    assert header["arguments"]["ends"] == [[0, 96], [96, 160]]
    assert header["target"] == {"steps": 5}
    assert Model.load(out).progress.step == 5


def test_the_clock_decides_how_long_and_how_wide(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("frenemy.fitting.Rehearsal.speed", lambda *_: 500.0)
    monkeypatch.setattr("frenemy.fitting.low_is_fast", lambda _: False)
    assert main(["train", "--data", str(folder), "--minutes", "0.2", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "192,000 images in 0.2 minutes" in told
    assert "networks of width 24" in told
    assert "ends after 6,000 rounds" in told


def test_the_best_checkpoint_is_told_and_draws(tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--keep-best", "kid", "--steps", "50", "--out", str(out)]
    assert main(["train", "digits2014", *words]) == 0
    said = "best by kid: round 50 ("
    assert said in capsys.readouterr().out
    assert main(["health", str(out)]) == 0
    assert said in capsys.readouterr().out
    assert main(["sample", str(out), "--step", "best", "-n", "4"]) == 0
    rows = Run.open(out).rows()
    assert Run.open(out).header["best"] == {"step": 50, "value": rows[-1]["validation/kid"]}


def test_pictures_of_any_sizes_are_brought_to_one(folder, tmp_path, capsys):
    Image.new("RGBA", (50, 70)).save(folder / "cats" / "another.png")
    assert main(["train", "--data", str(folder), "--steps", "1", "--dry-run"]) == 0
    assert "25 pictures of 32x32 in colour" in capsys.readouterr().out
    assert main(["train", "--data", str(folder), "--size", "16", "--steps", "1", "--dry-run"]) == 0
    assert "25 pictures of 16x16 in colour" in capsys.readouterr().out


class TestBadInput:
    def test_missing_data(self, capsys, tmp_path):
        line = errors(capsys, "train", "mnist", "--data", tmp_path / "mnist")
        assert "no such file or folder" in line and "train-images-idx3-ubyte" in line

    def test_wrong_shape_is_said_before_training(self, capsys, tmp_path):
        out = tmp_path / "run"
        line = errors(capsys, "train", "mnist2014", "--out", out)
        assert "1x28x28" in line and "1x8x8" in line and not out.exists()

    @pytest.mark.parametrize("dry", [(), ("--dry-run",)])
    def test_taken_directory(self, capsys, run, dry):
        line = errors(capsys, "train", "digits2014", "--out", run, *dry)
        assert f"--resume {run}" in line

    @pytest.mark.parametrize(
        "words",
        [
            ("--steps", 0),
            ("--steps", 5, "--epochs", 1),
            ("--seed", -1),
            ("--rate", "nan"),
            ("--checkpoint-seconds", -5),
        ],
        ids=str,
    )
    def test_a_dry_run_refuses_what_a_start_does(self, capsys, words):
        line = errors(capsys, "train", "digits2014", "--dry-run", *words)
        assert words[0].strip("-").replace("-", "_") in line.replace("-", "_")

    def test_no_progress_is_shown_before_an_error(self, capsys, tmp_path, run):
        main(["train", "digits2014", "--steps", "0"])
        main(["train", "--resume", str(tmp_path)])
        main(["train", "digits2014", "--out", str(run)])
        assert "round" not in capsys.readouterr().out

    def test_no_best_checkpoint(self, capsys, folder, run):
        line = errors(capsys, "train", "digits", "--keep-best", "kod", "--dry-run")
        assert "'kod': did you mean kid?" in line
        few = ("train", "--data", folder, "--steps", 1, "--keep-best", "kid", "--dry-run")
        assert "kid: 3 in real: needs 4 or more" in errors(capsys, *few)
        assert "begun without --keep-best" in errors(capsys, "sample", run, "--step", "best")

    def test_unwritable_directory(self, capsys, tmp_path):
        (tmp_path / "file").write_text("not a directory")
        assert "cannot write" in errors(capsys, "train", "digits2014", "--out", tmp_path / "file/x")

    def test_options_with_resume(self, capsys, run):
        for more in (["--seed", 1], ["--out", "x"], ["--grey"], ["digits2014"]):
            line = errors(capsys, "train", "--resume", run, *more)
            assert "add only --data" in line and "--minutes, --device" in line

    def test_no_recipe(self, capsys):
        assert "train on what?" in errors(capsys, "train", "--seed", 1)

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
        del header["game_digest"]  # as in a run that was begun before there was one
        for arguments in ({"minibatch": "x"}, {"minibatch": 1.5}, {"colour": 1}):
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
        assert "is not what" in errors(capsys, "train", "--resume", out)
        assert main(["sample", str(out), "-n", "1"]) == 0  # needs no data

    def test_a_game_that_explodes_is_named(self, capsys, tmp_path):
        out = tmp_path / "run"
        arguments = ("train", "digits2014", "--rate", "1e30", "--steps", 100, "--out", out)
        line = errors(capsys, *arguments)
        assert "round 2: D's term minimax_d is not finite" in line and "--rate" in line
        assert main(["sample", str(out), "-n", "1"]) == 0  # by what it began with


@pytest.mark.parametrize("option", ["--like", "--init"])
def test_another_runs_arguments_are_taken_but_for_those_that_are_given(tmp_path, option):
    def arguments(*words):
        out = tmp_path / str(len([*tmp_path.iterdir()]))
        words = ["train", *words, "--data", "embedded:emoji", "--steps", "1", "--out", str(out)]
        assert main(words) == 0
        return Run.open(out).header["arguments"]

    lender = str(tmp_path / "0")
    arguments("dcgan", "--width", "4", "--minibatch", "16", "--rate", "1e-3")
    found = arguments("dcgan", option, lender, "--rate", "2e-4")  # which is the default
    assert (found["width"], found["minibatch"], found["rate"]) == (4, 16, 2e-4)
    lender = str(tmp_path / "2")
    arguments("--width", "4", "--minibatch", "8", "--gamma", "1.0", "--no-augmenting")
    found = arguments(option, lender, "--gamma", "0")
    assert (found["width"], found["minibatch"], found["gamma"]) == (4, 8, 0)
    assert not found["augmenting"]
    assert arguments(option, lender, "--augmenting")["augmenting"]


def test_points_are_no_pictures(tmp_path, capsys):
    assert "points" in errors(capsys, "train", "--data", "toy:ring", "--out", tmp_path / "run")
