"""f-divergences and their duals against their definitions, closed forms and the 2014 game."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from frenemy.game import Round
from frenemy.lab import fgan
from frenemy.lab.densities import integral, line, mixture, normal, optimal_logit
from frenemy.lab.minimisers import f_divergence
from frenemy.objectives import minimax_d, minimax_g

# the generators f, written anew
GENERATORS = {
    "kl": (fgan.KL, lambda u: u * math.log(u)),
    "reverse kl": (fgan.REVERSE_KL, lambda u: -math.log(u)),
    "jsd": (
        fgan.JENSEN_SHANNON,
        lambda u: (u * math.log(u) - (u + 1) * math.log((u + 1) / 2)) / 2,
    ),
    "pearson": (fgan.PEARSON, lambda u: (u - 1) ** 2),
}
ALL = pytest.mark.parametrize(("f", "generator"), GENERATORS.values(), ids=GENERATORS)
DATA = mixture((0.7, -1.5, 0.8), (0.3, 1.5, 0.8))
MODEL = normal(-0.3, 1.6)
X = line(-20, 20, 4001)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@ALL
@pytest.mark.parametrize("v", [-1.5, -0.3, 0.0, 0.7, 2.0])
def test_the_cost_is_the_conjugate_of_the_reward(f, generator, v):
    t = f.reward(tensor(v)).item()
    best = minimize_scalar(
        lambda log_u: generator(math.exp(log_u)) - math.exp(log_u) * t,
        bounds=(-15, 15),
        method="bounded",
        options={"xatol": 1e-9},
    )
    # at a maximum, an error of 1e-9 in its place costs less than rounding
    assert f.cost(tensor(v)).item() == pytest.approx(-best.fun, abs=1e-9)


@ALL
def test_the_integrand_is_p_g_f_of_the_ratio(f, generator):
    for p, q in [(0.2, 0.7), (0.5, 0.5), (1.3, 0.01)]:
        exact = q * generator(p / q)
        assert f.integrand(tensor(p).log(), tensor(q).log()).item() == pytest.approx(
            exact, abs=1e-12
        )


@ALL
def test_the_divergence_is_that_of_another_quadrature(f, generator):
    def density(p, x):
        return p.pdf(tensor(x)[:, None]).item()

    exact, _ = quad(
        lambda x: density(MODEL, x) * generator(density(DATA, x) / density(MODEL, x)),
        -9,
        9,
        limit=200,
    )
    value = integral(f.integrand(DATA.log_pdf(X), MODEL.log_pdf(X)), X)
    assert value == pytest.approx(exact, abs=1e-6)  # reverse KL leaves 1e-7 beyond 9
    assert value > 0


@ALL
def test_equal_densities_do_not_diverge(f, generator):
    assert integral(f.integrand(DATA.log_pdf(X), DATA.log_pdf(X)), X) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("shift", [0.3, 1.0])
def test_shifted_normal_densities_diverge_as_in_closed_form(shift):
    p, q = normal(shift).log_pdf(X), normal().log_pdf(X)
    assert integral(fgan.KL.integrand(p, q), X) == pytest.approx(shift**2 / 2, abs=1e-12)
    assert integral(fgan.REVERSE_KL.integrand(p, q), X) == pytest.approx(shift**2 / 2, abs=1e-12)
    assert integral(fgan.PEARSON.integrand(p, q), X) == pytest.approx(
        math.expm1(shift**2), abs=1e-12
    )


@ALL
def test_the_optimal_logits_make_the_bound_tight_and_others_do_not(f, generator):
    log_p, log_q = DATA.log_pdf(X), MODEL.log_pdf(X)
    V = f.optimal(log_p - log_q)[1000:3001]  # |x| <= 10: beyond, exp(-V) overflows
    p, q = log_p.exp()[1000:3001], log_q.exp()[1000:3001]
    exact = f.integrand(log_p, log_q)[1000:3001]

    def bound(v):
        return p * f.reward(v) - q * f.cost(v)

    torch.testing.assert_close(bound(V), exact, atol=1e-10, rtol=0)
    for off in (-0.5, 0.1, 1.0):
        assert (bound(V + off) < exact)[500:1501].all()  # where p and q are not yet 0


def test_jsd_plays_the_game_of_2014():
    r = Round(
        {"G": torch.nn.Identity(), "D": torch.nn.Flatten(0)},
        torch.linspace(-4, 4, 9)[:, None],
        lambda: (torch.linspace(3, -5, 9)[:, None], None),
        (),
    )
    terms = fgan.JENSEN_SHANNON.terms()
    torch.testing.assert_close(terms.d(r), (minimax_d(r) - math.log(4)) / 2)
    torch.testing.assert_close(terms.g(r), (minimax_g(r) + math.log(2)) / 2)


@pytest.mark.parametrize("f", [fgan.REVERSE_KL, fgan.JENSEN_SHANNON, fgan.PEARSON])
def test_the_cost_of_large_logits_is_finite(f):
    assert f.cost(torch.tensor([-200.0, 200.0])).isfinite().all()


@ALL
@pytest.mark.parametrize("p_g", [MODEL, normal(0.4, 1.3)], ids=["wide", "narrow"])
def test_the_force_of_the_optimal_d_is_the_gradient_of_the_divergence(f, generator, p_g):
    theta = torch.cat([p_g.means[0], p_g.sds.log()])
    exact = torch.func.grad(f_divergence(f, DATA, X))(theta).abs().max().item()
    # quadrature over z and over x; both vanish at the ends but for 1e-9
    assert fgan.force(f, DATA, p_g) == pytest.approx(exact, abs=1e-7)


def test_the_optimal_logits_of_jsd_are_those_of_proposition_1():
    log_u = optimal_logit(DATA, MODEL, X)
    assert fgan.JENSEN_SHANNON.optimal(log_u) is log_u


@pytest.fixture(scope="module")
def played():
    state = torch.random.get_rng_state()
    game = fgan.play(fgan.PEARSON, DATA, (0.5, 2.0), X, rounds=60, seed=3, minibatch=256)
    assert torch.equal(state, torch.random.get_rng_state())
    return game


def test_a_played_bound_is_never_above_the_divergence(played):
    assert all(b <= e + 1e-9 for b, e in zip(played.bounds, played.exact, strict=True))
    # it has risen, from a D that knows nothing, to most of the divergence
    assert played.ratios[0] < 0.5 < 0.8 < played.ratios[-1]
    found = played.sampled
    assert found.value == pytest.approx(played.bounds[-1], abs=4 * found.error)


def test_g_waits_for_d_moves_and_is_held(played):
    at = dict(zip(played.rounds, played.path, strict=True))
    assert at[0] == at[9] == pytest.approx((0.5, 2.0))  # a sixth of 60 rounds
    assert at[60] == at[120] != at[0]
    assert played.exact[-1] < played.exact[0]


def test_a_played_game_is_a_function_of_its_arguments(played):
    again = fgan.play(fgan.PEARSON, DATA, (0.5, 2.0), X, rounds=60, seed=3, minibatch=256)
    other = fgan.play(fgan.PEARSON, DATA, (0.5, 2.0), X, rounds=60, seed=4, minibatch=256)
    assert again == played
    assert other != played
