"""Unrolling: G plays against the D that its opponent is about to become.

Metz, Poole, Pfau and Sohl-Dickstein (2017), Unrolled Generative Adversarial Networks.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from frenemy.errors import at_least
from frenemy.game import Round, Term


def unrolled(d: Term, g: Term, *, k: int, rate: float) -> Term:
    """The term g of G against a D that has taken k more steps down its own term d.

    theta_0 = theta_D, theta_{i+1} = theta_i - rate grad f_d(theta_i), and G minimises
    f_g(theta_G, theta_k(theta_D, theta_G)), the gradient of which also runs through the k steps:
    Metz et al. (2017), equations 7 to 10. D itself keeps theta_D. The steps are plain ones down
    the mean of d over the round's own minibatch, whatever optimiser D has. Time and memory grow as
    k + 1.

    Args:
        d: what D minimises in its turns; penalties are not unrolled unless d adds them.
        g: what G would minimise without unrolling; with k = 0, this it is.
        k: steps that D takes ahead.
        rate: of these steps.

    Returns:
        A term for G's turn, which is named as g is.

    Raises:
        FrenemyError: k or rate is negative.

    >>> from frenemy.game import Turn
    >>> from frenemy.objectives import minimax_d, nonsaturating_g
    >>> turn = Turn({"G": {unrolled(minimax_d, nonsaturating_g, k=5, rate=0.1): 1.0}})
    """
    at_least(0, k=k, rate=rate)

    def term(r: Round) -> Tensor:
        theta: dict[str, Tensor] = {
            name: p for name, p in r.nets["D"].named_parameters() if p.requires_grad
        }
        for _ in range(k):
            loss = d(_against(r, theta)).mean()
            gradient = torch.autograd.grad(
                loss, list(theta.values()), create_graph=True, allow_unused=True
            )
            theta = {
                name: p if g is None else p - rate * g
                for (name, p), g in zip(theta.items(), gradient, strict=True)
            }
        return g(_against(r, theta))

    term.__name__ = g.__name__
    return term


class _With(nn.Module):
    """A network with other parameters in the place of its own."""

    def __init__(self, net: nn.Module, theta: dict[str, Tensor]) -> None:
        super().__init__()
        self.net = net
        self.theta = theta

    def forward(self, x: Tensor, *c: Tensor) -> Tensor:
        return functional_call(self.net, self.theta, (x, *c))


def _against(r: Round, theta: dict[str, Tensor]) -> Round:
    """The same x, z and G(z), and a D of those parameters.

    x and G(z) are copies: a penalty's gradient at them must not run through earlier steps' theta.
    """
    other = copy.copy(r)
    for asked in ("Dx", "DGz", "_together", "grad_Dx", "grad_DGz", "_gradients"):
        other.__dict__.pop(asked, None)
    other._casts, other._parts, other._states, other._moved = {}, {}, {}, {}
    other.__dict__["x"] = r.x.detach().clone().requires_grad_()
    other.__dict__["Gz"] = r.Gz.clone()
    other.nets = {**r.nets, "D": _With(r.nets["D"], theta)}
    return other
