"""The verbs that say what there is."""

from PIL import Image

from frenemy import recipes
from frenemy.cli import main

from .command_line import errors


def test_data_reports_and_draws_a_sheet(tmp_path, capsys):
    assert main(["data", "-o", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "1,797" in printed and "8x8: 1,797" in printed
    assert Image.open(tmp_path / "sheet.png").width > 500


def test_a_sheet_does_not_join_the_images(tmp_path, capsys, monkeypatch):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert "contact-sheet.png would lie among the images of ." in errors(capsys, "data", ".")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert "mnist2014" in printed and "225 ± 2" in printed
    assert len(printed.splitlines()) == len(recipes.RECIPES)  # one line each, in 80 columns
