"""Noise for the tests of features."""

import numpy as np


def images(count, channels=1, size=12, seed=0):
    """Uniform, uint8 (count, channels, size, size)."""
    shape = (count, channels, size, size)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
