"""The protocol of AIS: its figures with their gap, the choice of variance, dequantised pixels."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from frenemy.errors import FrenemyError
from frenemy.judge.ais import (
    FULL,
    QUICK,
    WU_ET_AL,
    Effort,
    ais,
    choose_variance,
    default_effort,
    dequantised,
    uniform_from_normal,
)
from frenemy.judge.annealing import Annealing

from .test_annealing import F64, Linear, X, fit, tanh_net

TINY = Effort(images=4, chains=3, temperatures=20, simulated=2)


def test_efforts_say_what_they_are():
    assert FULL.name == "ais1000x16x10000"
    assert QUICK.name == "ais100x16x1000-quick"
    assert Effort(1000, 16, 9999, 100).name == "ais1000x16x9999-quick"
    assert Effort(2000, 16, 10_000, 0).name == "ais2000x16x10000"
    assert default_effort("cuda:1") == FULL


def test_the_measure_is_the_mean_of_the_bound_with_its_gap():
    net = tanh_net()
    x = torch.rand(7, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = ais(net, real=x, size_of_z=3, variance=0.1, effort=TINY, seed=2)
    model = Annealing(net, 3, 0.1, chains=3, temperatures=20, seed=2)
    lower = model.lower(x[:4])
    assert found.log_p.value == lower.mean()
    assert found.log_p.error == pytest.approx(lower.std().item() / 2)
    made, z = model.simulate(2, like=F64)
    gap = model.upper(made, z) - model.lower(made)
    assert found.gap.value == gap.mean()
    assert found.gap.error == pytest.approx(gap.std().item() / math.sqrt(2))
    assert found.variance == 0.1
    assert f"gap {found.gap}" in found.log_p.note
    assert "variance 0.1" in found.log_p.note


def test_progress_grows_to_one_and_may_interrupt():
    x, told = torch.rand(4, 2, 3), []
    net = tanh_net(dtype=torch.float32)
    ais(net, real=x, size_of_z=3, variance=0.1, effort=TINY, progress=told.append)
    assert len(told) == 3 * 19
    assert told == sorted(told)
    assert told[0] > 0
    assert told[-1] == pytest.approx(1)

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ais(net, real=x, size_of_z=3, variance=0.1, effort=TINY, progress=stop)


def test_the_variance_of_the_model_is_chosen():
    decoder = Linear(4, 40)
    told = []
    for variance in (0.005, 0.025, 0.1):
        x = Annealing(decoder, size_of_z=4, variance=variance).simulate(20)[0]
        found = choose_variance(
            decoder,
            valid=x,
            size_of_z=4,
            candidates=[0.005, 0.01, 0.025, 0.05, 0.1],
            temperatures=60,
            progress=told.append,
        )
        assert found == variance
    assert told[-1] == pytest.approx(1)


def test_dequantised_pixels_keep_their_value_and_fill_their_bin():
    images = np.arange(256, dtype=np.uint8).repeat(40).reshape(-1, 1, 8, 8)
    found = dequantised(images, seed=0)
    assert found.shape == images.shape
    assert found.dtype == torch.float32
    scaled = 256 * found.double().numpy()
    np.testing.assert_array_equal(np.floor(scaled), images)
    assert kstest((scaled - images).flatten(), "uniform").pvalue > 1e-3
    assert torch.equal(found, dequantised(torch.from_numpy(images), seed=0))
    assert not torch.equal(found, dequantised(images, seed=1))


def test_a_mapped_normal_is_uniform():
    u = torch.randn(5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = uniform_from_normal(u)
    assert kstest(v.numpy(), "uniform", args=(-math.sqrt(3), 2 * math.sqrt(3))).pvalue > 1e-3


def test_published_figures_are_those_of_the_issue():
    found = {name.split()[0]: (row.log_p.value, row.variance) for name, row in WU_ET_AL.items()}
    assert found["GAN-10"] == (328.8, 0.025)
    assert found["GAN-50"] == (627.3, 0.01)
    assert found["VAE-50"] == (991.4, 0.005)
    assert found["GMMN-50"] == (593.5, 0.01)


# Bad input


def test_too_few_images_for_the_protocol_are_refused():
    with pytest.raises(FrenemyError, match=r"^ais100x16x1000-quick: 3 in real: needs 100 or more"):
        ais(fit, real=X, size_of_z=2, variance=0.1)


def test_no_candidates_are_refused():
    with pytest.raises(FrenemyError, match="candidates"):
        choose_variance(fit, valid=X, size_of_z=2, candidates=[])
