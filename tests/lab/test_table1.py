"""The lesson on Table 1: what it reads, and what it makes of it."""

import pytest

from frenemy.data import open_dataset
from frenemy.errors import FrenemyError
from frenemy.judge.parzen import parzen, unit_pixels
from frenemy.judge.table1 import Judged, Nats, Table
from frenemy.lab.table1 import table1

from .small import small


def row(name, value, *, error=1.0, rounds=10, samples=100, seed=0):
    nats = {grid: Nats(value, error, 0.2) for grid in ("authors", "default")}
    return Judged(name, name, seed, nats, samples, 10, 10, rounds=rounds, whole=10)


def table(*rows, published="MNIST", quick=False):
    return Table({}, "some digits", published, quick, list(rows))


def of(result, start):
    (check,) = [check for check in result.checks if check.what.startswith(start)]
    return check


def read(tmp_path, *rows, **more):
    table(*rows, **more).save(tmp_path / "table1.jsonl")
    return table1(table=tmp_path)


def test_every_check_of_the_small_table_holds():
    assert [check.what for check in small("table1").result.checks if not check.holds] == []


def test_the_small_table_is_judged_as_the_judge_does():
    data = open_dataset(None)
    fake = unit_pixels(data.train.random(50, 0))
    found = parzen(
        real=unit_pixels(data.test.images), valid=unit_pixels(data.valid.images), fake=fake
    )["authors"]
    number = f"{found.found.value:.1f} ± {found.of_images:.1f}".replace("-", "−")
    assert f"True training images {number}" in small("table1").result.told


def test_a_folder_and_its_file_are_read(tmp_path):
    rows = row("adversarial", 226), row("training", 240), row("noise", -300)
    result = read(tmp_path, *rows)
    assert result.holds
    assert table1(table=tmp_path / "table1.jsonl").checks == result.checks
    assert "adversarial 226.0 ± 1.0" in result.told
    assert str(tmp_path) in result.told


@pytest.mark.parametrize(("value", "holds"), [(226, True), (217, True), (215, False)])
def test_a_published_number_is_reached_as_far_as_errors_tell(tmp_path, value, holds):
    check = of(read(tmp_path, row("adversarial", value)), "adversarial: nats, and as published")
    assert check.exact == 225 and check.tolerance == pytest.approx(4 * 5**0.5)  # of ± 1 and ± 2
    assert check.holds == holds


@pytest.mark.parametrize(
    "more", [{"quick": True}, {"published": "TFD"}], ids=["quick", "another set"]
)
def test_what_cannot_be_compared_is_not(tmp_path, more):
    result = read(tmp_path, row("adversarial", 10), row("noise", -50), **more)
    assert [check.what for check in result.checks] == ["adversarial − noise: nats"]


def test_what_was_published_of_another_network_is_no_goal(tmp_path):
    result = read(tmp_path, row("diffusion", 100), row("noise", -50))
    assert [check.what for check in result.checks] == ["diffusion − noise: nats"]


def test_a_training_that_was_stopped_is_not_compared(tmp_path):
    result = read(tmp_path, row("adversarial", 10, rounds=3), row("noise", -50))
    assert [check.what for check in result.checks] == ["adversarial − noise: nats"]


def test_as_many_centroids_win_and_are_told_of(tmp_path):
    rows = row("training", 200), row("kmeans", 250), row("noise", -50)
    result = read(tmp_path, *rows, published="")
    assert of(result, "as many centroids").measured == 50
    assert "Above them, and not better than they are: kmeans" in result.told
    fewer = row("training", 200), row("kmeans", 90, samples=7), row("noise", -50)
    result = read(tmp_path, *fewer, published="")
    assert not [check for check in result.checks if check.what.startswith("as many")]


def test_errors_between_seeds_count(tmp_path):
    seeds = [row("adversarial", 220 + 4 * i, seed=i) for i in range(3)]
    check = of(read(tmp_path, *seeds), "adversarial")
    assert check.measured == pytest.approx(224)
    assert check.error > 1.0  # of the test images alone


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((), "no row of the table has a number yet"),
        ((row("training", 200),), "there is nothing to check"),
    ],
)
def test_a_table_that_says_nothing_is_refused_in_one_line(tmp_path, rows, said):
    with pytest.raises(FrenemyError, match=said) as error:
        read(tmp_path, *rows, published="")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "table1.jsonl").write_text("[]\n")
    with pytest.raises(FrenemyError, match=r"table1\.jsonl is no table"):
        table1(table=tmp_path)
