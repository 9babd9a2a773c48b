"""A discriminator that sees augmented images: gradients before T, state, and D alone in eval."""

import pytest
import torch
from torch import nn

from frenemy.nets.augment import GEOMETRY_AND_COLOUR, R3GAN, Augment, DiffAugment
from frenemy.nets.augmented import Augmented
from frenemy.nets.r3gan import Discriminator

SHAPE = (3, 8, 12)


def discriminator():
    torch.manual_seed(0)
    net = Discriminator(SHAPE, [16, 8], 1, classes=3)
    for p in net.double().parameters():
        nn.init.normal_(p, std=0.3)
    return net


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.rand(6, *SHAPE, dtype=torch.float64) * 2 - 1


Y = torch.arange(6) % 3


@pytest.mark.parametrize(
    "T", [Augment(R3GAN, 0.7), Augment(GEOMETRY_AND_COLOUR, 1.0), DiffAugment(1.0)]
)
@pytest.mark.parametrize("training", [True, False])
def test_slopes_are_those_of_autograd_and_train_d(x, T, training):
    D = Augmented(discriminator(), T).train(training)
    torch.manual_seed(2)
    at = x.clone().requires_grad_()
    wanted = D(at, Y)
    (slope,) = torch.autograd.grad(wanted.sum(), at, create_graph=True)
    torch.manual_seed(2)
    logits, found = D.slopes(x, Y)
    assert torch.allclose(logits, wanted, atol=1e-12)
    assert torch.allclose(found, slope, atol=1e-12)
    weights = [*D.net.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum() + logits.sum(), weights),
        torch.autograd.grad(slope.square().sum() + wanted.sum(), weights),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-9)


def test_in_eval_it_is_d_alone(x):
    net = discriminator()
    D = Augmented(net, Augment(R3GAN, 1.0))
    assert not torch.equal(D(x, Y), net(x, Y))
    assert torch.equal(D.eval()(x, Y), net(x, Y))


def test_it_has_slopes_where_its_net_has(x):
    D = Augmented(nn.Sequential(nn.Flatten(), nn.Linear(288, 1)).double(), DiffAugment(1.0))
    assert not hasattr(D, "slopes") and D(x).shape == (6, 1)
    assert hasattr(Augmented(discriminator(), DiffAugment()), "slopes")


def test_it_remembers_the_net_and_p():
    net = discriminator()
    D = Augmented(net, Augment(R3GAN, 0.4))
    state = D.state_dict()
    assert {*state} == {f"net.{name}" for name in net.state_dict()} | {"T.p"}
    other = Augmented(discriminator(), Augment(R3GAN))
    other.load_state_dict(state)
    assert other.T.p.item() == pytest.approx(0.4)
