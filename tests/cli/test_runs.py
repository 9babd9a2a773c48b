"""`frenemy runs` and `frenemy plot`."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from frenemy.cli import main
from frenemy.curves import POINTS, curves, labels_of
from frenemy.run import Run

from .command_line import errors


@pytest.fixture
def folder(run, tmp_path):
    """A run that is at its end, one that was stopped, a broken one, and what is no run."""
    for age, name in ((300, "done"), (200, "deep/stopped"), (100, "broken")):
        shutil.copytree(run, tmp_path / name)
        for path in (tmp_path / name).iterdir():
            then = path.stat().st_mtime - age
            os.utime(path, (then, then))
    stopped = json.loads((run / "run.json").read_text())
    stopped |= {"target": {"steps": 100}, "keep_best": "kid", "best": {"step": 50, "value": 0.25}}
    (tmp_path / "deep/stopped/run.json").write_text(json.dumps(stopped))
    (tmp_path / "broken/run.json").write_text("{")
    (tmp_path / "none").mkdir()
    return tmp_path


def listed(folder, capsys):
    capsys.readouterr()
    assert main(["runs", str(folder), "--json"]) == 0
    return {
        os.path.relpath(one["path"], folder): one for one in json.loads(capsys.readouterr().out)
    }


def test_runs_tells_how_far_each_is(folder, capsys):
    found = listed(folder, capsys)
    assert {name: one["state"] for name, one in found.items()} == {
        "done": "finished",
        "deep/stopped": "stopped",
        "broken": "broken",
    }
    done, stopped = found["done"], found["deep/stopped"]
    assert (done["recipe"], done["seed"], done["rounds"], done["end"]) == ("digits2014", 0, 60, 60)
    assert done["images"] == 60 * 100 and done["seconds"] > 0
    (row,) = Run.open(folder / "done").rows()
    assert done["last"]["D(x)"] == row["D(x)"] and done["last"]["D/minimax_d"] == row["D/minimax_d"]
    assert stopped["best"] == {"metric": "kid", "step": 50, "value": 0.25}
    assert "run.json" in found["broken"]["fault"]


def test_runs_shows_a_table_and_what_is_broken(folder, capsys):
    assert main(["runs", str(folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "6,000" in shown and "60 of 100" in shown and "kid 0.25, round 50" in shown
    assert f"{folder / 'broken'}: {folder / 'broken' / 'run.json'}" in shown


def test_no_column_tells_of_the_best_where_no_run_keeps_one(folder, capsys):
    for name, told in (("done", False), ("deep", True)):
        assert main(["runs", str(folder / name)]) == 0
        assert ("best" in capsys.readouterr().out.split()) == told


def test_a_folder_that_cannot_be_read_is_listed_and_stops_nothing(folder, capsys, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "none":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = listed(folder, capsys)
    assert len(found) == 4 and found["none"]["fault"] == "cannot be read (Permission denied)"


def test_the_last_written_run_is_the_first(folder, capsys):
    later = time.time() + 1  # than what is written by then: a clock of files has coarse ticks
    for place in (folder / "done").iterdir():
        os.utime(place, (later, later))
    changed = [one["changed"] for one in listed(folder, capsys).values()]
    assert changed == sorted(changed, reverse=True)
    assert next(iter(listed(folder, capsys))) == "done"


def test_a_run_that_is_trained_now_is_going_on(folder, capsys):
    code = (
        "import sys; from pathlib import Path; from frenemy.run import Run\n"
        "with Run.open(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder / "deep/stopped")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == b"held\n"
        assert listed(folder, capsys)["deep/stopped"]["state"] == "going on"
    assert listed(folder, capsys)["deep/stopped"]["state"] == "stopped"


def test_a_run_that_nobody_can_go_on_with_is_not_going_on(folder, capsys):
    stopped = folder / "deep/stopped"
    (stopped / "samples").rename(folder / "elsewhere")
    (stopped / "samples").symlink_to(folder / "elsewhere")
    assert listed(folder, capsys)["deep/stopped"]["state"] == "stopped"


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_a_name_that_is_not_utf8_is_spelled_out(folder, tmp_path):
    odd = folder / "run\udce9"
    (folder / "done").rename(odd)
    shown = str(odd).replace("\udce9", "\\udce9")
    for words in (["plot", odd], ["plot", odd, folder / "deep/stopped"], ["film", odd]):
        for end in ("svg", "png"):
            assert main([*map(str, words), "-o", str(tmp_path / f"a.{end}")]) == 0
    assert shown in (tmp_path / "a.svg").read_text("utf-8")


def test_a_best_checkpoint_without_its_value_is_told(folder, capsys):
    header = json.loads((folder / "deep/stopped/run.json").read_text())
    header["best"] = {"step": 50}
    (folder / "deep/stopped/run.json").write_text(json.dumps(header))
    assert "best.value is wrong (it is missing)" in errors(
        capsys, "health", folder / "deep/stopped"
    )


def test_runs_and_plot_need_no_torch(folder, tmp_path):
    code = (
        "import sys; from frenemy.cli import main\n"
        "assert main(sys.argv[1:]) == 0 and 'torch' not in sys.modules"
    )
    plot = ["plot", str(folder / "done"), "-o", str(tmp_path / "plot.svg")]
    for words in (["runs", str(folder)], plot):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def several(run, tmp_path):
    """Runs of several settings with long logs."""
    found = []
    for name, changes in (("a", {}), ("b", {"seed": 1}), ("c", {"seed": 2})):
        shutil.copytree(run, tmp_path / name)
        header = json.loads((run / "run.json").read_text())
        header.pop("game_digest", None)  # of what is changed here
        (tmp_path / name / "run.json").write_text(json.dumps({**header, **changes}))
        rows = [{"step": 50 * i, "D(x)": 0.5, "D/r1": 10.0 ** (-i / 100)} for i in range(1, 501)]
        rows += [{"step": 25_000, "validation/kid": 0.1, "health/diversity": 0.9}]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name / "log.jsonl").write_text(lines)
        found.append(Run.open(tmp_path / name))
    return found


def drawn(figure):
    """The axes of a figure by their titles."""
    from matplotlib.figure import Figure

    canvas = Figure()
    figure.content(canvas)
    return {axes.get_title(): axes for axes in canvas.axes}


def test_each_quantity_has_a_panel_with_all_runs(several):
    panels = drawn(curves(several))
    assert [*panels] == ["D/r1", "D(x)", "validation/kid"]  # health's are left out
    assert all(len(axes.lines) == 3 for axes in panels.values())
    labels = [line.get_label() for line in panels["D(x)"].lines]
    assert labels == ["seed 0", "seed 1", "seed 2"]


def test_curves_are_means_of_neighbours_on_an_axis_that_shows_them(several):
    panels = drawn(curves(several[:1], ["D/r1", "health/diversity"]))
    assert [*panels] == ["D/r1", "health/diversity"]
    (line,) = panels["D/r1"].lines
    values = 10.0 ** (-np.arange(1, 501) / 100)
    means = [part.mean() for part in np.array_split(values, POINTS)]
    np.testing.assert_allclose(line.get_ydata(), means, rtol=1e-12)
    assert panels["D/r1"].get_yscale() == "log"
    assert panels["health/diversity"].get_yscale() == "linear"


def test_runs_of_other_minibatches_stand_over_images(several):
    several[1].header["arguments"]["minibatch"] = 50
    figure = curves(several, ["validation/kid"])
    (axes,) = drawn(figure).values()
    assert axes.get_xlabel() == "images"
    assert [line.get_xdata()[0] for line in axes.lines] == [2.5e6, 1.25e6, 2.5e6]


def test_runs_without_a_difference_are_called_by_their_names(several, tmp_path):
    several[1].header["seed"] = 0
    assert labels_of(several) == ["a", "b", "c"]
    (tmp_path / "x").mkdir()
    shutil.copytree(several[0].path, tmp_path / "x" / "a")
    assert labels_of([several[0], Run.open(tmp_path / "x" / "a")]) == [f"{tmp_path.name}/a", "x/a"]


@pytest.mark.parametrize("name", ["plot.png", "plot.svg", "plot.webp"])
def test_plot_writes_a_picture_or_svg_that_tells_what_it_shows(several, tmp_path, capsys, name):
    runs = [str(one.path) for one in several]
    out = tmp_path / "new" / name
    assert main(["plot", *runs, "--quantity", "D(x)", "validation/kid", "-o", str(out)]) == 0
    assert "D(x), validation/kid of 3 runs" in capsys.readouterr().out
    if out.suffix == ".svg":
        text = out.read_text("utf-8")
        assert re.search(r"<title>Curves of 3 runs. D\(x\) ends at 0.5 \(seed 0\)", text)
    else:
        with Image.open(out) as picture:
            assert picture.width > picture.height > 100


class TestBadInput:
    def test_runs(self, capsys, tmp_path):
        assert "is not a folder" in errors(capsys, "runs", tmp_path / "nowhere")
        assert "no runs in" in errors(capsys, "runs", tmp_path)

    def test_plot(self, capsys, several, tmp_path):
        run = several[0].path
        assert "plot what?" in errors(capsys, "plot")
        assert "did you mean" in errors(capsys, "plot", run, "--quantity", "D(y)")
        assert "unknown picture format" in errors(capsys, "plot", run, "-o", tmp_path / "a.txt")
        (run / "log.jsonl").write_text("")
        assert "nothing is logged yet" in errors(capsys, "plot", run, "-o", tmp_path / "a.png")
        assert "is not a run (it has no" in errors(capsys, "plot", tmp_path / "nowhere")
