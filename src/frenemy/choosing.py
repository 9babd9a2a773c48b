"""What a recipe leaves open, for the data, the machine and the time to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

from frenemy.choices import Precision, PrecisionName
from frenemy.data import Facts
from frenemy.errors import FrenemyError

A = TypeVar("A")

FASTER = 1.1  # so many times as fast has bfloat16 to be, or it is not worth its roundings
GIB = 2**30


class TooLarge(FrenemyError):
    """There is not the memory for even the smallest part of a minibatch."""


@dataclass(frozen=True)
class Choice(Generic[A]):
    """What was chosen, and why.

    Attributes:
        arguments: nothing of them is open any more.
        rounds: after so many the run is at its end.
        reasons: lines of text.
        tried: the arguments by which the budget was asked for these rounds.
    """

    arguments: A
    rounds: int
    reasons: Sequence[str]
    tried: A | None = None


@dataclass(frozen=True)
class Budget(Generic[A]):
    """How long a run may be.

    Attributes:
        rounds: how many rounds of these arguments there is time for, as far as a few of them tell;
            raises `TooLarge` where there is not the memory.
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
            FrenemyError: the data, the time or the memory are too little for anything.
        """
        ...

    def sides(self, shape: tuple[int, int, int] | None, side: int) -> Mapping[int | None, int]:
        """To how many pixels a side images may be brought, where nobody says; None: as they are.

        In ascending order, each with the rounds for which there has to be time; the first needs
        none.

        Args:
            shape: (C, H, W) of all images, or None where they differ.
            side: the shorter one of half of them, or of more, is as long.
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


class Trial(Protocol):
    """A game that is tried before it is played.

    Attributes:
        minibatch: its images.
        least: images of which networks can make something at once; 2 where they normalise.
    """

    minibatch: int
    least: int

    def fixed(self) -> float:
        """Bytes that it takes however small a part of a minibatch is."""
        ...

    def need(self, images: int) -> float:
        """Bytes that a part of so many images takes beside `fixed`, at the peak.

        Raises:
            TooLarge: there are not so many.
        """
        ...

    def speed(self, parts: int, precision: Precision) -> float:
        """Rounds a second."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """How a game is played on a machine.

    Attributes:
        parts: of a minibatch, played one after another.
        precision: of products and convolutions.
        speed: rounds a second, where they were measured.
        gain: how many times as fast bfloat16 was, where it was tried.
    """

    parts: int = 1
    precision: Precision = "float32"
    speed: float | None = None
    gain: float | None = None


def fitted(
    trial: Trial,
    room: float,
    *,
    parts: int | None,
    precision: PrecisionName,
    timed: bool,
    tries_low: Callable[[], bool],
) -> EngineChoice:
    """The fewest parts that fit the memory, and the faster precision, unless they are given.

    Args:
        trial: the game.
        room: bytes that it may take.
        parts, precision: None and "auto" where they are to be chosen.
        timed: whether its speed matters; without, bfloat16 is only played where it is asked for, so
            that a run of so many rounds is the same whatever the clock says.
        tries_low: whether bfloat16 may be faster here at all.

    Raises:
        TooLarge: not even the smallest part fits, or memory ran out in a trial.
    """
    parts = parts_that_fit(trial, room) if parts is None else parts
    if not timed:
        return EngineChoice(parts, "float32" if precision == "auto" else precision)
    if precision != "auto":
        return EngineChoice(parts, precision, trial.speed(parts, precision))
    full = trial.speed(parts, "float32")
    if not tries_low():
        return EngineChoice(parts, "float32", full)
    low = trial.speed(parts, "bfloat16")
    if low > FASTER * full:
        return EngineChoice(parts, "bfloat16", low, low / full)
    return EngineChoice(parts, "float32", full, low / full)


def parts_that_fit(trial: Trial, room: float) -> int:
    """Of how many parts a minibatch is played, as few as surely fit.

    What a part needs grows with its images, but no faster than they do. So a measured one tells how
    large another may be without a risk, which is measured next.

    Raises:
        TooLarge: not even the smallest part fits.
    """
    least = min(trial.least, trial.minibatch)
    sizes = [n for n in range(least, trial.minibatch + 1) if not trial.minibatch % n]
    fixed, images = trial.fixed(), sizes[0]
    while True:
        taken = trial.need(images)
        if fixed + taken > room:
            raise TooLarge(
                f"{images} images at once take {(fixed + taken) / GIB:.1f} GiB of memory, and "
                f"{room / GIB:.1f} are free: give a smaller --size, or end other programs"
            )
        larger = max(n for n in sizes if fixed + taken * n / images <= room)
        if larger in (images, trial.minibatch):
            return trial.minibatch // larger
        images = larger
