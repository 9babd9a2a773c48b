"""The verb of the lab: lists, plays, writes, refuses."""

import pytest

from frenemy.cli import main
from frenemy.lab.index import INDEX
from frenemy.lab.lesson import Check, Result
from frenemy.lab.lessons import LESSONS


def test_without_a_name_the_lessons_are_listed_with_their_claims(capsys):
    assert main(["lab"]) == 0
    shown = capsys.readouterr().out
    assert len(LESSONS) == 18
    assert all(name in shown for name in LESSONS)


def test_every_claim_is_one_line_of_the_list():
    for name, lesson in LESSONS.items():
        claim = (lesson.__doc__ or "").splitlines()[0]
        assert 0 < len(claim) <= 72 and claim.endswith("."), name


def test_a_lesson_is_played_and_its_pictures_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "game-tree", "--depth", "3"]) == 0
    shown = capsys.readouterr().out
    assert "slides' tree: value" in shown and "fails" not in shown
    assert "lab/game-tree.png" in shown and (tmp_path / "lab/game-tree.png").exists()


@pytest.mark.parametrize(("word", "lesson"), [("rbm", "boltzmann"), ("TREE", "game-tree")])
def test_another_name_plays_the_lesson(word, lesson, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(LESSONS, lesson, LESSONS["game-tree"])
    assert main(["lab", word, "--depth", "3"]) == 0
    assert "game-tree: Minimax" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("figure2", ["frenemy train mnist2014 --data MNIST", "frenemy neighbours RUN"]),
        ("Figure3", ["frenemy walk RUN"]),
    ],
)
def test_a_word_that_other_verbs_show_tells_these(word, said, capsys):
    assert main(["lab", word]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in said)


def test_the_index_lists_every_command(capsys):
    assert main(["lab", "--index"]) == 0
    shown = capsys.readouterr().out
    assert all(f"frenemy {entry.command}" in shown for entry in INDEX)


def test_all_go_onto_one_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = {name: LESSONS[name] for name in ("game-tree", "likelihood")}
    monkeypatch.setattr("frenemy.lab.lessons.LESSONS", few)
    assert main(["lab", "--all"]) == 0
    text = (tmp_path / "lab.html").read_text("utf-8")
    assert 'id="game-tree"' in text and 'id="likelihood"' in text
    assert '<a href="#likelihood"><code>frenemy lab likelihood</code></a>' in text
    assert main(["lab", "--all", "-o", "docs/lab.md"]) == 0
    document = (tmp_path / "docs/lab.md").read_text("utf-8")
    assert "## likelihood" in document
    assert "| [`frenemy lab likelihood`](#likelihood) |" in document
    assert (tmp_path / "docs/lab/game-tree.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["figur1"], "no lesson 'figur1': did you mean figure1?"),
        (["game-tree", "--all"], "leave out the name"),
        (["-o", "x.html"], "play which lesson?"),
        (["--index", "--all"], "--index goes alone"),
        (["nash", "--index"], "--index goes alone"),
        (["table1", "--table", "none"], "none: no table there: frenemy table1 --data MNIST"),
        (["game-tree", "-o", "x.pdf"], ".html or .md, or give a folder"),
        (["game-tree", "--depth", "0"], "depth"),
        (["likelihood", "--heads", "5", "--tosses", "3"], "heads is 5: give 2 or less"),
        (["divergences", "--distance", "1e9"], "distance is 1000000000.0: give 60.0 or less"),
        (["cycling", "--gamma", "inf"], "gamma is inf"),
        (["monte-carlo", "--points", "5000000"], "points is 5000000: give 1048576 or less"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["lab", *arguments]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("out", "made"), [("x.html", "x.html/"), ("x.md", "x"), ("x", "x")])
def test_a_place_that_cannot_take_it_is_refused_before_anything_is_played(
    out, made, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / made).mkdir() if made.endswith("/") else (tmp_path / made).write_text("mine")
    monkeypatch.setattr("frenemy.lab.lesson.play", None)
    assert main(["lab", "game-tree", "-o", out]) == 1
    assert "another" in capsys.readouterr().err


def test_a_check_that_fails_ends_with_its_name_and_status_1(tmp_path, monkeypatch, capsys):
    def wrong(*, seed: int = 0) -> Result:
        """Two is three."""
        return Result("It is not.", [], [Check("2", 2.0, 3.0, 0.5)], [])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("frenemy.lab.lessons.LESSONS", {"wrong": wrong})
    assert main(["lab", "--all"]) == 1
    assert "frenemy: wrong: a check fails" in capsys.readouterr().err
    assert "fails" in (tmp_path / "lab.html").read_text("utf-8")
