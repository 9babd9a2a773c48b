"""Penalties on gradients, at images or at weights, as terms `Round -> (B,)`."""

from __future__ import annotations

import torch
from torch import Tensor

from frenemy.game import Round, Scheduled, Term, Turn, alternating, slopes, value_at


def r1(r: Round) -> Tensor:
    """|grad_x D(x)|^2 / 2 at real images. Mescheder et al. (2018), Which Training Methods for GANs
    do actually Converge?, eq. 9 without its gamma, which is the term's weight.
    """
    return _squared_norm(r.grad_Dx) / 2


def r2(r: Round) -> Tensor:
    """|grad_x D(x)|^2 / 2 at samples x = G(z). Mescheder et al. (2018), eq. 10 without gamma."""
    return _squared_norm(r.grad_DGz) / 2


def lazily(D: Term, G: Term, gamma: Scheduled, every: int = 4) -> tuple[Turn, ...]:
    """The turns of a game whose D is held flat by R1 and R2, but not in every round.

    D and G move on their objectives in each; in rounds 0, `every`, ... D moves on `every` gamma
    (R1 + R2) alone as well. Karras et al. (2020), Analyzing and Improving the Image Quality of
    StyleGAN, section 3.1: lazy regularisation. With `every` 1 it moves on all of them at once.
    """
    if every == 1:
        return alternating({D: 1.0, r1: gamma, r2: gamma}, {G: 1.0})

    def weight(t: int) -> float:
        return every * value_at(t, gamma)

    of_each = weight if callable(gamma) else weight(0)
    return (
        Turn({"D": {D: 1.0}}, joint=True),
        Turn({"D": {r1: of_each, r2: of_each}}, every=every),
        Turn({"G": {G: 1.0}}),
    )


def wgan_gp(r: Round) -> Tensor:
    """(|grad D(x_hat)| - 1)^2 at x_hat uniform on the line from x to G(z).

    Gulrajani et al. (2017), Improved Training of Wasserstein GANs, Algorithm 1; their lambda is the
    term's weight.
    """
    epsilon = torch.rand(len(r.x), *[1] * (r.x.ndim - 1)).to(r.x)
    x_hat = torch.lerp(r.Gz.detach(), r.x.detach(), epsilon)
    _, gradient = slopes(r.D, x_hat, *r.c)
    norm = _squared_norm(gradient).add(1e-12).sqrt()  # sqrt'(0) is infinite
    return (norm - 1).square()


def consensus(D: Term, G: Term) -> Term:
    """|v|^2 / 2, where v holds each player's gradient of its own loss: consensus optimisation.

    Mescheder et al. (2017), The Numerics of GANs, without their gamma, which is the term's weight.
    It belongs into the losses of both players, in a turn that they share.

    Args:
        D: what D minimises.
        G: what G minimises.

    Returns:
        A term, the same for each example of the minibatch. In a turn without G it fails: G's
        gradient is not to be had there.
    """

    def consensus(r: Round) -> Tensor:
        v = [
            g
            for name, term in (("D", D), ("G", G))
            for g in torch.autograd.grad(
                term(r).mean(), list(r.nets[name].parameters()), create_graph=True
            )
        ]
        return torch.stack([g.square().sum() for g in v]).sum().expand(len(r.z)) / 2

    return consensus


def _squared_norm(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(1)  # (B, ...) -> (B,)
