"""D against D*: quadratures, optimisers and samples by scipy, and the lesson itself."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
import torch

from frenemy.lab.densities import blobs, mixture, normal
from frenemy.lab.discriminators import (
    KnownGenerator,
    cube,
    excess,
    pair,
    peak,
    train_discriminator,
)
from frenemy.lab.gradients import Optimal

from .small import small

P_DATA, P_G = mixture((0.3, -1.0, 0.5), (0.7, 1.5, 0.8)), normal(0.5, 1.2)


@pytest.fixture(scope="module")
def on_line():
    return pair(P_DATA, P_G, reach=12.0, count=2001)


@pytest.fixture(scope="module")
def result():
    return small("optimal-discriminator").result


def density(p):
    """A mixture on the line as a function of numbers."""
    parts = list(zip(p.weights.tolist(), p.means[:, 0].tolist(), p.sds.tolist(), strict=True))
    root = math.sqrt(math.tau)
    return lambda x: sum(w * math.exp(-(((x - m) / s) ** 2) / 2) / s / root for w, m, s in parts)


def integrate(f):
    return scipy.integrate.quad(f, -12, 12, epsabs=1e-9, limit=100)[0]


def test_value_is_the_integral_that_scipy_finds(on_line):
    p, q = density(P_DATA), density(P_G)

    def gain(x):  # of D(x) = sigmoid(x)
        return -p(x) * np.logaddexp(0, -x) - q(x) * np.logaddexp(0, x)

    # both quadratures are good to 1e-9
    assert on_line.value(on_line.x[:, 0]) == pytest.approx(integrate(gain), abs=1e-8)


def test_jensen_shannon_divergence_is_that_of_scipys_entropies(on_line):
    p, q = density(P_DATA), density(P_G)

    def entropy(f):
        return integrate(lambda x: -f(x) * math.log(f(x)))

    expected = entropy(lambda x: (p(x) + q(x)) / 2) - (entropy(p) + entropy(q)) / 2
    assert on_line.jensen_shannon() == pytest.approx(expected, abs=1e-8)


def test_the_best_d_that_is_searched_for_is_worth_what_d_star_is(on_line):
    found = on_line.value(peak(on_line.data, on_line.generated).logit())
    # values of y stop at 3e-13 from 0 and 1
    assert found == pytest.approx(on_line.value(on_line.best), abs=1e-12)


def test_samples_tell_what_d_star_wins_and_another_does_not(on_line):
    class Wrong(Optimal):  # at the left
        def forward(self, x):
            return super().forward(x) + 2 * (x[:, 0] < 0)

    D = Wrong(P_DATA, P_G)
    generator = torch.Generator().manual_seed(0)
    x, Gz = (p.sample(50_000, generator) for p in (P_DATA, P_G))
    found = excess(D, P_DATA, P_G, x, Gz)
    exact = on_line.value(D(on_line.x)) - on_line.value(on_line.best)
    assert exact < -0.03
    assert found.value == pytest.approx(exact, abs=4 * found.error)
    assert found.error < 0.005


def test_distance_is_the_integral_that_scipy_finds(on_line):
    p, q = density(P_DATA), density(P_G)

    def off(x):  # of D = 1/2
        return abs(p(x) / (p(x) + q(x)) - 0.5) * (p(x) + q(x)) / 2

    # the integrand has kinks where p = q, at which the trapezoidal rule loses h^2 = 1.4e-4
    half = torch.zeros(len(on_line.x)).double()
    assert on_line.distance(half) == pytest.approx(integrate(off), abs=1e-4)
    assert on_line.distance(on_line.best) == 0


def test_what_a_d_falls_short_of_is_its_divergence_from_the_best(on_line):
    """V(D*) - V(D) = integral of (p_data + p_g) KL(Bernoulli(D*) || Bernoulli(D))."""
    logit = on_line.best + torch.sin(3 * on_line.x[:, 0])
    best, D = on_line.best.sigmoid(), logit.sigmoid()
    kl = best * (best / D).log() + (1 - best) * ((1 - best) / (1 - D)).log()
    expected = ((on_line.data + on_line.generated) * kl).nansum().item() * on_line.cell
    shortfall = on_line.value(on_line.best) - on_line.value(logit)
    assert shortfall > 0.01
    # D rounds to 0 or 1 where hardly any mass lies
    assert shortfall == pytest.approx(expected, abs=1e-9)


def test_points_of_a_cube_are_those_of_a_double_loop():
    edge = np.linspace(-2, 2, 3)
    assert cube(2, 2.0, 3).tolist() == [[a, b] for a in edge for b in edge]
    assert cube(1, 2.0, 3).tolist() == [[-2.0], [0.0], [2.0]]


@pytest.mark.parametrize("p", [P_DATA, P_G])
def test_known_generator_draws_from_its_density_on_the_line(p):
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(1))
    x = KnownGenerator(p)(z).detach()[:, 0].numpy()
    parts = list(zip(p.weights.tolist(), p.means[:, 0].tolist(), p.sds.tolist(), strict=True))

    def cdf(x):
        return sum(w * scipy.stats.norm.cdf(x, m, s) for w, m, s in parts)

    assert scipy.stats.kstest(x, cdf).pvalue > 1e-3  # the seed is fixed: it is that of no bad luck


def test_known_generator_reaches_every_blob_of_the_plane_equally_often():
    p = blobs(0.1, (0.0, 0.0), (5.0, 0.0), (0.0, 5.0))
    z = torch.randn(30_000, 3, generator=torch.Generator().manual_seed(2))
    x = KnownGenerator(p)(z).detach()
    for mean in p.means.float():
        near = (x - mean).norm(dim=1) < 1
        assert near.float().mean().item() == pytest.approx(1 / 3, abs=0.011)  # 4 standard errors
        assert x[near].std(0).tolist() == pytest.approx([0.1, 0.1], rel=0.03)  # 4 of them


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.01, 3.0), (7.0, 0.2), (0.0, 1.0)])
def test_the_peak_is_where_scipy_and_the_proof_find_it(a, b):
    def f(y):
        return torch.xlogy(torch.tensor(a), y) + torch.special.xlog1py(torch.tensor(b), -y)

    found = peak(torch.tensor([a]).double(), torch.tensor([b]).double()).item()
    scipys = scipy.optimize.minimize_scalar(
        lambda y: -f(torch.tensor(y).double()).item(), bounds=(0, 1), options={"xatol": 1e-9}
    ).x  # pyright: ignore[reportAttributeAccessIssue]
    # neither sees more than values, which are flat to sqrt(2^-52) around a maximum
    assert found == pytest.approx(scipys, abs=1e-6)
    assert found == pytest.approx(a / (a + b), abs=1e-7)


def test_a_trained_d_is_a_function_of_its_seed_and_leaves_the_generator_alone():
    def play(seed):
        settings = {"rounds": 3, "minibatch": 10, "rate": 0.01}
        return train_discriminator(P_DATA.sample, P_G, seed=seed, **settings)(torch.ones(1, 1))

    state = torch.get_rng_state()
    assert play(1) == play(1) != play(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_brings_d_near_the_best_one():
    p = pair(normal(-0.5), normal(0.5), reach=9.0, count=1001)
    D = train_discriminator(p.p_data.sample, p.p_g, rounds=150, minibatch=500, rate=0.02, seed=0)
    with torch.no_grad():
        assert p.distance(D(p.x.float()).double()) < 0.02


def test_lesson_has_its_closed_forms_after_few_rounds_too(result):
    checks = {check.what: check for check in result.checks}
    assert len(checks) == len(result.checks) == 15
    assert checks["maximum of a log y + b log(1 - y), largest error"].holds
    assert checks["V(D*) against 2 JSD - log 4, largest error"].holds
    assert checks["V(D) - V(D*) on fresh samples, most"].holds
    assert not result.holds  # D needs more than 20 steps: the checks of it can fail


def test_lesson_tells_what_it_measured(result):
    distances = [c.measured for c in result.checks if c.what.startswith("mean |D - D*|")]
    assert f"{min(distances):.4f} to {max(distances):.4f}" in result.told
    assert "2,000 fresh points" in result.told
