"""What a recipe returns: the stages of a game, and what they are played on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frenemy.data import Dataset, Source
from frenemy.errors import FrenemyError
from frenemy.game import Game, Minibatch


@dataclass(frozen=True)
class Stage:
    """A game and how many epochs of it are played.

    Stages may share networks and players; every network that learns is a player's.
    """

    game: Game
    epochs: float


@dataclass(frozen=True)
class Experiment:
    """Stages to be played one after another on one source.

    Attributes:
        stages: the last one's game is what the run is for; earlier ones prepare its networks.
        source: the images to train on.
        prepare: what is done to a minibatch of images in [-1, 1] before the game sees it.
    """

    stages: Sequence[Stage]
    source: Source
    prepare: Callable[[Tensor], Tensor] | None = None

    @property
    def game(self) -> Game:
        """The last stage's game."""
        return self.stages[-1].game

    def to(self, device: torch.device) -> Experiment:
        """Moves every stage's game."""
        for stage in self.stages:
            stage.game.to(device)
        return self

    def rounds(self, stage: Stage, epochs: float | None = None) -> int:
        """How many rounds make so many epochs of a stage (its own number unless told)."""
        exact = (stage.epochs if epochs is None else epochs) / self.epochs_per_round(stage.game)
        return max(1, math.ceil(round(exact, 6)))  # 1.1 / .002 is a little more than 550

    def epochs_per_round(self, game: Game) -> float:
        """The share of the images that the first turn of one round sees."""
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

    def images(self, pixels: Tensor) -> Tensor:
        """uint8 (B, C, H, W) as the game sees it: float in [-1, 1], as points are; prepared."""
        x = pixels if pixels.is_floating_point() else pixels.float().div_(127.5).sub_(1)
        return x if self.prepare is None else self.prepare(x)

    def minibatch(self, game: Game, seed: int, device: torch.device) -> Minibatch:
        """The streams of minibatches that `game` plays on."""

        def draw(stream: int, i: int) -> tuple[Tensor, Tensor | None]:
            pixels, labels = self.source.batch((seed, stream), i, game.minibatch)
            x = self.images(torch.from_numpy(pixels).to(device))
            return x, None if labels is None else torch.from_numpy(labels).to(device)

        return draw


Recipe = Callable[[Dataset], Experiment]
"""A typed function from data (and keyword arguments with defaults) to an experiment."""


MNIST_HINT = (
    "give a folder with MNIST's IDX files (github.com/cvdfoundation/mnist) by --data, or play "
    "digits, which takes images of any size"
)


def require_shape(data: Dataset, recipe: str, shape: tuple[int, int, int], hint: str) -> None:
    """Refuses data that a recipe's networks are not made for.

    Raises:
        FrenemyError: the images are not of the shape (C, H, W); the hint says what would be.
    """
    if data.shape != shape:
        wanted = "x".join(map(str, shape))
        found = "x".join(map(str, data.shape))
        raise FrenemyError(
            f"{recipe} plays on {wanted} images (channels x height x width), but "
            f"{data.train.name} has {found}: {hint}"
        )
