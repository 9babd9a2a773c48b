"""`frenemy judge`, `compare` and `health`."""

import json

import numpy as np
import pytest
from PIL import Image

from frenemy.cli import main
from frenemy.data import open_dataset
from frenemy.diagnosis import health_table, outcome
from frenemy.files import WritingFailed
from frenemy.judge.estimate import Estimate
from frenemy.judge.report import Line, Report
from frenemy.run import Run
from frenemy.terminal import console

from .command_line import errors


def test_judge_writes_beside_the_run(run, capsys):
    assert main(["judge", str(run), "--samples", "200", "--metrics", "all"]) == 0
    printed = capsys.readouterr().out
    assert "parzen200_default-grid, held-out images: training images as samples" in printed
    report = Report.load(run / "judge.json")
    assert report.target == f"{run} (round 60)"
    metrics = {line.metric.partition("200")[0] for line in report.lines}
    assert {"fid", "kid", "recall", "copying", "parzen"} < metrics
    assert "authors-grid" in (run / "judge.html").read_text("utf-8")


FEW = ["--features", "random", "--samples", "100"]


def test_judge_adds_to_its_report(run, tmp_path, capsys):
    out = ["-o", str(tmp_path / "judge.json")]
    assert main(["judge", str(run), "--metrics", "kid", *FEW, *out]) == 0
    assert main(["judge", str(run), "--metrics", "recall", *FEW, *out]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    lines = [line.metric for line in Report.load(tmp_path / "judge.json").lines]
    assert lines == ["kid100_random", "recall100-k5_random"]
    assert "kid100_" in (tmp_path / "judge.html").read_text("utf-8")
    assert main(["judge", str(run), "--metrics", "recall", *FEW, *out, "--seed", "1"]) == 0
    assert "is not added to: other seed" in capsys.readouterr().err
    assert [x.metric for x in Report.load(tmp_path / "judge.json").lines] == lines[1:]


def test_another_checkpoint_begins_a_report_anew(tmp_path, capsys):
    path = tmp_path / "run"
    judges = ["judge", str(path), *FEW, "--metrics"]
    main(["train", "digits2014", "--steps", "10", "--out", str(path)])
    assert main([*judges, "kid"]) == 0
    main(["train", "--resume", str(path), "--steps", "20"])
    capsys.readouterr()
    assert main([*judges, "recall"]) == 0
    said = f"an earlier report of {path} (round 10) is not added to: other images that were judged"
    assert said in capsys.readouterr().err
    (line,) = Report.load(path / "judge.json").lines
    assert line.metric == "recall100-k5_random"


def test_what_others_wrote_is_never_replaced(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("frenemy.model.Model.load", no_work)
    page, report = tmp_path / "a.html", tmp_path / "b.json"
    page.write_text("<html>mine</html>")
    report.write_text('{"mine": 1}')
    said = errors(capsys, "judge", run, "-o", tmp_path / "a.json")
    assert "a.html is not a page of frenemy's: move it, or give another place by -o" in said
    said = errors(capsys, "judge", run, "-o", report)
    assert "b.json is not a report of `frenemy judge`" in said and "give another place" in said
    assert (page.read_text(), report.read_text()) == ("<html>mine</html>", '{"mine": 1}')


@pytest.mark.parametrize(("fails", "left"), [("report", ["judge.html"]), ("page", ["judge.json"])])
def test_what_was_found_is_shown_though_it_cannot_be_written(
    fails, left, run, tmp_path, capsys, monkeypatch
):
    def full(*_, **__):
        raise WritingFailed("judge: no space left on the disk: free some and try again")

    where = "frenemy.judge.report.Report.save" if fails == "report" else "frenemy.judging"
    monkeypatch.setattr(where if fails == "report" else f"{where}.write_atomically", full)
    out = ["-o", str(tmp_path / "judge.json")]
    assert main(["judge", str(run), "--metrics", "kid", *FEW, *out]) == 1
    printed = capsys.readouterr()
    assert "kid100_random" in printed.out and "±" in printed.out
    assert printed.err == "frenemy: judge: no space left on the disk: free some and try again\n"
    assert [path.name for path in tmp_path.iterdir()] == left


@pytest.mark.parametrize("option", ["--against", "--data"])
def test_the_real_images_may_be_named_by_either_option(run, digits, tmp_path, option):
    out = tmp_path / "judge.json"
    arguments = [option, str(digits), "--metrics", "parzen", "--samples", "50", "-o", str(out)]
    assert main(["judge", str(run), *arguments]) == 0
    assert Report.load(out).against.startswith("image folder, 200 images")


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
    assert "the value mostly bias" in " ".join(printed.split())
    report = Report.load(out)
    assert [line.metric for line in report.lines] == ["fid150_random", "precision150-k5_random"]
    assert (tmp_path / "report.html").exists()
    assert main(["judge", str(digits), *arguments]) == 0  # by itself
    printed = " ".join(capsys.readouterr().out.split())
    assert "are, byte for byte, among the reference images" in printed


def test_range_is_that_of_what_is_judged_by(tmp_path):
    bits = (open_dataset(None).train.images[:400, 0] > 127).astype(np.uint8)
    np.savez(tmp_path / "samples.npz", images=255 * bits[:100])
    np.save(tmp_path / "white.npy", 255 * bits)
    np.save(tmp_path / "bits.npy", bits)
    values = []
    for against in (["white.npy"], ["bits.npy", "--range", "0..1"]):
        out = tmp_path / f"{against[0]}.json"
        arguments = ["--against", str(tmp_path / against[0]), *against[1:], "--metrics", "fid"]
        assert main(["judge", str(tmp_path / "samples.npz"), *arguments, "-o", str(out)]) == 0
        values.append([line.results["samples"].value for line in Report.load(out).lines])
    assert values[0] == pytest.approx(values[1])


def test_where_there_is_no_terminal_long_work_is_told_in_lines(
    digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("frenemy.terminal.PlainLines.INTERVAL", 0.0)
    out = tmp_path / "judge.json"
    main(["judge", str(digits), "--against", str(digits), "--metrics", "fid", "-o", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fid of samples, features random"


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


def test_features_may_be_those_of_the_classifier_that_is_trained_first(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("frenemy.supervised.ROUNDS", 5)
    out = tmp_path / "judge.json"
    arguments = ["--against", str(digits), "--metrics", "fid", "-o", str(out)]
    trains = ["--train-features", str(digits), "--name", "mine"]
    features = ["--features", "classifier-mine", "pixels"]
    assert main(["judge", str(digits), *arguments, *trains, *features]) == 0
    lines = [line.metric for line in Report.load(out).lines]
    assert lines == ["fid200_classifier-mine", "fid200_pixels"]


def test_all_checkpoints_draw_curves(tmp_path, capsys):
    path = tmp_path / "kept"
    main(["train", "digits2014", "--out", str(path), "--keep-checkpoints", "4", "--steps", "10"])
    for steps in ("20", "30"):  # a training ends with a checkpoint, however slow the disk is
        main(["train", "--resume", str(path), "--steps", steps])
    metrics = ["--metrics", "fid", "--samples", "100"]
    assert main(["judge", str(path), "--all-checkpoints", *metrics]) == 0
    (points,) = Report.load(path / "judge.json").curves.values()
    assert [step for step, *_ in points] == [10, 20, 30]


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
    told = " ".join(printed.split())
    assert "not compared with b: not measured there: kid10k_a" in told
    assert "not compared with b: not measured in a: kid10k_b" in told
    assert "not compared with b: other features (digest a; digest b): fid10k_mine" in told
    assert not any(x in row for row in printed.splitlines() if "±" in row for x in ("kid", "mine"))


def saved(folder, name, lines=("fid10k_random",), **changes):
    """A report, whose metrics are all 5.0 ± 0.3 and by 3 more in any but "a"; its path."""
    protocol = {
        "samples": "10,000",
        "reference": "10,000 random images of faces train (digest 0123456789ab)",
        "reference digest": "0123456789ab" + "c" * 52,
        "features random": "digest f",
        "size": "1x8x8",
    }
    protocol = {k: v for k, v in {**protocol, **changes}.items() if v is not None}
    estimate = Estimate(5.0 if name == "a" else 8.0, 0.3)
    found = [Line(line, "lower", {"samples": estimate}) for line in lines]
    return Report(name, "real", protocol, ["samples"], found).save(folder / f"{name}.json")


OTHERS = [
    ({"size": "1x16x16"}, "other sizes or resizing (1x8x8; 1x16x16)"),
    ({"size": "1x8x8 (all images brought to 8x8: crop)"}, "or resizing (1x8x8; 1x8x8 (all"),
    (
        {"size": "1x8x8 (colours left out)"},
        "or resizing (1x8x8; 1x8x8 (colours left out))",
    ),
    ({"features random": "digest g"}, "other features (digest f; digest g)"),
    ({"reference digest": "0123456789ab" + "d" * 52}, "b: other reference images"),
    (
        {"reference digest": "0123456789ab" + "c" * 52 + " prepared by faces2014"},
        "b: other reference images",
    ),
    (
        {"reference digest": None},
        "reference images, which one report does not state in full: judge it again",
    ),
    ({"lines": ["fid5k_random"]}, "other sample counts (10k; 5k)"),
    ({"lines": ["kid10k_random"]}, "not measured there"),
    ({"lines": ["fid5k_random"], "size": "1x4x4"}, "counts (10k; 5k), other sizes or resizing"),
]


@pytest.mark.parametrize(("changes", "said"), OTHERS)
def test_what_is_not_comparable_is_refused_if_it_is_all(changes, said, tmp_path, capsys):
    a, b = saved(tmp_path, "a"), saved(tmp_path, "b", **changes)
    line = errors(capsys, "compare", a, b)
    assert "nothing is comparable with a: " in line and said in line


@pytest.mark.parametrize(("changes", "said"), OTHERS)
def test_what_is_not_comparable_is_left_out_beside_what_is(changes, said, tmp_path, capsys):
    a, b, c = saved(tmp_path, "a"), saved(tmp_path, "b", **changes), saved(tmp_path, "c")
    assert main(["compare", str(a), str(b), str(c)]) == 0
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if "±" in line]
    assert row.split() == ["fid10k_random", "↓", "5.00", "±", "0.30", "8.00", "±", "0.30", "*"]
    told = " ".join(printed.split())
    assert f"not compared with b: {said.removeprefix('b: ')}" in told or said in told
    assert "not compared with c" not in told


def test_lines_that_only_one_report_has_are_told(tmp_path, capsys):
    a = saved(tmp_path, "a", ["fid10k_random", "ais100x16x1000-quick", "is10k_random"])
    b = saved(tmp_path, "b", ["fid10k_random", "ais100x16x1000-quick", "kid10k_random"])
    assert main(["compare", str(a), str(b)]) == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if "±" in line]) == 2
    told = " ".join(printed.split())
    assert "not compared with b: not measured there: is10k_random" in told
    assert "not compared with b: not measured in a: kid10k_random" in told


def test_reports_without_whole_digests_are_compared_by_what_they_tell(tmp_path, capsys):
    old = {"reference digest": None}
    a, b = saved(tmp_path, "a", **old), saved(tmp_path, "b", **old)
    assert main(["compare", str(a), str(b)]) == 0
    c = saved(tmp_path, "c", **old, reference="10,000 random images of faces train (digest 9)")
    assert "other reference images" in errors(capsys, "compare", a, c)


def test_digits_of_two_sizes_are_not_compared(tmp_path, capsys):
    paths = []
    for size in ("8", "16"):
        npz, out = tmp_path / f"{size}.npz", tmp_path / f"{size}.json"
        np.savez(npz, open_dataset(None).train.images)
        arguments = ["--against", str(npz), "--size", size, "--metrics", "fid", "--samples", "60"]
        features = ["--features", "random"]
        assert main(["judge", str(npz), *arguments, *features, "-o", str(out)]) == 0
        paths.append(out)
    capsys.readouterr()
    said = "sizes or resizing (1x8x8 (all images brought to 8x8: crop); 1x16x16 (all"
    assert said in errors(capsys, "compare", *paths)
    protocol = Report.load(paths[0]).protocol
    assert protocol["reference digest"] == open_dataset(tmp_path / "8.npz").train.digest


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my cats", "my-cats"), ("_cats (2)", "cats-2-"), ("cats_2.zip", "cats_2"), ("ça va", "a-va")],
)
def test_a_classifier_has_a_legal_name_by_default(folder, name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("frenemy.supervised.ROUNDS", 2)
    part = open_dataset(None).train
    for i in range(100):
        path = tmp_path / folder / str(part.labels[i]) / f"{i}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(part.images[i, 0]).save(path)
    assert main(["judge", "--train-features", str(tmp_path / folder)]) == 0
    assert f"{name}.safetensors: classifier-{name}, " in capsys.readouterr().out


def test_health_tells_what_was_measured_and_claims_nothing_of_a_young_game(tmp_path, capsys):
    path = tmp_path / "run"
    main(["train", "digits2014", "--steps", "150", "--out", str(path)])
    assert main(["health", str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("D ahead", "diversity", "G signal", "recall"))
    said = "cannot tell: it is too early: 3 of 10 measurements, 15,000 of 100,000 images"
    assert said in printed
    header = json.loads((path / "run.json").read_text())
    assert header["findings"] == []
    assert header["health"] == {"word": "cannot tell", "sentence": said}


def test_training_ends_with_how_it_went(tmp_path, capsys):
    assert main(["train", "digits2014", "--steps", "50", "--out", str(tmp_path / "run")]) == 0
    assert "health: cannot tell: it is too early: 1 of 10" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", ["digits", "digits2014"])
def test_health_advises_what_the_recipe_has(recipe, tmp_path, capsys):
    path = tmp_path / "run"
    main(["train", recipe, "--steps", "10", "--out", str(path)])
    alike = {"health/diversity": 0.02, "health/repeats": 0.9, "health/coverage": 0.2}
    for i in range(1, 21):
        Run.open(path).append({"step": 100 * i, **alike})
    capsys.readouterr()
    assert main(["health", str(path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "mode collapse since round 400: samples are 0.02 times as far" in printed
    advised = {"digits": "--gamma 10 or --rate 0.0005", "digits2014": "--k 2 or --rate 0.05"}
    assert f"Try: {advised[recipe]}." in printed


@pytest.mark.parametrize(("width", "rounds"), [(40, 2), (80, 5), (132, 8)])
def test_health_shows_as_many_rounds_as_there_is_room_for(width, rounds, monkeypatch):
    monkeypatch.setattr(console, "width", width)
    history = [{"step": 100_000 + 100 * i, "D right on G(z)": 0.123} for i in range(20)]
    with console.capture() as printed:
        console.print(health_table(history, outcome(history), width))
    lines = printed.get().splitlines()
    assert sum("D right on G(z)" in line for line in lines) == 1  # it is not broken
    assert "".join(lines).count("0.123") == rounds


def no_work(*_, **__):
    pytest.fail("it was begun")


class TestBadInput:
    def test_judge_says_what_is_missing(self, capsys, run, tmp_path):
        assert "judge what?" in errors(capsys, "judge")
        assert "--against SOURCE" in errors(capsys, "judge", tmp_path)
        assert "--against SOURCE" in errors(capsys, "judge", tmp_path / "nowhere")
        assert "stay as in training" in errors(capsys, "judge", run, "--size", "8")
        assert "is a .json file" in errors(capsys, "judge", run, "-o", "report.html")
        said = errors(capsys, "judge", run, "--metrics", "recal")
        assert "did you mean recall" in said
        assert "no features 'lenet'" in errors(capsys, "judge", run, "--features", "lenet")
        empty = tmp_path / "empty"
        empty.mkdir()
        assert "empty" in errors(capsys, "judge", run, "--against", empty)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--out", "report.html"], "is a .json file"),
            (["--samples", "0"], "samples is 0"),
            (["--seed", "-1"], "seed is -1"),
            (["--seed", str(2**64)], f"seed is {2**64}"),
            (["--metrics", "fid", "recal"], "did you mean recall"),
            (["--features", "pixels", "lenet"], "no features 'lenet'"),
            (["--features", "classifier-other"], "no classifier 'other'"),
            (["--features", "nowhere.onnx"], "nowhere.onnx is not there"),
            (["--features", "nowhere.onnx", "--mean", "0.5"], "nowhere.onnx is not there"),
            (["--std", "1", "--output", "y"], "--std, --output: needs --features FILE.onnx"),
            (["--size", "8"], "stay as in training"),
            (["--step", "7"], "7"),
            (["--against", "nowhere"], "nowhere"),
        ],
        ids=lambda arguments: " ".join(arguments) if isinstance(arguments, list) else "",
    )
    def test_a_run_is_refused_before_any_work(
        self, capsys, run, tmp_path, arguments, said, monkeypatch
    ):
        monkeypatch.setattr("frenemy.supervised.train_classifier", no_work)
        monkeypatch.setattr("frenemy.model.Model.sample", no_work)
        trains = ["--train-features", tmp_path, "--name", "late"]
        assert said in errors(capsys, "judge", run, *arguments)
        assert said in errors(capsys, "judge", run, *arguments, *trains)

    def test_images_are_refused_before_any_work(self, capsys, digits, tmp_path, monkeypatch):
        monkeypatch.setattr("frenemy.supervised.train_classifier", no_work)
        large = tmp_path / "large.npz"
        np.savez(large, np.full((9, 1, 16, 16), 200, np.uint8))
        trains = ["--train-features", digits, "--name", "late"]
        assert "--against SOURCE" in errors(capsys, "judge", digits, *trains)
        trains += ["--against", digits]
        assert "not a run: leave out" in errors(capsys, "judge", digits, "--step", "7", *trains)
        assert "give --size to bring" in errors(capsys, "judge", large, *trains)

    def test_names_of_classifiers_are_refused_with_the_remedy(self, capsys, run, tmp_path):
        said = errors(capsys, "judge", run, "--name", "x")
        assert "--name x: it names what --train-features SOURCE trains" in said
        said = errors(capsys, "judge", "--train-features", tmp_path / "猫")
        assert "猫: no name for the classifier can be made of this: give one by --name" in said

    def test_too_few_labelled_images_are_refused(self, capsys, tmp_path):
        for i in range(12):
            path = tmp_path / "my cats" / f"{i % 2}" / f"{i}.png"
            path.parent.mkdir(exist_ok=True, parents=True)
            Image.new("L", (8, 8), 20 * i).save(path)
        said = errors(capsys, "judge", "--train-features", tmp_path / "my cats")
        assert "my cats train has 10 images, my cats test 1: a classifier needs 10" in said

    def test_compare_says_what_is_missing(self, capsys, tmp_path):
        assert "two runs or more" in errors(capsys, "compare", tmp_path)
        said = errors(capsys, "compare", tmp_path, tmp_path)
        assert "make it with `frenemy judge`" in said

    def test_health_needs_measurements(self, capsys, tmp_path):
        main(["train", "digits2014", "--steps", "40", "--out", str(tmp_path / "run")])
        capsys.readouterr()
        said = errors(capsys, "health", tmp_path / "run")
        assert "no measurements yet: they begin after 50 rounds" in said
