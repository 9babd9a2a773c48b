"""The global optimum: paths to it, their estimates, the bowl around it, and the lesson."""

import math

import pytest
import torch

from frenemy.lab.densities import jensen_shannon, kl, line, normal
from frenemy.lab.global_optimum import LOG_4, PATHS, curvature, kls_to_mean, walk

from .small import small

X = line(-40, 40, 4001)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_paths_end_at_the_data_and_jsd_falls_along_them(path):
    torch.testing.assert_close(path.p_g(1.0).pdf(X), path.p_data.pdf(X))
    values = [jensen_shannon(path.p_data, path.p_g(t / 10), X) for t in range(11)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(0, abs=1e-12)


def test_the_bowl_has_half_of_fishers_information():
    gradient, hessian = curvature()
    # of N(m, s^2), Fisher's information is 1 / s^2 in m and 2 in log s
    torch.testing.assert_close(gradient, torch.zeros(2).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        hessian, torch.diag(torch.tensor([0.5, 1.0]).double()), atol=1e-9, rtol=0
    )


def test_the_bowl_is_that_of_jsd_by_finite_differences():
    h = 1e-2
    C = [2 * jensen_shannon(normal(), normal(m), X) - LOG_4 for m in (-h, 0, h)]
    assert (C[0] - 2 * C[1] + C[2]) / h**2 == pytest.approx(0.5, abs=h**2)


@pytest.fixture(scope="module")
def stops():
    return walk(PATHS[0], stops=2, samples=5000, rounds=30, seed=7)


def test_stops_are_known_by_quadrature(stops):
    path = PATHS[0]
    for stop, t in zip(stops, (0.0, 0.5, 1.0), strict=True):
        assert stop.t == t
        assert stop.kl == pytest.approx((5 * (1 - t)) ** 2 / 2, abs=1e-9)
        assert stop.kl == pytest.approx(kl(path.p_data, path.p_g(t), X), abs=1e-9)
        assert stop.jsd == pytest.approx(jensen_shannon(path.p_data, path.p_g(t), X), abs=1e-9)
        assert abs(stop.C - (2 * stop.jsd - LOG_4)) < 1e-9


def test_stops_are_estimated_from_samples(stops):
    for stop in stops[:-1]:
        for found, exact in ((stop.sampled_kl, stop.kl), (stop.sampled_C, stop.C)):
            assert 0 < found.error < 0.1
            assert found.value == pytest.approx(exact, abs=4 * found.error)
    # log p_data / p_g is normal, of sd 5, at the start of the path
    assert stops[0].sampled_kl.error == pytest.approx(5 / math.sqrt(5000), rel=0.1)
    last = stops[-1].sampled_C  # where D* is 1/2 everywhere
    assert (last.value, last.error) == pytest.approx((-LOG_4, 0.0), abs=1e-12)


def test_a_trained_d_bounds_jsd_from_below(stops):
    for stop in stops:
        assert stop.trained <= stop.C + 1e-12
        assert stop.bound <= stop.jsd + 1e-12
        assert stop.excess.value == pytest.approx(stop.trained - stop.C, abs=4 * stop.excess.error)
        assert stop.off < 0.1


def test_a_walk_is_a_function_of_its_arguments(stops):
    state = torch.random.get_rng_state()
    assert walk(PATHS[0], stops=2, samples=5000, rounds=30, seed=7) == stops
    assert torch.equal(state, torch.random.get_rng_state())
    assert walk(PATHS[0], stops=2, samples=5000, rounds=30, seed=8) != stops


# The lesson


@pytest.fixture(scope="module")
def result():
    return small("global-optimum").result


def test_everything_but_the_trained_d_holds(result):
    free = [c for c in result.checks if "by D" not in c.what and "|D −" not in c.what]
    assert len(free) == 16
    assert all(c.holds for c in free), [c.what for c in free if not c.holds]


def test_an_untrained_d_does_not_measure_jsd(result):
    assert not any(c.holds for c in result.checks if "by D" in c.what or "|D −" in c.what)


def test_the_optimum_is_minus_log_4(result):
    at_data = next(c for c in result.checks if c.what == "p_g = p_data: C(G) by quadrature")
    assert at_data.measured == pytest.approx(-math.log(4), abs=1e-12)


def test_the_formula_that_goes_around_is_another_function(result):
    measured = {check.what: check.measured for check in result.checks}
    assert measured["C(G) + log 4 and KL(p_data ‖ p_g): apart by"] > 10
    # Gaussians 5 apart: KL is 12.5, and what C has above -log 4 is at most log 4
    p, q = normal(), normal(5)
    assert kls_to_mean(p, q, X) == pytest.approx(2 * jensen_shannon(p, q, X), abs=1e-12)
    assert kls_to_mean(p, q, X) < 2 * math.log(2) < kl(p, q, X)
