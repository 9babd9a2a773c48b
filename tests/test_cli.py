"""The command line, verb by verb, in this process; `test_resume.py` runs real processes."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from frenemy import recipes
from frenemy.cli import main
from frenemy.data import open_dataset
from frenemy.judge.estimate import Estimate
from frenemy.judge.report import Line, Report
from frenemy.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run on the embedded digits."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "digits2014", "--steps", "60", "--out", str(path)]) == 0
    return path


def errors(capsys, *arguments):
    """The one line that a failing command prints."""
    assert main([str(a) for a in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("frenemy: ")
    return line


def test_help_needs_no_torch():
    code = (
        "import sys; from frenemy.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "neighbours" in done.stdout


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


def test_samples_as_picture_arrays_and_folder(run, tmp_path):
    for out in ("s.png", "s.npz", "folder"):
        arguments = ["sample", str(run), "-n", "5", "--seed", "3", "-o", str(tmp_path / out)]
        assert main(arguments) == 0
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        images = file["images"]
    assert images.shape == (5, 8, 8) and images.dtype == np.uint8
    for i, image in enumerate(images):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "folder" / f"{i:06d}.png")), image)
    # five 8x8 images, enlarged to 64, three a row with gaps of two
    assert Image.open(tmp_path / "s.png").size == (3 * 66 - 2, 2 * 66 - 2)


def test_samples_are_a_function_of_the_seed(run, tmp_path):
    def draw(n, seed):
        main(["sample", str(run), "-n", str(n), "--seed", str(seed), "-o", str(tmp_path / "s.npz")])
        with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
            return file["images"]

    first = draw(700, 0)
    assert np.array_equal(draw(9, 0), first[:9])
    assert not np.array_equal(draw(9, 1), first[:9])


def test_walk_draws_lines_and_film(run, tmp_path):
    strip, film = tmp_path / "walk.png", tmp_path / "walk.webp"
    arguments = ["walk", str(run), "--points", "3", "--steps", "4", "-o", str(strip), str(film)]
    assert main(arguments) == 0
    assert Image.open(strip).size == (4 * 66 - 2, 3 * 66 - 2)
    assert Image.open(film).n_frames == 12


def test_neighbours_film_and_judge_write_beside_the_run(run, capsys):
    for verb in ("neighbours", "film"):
        assert main([verb, str(run)]) == 0
    assert main(["judge", str(run), "--samples", "200"]) == 0
    printed = capsys.readouterr().out
    assert "held-out test images" in printed and "held-out images" in printed
    assert Image.open(run / "neighbours.png").size == (6 * 66 - 2, 5 * 66 - 2)
    # frames that show the same are one, so compare how long they take: 8 a second, the last holds 2
    film = Image.open(run / "film.gif")
    lengths = []
    for frame in range(film.n_frames):
        film.seek(frame)
        lengths.append(film.info["duration"])
    samples = len(Run.open(run).samples())
    assert sum(lengths) == pytest.approx(
        125 * (samples - 1) + 2000, abs=10 * samples
    )  # GIF: 1/100 s
    report = Report.load(run / "judge.json")
    assert report.target == f"{run} (round 60)"
    metrics = {line.metric.partition("200_")[0] for line in report.lines}
    assert {"fid", "kid", "recall", "copying", "parzen"} < metrics
    assert "authors-grid" in (run / "judge.html").read_text("utf-8")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The embedded digits as a labelled folder of PNGs: 0/*.png ..."""
    folder = tmp_path_factory.mktemp("digits")
    part = open_dataset(None).train
    for i in range(200):
        path = folder / str(part.labels[i]) / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(part.images[i, 0]).save(path)
    return folder


def test_judge_takes_folders_and_arrays_against_a_source(run, digits, tmp_path, capsys):
    npz, out = tmp_path / "samples.npz", tmp_path / "report.json"
    main(["sample", str(run), "-n", "150", "-o", str(npz)])
    arguments = ["--against", str(digits), "--metrics", "fid", "precision", "-o", str(out)]
    assert main(["judge", str(npz), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "held-out images" in printed and "noise" in printed
    assert "warning: only 150 reference, 150 samples" in " ".join(printed.split())
    report = Report.load(out)
    assert [line.metric for line in report.lines] == ["fid150_random", "precision150_random"]
    assert (tmp_path / "report.html").exists()
    assert main(["judge", str(digits), *arguments]) == 0  # by itself
    printed = " ".join(capsys.readouterr().out.split())
    assert "are, byte for byte, among the reference images" in printed


def test_judge_trains_features_that_are_used_by_name(digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("frenemy.supervised.ROUNDS", 5)
    assert main(["judge", "--train-features", str(digits), "--name", "mine"]) == 0
    assert "mine.safetensors: classifier-mine, " in capsys.readouterr().out
    out = tmp_path / "judge.json"
    arguments = ["--against", str(digits), "--features", "classifier-mine", "pixels"]
    assert main(["judge", str(digits), *arguments, "--metrics", "is", "fid", "-o", str(out)]) == 0
    assert [line.metric for line in Report.load(out).lines] == [
        "is200_classifier-mine",
        "fid200_classifier-mine",
        "fid200_pixels",
    ]


def test_all_checkpoints_draw_curves(tmp_path, capsys):
    path = tmp_path / "kept"
    settings = ["--checkpoint-seconds", "0.05", "--keep-checkpoints", "4", "--steps", "100"]
    main(["train", "digits2014", "--out", str(path), *settings])
    metrics = ["--metrics", "fid", "--samples", "100"]
    assert main(["judge", str(path), "--all-checkpoints", *metrics]) == 0
    (points,) = Report.load(path / "judge.json").curves.values()
    assert len(points) == len(Run.open(path).checkpoints()) > 2


def test_compare_lays_reports_side_by_side(tmp_path, capsys):
    def report(name, fid, error):
        lines = [
            Line("fid10k_random", "lower", {"samples": Estimate(fid, error)}),
            Line(f"kid10k_{name}", "lower", {"samples": Estimate(1.0, 0.1)}),  # others' protocol
            Line("fid10k_mine", "lower", {"samples": Estimate(1.0, 0.1)}),  # of other weights
        ]
        protocol = {"reference": "10,000 images", "features mine": f"digest {name}"}
        (tmp_path / name).mkdir()
        path = tmp_path / name / "judge.json"
        Report(name, "real", protocol, ["samples"], lines).save(path)
        return str(tmp_path / name)

    runs = [report("a", 5.0, 0.3), report("b", 5.5, 0.4), report("c", 7.0, 0.4)]
    assert main(["compare", *runs]) == 0
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if "fid10k_random" in line]
    assert row.rstrip().endswith("7.00 ± 0.40 *")
    assert "5.00 ± 0.30" in row and "5.50 ± 0.40 *" not in row
    assert "kid10k" not in printed
    assert "features differ: fid10k_mine" in " ".join(printed.split())


def test_health_tells_what_was_measured_and_found(tmp_path, capsys):
    path = tmp_path / "run"
    main(["train", "digits2014", "--steps", "250", "--out", str(path)])
    assert main(["health", str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("D ahead", "diversity", "G signal", "recall"))
    assert "findings" in json.loads((path / "run.json").read_text())


def test_data_reports_and_draws_a_sheet(tmp_path, capsys):
    assert main(["data", "-o", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "1,797" in printed and "8x8: 1,797" in printed
    assert Image.open(tmp_path / "sheet.png").width > 500


def test_dry_run_prints_the_game_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits2014", "--objective", "minimax", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for expected in ("Maxout", "1,639,264", "0.5 minimax_d", "minimax_g", "100 uniform"):
        assert expected in printed  # 1,639,264: 100.1200 + 1200.1200 + 1200.64 and biases
    assert not list(tmp_path.iterdir())


def test_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert "mnist2014" in printed and "225 ± 2" in printed
    assert len(printed.splitlines()) == len(recipes.__all__)  # one line each, in 80 columns


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", "digits2014", "--steps", "1"]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["digits2014", "digits2014-2"]


def test_simultaneous_play_from_the_command_line(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--simultaneous", "--steps", "50", "--out", str(out)]) == 0
    assert Run.open(out).header["arguments"]["simultaneous"] is True


def test_tensorboard_events_are_written(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "digits2014", "--tensorboard", "--steps", "50", "--out", str(out)]) == 0
    assert any((out / "events").iterdir())


class TestBadInput:
    def test_unknown_names_get_the_nearest(self, capsys):
        assert "did you mean mnist or mnist2014?" in errors(capsys, "train", "mnsit")
        assert "did you mean mnist" in errors(capsys, "train", "--data", "faces", "mnsit")
        assert "did you mean train?" in errors(capsys, "trian")

    def test_unknown_argument_gets_the_nearest(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "digits2014", "--objektive", "minimax"])
        assert "--objective" in capsys.readouterr().err

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

    def test_judge_says_what_is_missing(self, capsys, run, tmp_path):
        assert "judge what?" in errors(capsys, "judge")
        assert "--against SOURCE" in errors(capsys, "judge", tmp_path)
        assert "--against SOURCE" in errors(capsys, "judge", tmp_path / "nowhere")
        assert "the size they were trained in" in errors(capsys, "judge", run, "--size", "8")
        assert "is a .json file" in errors(capsys, "judge", run, "-o", "report.html")
        said = errors(capsys, "judge", run, "--metrics", "recal")
        assert "did you mean recall" in said
        assert "no features 'lenet'" in errors(capsys, "judge", run, "--features", "lenet")
        empty = tmp_path / "empty"
        empty.mkdir()
        assert "empty" in errors(capsys, "judge", run, "--against", empty)

    def test_compare_says_what_is_missing(self, capsys, tmp_path):
        assert "two runs or more" in errors(capsys, "compare", tmp_path)
        said = errors(capsys, "compare", tmp_path, tmp_path)
        assert "make it with `frenemy judge`" in said

    def test_health_needs_measurements(self, capsys, run):
        assert "no measurements yet" in errors(capsys, "health", run)

    @pytest.mark.parametrize("verb", ["sample", "walk", "neighbours", "health", "film"])
    def test_no_run(self, capsys, tmp_path, verb):
        assert "holds no run" in errors(capsys, verb, tmp_path)

    def test_unknown_endings(self, capsys, run, tmp_path):
        assert "unknown picture format" in errors(capsys, "sample", run, "-o", tmp_path / "s.xyz")
        assert "unknown film format" in errors(capsys, "film", run, "-o", tmp_path / "s.png")

    @pytest.mark.parametrize(
        "arguments",
        [
            ("sample", "RUN", "-n", 0),
            ("sample", "RUN", "--seed", -1),
            ("walk", "RUN", "--points", 0),
            ("judge", "RUN", "--samples", 0),
            ("film", "RUN", "--fps", 0),
            ("train", "digits2014", "--steps", 0),
            ("train", "digits2014", "--seed", -1),
            ("train", "digits2014", "--minibatch", 0),
            ("train", "digits2014", "--k", 0),
            ("train", "digits2014", "--k", 2, "--simultaneous"),
            ("data", "--size", 0),
        ],
    )
    def test_numbers_out_of_range(self, capsys, run, arguments, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        line = errors(capsys, *(run if a == "RUN" else a for a in arguments))
        assert str(arguments[-1]) in line or "--simultaneous" in line
        assert not list(tmp_path.iterdir())

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
        assert "round 0: G's term nonsaturating_g is not finite" in line and "--rate" in line
        assert not Run.open(out).checkpoints()
