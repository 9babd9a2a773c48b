"""The game of adversarial nets: `Round`, `Turn`, `Player`, `Game`.

`Game.play` is the body of Algorithm 1 of Goodfellow et al. (2014), "Generative Adversarial Nets",
and the only training step in this project.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from frenemy.errors import FrenemyError, at_least

OPTIMISER = "optimiser."
"""How the names of an optimiser's state begin, in that of its player."""

Term = Callable[["Round"], Tensor]
"""A plain function of a round: (B,) values, unreduced, for a player to minimise."""

Weight = float | Callable[[int], float]
"""Of a term in a player's loss: a number, or one for each round."""

Gradient = Sequence[Tensor | None]
"""Of a player's loss: one tensor for each of its `theta`, None where the loss does not depend."""

Observer = Callable[["Round", "Turn", Mapping[str, Gradient]], Mapping[str, Tensor]]
"""Sees a round just before its movers step, with their gradients; what it returns is recorded."""

Minibatch = Callable[[int, int], tuple[Tensor, Tensor | None]]
"""(stream, i) -> x (B, C, H, W) in [-1, 1], and y (B,) or None: minibatch i of that stream."""


@dataclass(frozen=True)
class Prior:
    """p_z: `size` independent noise variables of zero mean and unit variance.

    >>> Prior("uniform", 100)(64).shape
    torch.Size([64, 100])
    """

    kind: Literal["gaussian", "uniform"]
    size: int

    def __call__(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """z, (count, size); uniform noise lies in [-sqrt 3, sqrt 3]."""
        if self.kind == "gaussian":
            return torch.randn(count, self.size, generator=generator)
        edge = math.sqrt(3)
        return torch.empty(count, self.size).uniform_(-edge, edge, generator=generator)


class Round:
    """One minibatch of the game, in the paper's letters.

    What a term asks for is computed once: x and y are drawn, and G and D run, on first use.

    Attributes:
        x: images, (B, C, H, W) in [-1, 1]; y: their labels, (B,), or None.
        z: noise, (B, size).
        Gz: G(z), (B, C, H, W).
        Dx, DGz: D(x) and D(G(z)) as logits, (B,).
        grad_Dx, grad_DGz: their gradients at x and at G(z), shaped as these and differentiable.
        slopes: of each player that moves, d loss / d D(G(z)), (B,); only in a round that is
            observed, and only where its loss depends on D(G(z)).
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        z: Tensor,
        minibatch: Callable[[], tuple[Tensor, Tensor | None]],
        learners: Sequence[str],
        joint: bool = False,
    ) -> None:
        self.nets = nets
        self.z = z
        self._minibatch = minibatch
        self._learners = learners
        self._joint = joint
        self.slopes: dict[str, Tensor] = {}

    @property
    def G(self) -> nn.Module:
        return self.nets["G"]

    @property
    def D(self) -> nn.Module:
        return self.nets["D"]

    @cached_property
    def _xy(self) -> tuple[Tensor, Tensor | None]:
        x, y = self._minibatch()
        return x.detach().requires_grad_(), y  # penalties differentiate D at x

    @property
    def x(self) -> Tensor:
        return self._xy[0]

    @property
    def y(self) -> Tensor | None:
        return self._xy[1]

    @cached_property
    def Gz(self) -> Tensor:
        if "G" in self._learners:
            return self.G(self.z)
        with torch.no_grad():
            Gz = self.G(self.z)
        return Gz.requires_grad_()

    @cached_property
    def _together(self) -> tuple[Tensor, ...]:
        return self.D(torch.cat([self.x, self.Gz])).chunk(2)

    @cached_property
    def Dx(self) -> Tensor:
        return self._together[0] if self._joint else self.D(self.x)

    @cached_property
    def DGz(self) -> Tensor:
        return self._together[1] if self._joint else self.D(self.Gz)

    @cached_property
    def _gradients(self) -> tuple[Tensor, ...]:
        """Of both in one pass: D(x_i) depends on x_i alone, and D(G(z_i)) on G(z_i)."""
        return torch.autograd.grad(
            [self.Dx.sum(), self.DGz.sum()], [self.x, self.Gz], create_graph=True
        )

    @cached_property
    def grad_Dx(self) -> Tensor:
        return self._gradients[0] if self._joint else gradient(self.Dx, self.x)

    @cached_property
    def grad_DGz(self) -> Tensor:
        return self._gradients[1] if self._joint else gradient(self.DGz, self.Gz)

    def beliefs(self) -> dict[str, Tensor]:
        """The means of sigmoid(Dx) and sigmoid(DGz), of those that some term asked for."""
        logits = {"D(x)": self.__dict__.get("Dx"), "D(G(z))": self.__dict__.get("DGz")}
        return {k: v.detach().sigmoid().mean() for k, v in logits.items() if v is not None}


@dataclass(frozen=True)
class Turn:
    """Who moves, and on what.

    Attributes:
        moves: for each player that moves, its weighted terms. Several players of one turn share
            one round and step at once.
        steps: how many minibatches the turn takes in a row: the k of Algorithm 1.
        every: the turn is played in rounds 0, every, 2 every, ...
        joint: x and G(z) go through D in one pass, which is cheaper and, unless D normalises over
            a minibatch, the same. A D that says `compares` (its images with each other) gets them
            in two passes all the same.
    """

    moves: Mapping[str, Mapping[Term, Weight]]
    steps: int = 1
    every: int = 1
    joint: bool = False

    def __post_init__(self) -> None:
        at_least(1, k=self.steps, every=self.every)


def alternating(D: Mapping[Term, Weight], G: Mapping[Term, Weight], k: int = 1) -> tuple[Turn, ...]:
    """Algorithm 1: k steps of D on fresh minibatches, then one of G on fresh noise."""
    return Turn({"D": D}, steps=k, joint=True), Turn({"G": G})


def simultaneous(D: Mapping[Term, Weight], G: Mapping[Term, Weight]) -> tuple[Turn, ...]:
    """As the paper's published code plays: one forward pass serves both, and both step at once."""
    return (Turn({"D": D, "G": G}),)


class Player:
    """A network, its optimiser and, if it has one, the moving average of its weights.

    Args:
        net: the network, on the device that it is to play on.
        optimiser: of all its parameters.
        schedule: round number -> settings of the optimiser ("lr", "momentum", ...) in that round.
        averaging: decay of the average in each round; it grows as t / (t + 2) up to that, so that
            the average begins as the polynomial-decay one of Shamir & Zhang (2013), Stochastic
            Gradient Descent for Non-smooth Optimization, section 4, with eta = 1.
    """

    def __init__(
        self,
        net: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        schedule: Callable[[int], Mapping[str, float]] | None = None,
        averaging: float | None = None,
    ) -> None:
        self.net = net
        self.optimiser = optimiser
        self.schedule = schedule
        self.averaging = averaging
        self.average = None if averaging is None else copy.deepcopy(net).requires_grad_(False)
        self.theta = [p for group in optimiser.param_groups for p in group["params"]]

    @property
    def best(self) -> nn.Module:
        """The network to sample from: the average where there is one."""
        return self.net if self.average is None else self.average

    def move(self, gradient: Gradient, step: int) -> None:
        """One optimiser step in round `step`."""
        if self.schedule is not None:
            settings = self.schedule(step)
            for group in self.optimiser.param_groups:
                group.update(settings)
        for p, g in zip(self.theta, gradient, strict=True):
            p.grad = g
        self.optimiser.step()
        for p in self.theta:
            p.grad = None
        if self.average is not None and self.averaging is not None:
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

    def to(self, device: torch.device) -> None:
        """Moves the networks, whose parameters stay the same objects, and the optimiser's state."""
        self.net.to(device)
        if self.average is not None:
            self.average.to(device)
        self.optimiser.load_state_dict(self.optimiser.state_dict())  # follows the parameters

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
                raise FrenemyError(f"{key} is no tensor: a checkpoint holds nothing else of a net")
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
                raise ValueError(f"{key} is no part of this player")
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


class Game:
    """The players, their turns in order, the prior of z, and the size of a minibatch."""

    def __init__(
        self,
        players: Mapping[str, Player],
        turns: Sequence[Turn],
        prior: Prior,
        minibatch: int,
    ) -> None:
        at_least(1, minibatch=minibatch)
        for name in (name for turn in turns for name in turn.moves):
            if name not in players:
                raise FrenemyError(f"a turn is {name}'s, but the players are {', '.join(players)}")
        self.players = dict(players)
        self.turns = tuple(turns)
        self.prior = prior
        self.minibatch = minibatch
        self.nets = {name: player.net for name, player in self.players.items()}
        modules = (module for net in self.nets.values() for module in net.modules())
        self._apart = any(getattr(module, "compares", False) for module in modules)

    @property
    def device(self) -> torch.device:
        """Where the players' weights are."""
        return next(iter(self.players.values())).theta[0].device

    def to(self, device: torch.device) -> Game:
        """Moves every player's network, average and optimiser state."""
        for player in self.players.values():
            player.to(device)
        return self

    def play(
        self, minibatch: Minibatch, *, seed: int, step: int, observe: Observer | None = None
    ) -> dict[str, Tensor]:
        """Round number `step` of the game: Algorithm 1, for whatever turns this game has.

        All that is drawn here comes from torch's global generator, seeded for each minibatch with
        (seed, step, turn, minibatch of the turn), so a round is a function of its arguments and the
        players' states. Turn number t reads stream t of the data, so that every player meets fresh
        images and each stream passes over every image once an epoch.

        Returns:
            The mean of every term, as "player/term", of D's beliefs, and what `observe` returned;
            all 0-dimensional, and of the last minibatch where there are several.
        """
        record: dict[str, Tensor] = {}
        for t, turn in enumerate(self.turns):
            if step % turn.every:
                continue
            for j in range(turn.steps):
                _seed(mix(seed, step, t, j), self.device)
                i = step // turn.every * turn.steps + j
                r = Round(
                    self.nets,
                    self.prior(self.minibatch).to(self.device),
                    lambda t=t, i=i: minibatch(t, i),
                    tuple(turn.moves),
                    turn.joint and not self._apart,
                )
                record |= self._move(turn, r, step, observe)
        return record

    def _move(self, turn: Turn, r: Round, step: int, observe: Observer | None) -> dict[str, Tensor]:
        record: dict[str, Tensor] = {}
        gradients: dict[str, Gradient] = {}
        last = len(turn.moves) - 1
        for n, (name, terms) in enumerate(turn.moves.items()):
            means = {term: term(r).mean() for term in terms}
            losses = [weight_at(step, terms[term]) * mean for term, mean in means.items()]
            theta = self.players[name].theta
            watched = [r.DGz] if observe is not None and "DGz" in r.__dict__ else []
            found = torch.autograd.grad(
                sum(losses[1:], losses[0]),
                [*theta, *watched],
                retain_graph=n < last,
                allow_unused=True,  # a penalty does not depend on D's last bias
            )
            gradients[name] = found[: len(theta)]
            if watched and (slope := found[-1]) is not None:
                r.slopes[name] = slope
            record |= {f"{name}/{term.__name__}": mean.detach() for term, mean in means.items()}
        if observe is not None:
            record |= observe(r, turn, gradients)
        for name, gradient in gradients.items():
            self.players[name].move(gradient, step)
        return record | r.beliefs()


def gradient(logits: Tensor, x: Tensor) -> Tensor:
    """Of D at x, (B, ...), itself differentiable, where each logit depends on its own x alone."""
    return torch.autograd.grad(logits.sum(), x, create_graph=True)[0]


def _fits(value: Tensor, theta: Tensor) -> bool:
    """Whether an optimiser may keep `value` of `theta`: for each weight, each row, or all."""
    sizes = zip(reversed(value.shape), reversed(theta.shape), strict=False)
    return value.ndim <= theta.ndim and all(size in (1, whole) for size, whole in sizes)


def _seed(seed: int, device: torch.device) -> None:
    """Seeds the processor's global generator and that of the device.

    `torch.manual_seed` would seed every kind of device, and where one is not in use yet, it keeps
    a note of each call, with its stack, for ever.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(seed)


def weight_at(step: int, weight: Weight) -> float:
    """The number that a weight is in round `step`."""
    return weight(step) if callable(weight) else weight


def mix(*numbers: int) -> int:
    """A 63-bit seed that depends on every one of the (non-negative) numbers and their order."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
