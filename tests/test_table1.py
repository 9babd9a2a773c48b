"""Table 1 on the embedded digits, each model trained for a few rounds."""

import contextlib
import csv
import dataclasses
import functools
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from frenemy import recipes
from frenemy.begin import train
from frenemy.data import Dataset, Facts, Source, open_dataset
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment
from frenemy.interrupts import Interrupted
from frenemy.judge.estimate import Estimate
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.judge.table1 import PUBLISHED, Judged, Nats, Table
from frenemy.judge.table1_shown import cells, remarks, table1_csv, table1_markdown
from frenemy.model import Model, set_up
from frenemy.pictures import load_picture
from frenemy.run import Run
from frenemy.table1 import ROWS, Asked, Given, Rival, Shows, build, chains, prepare, tasks
from frenemy.table1.chains import by_chains, of_rbm
from frenemy.table1.drawing import mixing

COUNT = 300  # samples, of the table's 10,000
GIVEN = [row for row in ROWS if isinstance(row, Given)]  # true training images, noise
GAN = Rival("adversarial", "Adversarial nets", "digits2014", 3)
BRIEF = {"units": 8, "sampling_steps": 3}
RBM = Rival("rbm", "RBM", "rbm", 2, quick=BRIEF, draw=by_chains(of_rbm))


@pytest.fixture
def digits():
    return open_dataset(None)


def set_up_briefly(recipe, data, seed):
    """A quarter of an epoch, 4 rounds, at the end instead of what the recipe plays by itself."""
    whole = set_up(recipe, data, seed)
    *before, last = whole.stages
    return Experiment([*before, dataclasses.replace(last, epochs=0.25)], whole.source)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(build, "SAMPLES", COUNT)
    monkeypatch.setattr(tasks, "ROWS", [GAN, RBM, *GIVEN])
    monkeypatch.setattr(tasks, "set_up", set_up_briefly)
    monkeypatch.setattr(chains, "STEPS", 400)


def asked(tmp_path, **changes):
    return Asked(out=tmp_path / "table", **{"quick": True, **changes})


def trained(shown):
    """How to see what is trained: its words go into a list."""

    @contextlib.contextmanager
    def watching(what):
        shown.append(what)
        yield lambda training: None

    return Shows(watching=watching)


def numbers(table):
    """All that is judged but for what the clock says."""
    free = {"train_seconds": None, "draw_seconds": None, "checkpoint": ""}  # which holds the first
    return [dataclasses.replace(one, **free) for one in table.judged]


def test_the_whole_table(tmp_path, digits):
    work = prepare(digits, asked(tmp_path))
    table = work.build(Shows())
    assert [row.name for row in table.rows] == ["adversarial", "rbm", "training", "noise"]
    true, noise = (row.nats("authors") for row in table.rows[-2:])
    assert noise.value < table.rows[0].nats("authors").value < true.value
    picture, markdown, text, lines = work.files
    assert load_picture(picture).shape[0] == 3
    shown = markdown.read_text("utf-8").splitlines()
    assert shown[0].startswith("| model | nats |") and "samples/rbm-0.png" in shown[3]
    rows = list(csv.DictReader(text.open(encoding="utf-8")))
    assert [row["name"] for row in rows] == [row.name for row in table.rows]
    assert float(rows[0]["nats"]) == table.judged[0].nats["authors"].value
    assert Table.load(lines) == table


def test_quick_is_said_in_every_row(tmp_path, digits):
    table = prepare(digits, asked(tmp_path)).build(Shows())
    at = [cells(row)[4] for row in table.rows]
    assert at == ["quick: 3 of 4 rounds", "quick: 2 of 4 rounds", *2 * ["quick: not trained"]]
    assert any("cut short" in remark for remark in remarks(table))


def test_the_protocol_is_the_judges(tmp_path, digits):
    work = prepare(digits, asked(tmp_path, only=["adversarial"]))
    (judged,) = work.build(Shows()).judged
    fake = Model.load(work.asked.out / "digits2014-0").sample(COUNT, seed=0)
    real, valid = (unit_pixels(part.images[:]) for part in (digits.test, digits.valid))
    for grid, found in parzen(real=real, valid=valid, fake=unit_pixels(fake)).items():
        assert judged.nats[grid] == Nats(found.found.value, found.of_images, found.sigma)
    assert (judged.samples, judged.valid, judged.test) == (COUNT, 179, 179)
    assert any("179 test images" in remark and f"{COUNT} samples" in remark
               for remark in remarks(work.table))  # fmt: skip


@pytest.mark.parametrize("at", [1, 3])
def test_a_stopped_table_goes_on_where_it_was(tmp_path, digits, at):
    whole = prepare(digits, asked(tmp_path / "whole")).build(Shows())

    @contextlib.contextmanager
    def stopping(what):
        def watch(training):
            if what.startswith("1 of") and training.progress.step == at:
                signal.raise_signal(signal.SIGINT)
            if what.startswith("2 of"):
                signal.raise_signal(signal.SIGTERM)

        yield watch

    again: list[str] = []
    with pytest.raises(Interrupted, match="the same command goes on"):
        prepare(digits, asked(tmp_path)).build(Shows(watching=stopping))
    left = Table.load(tmp_path / "table" / "table1.jsonl")
    assert len(left.judged) == (at == 3)  # a run at its end is judged, and the next one stopped
    table = prepare(digits, asked(tmp_path)).build(trained(again))
    assert len(again) == (1 if at == 3 else 2)
    assert numbers(table) == numbers(whole)
    never: list[str] = []
    assert prepare(digits, asked(tmp_path)).build(trained(never)) == table
    assert never == []


def test_a_killed_table_goes_on_where_it_was(tmp_path, digits):
    whole = prepare(digits, asked(tmp_path / "whole")).build(Shows())

    @contextlib.contextmanager
    def killing(what):
        def watch(training):
            if what.startswith("2 of"):
                raise SystemError("as if it had been killed: nothing is saved")

        yield watch

    with pytest.raises(SystemError):
        prepare(digits, asked(tmp_path)).build(Shows(watching=killing))
    again: list[str] = []
    table = prepare(digits, asked(tmp_path)).build(trained(again))
    assert again == ["2 of 4: rbm, seed 0"] and numbers(table) == numbers(whole)


def test_what_was_trained_further_is_judged_again(tmp_path, digits):
    first = prepare(digits, asked(tmp_path, only=["noise"])).build(Shows())
    run = train(recipes.digits2014, digits, steps=2, out=tmp_path / "run")
    more = functools.partial(asked, tmp_path, only=["adversarial"], runs=[run.path])
    one = prepare(digits, more()).build(Shows())
    assert [x.name for x in one.judged] == ["adversarial", "noise"]
    assert one.judged[0].rounds == 2 and first.judged == one.judged[1:]
    from frenemy.begin import resume

    resume(run.path, data=digits, steps=4)
    assert prepare(digits, more()).build(Shows()).judged[0].rounds == 4


def test_seeds_are_averaged_and_counted(tmp_path, digits):
    table = prepare(digits, asked(tmp_path, seeds=2, only=["adversarial"])).build(Shows())
    (row,) = table.rows
    values = [one.nats["authors"].value for one in row.judged]
    assert [one.seed for one in row.judged] == [0, 1] and values[0] != values[1]
    assert row.nats("authors").value == pytest.approx(np.mean(values))
    assert row.over_seeds("authors") == pytest.approx(np.std(values, ddof=1) / np.sqrt(2))
    assert cells(row)[1].endswith(" of 2")
    (line,) = csv.DictReader(table1_csv(table).splitlines())
    assert line["seeds"] == "2"


def test_a_full_table_plays_what_its_rows_say(tmp_path, digits):
    work = prepare(digits, asked(tmp_path, quick=False, only=["adversarial"]))
    (judged,) = work.build(Shows()).judged
    assert (judged.rounds, judged.whole) == (4, 4)
    with pytest.raises(FrenemyError, match="holds a full table: leave out --quick"):
        prepare(digits, asked(tmp_path))


def test_other_images_are_refused(tmp_path, digits):
    prepare(digits, asked(tmp_path, only=["noise"])).build(Shows())
    others = np.random.default_rng(0).integers(0, 256, (200, 8, 8), np.uint8)
    with pytest.raises(FrenemyError, match="holds a table of other images"):
        prepare(open_dataset(others), asked(tmp_path))


def test_runs_on_other_images_or_without_end_are_refused_or_told(tmp_path, digits):
    others = np.random.default_rng(0).integers(0, 256, (200, 8, 8), np.uint8)
    foreign = train(recipes.digits2014, others, steps=1, out=tmp_path / "foreign").path
    own = train(recipes.digits2014, digits, steps=1, out=tmp_path / "own").path
    with pytest.raises(FrenemyError, match="was not trained on"):
        prepare(digits, asked(tmp_path, runs=[foreign]))
    with pytest.raises(FrenemyError, match="two runs of adversarial, seed 0"):
        prepare(digits, asked(tmp_path, runs=[own, own]))
    other = recipes.vary(recipes.digits2014, rate=0.2)
    quicker = train(other, digits, steps=1, seed=1, out=tmp_path / "quicker").path
    with pytest.raises(FrenemyError, match="differ by more than their seed"):
        prepare(digits, asked(tmp_path, runs=[own, quicker]))
    with pytest.raises(FrenemyError, match="is not a run"):
        prepare(digits, asked(tmp_path, runs=[tmp_path]))
    with pytest.raises(FrenemyError, match="gans"):
        prepare(digits, asked(tmp_path, only=["gans"]))


def test_a_run_of_another_recipe_has_a_row_of_its_own(tmp_path, digits):
    run = train(recipes.digits, digits, steps=1, out=tmp_path / "own")
    never: list[str] = []
    table = prepare(digits, asked(tmp_path, runs=[run.path], only=["noise"])).build(trained(never))
    assert [row.name for row in table.rows] == ["digits", "noise"] and not never
    Run.open(run.path).update(target={"steps": 5})
    (tmp_path / "table" / "table1.jsonl").unlink()
    for left in (tmp_path / "table").rglob("*.*"):
        left.unlink()
    (tmp_path / "table" / "samples").rmdir()
    table = prepare(digits, asked(tmp_path, runs=[run.path], only=["noise"])).build(Shows())
    assert "not at its end" in table.rows[0].notes[0]


def test_a_row_that_fails_says_so_and_leaves_the_others(tmp_path, digits, monkeypatch):
    shape = Rival("cae", "Stacked CAE", "mnist2014", 1)
    diverging = dataclasses.replace(GAN, name="gsn", recipe="digits2014", quick={"rate": 1e30})
    unknown = Rival("dbn", "DBN", "rbm", 1, quick={"units": 0})
    monkeypatch.setattr(tasks, "ROWS", [shape, unknown, diverging, *GIVEN])
    told: list[str] = []
    work = prepare(digits, asked(tmp_path))
    table = work.build(Shows(tell=told.append))
    failed, good = table.rows[:3], table.rows[3:]
    assert [bool(row.judged) for row in table.rows] == [False] * 3 + [True] * 2
    for row, word in zip(failed, ("28x28", "units", "finite"), strict=True):
        assert word in row.notes[0] and cells(row)[0] == "failed"
    assert len(told) == 3 and all(row.nats("authors") for row in good)
    assert "failed" in work.files[1].read_text("utf-8")
    assert "28x28" in table1_csv(table)
    lines = work.plan()
    assert "28x28" in lines[0] and "judged alone" in lines[3]


def test_published_numbers_stand_where_they_belong():
    def of(data):
        nats = {"authors": Nats(100.0, 1.0, 0.2), "default": Nats(101.0, 1.0, 0.2)}
        judged = [Judged("dbn", "DBN", 0, nats, 10_000, 1000, 10_000)]
        return Table({}, "faces", data, False, judged)

    assert cells(of("MNIST").rows[0])[2] == "138 ± 2"
    assert cells(of("TFD").rows[0])[2] == "1,909 ± 66"
    assert cells(of("").rows[0])[2] == ""
    assert any("another data set" in remark for remark in remarks(of("TFD")))
    assert any("none of these images" in remark for remark in remarks(of("")))
    assert "of these test images" in table1_markdown(of("MNIST"), {})


def test_faces_are_said_to_be_another_data_set_than_the_published(tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (200, 48, 48), np.uint8)
    work = prepare(open_dataset(faces), asked(tmp_path, only=["training", "noise"]))
    table = work.build(Shows())
    assert any("another data set: the Toronto Face Database" in x for x in remarks(table))
    assert table.published == "TFD" and len(table.rows) == 2


def test_fewer_images_than_the_protocol_has_are_told(tmp_path):
    few = np.random.default_rng(0).integers(0, 256, (200, 8, 8), np.uint8)
    work = prepare(open_dataset(few), asked(tmp_path, only=["training"]))
    (judged,) = work.build(Shows()).judged
    assert (judged.samples, judged.valid, judged.test) == (160, 20, 20)
    assert any("of fewer samples it is lower" in x for x in remarks(work.table))


def test_bad_input_is_refused_in_a_line(tmp_path, digits):
    few = np.random.default_rng(0).integers(0, 256, (50, 8, 8), np.uint8)
    with pytest.raises(FrenemyError, match="5 validation and 5 test images"):
        prepare(open_dataset(few), asked(tmp_path))
    with pytest.raises(FrenemyError, match="points in the plane"):
        prepare(open_dataset("toy:ring"), asked(tmp_path))
    clear = Source(np.zeros((30, 2, 8, 8), np.uint8))
    with pytest.raises(FrenemyError, match="--opaque"):
        prepare(Dataset(clear, clear, clear, "clear"), asked(tmp_path))
    with pytest.raises(FrenemyError, match="seeds is 0"):
        prepare(digits, asked(tmp_path, seeds=0))
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "letter.txt").write_text("dear all")
    with pytest.raises(FrenemyError, match="something else than a table"):
        prepare(digits, asked(tmp_path))
    (tmp_path / "table" / "table1.jsonl").write_text("{}\n")
    with pytest.raises(FrenemyError, match="is no table"):
        prepare(digits, asked(tmp_path))


def test_a_run_in_the_folder_that_was_begun_otherwise_is_refused(tmp_path, digits):
    prepare(digits, asked(tmp_path, only=["adversarial"])).build(Shows())
    Run.open(tmp_path / "table" / "digits2014-0").update(target={"steps": 9})
    with pytest.raises(FrenemyError, match="begun with other arguments"):
        prepare(digits, asked(tmp_path))


def test_a_second_process_waits_for_nothing(tmp_path, digits):
    work = prepare(digits, asked(tmp_path, only=["noise"]))
    with build._locked(work.asked.out), pytest.raises(FrenemyError, match="another process"):
        work.build(Shows())


def test_a_chain_that_does_not_mix_is_found_out():
    torch.manual_seed(0)
    steps, notes = mixing(torch.randn(2000, 2, 4))
    assert steps == pytest.approx(1, abs=0.1) and notes == []  # its error: sqrt(2 * 11 / 16,000)
    steps, notes = mixing(torch.randn(2000, 2, 4).cumsum(0))
    assert steps is None and "does not mix" in notes[0]
    steps, notes = mixing(torch.ones(2000, 2, 4))
    assert steps is None and "does not mix" in notes[0]


def test_an_independent_sample_of_a_chain_takes_as_long_as_it_needs():
    one = Judged("rbm", "RBM", 0, samples=100, draw_seconds=2.0, steps=5.0)
    assert one.sample_seconds == pytest.approx(0.1)
    assert dataclasses.replace(one, steps=None).sample_seconds is None


def test_each_published_number_has_a_source():

    found = [estimate for row in PUBLISHED.values() for estimate in row.values()]
    assert all(isinstance(one, Estimate) and "(20" in one.note for one in found)


def test_a_row_knows_its_recipe_and_how_long_it_is_cut_short_by_the_images():
    row = next(row for row in ROWS if row.name == "adversarial")
    assert row.on(Facts((1, 28, 28), 1))[0] == "mnist2014"
    assert row.on(Facts((1, 48, 48), 1))[0] == "faces2014"
    assert row.on(Facts((1, 8, 8), 1)) == ("digits2014", row.rounds)
    assert row.on(Facts((1, 56, 56), 1)) == ("digits2014", row.rounds // 4)


def test_every_row_is_of_a_recipe_that_takes_its_arguments():
    for row in (row for row in ROWS if isinstance(row, Rival)):
        assert row.recipes <= set(recipes.RECIPES)
        recipes.vary(recipes.RECIPES[row.recipe], **row.quick)
    assert set(PUBLISHED) <= {row.name for row in ROWS}


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"device": "cpu", "threads": 2}, "cpu, 2 threads"),
        ({"device": "cpu", "threads": 1, "precision": "bfloat16"}, "cpu, 1 thread, bfloat16"),
        ({"device": "cuda", "threads": 8, "precision": "float32"}, "cuda"),
    ],
)
def test_where_a_run_was_trained_is_told_with_a_low_precision(header, told):
    assert build._machine(SimpleNamespace(header=header)) == told
