"""`frenemy table1`, of rows that need no training, and of one that takes a few rounds."""

import dataclasses
import re

import numpy as np
import pytest

from frenemy.cli import main
from frenemy.table1 import ROWS, Given, Rival, build, tasks

from .command_line import errors

GAN = Rival("adversarial", "Adversarial nets", "digits2014", 2)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(build, "SAMPLES", 300)
    monkeypatch.setattr(tasks, "ROWS", [GAN, *(row for row in ROWS if isinstance(row, Given))])


def table1(out, *words):
    return main(["table1", "--out", str(out), *words])


def test_it_prints_the_table_and_where_it_is(tmp_path, capsys):
    out = tmp_path / "table"
    assert table1(out, "--quick") == 0
    told = capsys.readouterr().out
    assert "1 of 3: adversarial, seed 0, round 2 (100%)" in told
    assert re.search(r"Adversarial nets +[−\d.]+ ± [\d.]+ +1 .*quick: 2 of", told)
    assert "True training images" in told and "Noise" in told and "none of these images" in told
    assert [line for line in told.splitlines() if line.startswith(str(out))] == [
        str(out / f"table1{ending}") for ending in (".png", ".md", ".csv", ".jsonl")
    ]
    assert table1(out, "--quick") == 0
    assert "round 2" not in capsys.readouterr().out  # nothing is trained again


def test_a_dry_run_tells_what_it_would_train_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "table"
    assert table1(out, "--dry-run", "--seeds", "2") == 0
    told = capsys.readouterr().out
    for seed in range(2):
        assert re.search(rf"seed {seed}: \S*digits2014-{seed}, [\d,]+ rounds: about \d:\d\d", told)
    assert "of rounds in all" in told and not out.exists()


def test_a_row_that_fails_ends_with_a_line_when_all_others_are_done(tmp_path, capsys, monkeypatch):
    unfit = dataclasses.replace(GAN, model="DBN", name="dbn", recipe="mnist2014")
    monkeypatch.setattr(tasks, "ROWS", [unfit, *(row for row in ROWS if isinstance(row, Given))])
    assert "DBN: failed, as the table says" in errors(capsys, "table1", "-o", tmp_path / "table")
    assert (tmp_path / "table" / "table1.png").exists()


def test_bad_input_is_told_in_a_line(tmp_path, capsys):
    out = tmp_path / "table"
    np.save(tmp_path / "few.npy", np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8))
    few = errors(capsys, "table1", "--out", out, "--data", tmp_path / "few.npy")
    assert "3 validation and 3 test images" in few
    assert "gan" in errors(capsys, "table1", "--out", out, "--only", "gan")
    assert "is not a run" in errors(capsys, "table1", "--out", out, "--runs", tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    assert "something else than a table" in errors(capsys, "table1", "--out", tmp_path)
    assert not out.exists()
