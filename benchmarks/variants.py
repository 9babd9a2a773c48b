"""What was tried of the game of `pictures`, each beside it, by `race.py --recipe late_copying`.

Each is a recipe with the arguments of `pictures`, and plays its game with one thing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frenemy.choices import given
from frenemy.data import Facts
from frenemy.experiment import Recipe, Stage
from frenemy.game import Game, Player, Round, Turn
from frenemy.nets.augment import Augment, DiffAugment
from frenemy.nets.augmented import Augmented
from frenemy.nets.dcgan import SPREAD, discriminator, generator
from frenemy.nets.sngan import SpectralConvolution, power_iteration
from frenemy.nets.warps import Map
from frenemy.objectives import level
from frenemy.recipes.pictures import BETAS, RATE, Pictures, Z, pictures

OPEN = Pictures()  # all is chosen
LATE, COPIES = 0.5, 16  # the average is copied from this share of the schedules on, so many times
GAIN = 2.0  # of each convolution, whose spectral norm is 1
HIDDEN = 128  # numbers of D's hidden layer
FULL = 16  # maps of G at full resolution

Turns = Sequence[Turn]
Players = Mapping[str, Player]

# ---- of the game


def late_copying(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """In the second half of the schedules G is now and then given its average's weights."""

    def due(t: int) -> int:
        return int(COPIES * max(0.0, arguments.share_done(t) - LATE) / (1 - LATE))

    def of(players: Players, turns: Turns) -> Turns:
        G, average = players["G"].net, players["G"].average
        assert average is not None

        def copy(r: Round) -> dict[str, Tensor]:
            if due(r.step + 1) > due(r.step):
                for theta, mean in zip(G.parameters(), average.parameters(), strict=True):
                    theta.copy_(mean)
            return {}

        of_D, of_G = turns
        return of_D, replace(of_G, after=copy)

    return [_with_turns(pictures(facts, arguments), of)]


def uncentred(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """The logits' common level, which pairing leaves free, is not held at 0."""

    def of(players: Players, turns: Turns) -> Turns:
        of_D, of_G = turns
        moves = {term: weight for term, weight in of_D.moves["D"].items() if term is not level}
        return replace(of_D, moves={"D": moves}), of_G

    return [_with_turns(pictures(facts, arguments), of)]


def same_draw(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """A pair, x and G(z), is augmented by one draw."""

    def of(players: Players, turns: Turns) -> Turns:
        D = players["D"].net
        assert isinstance(D, Augmented) and isinstance(D.T, Augment)
        draw, kept = D.T.maps, list[Map]()

        def maps(x: Tensor) -> list[Map]:  # in every turn D sees x once, and G(z) once
            if kept:
                drawn = kept.copy()
                kept.clear()
                return drawn
            kept.extend(draw(x))
            return kept.copy()

        D.T.maps = maps
        return turns

    return [_with_turns(pictures(facts, arguments), of)]


def fixed_policy(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """D sees every image changed by DiffAugment, however well it knows the training images."""

    def of(players: Players, turns: Turns) -> Turns:
        D = players["D"].net
        assert isinstance(D, Augmented)
        D.T = DiffAugment(p=1.0)
        of_D, of_G = turns
        return replace(of_D, after=None), of_G

    return [_with_turns(pictures(facts, arguments), of)]


def together(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """D is given x and G(z) in one pass, and normalises them together."""

    def of(players: Players, turns: Turns) -> Turns:
        return [replace(turn, joint=True) for turn in turns]

    stage = _with_turns(pictures(facts, arguments), of)
    stage.game._apart = False  # pyright: ignore[reportPrivateUsage] (no game should be so)
    return [stage]


# ---- of the networks


class Spectral(SpectralConvolution):
    """GAIN W / sigma, in the place of another convolution."""

    def __init__(self, of: nn.Conv2d) -> None:
        super().__init__(of.in_channels, of.out_channels, of.kernel_size[0])
        self.stride, self.padding = of.stride, of.padding

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, GAIN * self.normalised(), self.bias, self.stride, self.padding)


def spectral(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """D's convolutions have spectral norms, and no batch normalisation."""
    D = discriminator(facts.shape, given(arguments.width, 32), normalised=False)
    layers = [Spectral(layer) if isinstance(layer, nn.Conv2d) else layer for layer in D]
    stage = _with_nets(facts, arguments, D=nn.Sequential(*layers))

    def of(players: Players, turns: Turns) -> Turns:
        of_D, of_G = turns

        def after(r: Round) -> Mapping[str, Tensor]:
            power_iteration(r.nets["D"])
            return {} if of_D.after is None else of_D.after(r)

        return replace(of_D, after=after), of_G

    return [_with_turns([stage], of)]


def hidden(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """D makes its logit of a hidden layer of all places."""
    *body, head = discriminator(facts.shape, given(arguments.width, 32), biased=True)
    assert isinstance(head, nn.Sequential)
    vectors, last, flat = head
    assert isinstance(last, nn.Linear)
    first = nn.Linear(last.in_features, HIDDEN)
    layers = first, nn.LeakyReLU(0.2, inplace=True), _started(nn.Linear(HIDDEN, 1, bias=False))
    return [_with_nets(facts, arguments, D=nn.Sequential(*body, vectors, *layers, flat))]


def unbiased(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """D's first convolution has no biases, so that D is blind to the contrast of minibatches."""
    return [_with_nets(facts, arguments, D=discriminator(facts.shape, given(arguments.width, 32)))]


def wider_G(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """G is twice as wide as D."""
    G = generator(Z, facts.shape, 2 * given(arguments.width, 32))
    return [_with_nets(facts, arguments, G=G)]


def full_resolution(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """G ends with a 3x3 convolution of maps as large as the image."""
    G = generator(Z, (FULL, *facts.shape[1:]), given(arguments.width, 32))
    *layers, squashed = G
    last = _started(nn.Conv2d(FULL, facts.shape[0], 3, padding=1, bias=False))
    ends = nn.BatchNorm2d(FULL), nn.ReLU(inplace=True), last, squashed
    return [_with_nets(facts, arguments, G=nn.Sequential(*layers, *ends))]


class Embedding(nn.Module):
    """G of z and labels: a net of z and of as many numbers for the class, N(0, .1^2) at first.

    Mirza and Osindero (2014), Conditional Generative Adversarial Nets, with an embedding for their
    one-hot labels. With numbers as large as z's, G soon draws one picture for each class.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        self.embedding = nn.Embedding(classes, Z)
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([z, self.embedding(y)], 1))


def beside_z(facts: Facts, arguments: Pictures = OPEN) -> list[Stage]:
    """G is told the class by numbers beside z alone, not by gains and biases of its maps."""
    net = generator(2 * Z, facts.shape, given(arguments.width, 32))
    G = Embedding(net, len(facts.classes))
    return [_with_nets(facts, arguments, classes=True, G=G)]


VARIANTS: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        *(late_copying, uncentred, same_draw, fixed_policy, together),
        *(spectral, hidden, unbiased, wider_G, full_resolution, beside_z),
    )
}


def _started(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    nn.init.normal_(layer.weight, std=SPREAD)
    return layer


def _with_turns(stages: Sequence[Stage], of: Callable[[Players, Turns], Turns]) -> Stage:
    """The stage with other turns."""
    (stage,) = stages
    game = stage.game
    turns = of(game.players, game.turns)
    same = {"prepare": game.prepare, "conditions": game.conditions}
    return replace(stage, game=Game(game.players, turns, game.prior, game.minibatch, **same))


def _with_nets(
    facts: Facts, arguments: Pictures, *, classes: bool = False, **nets: nn.Module
) -> Stage:
    """The stage with another G or D, which are told the classes or not."""
    (stage,) = pictures(facts, replace(arguments, classes=classes))
    game, players = stage.game, dict(stage.game.players)
    for name, net in nets.items():
        player = players[name]
        if isinstance(player.net, Augmented):
            player.net.net = net
            net = player.net
        rate = given(arguments.rate, RATE)
        adam = torch.optim.Adam(net.parameters(), lr=rate, betas=BETAS, fused=True)
        players[name] = Player(net, adam, schedule=player.schedule, averaging=player.averaging)
    told = game.conditions
    game = Game(players, game.turns, game.prior, game.minibatch, conditions=told)
    return replace(stage, game=game)
