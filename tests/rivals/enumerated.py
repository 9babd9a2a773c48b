"""Boltzmann machines that are small enough to sum over all their states."""

import torch

from frenemy.game import Round
from frenemy.rivals.rbm import RBM


def machine(visible=4, hidden=3, kind="binary", *, scale=1.0, seed=0, **more):
    torch.manual_seed(seed)
    return scaled(RBM((1, 1, visible), hidden, kind, **more).double(), scale)


def scaled(net, scale):
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(scale * torch.randn_like(p))
    return net


def given(p, s):
    """Of states s (S, n), where units are independent with probabilities p (P, n): (P, S)."""
    return (p[:, None] * s + (1 - p[:, None]) * (1 - s)).prod(-1)


def round_of(name, net, v, **more):
    x = (2 * v - 1).unflatten(1, (1, 1, -1))
    return Round({name: net}, torch.zeros(len(x), 1), lambda: (x, None), (name,), **more)


def chi_square(v, p):
    """Of binary draws v (N, n) against the probabilities of all states, (2^n,)."""
    places = 2 ** torch.arange(v.shape[1] - 1, -1, -1, dtype=torch.float64)
    counts = torch.bincount((v @ places).long(), minlength=len(p))
    expected = len(v) * p
    return ((counts - expected).square() / expected).sum().item()
