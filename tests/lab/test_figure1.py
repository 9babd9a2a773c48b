"""Games on the line against closed forms and scipy, and the lesson that plays Figure 1."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from frenemy.lab import densities
from frenemy.lab.densities import line, minibatches, normal
from frenemy.lab.line_games import (
    EDGE,
    LineGenerator,
    generated_cdf,
    line_game,
    line_nets,
    moment,
)

from .small import small

EDGES = line(-7, 7, 701)


class Squared(nn.Module):
    """x = z^2, which is not monotone."""

    def forward(self, z):
        return z**2


@pytest.fixture(scope="module")
def result():
    return small("figure1").result


def test_an_affine_g_spreads_its_samples_evenly():
    G = nn.Linear(1, 1)
    with torch.no_grad():
        G.weight.fill_(-2.0)
        G.bias.fill_(0.5)
    x = line(-5, 5, 41)
    expected = ((x[:, 0] - 0.5) / (4 * EDGE) + 0.5).clamp(0, 1)
    assert generated_cdf(G, x).tolist() == pytest.approx(expected.tolist(), abs=1e-6)  # float32


def test_a_g_that_turns_back_has_the_mass_of_all_its_preimages():
    x = line(-1, 4, 51)
    expected = (x[:, 0].clamp_min(0).sqrt() / EDGE).clamp_max(1)  # P(z^2 <= x)
    # G is linear in a cell: off by z'^2 / 8 = 7e-7 of x, where the CDF rises by a root at 0
    assert generated_cdf(Squared(), x).tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_p_g_starts_as_the_normal_that_was_asked_for():
    F = generated_cdf(LineGenerator(2.2, 0.6), EDGES)
    expected = scipy.stats.norm.cdf(EDGES[:, 0], 2.2, 0.6)
    # a cell holds a thousandth of the mass at most, and G bends in it
    assert F.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_equal_densities_have_d_star_one_half_and_no_distance():
    D, G = line_nets(0, mean=0.0, sd=1.0)
    now = moment(D, G, normal(0, 1), EDGES)
    assert now.jsd == pytest.approx(0, abs=3e-6)  # G keeps 2e-6 of the mass out of its tails
    assert now.w1 == pytest.approx(0, abs=1e-4)
    middle = now.x.abs() < 3  # farther out, cells and float32 are coarser than the densities
    assert (now.best[middle] - 0.5).abs().max().item() < 2e-3
    assert now.from_half == pytest.approx(now.distance, abs=1e-4)


@pytest.mark.parametrize("mean", [0.5, 2.0])
def test_a_shifted_normal_has_the_distances_of_the_closed_forms(mean):
    D, G = line_nets(0, mean=mean, sd=1.0)
    now = moment(D, G, normal(0, 1), EDGES)
    assert now.w1 == pytest.approx(mean, abs=1e-4)
    expected = densities.jensen_shannon(normal(0, 1), normal(mean, 1), EDGES)
    assert now.jsd == pytest.approx(expected, abs=1e-4)  # bins of .02 blur densities of width 1
    best = 1 / (1 + np.exp(mean * now.x.numpy() - mean**2 / 2))
    middle = ((now.x > mean - 3) & (now.x < 3)).numpy()
    assert np.abs(now.best.numpy() - best)[middle].max() < 2e-3


def test_distances_of_a_moment_are_those_of_a_dumb_loop():
    D, G = line_nets(3, mean=1.0, sd=0.5)
    now = moment(D, G, normal(0, 1), EDGES)
    width = 14 / 700
    distance = half = 0.0
    for i, x in enumerate(now.x.tolist()):
        p, q = now.p_data[i].item() * width, now.p_g[i].item() * width
        Dx = torch.sigmoid(D(torch.tensor([[x]]))).item()
        distance += abs(Dx - p / (p + q)) * (p + q) / 2 if p + q else 0
        half += abs(Dx - 0.5) * (p + q) / 2
    assert now.distance == pytest.approx(distance, abs=1e-6)  # D is float32
    assert now.from_half == pytest.approx(half, abs=1e-6)


def test_wasserstein_distance_is_that_of_samples_by_scipy():
    D, G = line_nets(3, mean=1.0, sd=0.5)
    generator = torch.Generator().manual_seed(0)
    z = torch.empty(20_000, 1).uniform_(-EDGE, EDGE, generator=generator)
    with torch.no_grad():
        fake = G(z)[:, 0].numpy()
    real = normal(0, 1).sample(20_000, generator)[:, 0].numpy()
    now = moment(D, G, normal(0, 1), EDGES)
    # the standard error of either mean is below .007
    assert now.w1 == pytest.approx(scipy.stats.wasserstein_distance(real, fake), abs=0.03)


def test_algorithm_1_takes_k_steps_of_d_for_one_of_g():
    D, G = line_nets(0, mean=1.0, sd=0.5)
    rates = []

    def d_rate(t):
        rates.append(t)
        return 0.001

    game = line_game(D, G, k=3, minibatch=8, d_rate=d_rate, g_rate=lambda t: 0.0)
    before = [p.clone() for p in G.parameters()]
    with torch.random.fork_rng():
        for step in range(2):
            game.play(minibatches(normal().sample, 8, 0), seed=0, step=step)
    assert rates == [0, 0, 0, 1, 1, 1]
    assert all(torch.equal(a, b) for a, b in zip(before, G.parameters(), strict=True))  # rate 0


def test_every_parameter_of_both_players_moves():
    D, G = line_nets(0, mean=1.0, sd=0.5)
    before = {n: p.clone() for n, p in [*D.named_parameters(), *G.named_parameters()]}
    game = line_game(D, G, k=1, minibatch=8, d_rate=lambda t: 0.01, g_rate=lambda t: 0.1)
    with torch.random.fork_rng():
        for step in range(2):  # h starts at 0: its first layers have no gradient until it moved
            game.play(minibatches(normal().sample, 8, 0), seed=0, step=step)
    after = dict([*D.named_parameters(), *G.named_parameters()])
    assert [n for n, p in after.items() if torch.equal(p, before[n])] == []


def test_lesson_shows_d_rise_and_p_g_move(result):
    checks = {check.what: check.measured for check in result.checks}
    assert checks["(b) mean |D - D*| in round 3"] < 0.25  # of .45 at first
    assert checks["(d) Wasserstein-1 distance of p_data and p_g"] < 1.1  # of 2.2 at first
    assert len(result.checks) == 6


def test_film_has_at_most_40_frames_of_one_size(result):
    frames = result.film.frames
    assert 15 <= len(frames) <= 40
    assert {frame.shape for frame in frames} == {(3, 360, 400)}
