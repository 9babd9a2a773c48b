"""Moment matching against literal loops, the judge's kernel distance and finite differences."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from frenemy import recipes
from frenemy.data import Facts
from frenemy.engine import Engine, Share
from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, Round, Turn
from frenemy.judge.kernel import discrepancy
from frenemy.nets.layers import FromUnit
from frenemy.recipes import vary
from frenemy.rivals.gmmn import gaussians, generator, matching

SHAPE, B = (1, 2, 2), 6
SIGMAS = 0.5, 2.0
ROUNDING = {"rel": 1e-10}  # of float64, through sums of 36 kernels


class Samples(nn.Module):
    """G whose samples are weights, whatever z is: theta of a minibatch."""

    def __init__(self, pixels):
        super().__init__()
        self.theta = nn.Parameter(pixels)

    def forward(self, z):
        return FromUnit(SHAPE)(self.theta[: len(z)])


def pixels(seed):
    return torch.from_numpy(np.random.default_rng(seed).random((B, 4)))


def round_of(x, G):
    return Round({"G": G}, torch.zeros(B, 1), lambda: (FromUnit(SHAPE)(x), None), ("G",))


def k(u, v):
    return sum(math.exp(-((u - v) ** 2).sum().item() / (2 * sigma)) for sigma in SIGMAS)


def by_loops(x, y):
    """MMD^2 with all pairs, and the means within x, within y, and across."""
    means = [sum(k(u, v) for u in p for v in q) / B**2 for p, q in ((x, x), (y, y), (x, y))]
    return means[0] + means[1] - 2 * means[2], means


def value(x, y):
    return matching(gaussians(SIGMAS))(round_of(x, Samples(y))).mean()


def test_its_mean_is_the_discrepancy_by_two_loops():
    x, y = pixels(0), pixels(1)
    assert value(x, y).item() == pytest.approx(math.sqrt(by_loops(x, y)[0]), **ROUNDING)


def test_the_judge_measures_the_same_but_for_pairs_of_one_with_itself():
    x, y = pixels(0), pixels(1)
    squared, (within_x, within_y, _) = by_loops(x, y)
    biased_by = (2 * len(SIGMAS) - within_x - within_y) / (B - 1)  # k(x, x) is 1 of each sigma
    unbiased = discrepancy(x, y, gaussians(SIGMAS)).value
    assert unbiased == pytest.approx(squared - biased_by, **ROUNDING)


def test_equal_sets_do_not_differ():
    x = pixels(0)
    G = Samples(x.flip(0).clone())
    loss = matching(gaussians(SIGMAS))(round_of(x, G)).mean()
    (found,) = torch.autograd.grad(loss, [G.theta])
    # roundings, of 1e-16, are divided by the least root, 1e-6
    assert abs(loss.item()) < 1e-9 and found.abs().max() < 1e-9


def test_its_gradient_is_that_of_the_discrepancy():
    x, G = pixels(0), Samples(pixels(1))
    (found,) = torch.autograd.grad(matching(gaussians(SIGMAS))(round_of(x, G)).mean(), [G.theta])
    h, expected = 1e-6, torch.empty(B, 4, dtype=torch.float64)
    for i in range(B):
        for j in range(4):
            e = torch.zeros(B, 4, dtype=torch.float64)
            e[i, j] = h
            both = [math.sqrt(by_loops(x, G.theta.detach() + s * e)[0]) for s in (1, -1)]
            expected[i, j] = (both[0] - both[1]) / (2 * h)
    # central differences: h^2 and 1e-16 / h
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


class Recording(torch.optim.SGD):
    """Keeps the gradient that it is given."""

    def step(self):
        self.seen = [p.grad.clone() for group in self.param_groups for p in group["params"]]


def gradient(parts):
    """Of a small G, and the recorded mean, whose minibatch is cut into so many parts."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), FromUnit(SHAPE)).double()
    rule = Recording(G.parameters(), 1.0)
    turn = Turn({"G": {matching(gaussians(SIGMAS)): 1.0}})
    game = Game({"G": Player(G, rule)}, [turn], Prior("uniform", 3), B)
    game.prior = lambda count: torch.linspace(-1, 1, 3 * count).double().view(count, 3).cos()
    x = FromUnit(SHAPE)(pixels(0))
    engine = Engine(share=Share(parts=parts))
    record = game.play(lambda t, i: (x, None), seed=0, step=0, engine=engine)
    return [record["G/mmd"], *rule.seen]


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_each_part_is_compared_with_the_whole_minibatch(parts):
    for found, expected in zip(gradient(parts), gradient(1), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)  # float64


def test_the_generator_has_the_papers_layers():
    sizes = [layer.out_features for layer in generator(10, (1, 28, 28)) if hasattr(layer, "weight")]
    assert sizes == [64, 256, 256, 1024, 784]


def test_bandwidths_are_above_zero():
    with pytest.raises(FrenemyError, match="bandwidth is 0"):
        vary(recipes.gmmn, bandwidth=0.0)(Facts((1, 8, 8), 10))
