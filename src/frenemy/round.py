"""A round: one minibatch of the game, from which terms are computed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from frenemy.engine import PLAIN, Engine

Term = Callable[["Round"], Tensor]
"""A plain function of a round: (B,) values, unreduced, for a player to minimise."""

Draw = Callable[[], tuple[Tensor, Tensor | None]]
"""Draws a minibatch: x (B, C, H, W) in [-1, 1], and its labels y (B,) or None."""

Conditions = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]
"""(x, y) of a minibatch as drawn -> what the players are told beside z and x, each (B, ...)."""

View = Callable[["Round"], tuple[Tensor, tuple[Tensor, ...]]]
"""Round -> its x and c as another pair of players sees them."""

Pass = Literal["Dx", "DGz", "both"]
"""Of D, at x, at G(z), or at both at once."""

NOTE = "note "


class Round:
    """One minibatch of the game, in the paper's letters.

    What a term asks for is computed once: x and y are drawn, and G and D run, on first use.

    Args:
        nets: the players' networks, by their names.
        z: noise, (B, size).
        draw: draws x and y.
        learners: who moves; how G(z) was made is remembered only where G does.
        joint: x and G(z) go through D in one pass.
        step: the number of the round.
        prepare, conditions: of the game.
        engine: runs the networks.
        whole: makes the round of which this one is a part.

    Attributes:
        x: images, (B, C, H, W) in [-1, 1], as the game prepares them; y: their labels, (B,), or
            None; c: the conditions, a tuple.
        Gz: G(z, *c), (B, C, H, W).
        Dx, DGz: D(x, *c) and D(G(z, *c), *c) as logits, (B,), or (B, ...) of patches.
        grad_Dx, grad_DGz: their gradients at x and at G(z), shaped as these and differentiable.
        notes: what terms leave for `Turn.after`, by name, each (B, ...).
        signals: of each player that moves, d loss / d D(G(z)), (B,); only in a round that is
            observed, and only where its loss depends on D(G(z)).
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        z: Tensor,
        draw: Draw,
        learners: Sequence[str],
        joint: bool = False,
        *,
        step: int = 0,
        prepare: Callable[[Tensor], Tensor] | None = None,
        conditions: Conditions | None = None,
        engine: Engine = PLAIN,
        whole: Callable[[], Round] | None = None,
    ) -> None:
        self.nets = nets
        self.z = z
        self.step = step
        self.notes: dict[str, Tensor] = {}
        self.signals: dict[str, Tensor] = {}
        self._draw = draw
        self._learners = learners
        self._joint = joint
        self._prepare = prepare
        self._conditions = conditions
        self._engine = engine
        self._whole = whole
        self._casts: dict[tuple[str, str, View | None], Round] = {}
        self._parts: dict[int, Round] = {}
        self._states: dict[Pass, list[Tensor]] = {}
        self._moved: dict[tuple[Pass, float], Tensor] = {}

    def run(self, net: nn.Module, *inputs: Tensor) -> Tensor:
        """What a network, or a part of one, makes of its inputs, as the engine runs it."""
        return self._engine.run(net, *inputs)

    def net(self, name: str) -> Callable[..., Tensor]:
        """The network of that name, as the engine runs it."""
        return functools.partial(self.run, self.nets[name])

    def arithmetic(self) -> AbstractContextManager[None]:
        """The engine's, for what a term does with weights by itself: see `Engine.arithmetic`."""
        return self._engine.arithmetic(self.z.device)

    @property
    def whole(self) -> Round:
        """The round of the whole minibatch, whose images and samples are not to be differentiated.

        Itself where that is not cut into parts: for terms that compare examples with each other.
        """
        return self if self._whole is None else self._whole()

    @property
    def G(self) -> Callable[..., Tensor]:
        return self.net("G")

    @property
    def D(self) -> Callable[..., Tensor]:
        return self.net("D")

    def slopes(self, x: Tensor, *c: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits at x, (B, ...), and their gradient at x, itself differentiable.

        By D's own method `slopes`, where it has one, which is faster.
        """
        own = getattr(self.nets["D"], "slopes", None)
        return slopes(self.D, x, *c) if own is None else self._engine.slopes(own, x, *c)

    @cached_property
    def _drawn(self) -> tuple[Tensor, Tensor | None]:
        return self._draw()

    @cached_property
    def x(self) -> Tensor:
        x, _ = self._drawn
        x = x if self._prepare is None else self._prepare(x)
        return x.detach().requires_grad_()  # penalties differentiate D at x

    @property
    def y(self) -> Tensor | None:
        return self._drawn[1]

    @cached_property
    def c(self) -> tuple[Tensor, ...]:
        return () if self._conditions is None else self._conditions(*self._drawn)

    @cached_property
    def Gz(self) -> Tensor:
        if "G" in self._learners:
            return self.G(self.z, *self.c)
        with torch.no_grad():
            Gz = self.G(self.z, *self.c)
        return Gz.requires_grad_()

    def _inputs(self, of: Pass) -> tuple[Tensor, ...]:
        """What D is given in that pass: images, and the conditions."""
        if of == "both":
            return torch.cat([self.x, self.Gz]), *(torch.cat([c, c]) for c in self.c)
        return self.x if of == "Dx" else self.Gz, *self.c

    def _begin(self, of: Pass) -> tuple[Tensor, ...]:
        """These, at the beginning of the pass: D may draw, and may have to draw the same again."""
        inputs = self._inputs(of)
        self._states[of] = _generators(self.z.device)
        return inputs

    @cached_property
    def _together(self) -> tuple[Tensor, ...]:
        return self.D(*self._begin("both")).chunk(2)

    @cached_property
    def Dx(self) -> Tensor:
        return self._together[0] if self._joint else self.D(*self._begin("Dx"))

    @cached_property
    def DGz(self) -> Tensor:
        return self._together[1] if self._joint else self.D(*self._begin("DGz"))

    @cached_property
    def _gradients(self) -> tuple[Tensor, ...]:
        """Of both in one pass: D(x_i) depends on x_i alone, and D(G(z_i)) on G(z_i)."""
        if "_together" in self.__dict__:
            logits = [self.Dx.sum(), self.DGz.sum()]
            return torch.autograd.grad(logits, [self.x, self.Gz], create_graph=True)
        logits, gradients = self.slopes(*self._begin("both"))
        self._together = logits.chunk(2)
        return gradients.chunk(2)

    def _gradient(self, name: Literal["Dx", "DGz"], x: Tensor) -> Tensor:
        """Of D at x: with the logits; or from them, where a term has asked for these before, or D
        counts what it sees, as batch normalisation does, which `slopes` cannot go through.
        """
        if name in self.__dict__ or _counts(self.nets["D"]):
            return torch.autograd.grad(getattr(self, name).sum(), x, create_graph=True)[0]
        self.__dict__[name], gradient = self.slopes(*self._begin(name))
        return gradient

    @cached_property
    def grad_Dx(self) -> Tensor:
        return self._gradients[0] if self._joint else self._gradient("Dx", self.x)

    @cached_property
    def grad_DGz(self) -> Tensor:
        return self._gradients[1] if self._joint else self._gradient("DGz", self.Gz)

    def moved(self, name: Literal["Dx", "DGz"], epsilon: float) -> Tensor:
        """D at x + epsilon n, or at G(z) + epsilon n, with n ~ N(0, I): logits shaped as `Dx`.

        What D draws within itself, such as an augmentation or dropout, is what it drew for `Dx` or
        `DGz`. In a joint round one pass is made for both.
        """
        getattr(self, name)  # whose draws are taken again
        of: Pass = "both" if self._joint else name
        if (of, epsilon) not in self._moved:
            x, *c = self._inputs(of)
            x = x + epsilon * torch.randn_like(x)
            later = _generators(x.device)
            _turn_back(self._states[of], x.device)
            self._moved[of, epsilon] = self.D(x, *c)
            _turn_back(later, x.device)
        logits = self._moved[of, epsilon]
        return logits.chunk(2)[name == "DGz"] if self._joint else logits

    def first(self, count: int) -> Round:
        """The round of its first `count` examples alone, which D sees in a pass of their own."""
        if count not in self._parts:
            part = Round(
                self.nets,
                self.z[:count],
                lambda: cut(self._drawn, slice(count)),
                self._learners,
                self._joint,
                step=self.step,
                engine=self._engine,
            )
            c = tuple(c[:count] for c in self.c)
            part.__dict__.update(x=self.x[:count], Gz=self.Gz[:count], c=c)
            self._parts[count] = part
        return self._parts[count]

    def cast(self, G: str, D: str, view: View | None = None) -> Round:
        """This round with two others in the places of G and D, who may see another x and c."""
        key = (G, D, view)
        if key not in self._casts:
            learners = [part for part, name in (("G", G), ("D", D)) if name in self._learners]
            nets = {**self.nets, "G": self.nets[G], "D": self.nets[D]}
            other = Round(
                nets,
                self.z,
                lambda: self._drawn,
                learners,
                self._joint,
                step=self.step,
                engine=self._engine,
                whole=None if self._whole is None else lambda: self.whole.cast(G, D, view),
            )
            x, c = (self.x, self.c) if view is None else view(self)
            other.__dict__.update(x=x.detach().requires_grad_(), c=c)
            other.notes = self.notes
            self._casts[key] = other
        return self._casts[key]

    def beliefs(self) -> dict[str, Tensor]:
        """The means of sigmoid(Dx) and sigmoid(DGz), of those that some term asked for."""
        logits = {"D(x)": self.__dict__.get("Dx"), "D(G(z))": self.__dict__.get("DGz")}
        found = {k: v.detach().sigmoid().mean() for k, v in logits.items() if v is not None}
        for (G, D, _), other in self._casts.items():
            names = {"D(x)": f"{D}(x)", "D(G(z))": f"{D}({G}(z))"}
            found |= {names[k]: v for k, v in other.beliefs().items()}
        return found

    def kept(self) -> dict[str, Tensor]:
        """What is known of each example, without gradients: logits and notes, each (B, ...)."""
        logits = {name: self.__dict__[name] for name in ("Dx", "DGz") if name in self.__dict__}
        notes = {NOTE + name: value for name, value in self.notes.items()}
        return {name: value.detach() for name, value in {**logits, **notes}.items()}

    def recall(self, kept: Mapping[str, Tensor]) -> Round:
        """Takes what `kept` gave of the parts of this round."""
        for name, value in kept.items():
            if name.startswith(NOTE):
                self.notes[name.removeprefix(NOTE)] = value
            else:
                self.__dict__[name] = value
        return self


def cut(drawn: tuple[Tensor, Tensor | None], rows: slice) -> tuple[Tensor, Tensor | None]:
    """Those rows of a minibatch as drawn."""
    x, y = drawn
    return x[rows], None if y is None else y[rows]


def _generators(device: torch.device) -> list[Tensor]:
    """The states of torch's global generators, on the processor and on the device."""
    own = [] if device.type == "cpu" else [getattr(torch, device.type).get_rng_state()]
    return [torch.get_rng_state(), *own]


def _turn_back(states: Sequence[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        getattr(torch, device.type).set_rng_state(state)


def _counts(net: Callable[..., Tensor]) -> bool:
    """Whether a pass changes its buffers."""
    return isinstance(net, nn.Module) and any(isinstance(m, _NormBase) for m in net.modules())


def slopes(D: Callable[..., Tensor], x: Tensor, *c: Tensor) -> tuple[Tensor, Tensor]:
    """D's logits at x, (B, ...), and their gradient at x, itself differentiable.

    Each logit depends on its own x alone. The gradient is taken inside, by `torch.func`, so that a
    compiler can follow it, which it cannot around a compiled D.

    >>> slopes(lambda x: x.square().sum(1), torch.tensor([[1.0, 2.0]]))
    (tensor([5.]), tensor([[2., 4.]]))
    """

    def total(x: Tensor) -> tuple[Tensor, Tensor]:
        logits = D(x, *c)
        return logits.sum(), logits

    gradient, logits = torch.func.grad(total, has_aux=True)(x)
    return logits, gradient


def between(term: Term, *, G: str = "G", D: str = "D", view: View | None = None) -> Term:
    """The term between two other players than "G" and "D": of two domains, or two directions.

    Args:
        term: such as `minimax_d`, which reads r.Dx and r.DGz.
        G, D: the names of the players that stand in the places of G and D.
        view: x and c as this pair sees them; by default the round's own.

    >>> from frenemy.objectives import minimax_d
    >>> between(minimax_d, G="to horses", D="horses").__name__
    'minimax_d[to horses, horses]'
    """

    def of_others(r: Round) -> Tensor:
        return term(r.cast(G, D, view))

    of_others.__name__ = f"{term.__name__}[{G}, {D}]"
    return of_others
