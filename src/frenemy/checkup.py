"""How a run's game goes, by what was measured while it was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frenemy.best import copying, summary, validations_of
from frenemy.diagnosis import Finding, Measurement, Outcome, measurements_of, outcome
from frenemy.errors import FrenemyError
from frenemy.run import Run


@dataclass(frozen=True)
class Health:
    """What was measured of a game, and what it comes to.

    Attributes:
        measurements: in the order of their rounds, "step".
        outcome: a failure was found, or none, or it cannot be told.
        best: which checkpoint is the best, in words; "" where none was validated.
    """

    measurements: Sequence[Measurement]
    outcome: Outcome
    best: str

    @property
    def word(self) -> str:
        """That of the outcome: failure, well or cannot tell."""
        return self.outcome.word

    @property
    def findings(self) -> Sequence[Finding]:
        """The failures, with the round since which each is seen, its evidence and a remedy."""
        return self.outcome.findings

    def __str__(self) -> str:
        return self.outcome.sentence


def health(run: Run | Path | str) -> Health:
    """How the game of a run goes.

    Args:
        run: what `train` returned, or the run's directory.

    Raises:
        FrenemyError: no run is there, or nothing was measured yet.
    """
    opened = run if isinstance(run, Run) else Run.open(Path(run))
    rows = opened.rows()
    history = measurements_of(rows)
    if not history:
        raise FrenemyError(f"{opened.path} has no measurements yet: they begin after 50 rounds")
    arguments, best = opened.header["arguments"], opened.header.get("best")
    validations = validations_of(rows, opened.header.get("keep_best") or "")
    copies = copying(validations, best and best["step"], arguments)
    return Health(history, outcome(history, arguments, copies), summary(validations, best))
