"""The Gaussian that ascent finds, against scipy."""

import math

import pytest
import torch
from scipy.stats import norm

from frenemy.lab.gaussians import ascend


def test_ascent_finds_the_mean_and_the_biased_sd():
    x = 21 + 22 * torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    weights = torch.full_like(x, 1 / 50)
    path = ascend(x, weights, start=(0.0, 60.0), unit=20.0, steps=200)
    mean, sd = path[-1].tolist()
    assert (mean, sd) == pytest.approx((x.mean().item(), x.std(correction=0).item()), abs=1e-9)
    assert path[0].tolist() == pytest.approx([0.0, 60.0])
    likelihoods = [norm.logpdf(x.numpy(), *at).mean() for at in path[:30].tolist()]
    assert likelihoods == sorted(likelihoods)
    assert math.isclose(likelihoods[-1], norm.logpdf(x.numpy(), *norm.fit(x.numpy())).mean())
