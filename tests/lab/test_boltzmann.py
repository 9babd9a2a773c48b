"""The lesson on a Boltzmann machine, with games that were hardly played."""

import pytest
import torch

from frenemy.lab.boltzmann import TEMPERATURES, relaxation, two_faced, walk

from .small import small


@pytest.fixture(scope="module")
def result():
    return small("boltzmann").result


def test_all_holds_that_needs_no_trained_machine(result):
    assert not [
        c.what for c in result.checks if not c.holds and not c.what.startswith("digits, RBM")
    ]


def test_a_colder_machine_forgets_more_slowly():
    torch.manual_seed(3)
    rbm = two_faced(4, 3)
    times = [relaxation(rbm, T) for T in TEMPERATURES]  # from hot to cold
    assert times == sorted(times)


def test_a_walk_is_watched_where_it_has_arrived():
    torch.manual_seed(3)
    rbm = two_faced(6, 3)
    found = walk(rbm, 2.0, count=200, steps=200)
    assert found.tau.value == pytest.approx(found.exact, abs=5 * found.tau.error)
    assert found.share.value == pytest.approx(0.5, abs=5 * found.share.error)
    assert abs(found.surprise.value) < 5 * found.surprise.error


def test_one_pass_is_one_sample(result):
    (of_G,) = [c for c in result.checks if c.what.startswith("digits, G")]
    assert of_G.exact == 1.0 and of_G.tolerance == 4 * of_G.error


def test_log_z_is_within_a_tenth_of_a_nat(result):
    (of_Z,) = [c for c in result.checks if c.what.startswith("log Z")]
    assert of_Z.tolerance == 0.1 and of_Z.holds
