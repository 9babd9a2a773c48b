"""The game of adversarial nets: `Round`, `Turn`, `Player`, `Game`.

`Game.play` is the body of Algorithm 1 of Goodfellow et al. (2014), "Generative Adversarial Nets",
and the only training step in this project.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from frenemy.engine import PLAIN, Engine, seed_everything
from frenemy.errors import FrenemyError, at_least
from frenemy.player import Gradient, HalfLife, Player, Scheduled, value_at
from frenemy.round import Conditions, Draw, Round, Term, between, cut, slopes

__all__ = [
    "Conditions",
    "Draw",
    "Game",
    "Gradient",
    "HalfLife",
    "Minibatch",
    "Observer",
    "Player",
    "Prior",
    "Round",
    "Sampler",
    "Scheduled",
    "Term",
    "Turn",
    "alternating",
    "between",
    "looks_across",
    "mix",
    "simultaneous",
    "slopes",
    "value_at",
]

Observer = Callable[["Round", "Turn", Mapping[str, Gradient]], Mapping[str, Tensor]]
"""Sees a round just before its movers step, with their gradients; what it returns is recorded."""

Minibatch = Callable[[int, int], tuple[Tensor, Tensor | None]]
"""(stream, i) -> x (B, C, H, W) in [-1, 1], and y (B,) or None: minibatch i of that stream."""

Sampler = Callable[[Mapping[str, nn.Module], Tensor, tuple[Tensor, ...]], Tensor]
"""(networks, z, c) -> images (B, C, H, W): how a game's samples are drawn."""


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


@dataclass(frozen=True)
class Turn:
    """Who moves, and on what.

    Attributes:
        moves: for each player that moves, its weighted terms, the objective first. Several players
            of one turn share one round and step at once.
        steps: how many minibatches the turn takes in a row: the k of Algorithm 1.
        every: the turn is played in rounds 0, every, 2 every, ...
        joint: x and G(z) go through D in one pass, which is cheaper and, unless D looks across the
            minibatch, the same. One that does gets them in two passes all the same.
        after: is called without gradients when the movers have stepped, with the round of the whole
            minibatch; it may update buffers of the networks (an adaptive augmentation's p, a fade,
            a running mean), and what it returns is recorded.
    """

    moves: Mapping[str, Mapping[Term, Scheduled]]
    steps: int = 1
    every: int = 1
    joint: bool = False
    after: Callable[[Round], Mapping[str, Tensor]] | None = None

    def __post_init__(self) -> None:
        at_least(1, k=self.steps, every=self.every)


def alternating(
    D: Mapping[Term, Scheduled], G: Mapping[Term, Scheduled], k: int = 1
) -> tuple[Turn, ...]:
    """Algorithm 1: k steps of D on fresh minibatches, then one of G on fresh noise."""
    return Turn({"D": D}, steps=k, joint=True), Turn({"G": G})


def simultaneous(D: Mapping[Term, Scheduled], G: Mapping[Term, Scheduled]) -> tuple[Turn, ...]:
    """As the paper's published code plays: one forward pass serves both, and both step at once."""
    return (Turn({"D": D, "G": G}),)


def looks_across(net: nn.Module) -> bool:
    """Whether what it makes of an image depends on the others of the minibatch.

    It does with batch normalisation, and with any module that says so by `compares = True`.
    """
    return any(isinstance(m, _BatchNorm) or getattr(m, "compares", False) for m in net.modules())


def _from_prior(nets: Mapping[str, nn.Module], z: Tensor, c: tuple[Tensor, ...]) -> Tensor:
    return nets["G"](z, *c)


class Game:
    """The players, their turns in order, the prior of z, and the size of a minibatch.

    Args:
        players: by their names.
        turns: in order; none where all is found when the stage begins.
        prior: of z.
        minibatch: images in it.
        prepare: what the players see of images (B, C, H, W) in [-1, 1]: another contrast, or a
            smaller size while networks grow.
        conditions: what the players are told beside z and x; nothing by default.
        sampler: how samples are drawn; by default G of the prior's noise.
        rows: how many the sampler makes at a time, always, where it draws within itself; by default
            as many as memory allows.
    """

    def __init__(
        self,
        players: Mapping[str, Player],
        turns: Sequence[Turn],
        prior: Prior,
        minibatch: int,
        *,
        prepare: Callable[[Tensor], Tensor] | None = None,
        conditions: Conditions | None = None,
        sampler: Sampler = _from_prior,
        rows: int | None = None,
    ) -> None:
        at_least(1, minibatch=minibatch)
        if wrong := [name for name in players if "." in name or "/" in name]:
            raise FrenemyError(f"player {wrong[0]!r}: checkpoints and logs need . and / themselves")
        for name in (name for turn in turns for name in turn.moves):
            if name not in players:
                raise FrenemyError(f"a turn is {name}'s, but the players are {', '.join(players)}")
        self.players = dict(players)
        self.turns = tuple(turns)
        self.prior = prior
        self.minibatch = minibatch
        self.prepare = prepare
        self.conditions = conditions
        self.sampler = sampler
        self.rows = rows
        self.nets = {name: player.net for name, player in self.players.items()}
        self._apart = any(map(looks_across, self.nets.values()))

    @property
    def device(self) -> torch.device:
        """Where the players' networks are."""
        net = next(iter(self.nets.values()))
        return next(itertools.chain(net.parameters(), net.buffers())).device

    def to(self, device: torch.device) -> Game:
        """Moves every player's network, average and optimiser state."""
        for player in self.players.values():
            player.to(device)
        return self

    def see(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] as the players see them."""
        return x if self.prepare is None else self.prepare(x)

    def play(
        self,
        minibatch: Minibatch,
        *,
        seed: int,
        step: int,
        observe: Observer | None = None,
        engine: Engine = PLAIN,
    ) -> dict[str, Tensor]:
        """Round number `step` of the game: Algorithm 1, for whatever turns this game has.

        All that is drawn here comes from torch's global generator, seeded for each minibatch with
        (seed, step, turn, minibatch of the turn), so a round is a function of its arguments and the
        players' states. Turn number t reads stream t of the data, so that every player meets fresh
        images and each stream passes over every image once an epoch.

        An engine that shares the minibatch, by parts or with other processes, slices z and x, and
        the gradient is that of the whole; only what networks and terms draw within themselves, and
        what networks see across a minibatch, is each part's own. Terms have `Round.whole`.

        Returns:
            The mean of every term, as "player/term", of D's beliefs, and what `observe` and
            `Turn.after` returned; all 0-dimensional, and of the last minibatch where there are
            several.
        """
        record: dict[str, Tensor] = {}
        for t, turn in enumerate(self.turns):
            if step % turn.every:
                continue
            for j in range(turn.steps):
                i = step // turn.every * turn.steps + j
                draw = functools.partial(minibatch, t, i)
                record |= self._minibatch(turn, draw, (seed, step, t, j), observe, engine)
        return record

    def round(
        self,
        turn: Turn,
        z: Tensor,
        draw: Draw,
        step: int = 0,
        engine: Engine = PLAIN,
        whole: Callable[[], Round] | None = None,
    ) -> Round:
        """One minibatch of a turn, or a part of it, of which nothing is computed yet."""
        return Round(
            self.nets,
            z,
            draw,
            tuple(turn.moves),
            turn.joint and not self._apart,
            step=step,
            prepare=self.prepare,
            conditions=self.conditions,
            engine=engine,
            whole=whole,
        )

    def _minibatch(
        self,
        turn: Turn,
        draw: Draw,
        seeds: tuple[int, int, int, int],
        observe: Observer | None,
        engine: Engine,
    ) -> dict[str, Tensor]:
        step, share, device = seeds[1], engine.share, self.device
        seed_everything(mix(*seeds), device)
        z = self.prior(self.minibatch).to(device)
        draw = functools.cache(draw)

        @functools.cache
        def whole() -> Round:
            return self.round(turn, z, draw, step, engine)

        def part(rows: slice) -> Round:
            return self.round(turn, z[rows], lambda: cut(draw(), rows), step, engine, whole)

        gradients: dict[str, Gradient] = {}
        records: list[dict[str, Tensor]] = []
        kept: list[Mapping[str, Tensor]] = []
        r: Round | None = None
        for number, rows in share.slices(self.minibatch):
            if number:
                seed_everything(mix(*seeds, number), device)
            r = whole() if share.count == 1 else part(rows)
            means, found = self._gradients(turn, r, step, watched=observe is not None)
            records.append(means | r.beliefs())
            kept.append(r.kept() if share.count > 1 else {})
            gradients = {name: _sum(gradients.get(name), g) for name, g in found.items()}
        assert r is not None  # there is one part at least
        gradients = {name: share.average(gradient) for name, gradient in gradients.items()}
        if observe is not None:
            observed = {k: v.to(device) for k, v in observe(r, turn, gradients).items()}
            records = [{**record, **observed} for record in records]
        record = share.mean(records)
        for name, gradient in gradients.items():
            self.players[name].move(gradient, step, self.minibatch)
        if turn.after is not None:
            r = whole().recall(share.gather(kept))
            seed_everything(mix(*seeds, share.count), device)  # alike in every process
            with torch.no_grad():
                record |= turn.after(r)
        return record

    def _gradients(
        self, turn: Turn, r: Round, step: int, watched: bool
    ) -> tuple[dict[str, Tensor], dict[str, Gradient]]:
        """The means of the movers' terms, and the gradients of their losses."""
        record: dict[str, Tensor] = {}
        gradients: dict[str, Gradient] = {}
        last = len(turn.moves) - 1
        own_slopes = hasattr(self.nets.get("D"), "slopes")
        for n, (name, terms) in enumerate(turn.moves.items()):
            # penalties come last: by D's own slopes they find the logits for those before them
            order = [*terms][::-1] if own_slopes else [*terms]
            of_each = {term: term(r).mean() for term in order}
            means = {term: of_each[term] for term in terms}
            losses = [value_at(step, terms[term]) * mean for term, mean in means.items()]
            theta = self.players[name].theta
            at = [r.DGz] if watched and "DGz" in r.__dict__ else []
            found = torch.autograd.grad(
                sum(losses[1:], losses[0]),
                [*theta, *at],
                retain_graph=n < last,
                allow_unused=True,  # a penalty does not depend on D's last bias
            )
            gradients[name] = found[: len(theta)]
            if at and (signal := found[-1]) is not None:
                r.signals[name] = signal
            record |= {f"{name}/{term.__name__}": mean.detach() for term, mean in means.items()}
        return record, gradients


def _sum(a: Gradient | None, b: Gradient) -> Gradient:
    if a is None:
        return b
    return [q if p is None else p if q is None else p + q for p, q in zip(a, b, strict=True)]


def mix(*numbers: int) -> int:
    """A 63-bit seed that depends on every one of the (non-negative) numbers and their order."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
