"""What a lesson returns: what was measured beside what is exact, drawings, formulas and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frenemy.drawing import Drawing


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
    relation: Literal["=", "at least", "at most"] = "="

    @property
    def difference(self) -> float:
        """Measured - exact."""
        return self.measured - self.exact

    @property
    def holds(self) -> bool:
        """Whether the relation does, within the tolerance; never of what is not finite."""
        off = {"=": abs(self.difference), "at least": -self.difference, "at most": self.difference}
        return off[self.relation] <= self.tolerance


@dataclass(frozen=True)
class Formula:
    """An equation as LaTeX without dollar signs, what it says, and its source."""

    latex: str
    told: str
    source: str


@dataclass(frozen=True)
class Film:
    """Frames uint8 (3, H, W) of one size; alt and caption as of a drawing."""

    frames: Sequence[NDArray[np.uint8]]
    alt: str
    caption: str = ""
    fps: float = 10.0


@dataclass(frozen=True)
class Result:
    """What a lesson found.

    Attributes:
        told: paragraphs of plain text, with an empty line between them.
        formulas: on which the lesson rests.
        checks: measured beside exact.
        drawings: one or more; the first stands for the lesson.
        film: if something moves.
    """

    told: str
    formulas: Sequence[Formula]
    checks: Sequence[Check]
    drawings: Sequence[Drawing]
    film: Film | None = None

    @property
    def holds(self) -> bool:
        """The verdict: whether every check holds."""
        return all(check.holds for check in self.checks)
