"""Games that rotate: play against the matrices that it is, and the lesson against itself."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from frenemy.lab.rotations import (
    MINIMAX,
    NONSATURATING,
    WASSERSTEIN,
    Method,
    bilinear,
    dirac,
    eigenvalue,
    largest_stable,
    linear_map,
    radii,
    radius,
    trajectory,
)

from .small import small

NAMES = [m.name for m in bilinear(0.5)]
GANS = [m.name for m in dirac(0.5, 0.5)]
J = np.array([[0.0, 1.0], [-1.0, 0.0]])  # of xy: the gradients of both losses are J w


@pytest.fixture(autouse=True)
def _generator():
    with torch.random.fork_rng():
        yield


def method(name):
    return next(m for m in bilinear(0.5) if m.name == name)


def gan(name, gamma=0.5, c=0.5):
    return next(m for m in dirac(gamma, c) if m.name == name)


def by_hand(name, h, w, steps, c=0.5):
    """The path of w = (x, y) by the method's textbook formula, in a loop of its own."""
    path, w, before, v = [w], np.array(w, float), None, np.zeros(2)
    m = {"½": 0.5, "−½": -0.5}.get(name.rsplit(" ", 1)[-1], 0.0)
    for _ in range(steps):
        old = w
        if name.startswith("simultaneous"):
            v = m * v + J @ w
            w = w - h * v
        elif name.startswith("alternating"):
            v[0] = m * v[0] + w[1]
            x = w[0] - h * v[0]
            v[1] = m * v[1] - x
            w = np.array([x, w[1] - h * v[1]])
        elif name == "extragradient":
            w = w - h * J @ (w - h * J @ w)
        elif name == "optimistic":
            w = w - 2 * h * J @ w + h * J @ (w if before is None else before)
        elif name == "consensus":
            w = w - h * (J @ w + c * w)
        else:
            w = np.linalg.solve(np.eye(2) + h * J, w)
        before = old
        path.append(w)
    return np.array(path)


@pytest.mark.parametrize("name", NAMES)
def test_play_is_the_textbook_formula(name):
    # 20 inner steps leave h^21 = 1e-11 of the distance to the proximal point
    path = trajectory(method(name).method, 0.3, (2, 2), 8)
    np.testing.assert_allclose(path, by_hand(name, 0.3, (2, 2), 8), rtol=0, atol=1e-9)


@pytest.mark.parametrize("h", [0.15, 0.5, 0.65])
@pytest.mark.parametrize("name", NAMES)
def test_spectral_radius_is_the_closed_form(name, h):
    # inner steps: .65^42 / 2 = 7e-9; at h = .5 the optimistic roots meet: the root of 1e-16
    exact = dict(zip(NAMES, radii(h, 0.5), strict=True))[name]
    assert radius(method(name).method, h) == pytest.approx(exact, abs=2e-8)


@pytest.mark.parametrize(("h", "published"), [(0.1, 0.9985), (0.3, 0.9866), (0.5, 0.9625)])
def test_negative_momentum_has_the_radii_of_the_table(h, published):
    m = method("alternating, momentum −½")
    assert radius(m.method, h) == pytest.approx(published, abs=5e-5)  # as printed


def test_memory_is_part_of_the_measured_state():
    assert linear_map(method("simultaneous").method, 0.3).shape == (2, 2)
    assert linear_map(method("extragradient").method, 0.3).shape == (2, 2)
    assert linear_map(method("optimistic").method, 0.3).shape == (4, 4)
    np.testing.assert_allclose(
        linear_map(method("simultaneous").method, 0.3), np.eye(2) - 0.3 * psi(J), atol=1e-12
    )


def psi(matrix):
    """The same in the players' own (psi, theta), where psi = -y comes first."""
    change = np.array([[0.0, -1.0], [1.0, 0.0]])  # (x, y) -> (psi, theta)
    return change @ matrix @ np.linalg.inv(change)


@pytest.mark.parametrize("name", ["alternating", "optimistic", "consensus", "simultaneous"])
def test_largest_stable_steps_are_found(name):
    m = method(name)
    assert largest_stable(m.method) == pytest.approx(m.stable, abs=1e-6)  # 4.4 / 2^23 = 5e-7


@pytest.mark.parametrize("name", GANS)
@pytest.mark.parametrize(("gamma", "c"), [(0.3, 1.2), (1.0, 0.8), (1.7, 0.4)])
def test_eigenvalues_are_the_closed_forms(name, gamma, c):
    g = gan(name, gamma, c)
    # third-order terms of a state of 1e-5 are 1e-10 of it
    assert abs(eigenvalue(g.method) - g.eigenvalue) < 1e-8


@pytest.mark.parametrize("name", GANS)
def test_eigenvalues_are_those_of_the_jacobian_by_autograd(name):
    """Of the field that Mescheder et al. write down, without a game."""
    gamma, c = 0.5, 0.5

    def f(t):
        return torch.nn.functional.logsigmoid(t)

    def gain(w):  # of D, but for a constant
        return f(w[1] * w[0])

    def field(w):
        w = w if w.requires_grad else w.clone().requires_grad_()
        d = torch.autograd.grad(gain(w), w, create_graph=True)[0]
        v = torch.stack([-d[0], d[1]])
        if "non-saturating" in name:  # ascends f(-theta psi)
            v = torch.stack(
                [torch.autograd.grad(f(-w[0] * w[1]), w, create_graph=True)[0][0], d[1]]
            )
        if "R1" in name or "R2" in name:
            v = v - torch.stack([0 * w[1], gamma * w[1]])
        if "consensus" in name:
            square = torch.autograd.grad(v.square().sum() / 2, w, create_graph=True)[0]
            v = v - c * square
        return v

    jacobian = torch.autograd.functional.jacobian(field, torch.zeros(2, dtype=torch.float64))
    leading = max(np.linalg.eigvals(jacobian.numpy()), key=lambda v: (v.real, v.imag))
    assert abs(gan(name).eigenvalue - leading) < 1e-10
    assert abs(eigenvalue(gan(name).method) - leading) < 1e-8


def test_the_nonsaturating_flow_decays_as_one_over_the_root_of_time():
    def flow(t, w):
        x, y = w
        return [-y / (1 + math.exp(-x * y)), x / (1 + math.exp(x * y))]

    end = solve_ivp(flow, (0, 20), [1.0, 1.0], rtol=1e-10, atol=1e-12).y[:, -1]
    path = trajectory(Method(NONSATURATING, in_turn=True), 0.1, (1, 1), 200)
    # alternating steps keep x^2 + y^2 - hxy/2 where the flow keeps x^2 + y^2: h/4 = 2.5 % apart
    assert np.hypot(*path[-1]) == pytest.approx(np.hypot(*end), rel=0.03)
    # averaging neglects terms of r^2 / 8: .04 at the end, .25 at the start
    assert np.hypot(*end) == pytest.approx((1 / 2 + 20 / 8) ** -0.5, rel=0.1)


def test_simultaneous_steps_of_the_gan_never_come_nearer():
    path = trajectory(Method(MINIMAX), 0.5, (1, 1), 50)
    assert (np.diff(np.hypot(*path.T)) > 0).all()


def test_clipping_clips():
    path = trajectory(Method(WASSERSTEIN, clip=1.0), 0.3, (1, 1), 30)
    assert np.abs(path[:, 1]).max() == 1


# The lesson


@pytest.fixture(scope="module")
def result():
    return small("cycling").result


def test_all_but_the_bisections_hold(result):
    rest = [check for check in result.checks if "largest stable" not in check.what]
    assert [check.what for check in rest if not check.holds] == []
    assert len(rest) == 9 + 1 + 2 * 5 + 5
    assert not result.holds


def test_every_formula_that_a_check_needs_is_named(result):
    whats = [check.what for check in result.checks]
    for name in NAMES:
        assert any(f"xy, {name}, radius" in what for what in whats)
        assert any(f"xy, {name}, largest stable step" in what for what in whats)
    for name in GANS:
        assert any(f"{name}, eigenvalue" in what for what in whats)
        assert any(f"{name}, largest stable step" in what for what in whats)


def test_paths_are_blue_and_every_step_is_filmed(result):
    assert "2f80c9" in result.figures[0].html()
    assert len(result.film.frames) == 4
