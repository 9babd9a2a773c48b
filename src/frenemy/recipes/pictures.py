"""A folder of pictures: the game that makes the most of the time there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Self

import torch
from torch import Tensor, nn
from tyro.conf import Suppress

from frenemy.choices import OptionalFloat, OptionalInt, given
from frenemy.choosing import Budget, Choice, TooLarge
from frenemy.data import Facts
from frenemy.data.look import FEWEST
from frenemy.data.source import PLANE, require_images
from frenemy.errors import FrenemyError, above_zero, at_least, whole
from frenemy.experiment import Stage
from frenemy.game import Game, HalfLife, Player, Prior, Round, alternating
from frenemy.nets.augment import R3GAN, Augment
from frenemy.nets.augmented import Augmented
from frenemy.nets.conditions import Modulated, Projection, labels
from frenemy.nets.dcgan import discriminator, generator
from frenemy.nets.layers import Shape, start_of
from frenemy.objectives import ObjectiveName, level, objective_named
from frenemy.penalties import PenaltyName, lazily, penalties_named
from frenemy.recipes.schedules import cosine, share_done

WIDTHS = {16: 0.0, 24: 6e4, 32: 2e5, 48: 5e5, 64: 7e5, 128: 3e7}
"""Widths, and the images that a run has to see before the width is worth its time: 24 from trials
on emoji and faces of 32 pixels, 32 on faces and animals, 48 and 64 on faces (docs/numbers.md);
128 is a guess."""

RATE, BETAS = 1.5e-3, (0.0, 0.99)  # of Adam
PLANNED = 500_000  # images, where nothing tells how many there is time for
LEAST = 2_000  # images, without which nothing is learnt
SIDES = 32, 64, 128, 256  # pixels; any machine has time for the first
PER_PIXEL = 250  # images that a run has to see for each pixel of one
LEVEL = 0.01  # weight of `level`: else logits drift to where bfloat16 has no small differences
SETTLING = 0.05  # of the images so far: the half-life of G's average
Z = 100


@dataclass(frozen=True)
class Pictures:
    """Arguments of the game on one's own pictures; what is not given is chosen.

    Attributes:
        images: that D sees before all schedules end; by default as many as there is time for.
        width: feature maps next to the image; each layer further in has twice as many.
        rate: initial learning rate of both players' Adam; it falls to a tenth.
        objective: of both players.
        gamma: weight of the R1 and R2 penalties; 0 for none.
        penalty: by exact gradients of D, or by finite differences of its logits.
        penalty_every: apply the penalties lazily, every so many rounds, with as many times the
            weight.
        penalty_share: compute them on this share of each minibatch.
        normalised: whether D has batch normalisation.
        minibatch: images in a minibatch.
        augmenting: adaptive augmentation: D sees real and generated images rotated, shifted and
            recoloured at random, the more often the more it overfits the training images.
        classes: condition G and D on the classes, if the pictures have any.
        ends: of the schedules, where `images` are not given: (images seen when it was chosen,
            images at the end), in order.
    """

    images: OptionalInt = None
    width: OptionalInt = None
    rate: OptionalFloat = None
    objective: ObjectiveName = "pairing"
    gamma: float = 0.0
    penalty: PenaltyName = "exact"
    penalty_every: int = 1
    penalty_share: float = 1.0
    normalised: bool = True
    minibatch: int = 32
    augmenting: bool = True
    classes: bool = True
    ends: Annotated[tuple[tuple[int, int], ...], Suppress] = ()

    def choose(self, facts: Facts, budget: Budget[Self]) -> Choice[Self]:
        """The widest networks that see as many images as they need in the time there is."""
        require_pictures(facts)
        widths = [self.width] if self.width is not None else list(WIDTHS)
        why = "as given" if self.width is not None else "the widest worth training on so many"
        chosen, images = self, 0
        for width in widths:
            candidate = replace(self, width=width)
            try:
                seen = budget.rounds(candidate) * self.minibatch
            except TooLarge:
                if chosen is self:
                    raise
                why = f"those of width {width} do not fit the memory"
                break
            if chosen is not self and seen < WIDTHS[width]:
                break
            chosen, images = candidate, seen
        if budget.timed and images < LEAST:
            raise FrenemyError(
                f"{budget.said}: time for only {images:,} images; it takes at least {LEAST:,}: "
                "give more --minutes, or a smaller --size"
            )
        ends = ((0, images),) if self.images is None else ()
        settled = replace(chosen, ends=ends, rate=given(self.rate, RATE))
        reasons = settled.reasons(facts, images, budget.said, why)
        return Choice(settled, images // self.minibatch, reasons, tried=chosen)

    def sides(self, shape: Shape | None, side: int) -> dict[int | None, int]:
        """32 pixels, and as many more as there is time for, up to what the images have."""
        at_least(1, minibatch=self.minibatch)
        if shape == PLANE:
            return {None: 0}
        pixels: dict[int | None, int] = {size: size * size for size in SIDES if size <= side}
        if shape is not None and _is_played(shape):
            _, height, width = shape
            if height == width:
                pixels.pop(height, None)
            pixels[None] = height * width
        first, *larger = pixels or SIDES[:1]
        return {first: 0} | {size: PER_PIXEL * pixels[size] // self.minibatch for size in larger}

    def stretched(self, done: int, rounds: int) -> Self:
        """With the rest of the schedules spread over the rest of so many rounds."""
        end = done * self.minibatch, rounds * self.minibatch
        return self if self.images is not None else replace(self, ends=(*self.ends, end))

    def calmed(self) -> Self:
        """With half of the rate."""
        return replace(self, rate=given(self.rate, RATE) / 2)

    def share_done(self, t: int) -> float:
        """Of the schedules, in round t."""
        ends = self.ends or ((0, given(self.images, PLANNED)),)
        return share_done(t * self.minibatch, ends)

    def reasons(self, facts: Facts, images: int, said: str, why: str) -> list[str]:
        """What was chosen, and why, in words: `why` is that of the width."""
        channels, height, width = facts.shape
        colour = ("grey" if channels < 3 else "colour") + ("" if channels % 2 else " with opacity")
        told = f"{len(facts.classes)} classes, on which G and D are conditioned"
        return [
            f"{facts.count:,} pictures of {width}x{height} in {colour}, "
            + (told if self.classes and facts.classes else "no classes"),
            f"{images:,} images in {said}: every picture {images / facts.count:,.1f} times",
            f"networks of width {self.width}: {why}",
            f"learning rate {self.rate:g}, falling to a tenth; minibatches of {self.minibatch}",
            "adaptive augmentation, stronger as D overfits"
            if self.augmenting
            else "no augmentation",
        ]


def require_pictures(facts: Facts) -> None:
    """Refuses what no generator can be made of.

    Raises:
        FrenemyError: points, too few pictures, or of sides that no start times 2^k gives.
    """
    require_images(facts.shape, facts.name)
    if facts.count < FEWEST:
        raise FrenemyError(
            f"{facts.name}: {facts.count} pictures to train on, besides those held out for "
            "validation and test: give ten or more in all"
        )
    start_of(facts.shape)


def _is_played(shape: Shape) -> bool:
    try:
        start_of(shape)
    except FrenemyError:
        return False
    return True


def pictures(facts: Facts, arguments: Pictures = Pictures()) -> list[Stage]:
    """Any pictures, with as wide a network as the time allows: `frenemy train --data FOLDER`."""
    require_pictures(facts)
    minibatch = whole(minibatch=arguments.minibatch)
    width = whole(width=given(arguments.width, 32))
    images = given(arguments.images, arguments.ends[-1][1] if arguments.ends else PLANNED)
    rate = given(arguments.rate, RATE)
    at_least(1, minibatch=minibatch, width=width, images=images)
    above_zero(rate=rate)
    at_least(0, gamma=arguments.gamma)
    classes = len(facts.classes) if arguments.classes else 0
    G, D = _nets(facts, width, classes, arguments.normalised)
    T = Augment(R3GAN)

    def adam(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=rate, betas=BETAS, fused=True)

    def schedule(t: int) -> dict[str, float]:
        return {"lr": cosine(rate, rate / 10, arguments.share_done(t))}

    def half_life(t: int) -> float:
        return SETTLING * t * minibatch

    terms = objective_named(arguments.objective)

    def adapt(r: Round) -> dict[str, Tensor]:
        middle = terms.middle
        if middle is None:
            middle = (r.Dx.mean() + r.DGz.mean()) / 2
        return {"augmented": T.adapt(r.Dx - middle, minibatch)}

    if arguments.augmenting:
        D = Augmented(D, T)
    players = {
        "D": Player(D, adam(D), schedule=schedule),
        "G": Player(G, adam(G), schedule=schedule, averaging=HalfLife(half_life)),
    }
    moves = {terms.d: 1.0} if terms.middle is not None else {terms.d: 1.0, level: LEVEL}
    penalties = penalties_named(arguments.penalty, arguments.penalty_share)
    of_D, *others = (
        lazily(moves, {terms.g: 1.0}, arguments.gamma, arguments.penalty_every, penalties)
        if arguments.gamma
        else alternating(moves, {terms.g: 1.0})
    )
    turns = replace(of_D, after=adapt if arguments.augmenting else None), *others
    prior = Prior("gaussian", Z)
    game = Game(players, turns, prior, minibatch, conditions=labels if classes else None)
    return [Stage(game, images / facts.count)]


def _nets(facts: Facts, width: int, classes: int, normalised: bool) -> tuple[nn.Module, nn.Module]:
    D = discriminator(facts.shape, width, normalised=normalised, biased=True)
    G = generator(Z, facts.shape, width)
    if not classes:
        return G, D
    *body, head = D
    maps = width * 2 ** (start_of(facts.shape)[1] - 1)
    return Modulated(G, classes), Projection(nn.Sequential(*body), head, classes, maps)
