"""The denoising autoencoder: its corruption, its loss, and where its chain comes to rest."""

import itertools
import math

import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import binomtest, chisquare
from torch.nn.functional import binary_cross_entropy

from frenemy import recipes
from frenemy.data import Facts, open_dataset
from frenemy.errors import FrenemyError
from frenemy.game import Round
from frenemy.recipes import vary
from frenemy.rivals.denoising import Denoising, denoising_error, salt_and_pepper
from frenemy.rivals.rbm import bernoulli

P = torch.tensor([0.8, 0.5, 0.1], dtype=torch.float64)  # of three independent pixels
CORRUPTION = 0.4


def net_of(units=3):
    torch.manual_seed(0)
    return Denoising((1, 1, 3), units, CORRUPTION, count=4).double()


def bayes():
    """The network whose P(x | x~) is what pixels of P and the corruption make it.

    Of a unit for each pixel the log odds are b + w sigmoid(w x~ - w / 2), so that w tanh(w / 4) is
    what they rise by from x~ = 0 to x~ = 1.
    """
    net, kept = net_of(), 1 - CORRUPTION / 2  # also where a coin falls right
    odds, rise = P.logit(), 2 * math.log(kept / (1 - kept))
    w = brentq(lambda w: w * math.tanh(w / 4) - rise, 0, 50)
    with torch.no_grad():
        net.layer.W.copy_(w * torch.eye(3))
        net.layer.c.fill_(-w / 2)
        net.layer.b.copy_(odds - rise / 2 - w / (1 + math.exp(w / 2)))  # at x~ = 0
    return net


def test_salt_and_pepper_are_as_likely_and_leave_the_rest():
    torch.manual_seed(0)
    x = torch.full((100, 200), 0.3)
    found = salt_and_pepper(x, 0.5)
    count = x.numel()
    for value, p in ((0.0, 0.25), (1.0, 0.25), (0.3, 0.5)):
        hits = int(found.eq(torch.tensor(value)).sum())
        assert binomtest(hits, count, p).pvalue > 1e-3
    assert torch.equal(salt_and_pepper(x, 0.0), x)


def test_the_loss_is_the_cross_entropy_of_the_image_given_its_corruption():
    net = net_of(units=5)
    x = torch.rand(6, 3, dtype=torch.float64)
    r = Round({"DAE": net}, torch.zeros(6, 1), lambda: (net.from_unit(x.clone()), None), ("DAE",))
    torch.manual_seed(3)
    found = denoising_error(r)
    torch.manual_seed(3)
    corrupted = salt_and_pepper(x, CORRUPTION)
    again = torch.sigmoid(torch.sigmoid(corrupted @ net.layer.W) @ net.layer.W.T)  # biases are 0
    expected = binary_cross_entropy(again, x, reduction="none").sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)  # float64 roundings
    assert found.shape == (6,)


def test_with_bayes_reconstruction_the_chain_comes_to_rest_at_the_data():
    net, count = bayes(), 20_000
    torch.manual_seed(1)
    start = torch.tensor([[0.0, 1, 1]], dtype=torch.float64).expand(count, -1)
    found = bernoulli(net.walk(start, 30))  # of each pixel what is left of the start is .6^30
    states = torch.tensor([*itertools.product((0.0, 1.0), repeat=3)], dtype=torch.float64)
    counts = [(found == state).all(1).sum().item() for state in states]
    expected = torch.where(states == 1, P, 1 - P).prod(1) * count
    assert chisquare(counts, expected.numpy()).pvalue > 1e-3


def test_the_first_step_starts_from_the_image_itself():
    net = net_of(units=5)
    grey = torch.full((4, 3), 0.3, dtype=torch.float64)
    torch.manual_seed(2)
    found = net.walk(grey, 1)
    torch.manual_seed(2)
    assert torch.equal(found, net.logits(grey).sigmoid())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corruption": 1.5}, "corruption is 1.5: give 1 or less"),
        ({"corruption": -0.5}, "corruption is -0.5: give 0 or more"),
        ({"units": 0}, "units is 0: give 1 or more"),
        ({"rate": 0}, "rate is 0: give more than 0"),
        ({"sampling_steps": 0}, "sampling_steps is 0: give 1 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, said):
    with pytest.raises(FrenemyError, match=said):
        vary(recipes.denoising, **changes)(Facts((1, 8, 8), 100))


def test_points_are_no_pixels():
    with pytest.raises(FrenemyError, match="has points in the plane"):
        recipes.denoising(open_dataset("toy:ring").facts)
