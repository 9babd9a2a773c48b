"""The Frechet distance's error where it is near 0, and its extrapolation: known pairs of Gaussians.

Values scatter over independent pairs of sets; what is claimed is held against that. A deviation of
n draws is itself good to 1 / sqrt(2 n), times some 1.3 for the tails of sums of squares.
"""

import math

import numpy as np
import pytest
import torch

from frenemy.judge.estimate import error_of_difference
from frenemy.judge.frechet import frechet, frechet_infinity

from .clouds import cloud

DRAWS = 80


def pair(d, n, seed, *, scale=1.0, shift=0.0):
    """N(0, diag) and N(shift, scale^2 diag), whose distance is d shift^2 + (1 - scale)^2 tr."""
    spread = torch.linspace(0.5, 1.5, d, dtype=torch.float64).sqrt()
    return (
        cloud(n, d, seed=3 * seed) * spread,
        scale * cloud(n, d, seed=3 * seed + 1) * spread + shift,
        scale * cloud(n, d, seed=3 * seed + 2) * spread + shift,
    )


@pytest.mark.parametrize("metric", [frechet, frechet_infinity])
@pytest.mark.parametrize(
    ("d", "n", "scale", "shift"),
    [(8, 200, 1, 0), (8, 200, 0.8, 0.2), (30, 200, 1, 0), (64, 80, 1, 0)],
)
def test_the_error_is_the_deviation_over_pairs_of_sets(metric, d, n, scale, shift):
    found, gaps = [], []
    for seed in range(DRAWS):
        real, fake, other = pair(d, n, seed, scale=scale, shift=shift)
        a, b = metric(real=real, fake=fake), metric(real=real, fake=other)
        found.append(a)
        gaps.append((a.value - b.value, error_of_difference(a, b, same_images=True)))
    values, errors = np.array([(e.value, e.error) for e in found]).T
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.35)
    assert (
        np.mean(np.abs(values - values.mean()) < 1.96 * errors) > 0.8
    )  # .95 +- .025; .88 of .8 errors
    apart, claimed = np.array(gaps).T
    assert math.sqrt(np.mean(claimed**2)) == pytest.approx(np.sqrt(np.mean(apart**2)), rel=0.35)


@pytest.mark.parametrize(
    ("d", "n", "scale", "shift"),
    [(8, 400, 1, 0), (8, 400, 0.7, 0.2), (64, 500, 1, 0), (64, 500, 0.8, 0)],
)
def test_the_extrapolation_is_the_distance_of_the_gaussians(d, n, scale, shift):
    exact = d * shift**2 + (1 - scale) ** 2 * d
    plain, values, errors = [], [], []
    for seed in range(40):
        real, fake, _ = pair(d, n, seed, scale=scale, shift=shift)
        plain.append(frechet(real=real, fake=fake).value)
        found = frechet_infinity(real=real, fake=fake)
        values.append(found.value)
        errors.append(found.error)
        assert found.note == ""
    of_mean = np.std(values, ddof=1) / math.sqrt(40)
    assert abs(np.mean(values) - exact) < 3.5 * of_mean
    assert np.mean(plain) - exact > 3.5 * of_mean
    assert np.mean(np.abs(np.array(values) - exact) < 1.96 * np.array(errors)) > 0.85


def test_sets_of_different_sizes_are_extrapolated_together():
    values = []
    for seed in range(40):
        real, fake, _ = pair(16, 2000, seed, shift=0.25)
        values.append(frechet_infinity(real=real, fake=fake[:300]).value)
    assert abs(np.mean(values) - 1) < 3.5 * np.std(values, ddof=1) / math.sqrt(40)


def test_few_images_for_the_features_are_told():
    many, few = cloud(200, 20), cloud(80, 20, seed=1)
    assert frechet_infinity(real=many, fake=many + 1).note == ""
    said = frechet_infinity(real=many, fake=few).note
    assert said == "80 fake images for 20 features: needs more than 80; some bias is left"
    assert frechet_infinity(real=few, fake=few + 1).note.startswith("80 real and 80 fake images")


def test_the_extrapolation_is_a_function_of_the_seed():
    real, fake, _ = pair(10, 500, 0)
    first = frechet_infinity(real=real, fake=fake, seed=3)
    assert first == frechet_infinity(real=real, fake=fake, seed=3)
    other = frechet_infinity(real=real, fake=fake, seed=4)
    assert first != other
    assert first.value == pytest.approx(other.value, abs=4 * first.error)


def test_identical_sets_are_at_no_distance():
    rows = cloud(200, 10)
    for fake in (rows, rows.flip(0)):
        found = frechet_infinity(real=rows, fake=fake)
        assert found.value == pytest.approx(0, abs=1e-9)  # float64's rounding of traces of 10
        assert found.error < 1e-6
