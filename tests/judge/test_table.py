"""The Parzen table: which rows it has, what they hold, and how it is saved."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.judge.parzen import GRIDS, Parzen, parzen
from frenemy.judge.table import Row, parzen_table, save_table


@pytest.fixture
def always_warn():
    """Repeats what torch warns of but once a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def parts(shape, counts=(12, 15, 9, 10)):
    """fake, train, valid and test: uint8 images near each other, so that likelihoods are finite."""
    random = np.random.default_rng(0)
    centre = random.integers(100, 156, shape)
    names = ("fake", "train", "valid", "test")
    return {
        name: (centre + random.integers(-60, 60, (count, *shape))).astype(np.uint8)
        for name, count in zip(names, counts, strict=True)
    }


def unit(images):
    return torch.from_numpy(images).float() / 255


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 4)])
def test_the_model_and_the_training_images_have_a_row_for_each_grid(shape):
    images = parts(shape)
    rows = parzen_table(name="mine", **images)
    labels = ["mine"] * len(GRIDS) + ["training images as samples"] * len(GRIDS)
    assert [row.name for row in rows] == labels
    assert [row.grid for row in rows] == list(GRIDS) * 2
    assert [row.samples for row in rows] == [12, 12, 15, 15]
    for row in rows:
        samples = images["fake" if row.name == "mine" else "train"]
        real, valid = unit(images["test"]), unit(images["valid"])
        assert row.result == parzen(
            real=real, valid=valid, fake=unit(samples), sigmas=GRIDS[row.grid]
        )


@pytest.mark.parametrize("chosen", [["authors"], ["authors", "default"]])
@pytest.mark.parametrize("iterable", [list, tuple, iter])
def test_the_grids_may_be_chosen_by_any_iterable(chosen, iterable):
    rows = parzen_table(name="mine", **parts((1, 4, 4)), grids=iterable(chosen))
    assert [row.grid for row in rows] == chosen * 2


@pytest.mark.parametrize(
    ("shape", "value", "error"), [((1, 28, 28), 225, 2), ((1, 48, 48), 2057, 26)]
)
def test_what_was_published_stands_below_images_of_its_shape(shape, value, error):
    rows = parzen_table(name="mine", **parts(shape), grids=["authors"])
    assert rows[-1].result == Parzen(value, error, None)  # Table 1 of Goodfellow et al. (2014)
    assert "Goodfellow et al. 2014" in rows[-1].name
    assert len(rows) == 3


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (3, 32, 32)])
def test_nothing_published_stands_below_images_of_other_shapes(shape):
    rows = parzen_table(name="mine", **parts(shape), grids=["authors"])
    assert len(rows) == 2


def test_the_true_distribution_scores_above_a_collapsed_model():
    images = parts((1, 4, 4), counts=(50, 50, 30, 30))
    images["fake"] = images["fake"][:1].repeat(50, axis=0)
    collapsed, true = parzen_table(name="mine", **images, grids=["default"])
    assert collapsed.result.value < true.result.value


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("always_warn")
def test_read_only_images_are_taken_without_a_warning():
    images = parts((1, 4, 4))
    for part in images.values():
        part.flags.writeable = False  # as the memory maps of data sets are
    assert len(parzen_table(name="mine", **images, grids=["authors"])) == 2


def test_images_of_different_sizes_are_refused():
    images = parts((1, 4, 4))
    images["fake"] = parts((1, 5, 5))["fake"]
    with pytest.raises(FrenemyError, match="pixels"):
        parzen_table(name="mine", **images)


def test_a_saved_table_reads_back_as_it_was(tmp_path):
    rows = parzen_table(name="mine, ± ünïcode", **parts((1, 28, 28)), grids=["authors"])
    path = save_table(rows, tmp_path / "judge.json")
    assert path == tmp_path / "judge.json"
    read = json.loads(path.read_text("utf-8"))
    assert read == [asdict(row) for row in rows]
    assert [Row(**{**row, "result": Parzen(**row["result"])}) for row in read] == rows
    assert read[-1]["result"]["sigma"] is None
    assert [p.name for p in tmp_path.iterdir()] == ["judge.json"]
