"""Sharpness: what blurs costs it, and its error holds."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, laplace
from sklearn.datasets import load_digits

from frenemy.errors import FrenemyError
from frenemy.judge.sharpness import detail, sharpness

DIGITS = (load_digits().images[:, None] * 15.9).astype(np.uint8)  # (1797, 1, 8, 8)


def blurred(images, sigma):
    return gaussian_filter(images.astype(float), (0, 0, sigma, sigma)).round().astype(np.uint8)


def test_detail_is_the_root_mean_square_of_the_laplacian():
    image = DIGITS[0, 0] / 255
    inside = laplace(image)[1:-1, 1:-1]
    assert detail(DIGITS[:1]).item() == pytest.approx(np.sqrt((inside**2).mean()), rel=1e-5)


def test_colours_count_as_grey():
    assert detail(DIGITS[:5].repeat(3, 1)).tolist() == pytest.approx(detail(DIGITS[:5]).tolist())


def test_blur_costs_detail_and_noise_adds_to_it():
    real, held_out = DIGITS[:1000], DIGITS[1000:]
    found = [sharpness(real=real, fake=blurred(held_out, s)).value for s in (0.0, 0.5, 1.0)]
    noise = np.random.default_rng(0).integers(0, 256, held_out.shape, np.uint8)
    assert found[0] == pytest.approx(1, abs=0.05)  # four standard errors
    assert found[1] < 0.7 and found[2] < 0.3
    assert sharpness(real=real, fake=noise).value > 1.2


def test_the_error_is_the_scatter_of_sets_drawn_anew():
    order = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(200):
        drawn = DIGITS[order.permutation(len(DIGITS))[:200]]  # an eighth: nearly independent
        found = sharpness(real=drawn[:100], fake=drawn[100:])
        values.append(found.value)
        errors.append(found.error)
    # 200 values tell their deviation to 5 %: three of these
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (5, 1, 2, 8), (0, 1, 8, 8)])
def test_too_few_or_too_small_images_are_refused(shape):
    with pytest.raises(FrenemyError, match=r"^sharpness: .* needs two or more, of 3x3 at least"):
        sharpness(real=DIGITS, fake=np.zeros(shape, np.uint8))


def test_real_images_without_detail_are_refused():
    with pytest.raises(FrenemyError, match="no detail at all"):
        sharpness(real=np.full_like(DIGITS, 7), fake=DIGITS)
