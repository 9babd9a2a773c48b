"""Value functions against hand-computed values, derivatives, and Theorem 1 of the 2014 paper."""

import math
from types import SimpleNamespace

import pytest
import torch
from scipy.integrate import quad
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.distributions import Normal

from frenemy import objectives
from frenemy.game import Round
from frenemy.objectives import OBJECTIVES

TERMS = (
    "minimax_d",
    "minimax_g",
    "nonsaturating_g",
    "least_squares_d",
    "least_squares_g",
    "hinge_d",
    "wasserstein_d",
    "wasserstein_g",
    "pairing_d",
    "pairing_g",
    "level",
)
LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)
LOG4_3 = math.log(4 / 3)  # sigmoid(log 3) = 3/4, so -log sigmoid(log 3) = log 4/3

# term, D(x), D(G(z)), value
BY_HAND = [
    ("minimax_d", 0, 0, 2 * LOG2),
    ("minimax_d", LOG3, -LOG3, 2 * LOG4_3),
    ("minimax_d", -LOG3, LOG3, 2 * LOG4),
    ("minimax_d", 0, LOG3, LOG2 + LOG4),
    ("minimax_g", 7, 0, -LOG2),
    ("minimax_g", 7, LOG3, -LOG4),
    ("minimax_g", 7, -LOG3, -LOG4_3),
    ("nonsaturating_g", 7, 0, LOG2),
    ("nonsaturating_g", 7, LOG3, LOG4_3),
    ("nonsaturating_g", 7, -LOG3, LOG4),
    ("least_squares_d", 1, 0, 0),
    ("least_squares_d", 0, 1, 1),
    ("least_squares_d", 2, -3, 5),
    ("least_squares_g", 7, 1, 0),
    ("least_squares_g", 7, -3, 8),
    ("hinge_d", 1, -1, 0),
    ("hinge_d", 0, 0, 2),
    ("hinge_d", 5, -7, 0),
    ("hinge_d", -1, 3, 6),
    ("wasserstein_d", 2, -3, -5),
    ("wasserstein_d", -2, 3, 5),
    ("wasserstein_g", 7, -3, 3),
    ("pairing_d", 5, 5, LOG2),
    ("pairing_d", 5 + LOG3, 5, LOG4_3),
    ("pairing_d", 5, 5 + LOG3, LOG4),
    ("pairing_g", 5, 5, LOG2),
    ("pairing_g", 5 + LOG3, 5, LOG4),
    ("pairing_g", 5, 5 + LOG3, LOG4_3),
    ("level", 3, -1, 4),
    ("level", -2, 2, 0),
]

# term -> its derivatives with respect to D(x) and to D(G(z))
DERIVATIVES = {
    "minimax_d": (lambda a, b: a.sigmoid() - 1, lambda a, b: b.sigmoid()),
    "minimax_g": (lambda a, b: 0 * a, lambda a, b: -b.sigmoid()),
    "nonsaturating_g": (lambda a, b: 0 * a, lambda a, b: b.sigmoid() - 1),
    "least_squares_d": (lambda a, b: a - 1, lambda a, b: b),
    "least_squares_g": (lambda a, b: 0 * a, lambda a, b: b - 1),
    "hinge_d": (lambda a, b: -(a < 1).double(), lambda a, b: (b > -1).double()),
    "wasserstein_d": (lambda a, b: -torch.ones_like(a), lambda a, b: torch.ones_like(b)),
    "wasserstein_g": (lambda a, b: 0 * a, lambda a, b: -torch.ones_like(b)),
    "pairing_d": (lambda a, b: -(b - a).sigmoid(), lambda a, b: (b - a).sigmoid()),
    "pairing_g": (lambda a, b: (a - b).sigmoid(), lambda a, b: -(a - b).sigmoid()),
    "level": (lambda a, b: 2 * (a + b), lambda a, b: 2 * (a + b)),
}


def value(name, Dx, DGz):
    """The term of that name on given logits."""
    return getattr(objectives, name)(SimpleNamespace(Dx=Dx, DGz=DGz))


def logits(seed=0, count=40):
    """Two vectors of float64 logits, none within .01 of the hinge's kinks at 1 and -1."""
    generator = torch.Generator().manual_seed(seed)
    Dx, DGz = 3 * torch.randn(2, 4 * count, generator=generator, dtype=torch.float64)
    smooth = ((Dx - 1).abs() > 0.01) & ((DGz + 1).abs() > 0.01)
    return Dx[smooth][:count].requires_grad_(), DGz[smooth][:count].requires_grad_()


@pytest.mark.parametrize(("name", "Dx", "DGz", "expected"), BY_HAND)
def test_terms_have_the_values_computed_by_hand(name, Dx, DGz, expected):
    Dx, DGz = (torch.tensor([logit], dtype=torch.float64) for logit in (Dx, DGz))
    # a few roundings of float64, at values of order 1
    assert value(name, Dx, DGz).item() == pytest.approx(expected, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("name", TERMS)
def test_terms_give_one_value_for_each_image(name):
    Dx, DGz = logits()
    values = value(name, Dx, DGz)
    assert values.shape == Dx.shape
    alone = [value(name, Dx[i : i + 1], DGz[i : i + 1]) for i in range(len(Dx))]
    torch.testing.assert_close(values, torch.cat(alone), rtol=1e-15, atol=0)  # vectorised or not


@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_the_closed_forms(name):
    Dx, DGz = logits()
    found = torch.autograd.grad(
        value(name, Dx, DGz).sum(), (Dx, DGz), allow_unused=True, materialize_grads=True
    )
    expected = [derivative(Dx, DGz) for derivative in DERIVATIVES[name]]
    torch.testing.assert_close(found, tuple(expected), rtol=1e-13, atol=1e-13)  # float64 roundings


@pytest.mark.parametrize("name", TERMS)
def test_first_and_second_derivatives_agree_with_finite_differences(name):
    Dx, DGz = logits(count=6)

    def term(a, b):
        return value(name, a, b) + 0 * (a + b)  # gradcheck wants both to be used

    assert gradcheck(term, (Dx, DGz))
    assert gradgradcheck(term, (Dx, DGz))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_stay_finite(name, dtype):
    extreme = torch.tensor([-1e4, 0, 1e4], dtype=dtype)
    Dx, DGz = (
        x.flatten().requires_grad_() for x in torch.meshgrid(extreme, extreme, indexing="ij")
    )
    values = value(name, Dx, DGz)
    gradients = torch.autograd.grad(values.sum(), (Dx, DGz), allow_unused=True)
    assert values.isfinite().all()
    assert all(g.isfinite().all() for g in gradients if g is not None)


@pytest.mark.parametrize(
    ("name", "Dx", "DGz", "expected"),
    [
        ("minimax_d", -1e4, 1e4, 2e4),  # where log(sigmoid(.)) would be -inf
        ("minimax_g", 0, 1e4, -1e4),
        ("nonsaturating_g", 0, -1e4, 1e4),
        ("pairing_d", -1e4, 1e4, 2e4),
        ("pairing_g", 1e4, -1e4, 2e4),
    ],
)
def test_a_badly_beaten_player_still_sees_how_badly(name, Dx, DGz, expected):
    assert value(name, torch.tensor([Dx]), torch.tensor([DGz])).item() == expected


def test_where_D_wins_minimax_saturates_and_nonsaturating_does_not():
    DGz = torch.tensor([-20.0], requires_grad=True)  # D(G(z)) = 2e-9
    (saturating,) = torch.autograd.grad(value("minimax_g", DGz, DGz).sum(), DGz)
    (strong,) = torch.autograd.grad(value("nonsaturating_g", DGz, DGz).sum(), DGz)
    assert abs(saturating.item()) < 1e-8
    assert strong.item() == pytest.approx(-1)


AT: dict[str, float] = {}
"""The logit at which players of an objective disagree, where that is not 0."""


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_sets_its_players_against_each_other(name):
    Dx, DGz = torch.full((2, 1), AT.get(name, 0.0), requires_grad=True).unbind()
    terms = OBJECTIVES[name]
    r = SimpleNamespace(Dx=Dx, DGz=DGz)
    up_x, up_fake = torch.autograd.grad(terms.d(r).sum(), (Dx, DGz), retain_graph=True)
    (fake_up,) = torch.autograd.grad(terms.g(r).sum(), DGz)
    assert (up_x <= 0).all()  # descending, D raises D(x) ...
    assert (up_fake >= 0).all()  # ... and lowers D(G(z)),
    assert (up_x - up_fake < 0).all()
    assert (fake_up < 0).all()  # which G raises


def test_minimax_is_zero_sum_but_for_what_G_cannot_change():
    Dx, DGz = logits()
    total = value("minimax_d", Dx, DGz) + value("minimax_g", Dx, DGz)
    # two roundings of float64 at values up to 20
    torch.testing.assert_close(total, -Dx.sigmoid().log(), rtol=1e-13, atol=1e-13)


def test_pairing_is_symmetric_under_exchange_of_real_and_fake():
    Dx, DGz = logits()
    assert torch.equal(value("pairing_d", Dx, DGz), value("pairing_g", DGz, Dx))


# Theorem 1: with the best D, V(D, G) = -log 4 + 2 JSD(p_data, p_g), for two Gaussians on a line.


class Affine(nn.Module):
    """G: z ~ N(0, 1) -> N(mean, deviation^2)."""

    def __init__(self, p_g):
        super().__init__()
        self.p_g = p_g

    def forward(self, z):
        return self.p_g.mean + self.p_g.stddev * z


class Best(nn.Module):
    """D* = p_data / (p_data + p_g), as a logit, plus a fault."""

    def __init__(self, p_data, p_g, fault=0.0):
        super().__init__()
        self.p_data, self.p_g, self.fault = p_data, p_g, fault

    def forward(self, x):
        return (self.p_data.log_prob(x) - self.p_g.log_prob(x)).squeeze(1) + self.fault


def gaussian(mean, deviation):
    return Normal(*torch.tensor([mean, deviation], dtype=torch.float64))


def played(p_data, p_g, count, *, joint, fault=0.0):
    """log D(x) + log(1 - D(G(z))) of a Round with the best D, (count,)."""
    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(2, count, 1, generator=generator, dtype=torch.float64)
    nets = {"G": Affine(p_g), "D": Best(p_data, p_g, fault)}
    x = p_data.mean + p_data.stddev * x
    r = Round(nets, z, lambda: (x, None), learners=(), joint=joint)
    return -objectives.minimax_d(r).detach()


def jensen_shannon(p, q):
    """JSD in nats by quadrature."""

    def half(p, q):
        def integrand(x):
            log_p, log_q = (g.log_prob(torch.tensor(x, dtype=torch.float64)) for g in (p, q))
            return (log_p.exp() * (log_p - torch.logaddexp(log_p, log_q) + LOG2)).item()

        return quad(integrand, -12, 12, epsabs=1e-8, limit=200)[0] / 2

    return half(p, q) + half(q, p)


@pytest.mark.parametrize("joint", [False, True])
def test_at_the_optimum_of_the_game_V_is_exactly_minus_log_4(joint):
    p = gaussian(0.5, 1.5)
    V = played(p, p, 1000, joint=joint)
    torch.testing.assert_close(V, torch.full_like(V, -LOG4), rtol=1e-15, atol=0)  # one rounding


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize(
    "p_g", [gaussian(1.0, 1.0), gaussian(0.0, 2.0), gaussian(-2.0, 0.5)], ids=str
)
def test_against_the_best_D_V_is_minus_log_4_plus_twice_the_JSD(p_g, joint):
    p_data = gaussian(0.0, 1.0)
    V = played(p_data, p_g, 40_000, joint=joint)
    error = V.std().item() / math.sqrt(len(V))
    jsd = jensen_shannon(p_data, p_g)
    assert abs(V.mean().item() - (-LOG4 + 2 * jsd)) < 4 * error  # Monte Carlo: 4 standard errors
    assert 2 * jsd > 10 * error  # so the test would notice a missing JSD


@pytest.mark.parametrize("fault", [-1.0, -0.2, 0.2, 1.0])
def test_no_other_D_does_better_than_the_best(fault):
    p_data, p_g = gaussian(0.0, 1.0), gaussian(1.0, 1.5)
    best, other = (played(p_data, p_g, 40_000, joint=False, fault=f) for f in (0.0, fault))
    gain = other - best  # on the same x and z
    assert gain.mean() < -4 * gain.std() / math.sqrt(len(gain))  # Monte Carlo: 4 standard errors
