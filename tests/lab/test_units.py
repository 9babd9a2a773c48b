"""The lesson on units and dropout: its networks, its games, and its checks."""

import pytest
import torch
from torch import nn

from frenemy.data import open_dataset
from frenemy.lab.units import PAPER, VARIANTS, nets, play
from frenemy.nets.layers import Dropout
from frenemy.nets.mlp import Maxout

from .small import small


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_a_game_has_the_units_that_it_says(variant):
    D, G = nets(variant.linear, variant.dropout, open_dataset(None).train)
    kinds = [type(m) for net in (D, G) for m in net.modules()]
    assert (Maxout in kinds and nn.ReLU in kinds) == variant.linear
    assert kinds.count(Dropout) == 3 * variant.dropout
    assert kinds.count(nn.Sigmoid) == (1 if variant.linear else 5)  # G's pixels, two layers each


def test_sigmoids_leave_little_of_the_gradient():
    data = open_dataset(None)
    one, other = (play(v, data, 5, 0) for v in (PAPER, PAPER._replace(linear=False)))
    assert len(one.gradients) == len(other.gradients) == 5
    assert other.early < 0.2 * one.early


def test_a_game_is_a_function_of_its_seed():
    data = open_dataset(None)
    first, again, another = (play(PAPER, data, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(first.samples, again.samples) and first.nats == again.nats
    assert not torch.equal(first.samples, another.samples)


def test_of_games_that_were_hardly_played_the_gradient_is_told():
    holds = {check.what: check.holds for check in small("units").result.checks}
    assert holds["largest slope of a sigmoid"]
    assert len(holds) == 4
