"""`frenemy judge`, `compare` and `health`."""

import json

import pytest
from PIL import Image

from frenemy.cli import main
from frenemy.data import open_dataset
from frenemy.judge.estimate import Estimate
from frenemy.judge.report import Line, Report
from frenemy.run import Run

from .command_line import errors


def test_judge_writes_beside_the_run(run, capsys):
    assert main(["judge", str(run), "--samples", "200"]) == 0
    assert "held-out images" in capsys.readouterr().out
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


class TestBadInput:
    def test_judge_says_what_is_missing(self, capsys, run, tmp_path):
        assert "judge what?" in errors(capsys, "judge")
        assert "--against SOURCE" in errors(capsys, "judge", tmp_path)
        assert "--against SOURCE" in errors(capsys, "judge", tmp_path / "nowhere")
        assert "stay as it was trained" in errors(capsys, "judge", run, "--size", "8")
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
