"""The command line as a whole: its help, its verbs, and what every verb refuses."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from frenemy.cli import VERBS, main
from frenemy.run import Run

from .command_line import errors


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


def test_no_words_at_all_are_a_question_for_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert not stop.value.code and "neighbours" in capsys.readouterr().out


def test_the_version_needs_no_torch():
    code = (
        "import sys; from frenemy.cli import main; assert main(['--version']) == 0\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"frenemy {version('frenemy')} (torch {version('torch')}, ")


def test_a_file_has_no_edge_at_which_tables_are_cut():
    code = "from frenemy.terminal import console; print(console.width)"
    for columns, width in ((None, "132"), ("50", "50")):
        env = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
        env |= {"COLUMNS": columns} if columns else {}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
        )
        assert done.stdout.strip() == width


def run_command(*arguments, **options):
    command = [sys.executable, "-m", "frenemy", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
@pytest.mark.parametrize(
    "arguments",
    [
        ("walk", "RUN", "-o", "out.png"),
        ("neighbours", "RUN", "-o", "out.png"),
        ("data", "-o", "out.png"),
        ("judge", "RUN", "--metrics", "parzen", "--samples", 50, "-o", "out.json"),
        ("lab", "game-tree", "-o", "out.html"),
    ],
)
def test_what_was_made_is_kept_though_nobody_reads_what_is_said(run, tmp_path, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    words = [run if word == "RUN" else word for word in arguments]
    done = run_command(*words, stdout=writer, cwd=tmp_path)
    os.close(writer)
    assert (tmp_path / arguments[-1]).stat().st_size > 0
    assert (done.stderr, done.returncode != 0) == ("", True)


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_a_training_goes_on_though_nobody_reads_what_is_said(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = run_command(
        "train", "digits2014", "--steps", 3, "--out", tmp_path / "run", stdout=writer
    )
    os.close(writer)
    assert done.stderr == ""
    assert len(Run.open(tmp_path / "run").checkpoints()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_told_in_one_line(run, tmp_path):
    with open("/dev/full", "w") as full:
        done = run_command("walk", run, "-o", tmp_path / "out.png", stdout=full)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left" in line


def test_what_an_encoding_lacks_is_replaced():
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    done = run_command("recipes", stdout=subprocess.DEVNULL, env=env)
    assert (done.returncode, done.stderr) == (0, "")


class TestBadInput:
    def test_unknown_names_get_the_nearest(self, capsys):
        assert "did you mean mnist or mnist2014?" in errors(capsys, "train", "mnsit")
        assert "did you mean mnist" in errors(capsys, "train", "--data", "faces", "mnsit")
        assert "did you mean train?" in errors(capsys, "trian")

    def test_unknown_argument_gets_the_nearest(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "digits2014", "--objektive", "minimax"])
        assert "--objective" in capsys.readouterr().err

    def test_a_misspelt_argument_brings_up_no_other_verb(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "--stepz", "3"])
        said = capsys.readouterr().err
        assert "--steps" in said
        assert "frenemy train --help" in said
        assert not any(f"frenemy {verb} " in said for verb in VERBS if verb != "train")

    @pytest.mark.parametrize(
        "arguments",
        [("sample", "RUN", "-n", 10**14), ("train", "digits2014", "--minibatch", 10**14)],
    )
    def test_more_than_the_memory_holds(self, capsys, run, arguments, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        line = errors(capsys, *(run if a == "RUN" else a for a in arguments))
        assert "out of memory: give a smaller --minibatch" in line

    @pytest.mark.parametrize(
        "verb", ["sample", "walk", "directions", "neighbours", "health", "film"]
    )
    def test_no_run(self, capsys, tmp_path, verb):
        assert "is not a run (it has no run.json)" in errors(capsys, verb, tmp_path)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("sample", "RUN", "-n", 0),
            ("sample", "RUN", "--seed", -1),
            ("walk", "RUN", "--points", 0),
            ("judge", "RUN", "--samples", 0),
            ("film", "RUN", "--fps", 0),
            ("film", "RUN", "--fps", 1000),
            ("train", "digits2014", "--epochs", 1e300),
            ("train", "digits2014", "--steps", 0),
            ("train", "digits2014", "--seed", -1),
            ("train", "digits2014", "--minibatch", 0),
            ("train", "digits2014", "--k", 0),
            ("data", "--size", 0),
        ],
    )
    def test_numbers_out_of_range(self, capsys, run, arguments, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        line = errors(capsys, *(run if a == "RUN" else a for a in arguments))
        assert str(arguments[-1]) in line
        assert not list(tmp_path.iterdir())
