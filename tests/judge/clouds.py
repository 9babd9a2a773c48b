"""Sets of points for the tests of metrics: Gaussian clouds, and clouds around a few modes."""

import torch


def cloud(count, d, seed=0):
    """Standard normal, float64 (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, d, generator=generator, dtype=torch.float64)


def modes(count, kinds, d, seed=0):
    """As many points around each of `kinds` centres that are far apart: of the same first ones."""
    centres = 10 * cloud(20, d, seed=99)[:kinds]
    return centres[torch.arange(count) % kinds] + cloud(count, d, seed)


def shuffled(points, seed=0):
    return points[torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))]
