"""What a recipe returns: the stages of a game, and what they are played on."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from frenemy.data import Facts, Source
from frenemy.engine import seed_everything
from frenemy.errors import FrenemyError
from frenemy.game import Game, Minibatch, mix
from frenemy.names import known


@dataclass(frozen=True)
class Stage:
    """A game and how many epochs of it are played.

    Stages may share networks and players; every network that learns is a player's.

    Attributes:
        game: what is played.
        epochs: for how long.
        begin: is called once, at the first round, for what is fitted to the data (a mean image, a
            mixture). It changes parameters and buffers of networks in place, so that a checkpoint
            holds what it found; what it draws from torch's global generator is seeded. One that
            takes long may be a generator of lines that say what it does.
    """

    game: Game
    epochs: float
    begin: Callable[[Source], Iterator[str] | None] | None = None


@dataclass(frozen=True)
class Experiment:
    """Stages to be played one after another on one source.

    Attributes:
        stages: the last one's game is what the run is for; earlier ones prepare its networks.
        source: the images to train on.
    """

    stages: Sequence[Stage]
    source: Source

    @property
    def game(self) -> Game:
        """The last stage's game."""
        return self.stages[-1].game

    def to(self, device: torch.device, stage: int) -> Game:
        """The game of a stage, moved with those before it, whose networks it may use."""
        for earlier in self.stages[: stage + 1]:
            earlier.game.to(device)
        return self.stages[stage].game

    def begin(self, stage: int, seed: int, tell: Callable[[str], None] | None = None) -> None:
        """What the stage's first round needs of the data, and averages of what that changed.

        Args:
            stage: its index.
            seed: of the run.
            tell: is given lines that say what is done.
        """
        at = self.stages[stage]
        seed_everything(mix(seed, stage, 5), at.game.device)
        with torch.no_grad():
            lines = at.begin(self.source) if at.begin is not None else None
            for said in lines if isinstance(lines, Iterator) else ():
                if tell is not None:
                    tell(said)
        for player in at.game.players.values():
            player.begin()

    def rounds(self, stage: Stage, epochs: float | None = None) -> int:
        """How many rounds make so many epochs of a stage (its own number unless told)."""
        exact = (stage.epochs if epochs is None else epochs) / self.epochs_per_round(stage.game)
        return max(1, math.ceil(round(exact, 6)))  # 1.1 / .002 is a little more than 550

    def epochs_per_round(self, game: Game) -> float:
        """The share of the images that the first turn of one round sees; all, if it has none."""
        if not game.turns:
            return 1.0
        first = game.turns[0]
        return game.minibatch * first.steps / first.every / len(self.source)

    def stage_of(self, step: int) -> tuple[int, int]:
        """The stage to which round `step` belongs, and the first round of it.

        The last stage has no end.
        """
        first = 0
        for i, stage in enumerate(self.stages[:-1]):
            end = first + self.rounds(stage)
            if step < end:
                return i, first
            first = end
        return len(self.stages) - 1, first

    def minibatch(
        self, game: Game, seed: int, device: torch.device, *, mirror: bool = False
    ) -> Minibatch:
        """The streams of minibatches that `game` plays on, every second image mirrored if asked."""

        def draw(stream: int, i: int) -> tuple[Tensor, Tensor | None]:
            pixels, labels = self.source.batch((seed, stream), i, game.minibatch)
            if mirror:
                turned = np.random.default_rng((seed, stream, i)).random(len(pixels)) < 0.5
                pixels = np.where(turned[:, None, None, None], pixels[..., ::-1], pixels)
            x = from_pixels(torch.from_numpy(pixels).to(device))
            return x, None if labels is None else torch.from_numpy(labels).to(device)

        return draw


def from_pixels(pixels: Tensor) -> Tensor:
    """Pixels uint8 (B, C, H, W) as images in [-1, 1]; points are floats already."""
    return pixels if pixels.is_floating_point() else pixels.float().div_(127.5).sub_(1)


class Recipe(Protocol):
    """A typed function from what is known of the data to the stages that are played on them.

    Behind `facts` it may take one more argument, whose default is a frozen dataclass: the arguments
    that the command line shows. A family of recipes shares it; `vary` changes some of them.
    """

    def __call__(self, facts: Facts, /) -> Sequence[Stage]: ...


def arguments_of(recipe: Recipe) -> Any:
    """The dataclass of a recipe's arguments, with its defaults; None of one that takes none."""
    _, *others = inspect.signature(recipe).parameters.values()
    found = [p.default for p in others if is_dataclass(p.default)]
    return found[0] if found else None


def vary(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some of its arguments changed.

    Raises:
        FrenemyError: it has no such argument.

    >>> from frenemy import recipes
    >>> arguments_of(vary(recipes.mnist, rate=2e-3)).rate
    0.002
    """
    if not changes:
        return recipe
    arguments = arguments_of(recipe)
    if arguments is None:
        raise FrenemyError(f"the recipe takes no arguments: leave out {', '.join(changes)}")
    for name in changes:
        known(name, [field.name for field in fields(arguments)], "recipe argument")
    _, parameter = inspect.signature(recipe).parameters
    return functools.partial(recipe, **{parameter: replace(arguments, **changes)})


MNIST_HINT = (
    "give a folder with MNIST's IDX files (github.com/cvdfoundation/mnist) by --data, or train "
    "digits, which takes images of any size"
)


def require_shape(facts: Facts, recipe: str, shape: tuple[int, int, int], hint: str) -> None:
    """Refuses data that a recipe's networks are not made for.

    Raises:
        FrenemyError: the images are not of the shape (C, H, W); the hint says what would be.
    """
    if facts.shape != shape:
        wanted = "x".join(map(str, shape))
        found = "x".join(map(str, facts.shape))
        raise FrenemyError(
            f"{recipe} takes {wanted} images (channels x height x width), but "
            f"{facts.name} has {found}: {hint}"
        )
