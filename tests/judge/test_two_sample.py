"""The classifier two-sample test: what it can and cannot tell apart, and what must not matter."""

import math

import pytest
import torch
from scipy.stats import norm

from frenemy.judge import two_sample as module
from frenemy.judge.two_sample import two_sample_test

from .clouds import cloud, modes, shuffled


@pytest.fixture
def short(monkeypatch):
    """A hasty classifier, for what does not depend on how good it is."""
    monkeypatch.setattr(module, "STEPS", 60)


# Values


@pytest.mark.parametrize("d", [2, 200])
def test_samples_of_one_distribution_are_not_told_apart(d):
    found = two_sample_test(real=cloud(1000, d), fake=cloud(1000, d, seed=1))
    assert abs(found.value - 0.5) < 3 * found.error


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_a_shift_is_told_apart_as_well_as_can_be(shift):
    fake = cloud(2000, 2, seed=1)
    fake[:, 0] += shift
    found = two_sample_test(real=cloud(2000, 2), fake=fake)
    best = norm.cdf(shift / 2)  # Bayes's classifier
    assert abs(found.value - best) < 3 * found.error + 0.01  # no more is lost to training


def test_what_differs_in_scale_alone_is_told_apart():
    found = two_sample_test(real=cloud(1000, 10), fake=3 * cloud(1000, 10, seed=1))
    assert found.value > 0.95  # |x|^2 is 10 +- 4.5 and 90 +- 40


def test_collapse_and_noise_are_told_apart():
    real = modes(600, 8, 6)
    for fake in (modes(600, 2, 6, seed=1), modes(600, 8, 6, seed=1) + 5 * cloud(600, 6, seed=2)):
        found = two_sample_test(real=real, fake=fake)
        assert found.value > 0.5 + 5 * found.error


@pytest.mark.usefixtures("short")
def test_identical_sets_have_an_even_chance():
    x = cloud(101, 5)
    assert two_sample_test(real=x, fake=x).value == 0.5
    assert two_sample_test(real=x, fake=x.flip(0)).value == 0.5


@pytest.mark.usefixtures("short")
def test_constant_sets_have_an_even_chance_or_none():
    ones = torch.ones(50, 3)
    assert two_sample_test(real=ones, fake=ones).value == 0.5
    assert two_sample_test(real=ones, fake=-ones).value == 1


def test_samples_that_repeat_real_ones_are_worse_than_chance_and_it_is_said():
    x = cloud(400, 50)
    found = two_sample_test(real=x, fake=x[:399])  # other halves: learnt as real, met as fake
    assert found.value < 0.5 - 3 * found.error
    assert "repeat" in found.note


def test_error_and_p_are_those_of_the_rows_that_were_held_out():
    fake = cloud(101, 4, seed=1) + 0.2
    found = two_sample_test(real=cloud(300, 4), fake=fake)
    n = 2 * 51  # of 101 each, 50 train
    assert found.value * n == pytest.approx(round(found.value * n))
    assert found.error == pytest.approx(math.sqrt(found.value * (1 - found.value) / n))
    p = norm.sf((found.value - 0.5) * math.sqrt(4 * n))
    assert float(found.note.removeprefix("p = ")) == pytest.approx(p, rel=0.05)  # two digits


# What must not matter


@pytest.mark.usefixtures("short")
def test_order_shift_and_scale_do_not_matter():
    real, fake = cloud(200, 5), cloud(150, 5, seed=1) + 0.5
    expected = two_sample_test(real=real, fake=fake)
    assert two_sample_test(real=shuffled(real), fake=shuffled(fake)) == expected
    # float32 after standardising: a row on the border may be called otherwise
    moved = two_sample_test(real=real * 1e6 + 5, fake=fake * 1e6 + 5)
    assert moved.value == pytest.approx(expected.value, abs=2 / 150)


@pytest.mark.usefixtures("short")
def test_it_is_a_function_of_the_seed_alone():
    real, fake = cloud(200, 5), cloud(200, 5, seed=1) + 0.5
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = two_sample_test(real=real, fake=fake)
    assert torch.equal(torch.rand(1), expected)
    assert two_sample_test(real=real, fake=fake) == first
    other = two_sample_test(real=real, fake=fake, seed=1)
    assert first != other
    assert abs(first.value - other.value) < 3 * (first.error + other.error)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_the_caller_wants_no_gradients(mode):
    expected = two_sample_test(real=cloud(50, 3), fake=cloud(50, 3, seed=1) + 1)
    with mode():
        assert two_sample_test(real=cloud(50, 3), fake=cloud(50, 3, seed=1) + 1) == expected


def test_a_constant_feature_adds_nothing_but_is_no_harm():
    real, fake = cloud(200, 3), cloud(200, 3, seed=1) + 3
    real[:, 1] = fake[:, 1] = 7.3
    assert two_sample_test(real=real, fake=fake).value > 0.9


def test_runs_with_the_same_real_images_share_their_part_of_the_error():
    real = cloud(400, 3)
    found = two_sample_test(real=real, fake=cloud(400, 3, seed=1) + 1)
    of_real = sum(x**2 for x in found.shared) / len(found.shared)
    assert 0 < of_real < 0.8 * found.error**2  # one of two halves
