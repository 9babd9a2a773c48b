"""What a recipe leaves open, for the data, the machine and the time to decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

from frenemy.data import Facts

A = TypeVar("A")


@dataclass(frozen=True)
class Choice(Generic[A]):
    """What was chosen, and why.

    Attributes:
        arguments: nothing of them is open any more.
        rounds: after so many the run is at its end.
        reasons: lines of text.
    """

    arguments: A
    rounds: int
    reasons: Sequence[str]


@dataclass(frozen=True)
class Budget(Generic[A]):
    """How long a run may be.

    Attributes:
        rounds: how many rounds of these arguments there is time for, as far as a few of them tell.
        said: the budget in words: "30 minutes".
        timed: whether the clock decides, and nobody who has said how many rounds.
    """

    rounds: Callable[[A], int]
    said: str
    timed: bool = True


@runtime_checkable
class Open(Protocol):
    """A recipe's arguments of which some may be left open: None until they are chosen."""

    def choose(self, facts: Facts, budget: Budget[Self]) -> Choice[Self]:
        """Fills in what is open: what is not stays as it is.

        Raises:
            FrenemyError: the data, or the time, are too little for anything.
        """
        ...

    def side(self, shape: tuple[int, int, int] | None) -> int | None:
        """To how many pixels a side to bring images, where nobody says; None: as they are.

        Args:
            shape: (C, H, W) of all images, or None where they differ.
        """
        ...

    def stretched(self, done: int, rounds: int) -> Self:
        """For a run that ends after so many rounds, of which some were played: another end.

        What is left of its schedules is spread over what is left of its rounds.
        """
        ...

    def calmed(self) -> Self:
        """For a game that blew up: with half of the rate."""
        ...
