"""Optimisers for games, where plain gradient steps of all players together turn in circles.

Write w for all weights and g(w) for each player's gradient of its own loss. A zero-sum game makes g
rotate, so that w - h g(w) moves away from an equilibrium that both players want to reach. What
these optimisers do about it they do for each player alone: give every player of a turn the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from frenemy.errors import at_least


class _Stepwise(torch.optim.Optimizer, ABC):
    """Moves one parameter at a time; its whole state is tensors, one dictionary a parameter."""

    def __init__(self, params: Iterable[Tensor], defaults: dict[str, float]) -> None:
        at_least(0, **defaults)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] (torch declares two overloads)
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """One step on the gradients in `.grad`; without one, a parameter stays where it is."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, p.grad, self.state[p], group)
        return loss

    @abstractmethod
    def _move(
        self, p: Tensor, g: Tensor, state: dict[str, Tensor], group: dict[str, float]
    ) -> None:
        """Moves p in place on its gradient g."""


class ProximalPoint(_Stepwise):
    """The proximal point method, w' = w - h g(w'), by a few steps towards that w'.

    From the anchor a, where the weights stand, each of `inner` steps sets w = a - h g(w); then the
    anchor moves to w.

    - inner = 1 is the gradient step.
    - inner = 2 is the extragradient: a - h g(a - h g(a)). Korpelevich (1976), The extragradient
      method for finding saddle points and other problems.
    - inner -> infinity is the proximal point, if the steps converge: they do for h L < 1, where L
      is g's Lipschitz constant. Rockafellar (1976), Monotone Operators and the Proximal Point
      Algorithm.

    One optimiser step, and so one `Turn` of its player, is one inner step: `inner` rounds, each on
    a minibatch of its own, make a step of the method. It is meant for games in which every player
    moves once a round.

    Args:
        params: to move.
        lr: h, >= 0.
        inner: >= 1.

    Raises:
        FrenemyError: an argument is out of its range.

    >>> w = torch.ones(1, requires_grad=True)
    >>> extragradient = ProximalPoint([w], lr=0.5)
    >>> for _ in range(2):  # on w^2 / 2, whose gradient is w: 1 - h (1 - h)
    ...     w.grad = w.detach().clone()
    ...     extragradient.step()
    >>> w.item()
    0.75
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, inner: int = 2) -> None:
        at_least(1, inner=inner)
        super().__init__(params, {"lr": lr, "inner": inner})

    def _move(
        self, p: Tensor, g: Tensor, state: dict[str, Tensor], group: dict[str, float]
    ) -> None:
        if not state:
            state["anchor"] = p.clone()
            # "step" is the one name that torch leaves on the CPU and in its type when it loads
            state["step"] = torch.tensor(0)
        p.copy_(state["anchor"]).sub_(g, alpha=group["lr"])
        state["step"] += 1
        if state["step"] >= group["inner"]:
            state.clear()  # between two steps of the method there is nothing to remember


class Optimistic(_Stepwise):
    """Optimistic gradient steps: w' = w - 2h g_t + h g_(t-1), with g_(-1) = g_0.

    It expects the next gradient to be 2 g_t - g_(t-1), and so comes close to the proximal point at
    one gradient a step. Daskalakis et al. (2018), Training GANs with Optimism.

    Args:
        params: to move.
        lr: h, >= 0.

    Raises:
        FrenemyError: `lr` is negative.

    >>> w = torch.ones(1, requires_grad=True)
    >>> optimistic = Optimistic([w], lr=0.25)
    >>> for _ in range(2):  # on w^2 / 2: 1 -> 3/4 -> 3/4 - 2/4 * 3/4 + 1/4
    ...     w.grad = w.detach().clone()
    ...     optimistic.step()
    >>> w.item()
    0.625
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    def _move(
        self, p: Tensor, g: Tensor, state: dict[str, Tensor], group: dict[str, float]
    ) -> None:
        before = state.setdefault("previous", g.clone())
        p.sub_(g, alpha=2 * group["lr"]).add_(before, alpha=group["lr"])
        before.copy_(g)
