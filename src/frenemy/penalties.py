"""Penalties on gradients, at images or at weights, as terms `Round -> (B,)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from frenemy.errors import above_zero, at_most
from frenemy.game import Round, Scheduled, Term, Turn, alternating, value_at
from frenemy.names import known


def r1(r: Round) -> Tensor:
    """|grad_x D(x)|^2 / 2 at real images. Mescheder et al. (2018), Which Training Methods for GANs
    do actually Converge?, eq. 9 without its gamma, which is the term's weight.
    """
    return _squared_norm(r.grad_Dx) / 2


def r2(r: Round) -> Tensor:
    """|grad_x D(x)|^2 / 2 at samples x = G(z). Mescheder et al. (2018), eq. 10 without gamma."""
    return _squared_norm(r.grad_DGz) / 2


def differences(epsilon: float = 0.01) -> tuple[Term, Term]:
    """aR1 and aR2: R1 and R2 of one more pass of D each, without its second derivative.

    (D(x + epsilon n) - D(x))^2 / (2 epsilon^2) with n ~ N(0, I), at real images and at samples: in
    the mean over n |grad_x D(x)|^2 / 2 + O(epsilon^2). Lin et al. (2025), Diffusion Adversarial
    Post-Training for One-Step Video Generation, eq. 9, whose lambda is gamma / (2 epsilon^2).

    Raises:
        FrenemyError: epsilon is not above 0.
    """
    above_zero(epsilon=epsilon)

    def ar1(r: Round) -> Tensor:
        return _squared_sum(r.moved("Dx", epsilon) - r.Dx) / (2 * epsilon**2)

    def ar2(r: Round) -> Tensor:
        return _squared_sum(r.moved("DGz", epsilon) - r.DGz) / (2 * epsilon**2)

    return ar1, ar2


def on_share(term: Term, share: float) -> Term:
    """The term of the first examples of a minibatch of B alone: (n,), n = share B, at least 1.

    Its mean over them is expected to be that over all, so that its weight stays what it is.

    Raises:
        FrenemyError: the share is not above 0 and at most 1.
    """
    above_zero(penalty_share=share)
    at_most(1, penalty_share=share)
    if share == 1:
        return term

    def on_first(r: Round) -> Tensor:
        return term(r.first(max(1, round(share * len(r.z)))))

    on_first.__name__ = term.__name__
    return on_first


PenaltyName = Literal["exact", "differences"]

PENALTIES: dict[PenaltyName, tuple[Term, Term]] = {"exact": (r1, r2), "differences": differences()}


def penalties_named(name: PenaltyName, share: float = 1.0) -> tuple[Term, Term]:
    """R1 and R2, as that name says, on that share of every minibatch.

    Raises:
        FrenemyError: no penalties are called so, or the share is not above 0 and at most 1.
    """
    known(name, list(PENALTIES), "penalty")
    at_x, at_Gz = PENALTIES[name]
    return on_share(at_x, share), on_share(at_Gz, share)


def lazily(
    D: Mapping[Term, Scheduled],
    G: Mapping[Term, Scheduled],
    gamma: Scheduled,
    every: int = 4,
    penalties: tuple[Term, Term] = (r1, r2),
) -> tuple[Turn, ...]:
    """The turns of a game whose D is held flat by R1 and R2, but not in every round.

    D and G move on their weighted terms in each; in rounds 0, `every`, ... D moves on `every` gamma
    (R1 + R2) alone as well. Karras et al. (2020), Analyzing and Improving the Image Quality of
    StyleGAN, section 3.1: lazy regularisation. With `every` 1 it moves on all of them at once.
    """
    if every == 1:
        return alternating({**D, **dict.fromkeys(penalties, gamma)}, G)

    def weight(t: int) -> float:
        return every * value_at(t, gamma)

    of_each = weight if callable(gamma) else weight(0)
    return (
        Turn({"D": D}, joint=True),
        Turn({"D": dict.fromkeys(penalties, of_each)}, every=every, joint=True),
        Turn({"G": G}),
    )


def wgan_gp(r: Round) -> Tensor:
    """(|grad D(x_hat)| - 1)^2 at x_hat uniform on the line from x to G(z).

    Gulrajani et al. (2017), Improved Training of Wasserstein GANs, Algorithm 1; their lambda is the
    term's weight.
    """
    epsilon = torch.rand(len(r.x), *[1] * (r.x.ndim - 1)).to(r.x)
    x_hat = torch.lerp(r.Gz.detach(), r.x.detach(), epsilon)
    _, gradient = r.slopes(x_hat, *r.c)
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


def _squared_sum(logits: Tensor) -> Tensor:
    """Of the patches of each image: gradients are those of the sum, too."""
    return logits.reshape(len(logits), -1).sum(1).square()  # (B, ...) -> (B,)
