"""D with many steps and with few, with many points and with few: dumb loops, and the lesson."""

import math

import pytest
import torch

from frenemy.lab.k_steps import KS, SIZES, fit, two_modes

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("k-steps").result


@pytest.fixture(scope="module")
def plane():
    return two_modes()


@pytest.fixture(scope="module")
def fitted(plane):
    return fit(plane, 20, steps=100, seed=1)


def measured(result, start):
    return [check.measured for check in result.checks if check.what.startswith(start)]


def test_v_on_the_points_of_d_is_that_of_a_dumb_loop(plane, fitted):
    with torch.no_grad():
        own = [math.log(torch.sigmoid(fitted.D(x[None].float())).item()) for x in fitted.points]
        on_grid = torch.sigmoid(fitted.D(plane.x.float()).double())
    fake = ((1 - on_grid).log() * plane.generated).nansum().item() * plane.cell
    real = (on_grid.log() * plane.data).nansum().item() * plane.cell
    assert fitted.trained == pytest.approx(sum(own) / 20 + fake, abs=1e-5)  # D is float32
    assert fitted.fresh == pytest.approx(real + fake, abs=1e-5)


def test_gap_is_the_excess_over_d_star_on_the_points_and_the_lack_of_it_elsewhere(plane, fitted):
    best = [
        (plane.p_data.pdf(x[None]) / (plane.p_data.pdf(x[None]) + plane.p_g.pdf(x[None]))).item()
        for x in fitted.points
    ]
    fake = plane.value(plane.best) - (
        (plane.data * torch.nn.functional.logsigmoid(plane.best)).sum().item() * plane.cell
    )
    excess = fitted.trained - (sum(math.log(b) for b in best) / 20 + fake)
    lack = plane.value(plane.best) - fitted.fresh
    assert fitted.gap == pytest.approx(excess + lack, abs=1e-9)
    assert fitted.gap > 0.1


def test_a_d_with_many_points_has_a_smaller_gap(plane, fitted):
    assert fit(plane, 10_000, steps=100, seed=1).gap < fitted.gap / 5


def test_points_are_a_function_of_seed_and_number(plane, fitted):
    again = fit(plane, 20, steps=1, seed=1)
    other = fit(plane, 20, steps=1, seed=2)
    assert torch.equal(again.points, fitted.points)
    assert not torch.equal(other.points, fitted.points)


def test_lesson_tells_the_order_of_k_in_few_rounds_too(result):
    first, last = measured(result, "mean |D - D*|: k = 2")[0], measured(result, "mean")[2]
    assert last < first  # k = 20 against k = 2
    assert len(measured(result, "mean |D - D*|")) == len(KS)
    assert len(measured(result, "gap")) == len(SIZES) - 1
