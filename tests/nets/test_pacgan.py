"""Packing: which samples share a logit, and whose gradients they are."""

import pytest
import torch

from frenemy.errors import FrenemyError
from frenemy.game import Game, Player, Prior, Round, alternating
from frenemy.nets.mlp import critic
from frenemy.nets.pacgan import Packed
from frenemy.objectives import minimax_d, nonsaturating_g, pairing_d
from frenemy.penalties import r1


def net(m, C=3):
    torch.manual_seed(m)
    return critic(m * C, 16)


@pytest.mark.parametrize("m", [1, 2, 4])
def test_a_pack_is_m_samples_that_follow_each_other(m):
    D, x = net(m), torch.randn(12, 3)
    expected = [D(torch.cat(list(x[i : i + m]))[None]) for i in range(0, 12, m)]
    assert torch.allclose(Packed(D, m)(x), torch.cat(expected), rtol=0, atol=1e-6)  # float32


def test_images_are_packed_as_channels():
    x = torch.randn(6, 3, 4, 5)
    packs = Packed(torch.nn.Identity(), 2)(x)
    assert packs.shape == (3, 6, 4, 5)
    assert torch.equal(packs[1, :3], x[2])
    assert torch.equal(packs[1, 3:], x[3])


def test_one_sample_a_pack_is_the_network_itself():
    D, x = net(1), torch.randn(7, 3)
    assert torch.equal(Packed(D, 1)(x), D(x))


def test_every_sample_of_a_pack_gets_a_gradient():
    x = torch.randn(8, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(Packed(net(4), 4)(x).sum(), x)
    assert (gradient.abs().sum(1) > 0).all()


def test_joint_and_separate_passes_agree_as_packs_never_mix_real_and_generated():
    D, x, z = Packed(net(4), 4), torch.randn(8, 3), torch.randn(8, 3)
    nets = {"G": torch.nn.Identity(), "D": D}
    for term in (pairing_d, r1):
        joint, apart = (
            term(Round(nets, z, lambda: (x, None), ("D",), joint)) for joint in (True, False)
        )
        assert torch.allclose(joint, apart, rtol=1e-5)  # two orders of summation in float32


def test_a_joint_turn_never_mixes_real_and_generated_in_a_pack():
    """Of 6 + 6 images three packs of 4 could be made."""
    nets = {"G": torch.nn.Linear(3, 3), "D": Packed(net(4), 4)}
    players = {k: Player(n, torch.optim.SGD(n.parameters(), 0.1)) for k, n in nets.items()}
    game = Game(
        players, alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0}), Prior("gaussian", 3), 6
    )
    with pytest.raises(FrenemyError, match="a minibatch of 6 cannot be cut into packs of 4"):
        game.play(lambda stream, i: (torch.randn(6, 3), None), seed=0, step=0)


def test_a_minibatch_that_does_not_divide_is_refused():
    with pytest.raises(FrenemyError, match="a minibatch of 10 cannot be cut into packs of 4"):
        Packed(net(4), 4)(torch.randn(10, 3))
    with pytest.raises(FrenemyError, match="m is 0"):
        Packed(net(1), 0)
