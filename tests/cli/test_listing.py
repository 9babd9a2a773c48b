"""The verbs that say what there is."""

import numpy as np
import pytest
from PIL import Image

from frenemy import recipes
from frenemy.cli import main

from .command_line import errors


def test_data_reports_and_draws_a_sheet(tmp_path, capsys):
    assert main(["data", "-o", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "1,797" in printed and "8x8: 1,797" in printed
    assert Image.open(tmp_path / "sheet.png").width > 500


def test_data_is_told_what_black_and_white_are(tmp_path, capsys):
    bits = np.arange(20 * 64).reshape(20, 8, 8) % 2
    np.save(tmp_path / "bits.npy", bits.astype(np.uint8))
    given = ["data", str(tmp_path / "bits.npy"), "-o", str(tmp_path / "sheet.png")]
    assert main(given) == 0
    told = "no pixel is brighter than 1 of 255: if 1 is to be white, give --range 0..1"
    printed = capsys.readouterr()
    assert told in " ".join(printed.out.split()) and not printed.err  # once: in its row
    for given_range, mean in (("0..1", "0.5000"), ("-1..1", "0.7510")):  # (128 + 255) / 510
        assert main([*given, "--range", given_range]) == 0
        printed = capsys.readouterr()
        assert mean in printed.out and not printed.err
    assert "--range" in errors(capsys, *given, "--range", "0..0.5")


def names_in(folder):
    return {path.name for path in folder.rglob("*")}


def test_a_sheet_does_not_join_the_images(tmp_path, capsys, monkeypatch):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert "b.png would lie among the images of ." in errors(capsys, "data", ".", "-o", "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("where", [".", "train", "train/a"])
def test_without_a_place_it_is_drawn_where_no_images_lie(tmp_path, capsys, monkeypatch, where):
    (tmp_path / "set" / "train" / "a").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "set" / "train" / "a" / "a.png")
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "set" / where)
    before = names_in(tmp_path / "set")
    assert main(["data", str(tmp_path / "set" / "train")]) == 0
    assert names_in(tmp_path / "set") == before
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed == str(tmp_path / "cache" / "contact-sheet.png")
    assert Image.open(printed).format == "PNG"


def test_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert "mnist2014" in printed and "225 ± 2" in printed
    assert len(printed.splitlines()) == len(recipes.RECIPES)  # one line each, in 80 columns
