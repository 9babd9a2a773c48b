"""Players: a network, its optimiser, and the moving average of its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from frenemy.errors import FrenemyError

OPTIMISER = "optimiser."
"""How the names of an optimiser's state begin, in that of its player."""

Scheduled = float | Callable[[int], float]
"""A number, or one for each round: a term's weight, a half-life, a probability."""

Gradient = Sequence[Tensor | None]
"""Of a player's loss: one tensor for each of its `theta`, None where the loss does not depend."""


def value_at(step: int, scheduled: Scheduled) -> float:
    """The number that it is in round `step`."""
    return scheduled(step) if callable(scheduled) else scheduled


@dataclass(frozen=True)
class HalfLife:
    """Of an average, in images seen: after so many, a weight of the past counts half.

    Karras et al. (2018), Progressive Growing of GANs, give averages so; a minibatch of another size
    then keeps its meaning. With 0 the average is the network itself.

    >>> HalfLife(1000.0).decay(0, images=500) ** 2
    0.5000000000000001
    """

    images: Scheduled

    def __str__(self) -> str:
        if callable(self.images):
            return "with a half-life that follows a schedule"
        return f"with a half-life of {self.images:,.0f} images"

    def decay(self, step: int, images: int) -> float:
        """Of the average in round `step`, on a minibatch of so many images."""
        half_life = value_at(step, self.images)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0


class Player:
    """A network, its optimiser and, if it has one, the moving average of its weights.

    Args:
        net: the network, on the device that it is to play on.
        optimiser: of all its parameters.
        schedule: round number -> settings of the optimiser ("lr", "betas", ...) in that round.
        averaging: the decay of the average in each round, or its `HalfLife`. A decay grows as
            t / (t + 2) up to that number, so that the average begins as the polynomial-decay one of
            Shamir & Zhang (2013), Stochastic Gradient Descent for Non-smooth Optimization, section
            4, with eta = 1.
    """

    def __init__(
        self,
        net: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        schedule: Callable[[int], Mapping[str, object]] | None = None,
        averaging: float | HalfLife | None = None,
    ) -> None:
        self.net = net
        self.optimiser = optimiser
        self.schedule = schedule
        self.averaging = averaging
        self.average = None if averaging is None else copy.deepcopy(net).requires_grad_(False)
        self.theta = [p for group in optimiser.param_groups for p in group["params"]]

    @classmethod
    def fitted(cls, net: nn.Module) -> Self:
        """One that never moves: its network has no parameters, but buffers that are fitted to data
        when its stage begins.
        """
        return cls(net, torch.optim.SGD([{"params": []}]))

    @property
    def best(self) -> nn.Module:
        """The network to sample from: the average where there is one."""
        return self.net if self.average is None else self.average

    def move(self, gradient: Gradient, step: int, images: int) -> None:
        """One optimiser step in round `step`, on a minibatch of so many images."""
        if self.schedule is not None:
            settings = self.schedule(step)
            for group in self.optimiser.param_groups:
                group.update(settings)
        for p, g in zip(self.theta, gradient, strict=True):
            p.grad = None if g is None else _arranged(g, p)
        self.optimiser.step()
        for p in self.theta:
            p.grad = None
        if isinstance(self.averaging, HalfLife):
            self._follow(self.averaging.decay(step, images))
        elif self.averaging is not None:
            self._follow(min(self.averaging, step / (step + 2)))

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        assert self.average is not None
        mine: list[Tensor] = list(self.net.parameters())
        average: list[Tensor] = list(self.average.parameters())
        lerp = torch._foreach_lerp_  # pyright: ignore[reportPrivateImportUsage] (torch exports it so)
        lerp(average, mine, 1 - decay)
        for theirs, buffer in zip(self.average.buffers(), self.net.buffers(), strict=True):
            theirs.copy_(buffer)

    def begin(self) -> None:
        """Starts the average anew, where no step was taken yet: the net was given other weights."""
        if self.average is not None and not self.optimiser.state:
            self._follow(0.0)

    def to(self, device: torch.device) -> None:
        """Moves the networks, whose parameters stay the same objects, and the optimiser's state."""
        self.net.to(device)
        if self.average is not None:
            self.average.to(device)
        self.optimiser.load_state_dict(self.optimiser.state_dict())  # follows the parameters

    def arrange(self) -> None:
        """Puts the optimiser's state in the order in memory of the weights, which has changed."""
        for p, entries in self.optimiser.state.items():
            entries.update({k: _arranged(v, p) for k, v in entries.items() if torch.is_tensor(v)})

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser state and average as named tensors, which share memory.

        Raises:
            FrenemyError: a net keeps something else than tensors, or the optimiser than tensors
                that fit its parameters.
        """
        state = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        if self.average is not None:
            state |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for key, value in state.items():
            if not isinstance(value, Tensor):
                raise FrenemyError(
                    f"{key} is not a tensor: a checkpoint holds nothing else of a net"
                )
        for i, entries in self.optimiser.state_dict()["state"].items():
            for key, value in entries.items():
                if value is None:
                    continue
                if not isinstance(value, Tensor) or not _fits(value, self.theta[i]):
                    raise FrenemyError(
                        f"{type(self.optimiser).__name__} keeps {key} as {type(value).__name__}: a "
                        "checkpoint holds only tensors that broadcast to a parameter"
                    )
                state[f"{OPTIMISER}{i}.{key}"] = value
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` gave.

        Raises:
            ValueError: a name or a shape is not this player's.
        """
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "average": {}, "optimiser": {}}
        for key, value in state.items():
            part, _, name = key.partition(".")
            if part not in parts or (part == "average" and self.average is None):
                raise ValueError(f"{key} is not part of this player")
            parts[part][name] = value
        try:
            self.net.load_state_dict(parts["net"])
            if self.average is not None:
                self.average.load_state_dict(parts["average"])
        except RuntimeError as error:
            raise ValueError(" ".join(str(error).split())) from None
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in parts["optimiser"].items():
            i, _, name = key.partition(".")
            if int(i) >= len(self.theta) or not _fits(value, self.theta[int(i)]):
                raise ValueError(f"optimiser.{key} does not fit this player's parameters")
            entries.setdefault(int(i), {})[name] = value.clone()
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": entries, "param_groups": groups})


def _arranged(value: Tensor, theta: Tensor) -> Tensor:
    """The value in the order in memory of its weights: fused optimisers go through both at once."""
    if value.shape != theta.shape or value.stride() == theta.stride():
        return value
    return torch.empty_like(theta, dtype=value.dtype).copy_(value)


def _fits(value: Tensor, theta: Tensor) -> bool:
    """Whether an optimiser may keep `value` of `theta`: for each weight, each row, or all."""
    sizes = zip(reversed(value.shape), reversed(theta.shape), strict=False)
    return value.ndim <= theta.ndim and all(size in (1, whole) for size, whole in sizes)
