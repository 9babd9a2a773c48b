"""Boltzmann machines of few units, summed over all their states: what is exact of them.

At an inverse temperature beta the energy counts beta times: an `RBM` whose base is 0, as it is
before `begin`, does the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from frenemy.rivals.rbm import RBM


def states(count: int) -> Tensor:
    """All states of so many binary units, float64 (2^count, count), in order as binary numbers.

    >>> states(2).tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=count)), dtype=torch.float64)


def energy(rbm: RBM, v: Tensor, h: Tensor) -> Tensor:
    """E(v, h) of all pairs, (V, H), written out as the module of the RBM has it.

    Args:
        rbm: in float64.
        v: (V, visible).
        h: (H, hidden).
    """
    both = -(v @ rbm.W @ h.T) - (h @ rbm.c)
    if rbm.kind == "binary":
        return both - (v @ rbm.b)[:, None]
    return both + (v - rbm.b).square().sum(1)[:, None] / 2


def joint(rbm: RBM, beta: float = 1.0) -> Tensor:
    """P(v, h) of binary visible units, (2^visible, 2^hidden)."""
    count, hidden = rbm.W.shape
    logs = -beta * energy(rbm, states(count), states(hidden))
    return logs.flatten().softmax(0).view(logs.shape)


def probabilities(rbm: RBM, beta: float = 1.0) -> Tensor:
    """P(v) of binary visible units, (2^visible,)."""
    return joint(rbm, beta).sum(1)


def transitions(rbm: RBM, beta: float = 1.0) -> Tensor:
    """Of a Gibbs step, h given v and v given h: (2^visible, 2^visible), from row to column."""
    v, h = (states(count) for count in rbm.W.shape)

    def given(p: Tensor, s: Tensor) -> Tensor:
        return (p[:, None] * s + (1 - p[:, None]) * (1 - s)).prod(-1)

    return given(rbm.mean_h(v, beta), h) @ given(rbm.mean_v(h, beta), v)


def biases(rbm: RBM, data: Tensor, steps: int) -> list[Tensor]:
    """What the expected gradient of CD-k has beyond that of -log-likelihood: k from 1 to `steps`.

    Of its parameters in order, (W, b, c) flattened. CD-k compares the data with what k steps of the
    chain make of them, the likelihood with the machine's own distribution: Hinton (2002), Training
    Products of Experts by Minimizing Contrastive Divergence.

    Args:
        rbm: with binary visible units.
        data: probabilities of the states of the visible units, (2^visible,).
        steps: the largest k.
    """
    F, T = rbm.free_energy(states(rbm.W.shape[0])), transitions(rbm).detach()
    p, at, found = probabilities(rbm).detach(), data, list[Tensor]()
    for _ in range(steps):
        at = at @ T
        found.append(gradient(rbm, (p - at) @ F))
    return found


def gradient(rbm: RBM, value: Tensor) -> Tensor:
    """Of a number, in all parameters of the machine; the graph is kept."""
    parts = torch.autograd.grad(value, [*rbm.parameters()], retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def correlation_time(T: Tensor, p: Tensor, f: Tensor) -> float:
    """Tau = 1 + 2 sum_k rho_k of f along a chain that is reversible under p: exact.

    (I + T) / (I - T) on what of f is no constant. Sokal (1997), Monte Carlo Methods in Statistical
    Mechanics, section 3.

    Args:
        T: (m, m), from row to column.
        p: stationary, (m,).
        f: of the states, (m,).
    """
    f = f - p @ f
    rest = torch.linalg.solve(torch.eye(len(p)).to(T) - T + p, f + T @ f)  # + p: it has an inverse
    return ((p * f) @ rest / ((p * f) @ f)).item()


def with_link(weights: Tensor, units: Tensor, pair: Sequence[int], strength: float) -> Tensor:
    """P(h | v) if two hidden units were linked: (V, H), from P(h | v) and all h (H, hidden)."""
    linked = weights * (strength * units[:, pair[0]] * units[:, pair[1]]).exp()
    return linked / linked.sum(1, keepdim=True)
