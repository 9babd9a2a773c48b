"""The lesson on Monte Carlo, with a G that is hardly trained, and the chains that it shows."""

import math

import pytest
import torch
from scipy.stats import norm

from frenemy.lab import chains, minibatch, mixing

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("monte-carlo").result


def named(result, start):
    (check,) = [check for check in result.checks if check.what.startswith(start)]
    return check


def test_all_holds_but_what_needs_a_trained_generator(result):
    failed = [check.what for check in result.checks if not check.holds]
    assert failed == ["G: Wasserstein-1 distance along x₁"]


def test_each_sampled_number_has_its_error(result):
    circle = named(result, "4 × share")
    count = 200 * (16 + 64 + 256 + 1024 + 4096)
    assert circle.error == pytest.approx(math.sqrt(math.pi * (4 - math.pi) / count))
    assert named(result, "Gibbs: τ").exact == pytest.approx(1.81 / 0.19)
    for check in result.checks:
        assert math.isnan(check.error) or check.tolerance == 4 * check.error


def test_the_target_is_what_is_told_of_it():
    right = 0.3 * norm.sf(0, -2, mixing.SD) + 0.7 * norm.sf(0, 2, mixing.SD)
    assert pytest.approx(right, abs=1e-12) == mixing.RIGHT
    drawn = mixing.TARGET.sample(20_000, torch.Generator().manual_seed(0))
    share = (drawn[:, 0] > 0).double().mean().item()
    assert share == pytest.approx(right, abs=4 * math.sqrt(0.21 / 20_000))


def test_narrow_modes_mix_slower():
    rows = [mixing.row(sd, 200) for sd in (1.2, 1.0, 0.8, 0.6)]
    assert [r.second for r in rows] == sorted(r.second for r in rows)
    assert all(check.holds for row in rows for check in row.checks("")[::2])


def test_a_row_is_simulated_by_a_chain_that_steps_by_sites():
    row = mixing.row(1.0, 40)
    p = torch.softmax(
        torch.tensor([-((x / 2 - 5) ** 2) for x in range(21)]).double(), 0
    )  # any target: the matrix of it, walked by many
    P = chains.metropolis_matrix(p)
    generator = torch.Generator().manual_seed(0)
    at = torch.full((20_000,), 6)
    for _ in range(5):
        at = torch.multinomial(P[at], 1, generator=generator)[:, 0]
    found = torch.bincount(at, minlength=21) / 20_000
    expected = torch.linalg.matrix_power(P, 5)[6]
    assert ((found - expected).abs() <= 4 * (expected * (1 - expected) / 20_000).sqrt()).all()
    assert row.tv[0] > row.tv[-1]


def test_the_film_has_all_its_frames(result):
    assert [frame.shape for frame in result.film.frames] == [(3, 280, 640)] * 3


def test_a_minibatch_draws_from_all_gradients():
    generator = torch.Generator().manual_seed(0)
    x = mixing.TARGET.sample(50, generator)
    one = minibatch.gradients(x)
    theta = minibatch.THETA.clone().requires_grad_()
    D = torch.cat([x, torch.ones(50, 1).double()], 1) @ theta
    whole = torch.autograd.grad(-torch.log(torch.sigmoid(D)).mean(), theta)[0]
    torch.testing.assert_close(one.mean(0), whole, rtol=1e-10, atol=1e-14)
    assert all(check.holds for check in minibatch.checks(500, generator))
