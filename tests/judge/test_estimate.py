"""Estimates: how they are written and what is refused."""

import math

import pytest
import torch
from scipy.stats import sem

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate, checked, row_sums, tiles


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.00713, 0.00032, "0.00713 ± 0.00032"),
        (-0.00002, 0.00008, "−0.000020 ± 0.000080"),
        (225.4, 2.04, "225.4 ± 2.0"),
        (99.96, 0.999, "100.0 ± 1.0"),
        (-11242.3, 35.1, "−11,242 ± 35"),
        (1e6, 2e4, "1,000,000 ± 20,000"),
        (3e-10, 2e-10, "3e−10 ± 2e−10"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.5, math.nan, "0.5"),
        (0.5, math.inf, "0.5 ± ∞"),
        (54321.9, math.nan, "54,322"),
        (math.nan, 0.1, "no value"),
        (-math.inf, math.nan, "−∞"),
    ],
)
def test_numbers_have_the_digits_that_their_error_leaves_meaning(value, error, text):
    assert str(Estimate(value, error)) == text


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"real": torch.zeros(3, 4), "fake": torch.zeros(3, 5)}, "rows of different shapes"),
        ({"real": torch.zeros(1, 4), "fake": torch.zeros(3, 4)}, "1 in real: needs 2 or more"),
        ({"real": torch.full((3, 4), math.nan)}, "real holds numbers that are not finite"),
        ({"fake": torch.full((3, 4), math.inf)}, "fake holds numbers that are not finite"),
        ({"real": torch.zeros(3)}, "real is not a matrix"),
        ({"real": torch.zeros(())}, "real is not a matrix"),
    ],
)
def test_sets_that_are_no_use_are_refused(sets, said):
    with pytest.raises(FrenemyError, match=f"^fid: .*{said}"):
        checked("fid", 2, **sets)


def test_images_become_rows_of_floats():
    (rows,) = checked("fid", 2, real=torch.ones(3, 1, 2, 2, dtype=torch.uint8))
    assert rows.shape == (3, 4) and rows.dtype == torch.float32


def test_tiles_cover_everything_once():
    assert [list(range(10))[part] for part in tiles(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(tiles(0)) == []


def test_the_mean_of_many_has_an_error_and_that_of_one_none():
    x = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = Estimate.of(x, "a note")
    assert (found.value, found.note) == (x.mean().item(), "a note")
    assert found.error == pytest.approx(sem(x.numpy()), rel=1e-12)
    one = Estimate.of(x[:1])
    assert one.value == x[0].item() and math.isnan(one.error)


@pytest.mark.parametrize("d", [0, 1, 2, 3, 7, 64, 784])
def test_equal_rows_have_equal_sums_wherever_they_stand(d):
    generator = torch.Generator().manual_seed(d)
    row = torch.randn(d, generator=generator, dtype=torch.float64)
    sums = torch.cat([row_sums(row.expand(n, -1)) for n in (1, 2, 3, 5, 8, 64, 1000)])
    assert len(sums.unique()) == 1
    assert sums[0].item() == pytest.approx(math.fsum(row.tolist()), abs=1e-12)  # float64
