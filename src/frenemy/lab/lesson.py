"""What a lesson returns: what was measured beside what is exact, figures, formulas and words."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from frenemy.figures import Figure

Relation = Literal["=", "at least", "at most"]


@dataclass(frozen=True)
class Check:
    """One measured number beside the one that theory, or a paper, gives.

    Attributes:
        what: was measured, in a few words.
        measured: the value.
        exact: the value that it has to have ("="), or the bound that it has to keep.
        tolerance: how far from `exact` it may be, in the same unit, or on the wrong side of it.
        error: one standard error of `measured`, if it came from samples.
        relation: of the measured to the exact value.

    >>> Check("pi", 3.1, math.pi, tolerance=0.1).holds
    True
    """

    what: str
    measured: float
    exact: float
    tolerance: float
    error: float = math.nan
    relation: Relation = "="

    @property
    def difference(self) -> float:
        """Measured - exact."""
        return self.measured - self.exact

    @property
    def holds(self) -> bool:
        """Whether the relation does, within the tolerance; never of what is not finite."""
        off = {"=": abs(self.difference), "at least": -self.difference, "at most": self.difference}
        return off[self.relation] <= self.tolerance


def sampled(
    what: str, measured: float, exact: float, error: float, relation: Relation = "="
) -> Check:
    """A check of a mean of samples: it has to be within 4 standard errors, as 15,999 of 16,000 are.

    >>> sampled("heads of 1,000 tosses", 0.53, 0.5, error=0.0158).holds
    True
    """
    return Check(what, measured, exact, tolerance=4 * error, error=error, relation=relation)


def no_more(what: str, measured: float, bound: float, error: float = math.nan) -> Check:
    """A check of an order: `measured` is at most the bound, without a tolerance."""
    return Check(what, measured, bound, 0.0, error, "at most")


@dataclass(frozen=True)
class Formula:
    """An equation as LaTeX without dollar signs, what it says, and its source."""

    latex: str
    told: str
    source: str


@dataclass(frozen=True)
class Result:
    """What a lesson found.

    Attributes:
        told: paragraphs of plain text, with an empty line between them.
        formulas: on which the lesson rests.
        checks: measured beside exact.
        figures: one or more; the first stands for the lesson.
        film: if something moves.
    """

    told: str
    formulas: Sequence[Formula]
    checks: Sequence[Check]
    figures: Sequence[Figure]
    film: Figure | None = None

    @property
    def holds(self) -> bool:
        """The verdict: whether every check holds."""
        return all(check.holds for check in self.checks)


@dataclass(frozen=True)
class Played:
    """A lesson that was played: its name, its claim, what it found, and how long that took."""

    name: str
    claim: str
    result: Result
    seconds: float


def play(lesson: Callable[..., Result], **arguments: Any) -> Played:
    """Plays a lesson with these of its own arguments."""
    start = time.perf_counter()
    result = lesson(**arguments)
    seconds = time.perf_counter() - start
    return Played(name_of(lesson), claim_of(lesson), result, seconds)


def name_of(lesson: Callable[..., Result]) -> str:
    """What the command line calls a lesson: its function's name, with - for _."""
    return lesson.__name__.replace("_", "-")


def claim_of(lesson: Callable[..., Result]) -> str:
    """The first line of its docstring."""
    return (inspect.getdoc(lesson) or "").partition("\n")[0]
