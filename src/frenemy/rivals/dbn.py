"""The deep belief network: a restricted Boltzmann machine on top of layers that generate downwards.

    p(v, h1, ..., hL) = p(v | h1) p(h1 | h2) ... p(h(L-2) | h(L-1)) p(h(L-1), hL)

where the last factor is an RBM's, and in the others units are independent given the layer above.
It is learned greedily: each RBM models what those below make of the data, and then gives its
weights to both directions between its layers. Afterwards the directions part, and are fitted to one
another: see `up_down`.

Hinton, Osindero and Teh (2006), A Fast Learning Algorithm for Deep Belief Nets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from frenemy.errors import at_least
from frenemy.nets.layers import Shape
from frenemy.rivals.rbm import RBM, Seen, Visible, bernoulli

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frenemy.data import Source
    from frenemy.game import Round, Term

AT_A_TIME = 4096  # images that are led up at once


class DBN(nn.Module):
    """The network above.

    Of a layer's RBM the weights W and visible biases b generate the layer below; recognition has
    weights of its own once `untie` has copied them.

    Args:
        shape: of an image, (C, H, W).
        units: of the hidden layers, from the lowest up.
        visible: what the pixels are.
        chains, temperatures: persistent ones of every RBM, as `RBM` has them.

    Attributes:
        rbms: one for each hidden layer, from the lowest up.
        recognition: of every hidden layer but the highest, its logits given the layer below.
    """

    def __init__(
        self,
        shape: Shape,
        units: Sequence[int],
        visible: Visible = "binary",
        *,
        chains: int = 0,
        temperatures: int = 1,
    ) -> None:
        super().__init__()
        at_least(2, layers=len(units))
        sizes = [math.prod(shape), *units]
        below = [shape, *((1, 1, size) for size in units)]
        kinds: list[Visible] = [visible, *("binary" for _ in units[1:])]
        self.rbms = nn.ModuleList(
            RBM(seen, size, kind, chains=chains, temperatures=temperatures)
            for seen, size, kind in zip(below, units, kinds, strict=False)
        )
        self.recognition = nn.Sequential(
            *(nn.Linear(lower, upper) for lower, upper in zip(sizes[:-2], units, strict=False))
        )

    def rbm(self, layer: int) -> RBM:
        """That whose hidden units are this layer, the lowest being 0; -1 is the highest."""
        rbm = self.rbms[layer]
        assert isinstance(rbm, RBM)
        return rbm

    def begin(self, source: Source, layer: int) -> None:
        """Starts the RBM of a layer, when those below it are learned.

        One that is as large, the other way up, as the RBM below it takes the weights of that: its
        hidden units then have the distribution that they have there, so that what is learned from
        here on raises a lower bound of log p(v) (section 4 of the paper). Another starts from
        independent units that follow what it is to model.
        """
        rbm = self.rbm(layer)
        if layer == 0:
            return rbm.begin(source)
        below = self.rbm(layer - 1)
        rbm.begin_at(self._mean(source, layer), len(source))
        if rbm.W.shape == below.W.T.shape and below.kind == "binary":
            rbm.W.copy_(below.W.T)
            rbm.b.copy_(below.c)
            rbm.c.copy_(below.b)
        return None

    def _mean(self, source: Source, layer: int) -> Tensor:
        """Of the visible units of that layer's RBM, (visible,)."""
        total = torch.zeros_like(self.rbm(layer).b)
        for start in range(0, len(source), AT_A_TIME):
            pixels = torch.from_numpy(source.images[start : start + AT_A_TIME] / 127.5 - 1)
            states = self.lifted(self.rbm(0).visible(pixels.to(total)), layer)
            total += states.sum(0)
        return total / len(source)

    @torch.no_grad()
    def lifted(self, v: Tensor, layer: int) -> Tensor:
        """What the RBM of a layer is shown of data v, (B, visible): drawn up through those below.

        By their own weights, which are both directions' as long as they are tied.
        """
        for below in range(layer):
            v = bernoulli(self.rbm(below).mean_h(v))
        return v

    def untie(self) -> None:
        """Gives recognition the weights that were learned for both directions."""
        for layer, linear in enumerate(self.recognition):
            assert isinstance(linear, nn.Linear)
            linear.weight.copy_(self.rbm(layer).W.T)
            linear.bias.copy_(self.rbm(layer).c)

    def directed(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The weights and the biases that there are when the directions are untied."""
        *lower, top = [self.rbm(i) for i in range(len(self.rbms))]
        weights, biases = [rbm.W for rbm in lower], [rbm.b for rbm in lower]
        linears = [linear for linear in self.recognition if isinstance(linear, nn.Linear)]
        weights += [top.W, *(linear.weight for linear in linears)]
        biases += [top.b, top.c, *(linear.bias for linear in linears)]
        return weights, biases

    @torch.no_grad()
    def wake(self, v: Tensor) -> list[Tensor]:
        """[v, h1, ..., h(L-1)], each drawn by recognition from the one before, (B, units)."""
        states = [v]
        for linear in self.recognition:
            states.append(bernoulli(linear(states[-1]).to(v.dtype).sigmoid_()))
        return states

    @torch.no_grad()
    def sleep(self, h: Tensor, layer: int = -1) -> list[Tensor]:
        """[v, h1, ..., h], each drawn from the one after it, of v the means.

        Args:
            h: visible units of the RBM of that layer, (B, units).
            layer: by default the highest.
        """
        states = [h]
        below = [self.rbm(i) for i in range(layer % len(self.rbms))]
        for number, rbm in reversed([*enumerate(below)]):
            mean = rbm.mean_v(states[0])
            states.insert(0, bernoulli(mean) if number else mean)
        return states

    @torch.no_grad()
    def shown(self, h: Tensor, layer: int = -1) -> Tensor:
        """The means of the pixels given a layer's h, by draws from there down: (B, C, H, W)."""
        if layer % len(self.rbms) == 0:
            return self.rbm(0).shown(h)
        v, *_ = self.sleep(self.rbm(layer).draw_v(h), layer)
        return self.rbm(0).images(v)

    def generation(self, states: Sequence[Tensor]) -> Tensor:
        """-log p(v | h1) - ... - log p(h(L-2) | h(L-1)), (B,), but for constants."""
        loss = states[0].new_zeros(())
        for i, (lower, upper) in enumerate(itertools.pairwise(states)):
            loss = loss + self.rbm(i).surprise(lower, upper)
        return loss

    def guessing(self, states: Sequence[Tensor]) -> Tensor:
        """-log q(h1 | v) - ... - log q(h(L-1) | h(L-2)), (B,)."""
        loss = states[0].new_zeros(())
        for linear, lower, upper in zip(self.recognition, states[:-1], states[1:], strict=True):
            at = linear(lower).to(upper.dtype)
            loss = loss + cross_entropy(at, upper, reduction="none").sum(1)
        return loss


def network(nets: Mapping[str, nn.Module]) -> DBN:
    """The DBN among the networks of a game, whose player is called so."""
    net = nets["DBN"]
    assert isinstance(net, DBN)
    return net


def shown_to(layer: int) -> Seen:
    """The RBM of a layer, and what it is shown of the round's images: see `DBN.lifted`."""

    def seen(r: Round) -> tuple[RBM, Tensor]:
        dbn = network(r.nets)
        v = dbn.rbm(0).visible(r.x.detach())
        with r.arithmetic():
            return dbn.rbm(layer), dbn.lifted(v, layer)

    return seen


def up_down(k: int) -> Term:
    """The contrastive form of the wake-sleep algorithm, as a loss (B,).

    States h are recognised of the data, and generation learns to make each layer from the one above
    it. The highest RBM learns by the divergence of these from what its chain has come to, as
    `contrasting` has it. From there states are generated downwards, and recognition learns to guess
    each layer from the one below it. All are drawn, and held fixed: the gradients are the rules of
    appendix B of the paper, but that the highest units are summed over where it draws them.
    """
    at_least(1, k=k)

    def wake_sleep(r: Round) -> Tensor:
        dbn = network(r.nets)
        top, v = dbn.rbm(-1), dbn.rbm(0).visible(r.x.detach())
        with r.arithmetic():
            awake = dbn.wake(v)
            asleep = dbn.sleep(top.model(awake[-1], k))
        with r.arithmetic():
            contrast = top.free_energy(awake[-1]) - top.free_energy(asleep[-1]).mean()
            return dbn.generation(awake) + contrast + dbn.guessing(asleep).mean()

    return wake_sleep
