"""Which checkpoint of a run is the best, by what validation images said of it while it was played.

Rows of the log tell what they said: see `frenemy.validation`, which measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frenemy.diagnosis import NO_ARGUMENTS, Finding
from frenemy.remedies import remedy

VALIDATION = "validation/"
"""Begins the name of every quantity that was validated in a row of the log: the metric's, and

COPIED, the least share of samples that are training images for certain, 0 if none is.
"""
COPIED = "copied"


@dataclass(frozen=True)
class Validation:
    """What validation images said of a game's samples.

    Attributes:
        step: rounds that had been played.
        metric: its name.
        value: of the metric; None if it could not be measured.
        copied: the least share of samples that are training images, 0 if it is not certain of any;
            None if nobody looked.
    """

    step: int
    metric: str
    value: float | None
    copied: float | None = None

    @property
    def row(self) -> dict[str, float]:
        """As the log has it."""
        found = {self.metric: self.value, COPIED: self.copied}
        return {"step": self.step} | {
            VALIDATION + name: value for name, value in found.items() if value is not None
        }


def validations_of(rows: Iterable[Mapping[str, Any]], metric: str) -> list[Validation]:
    """Those in rows of a log, in order.

    >>> validations_of([{"step": 50}, {"step": 60, "validation/kid": 0.1}], "kid")
    [Validation(step=60, metric='kid', value=0.1, copied=None)]
    """
    return [
        Validation(row["step"], metric, row.get(VALIDATION + metric), row.get(VALIDATION + COPIED))
        for row in rows
        if any(name.startswith(VALIDATION) for name in row)
    ]


def best_of(validations: Iterable[Validation], *, lower: bool) -> Validation | None:
    """The best of those without a certain sign of copying, the first of equals.

    Args:
        validations: in order.
        lower: whether lower values are better.
    """
    clean = ((one.value, one) for one in validations if one.value is not None and not one.copied)
    found = (min if lower else max)(clean, key=lambda pair: pair[0], default=None)
    return None if found is None else found[1]


def copying(
    validations: Sequence[Validation],
    best: int | None = None,
    arguments: Mapping[str, Any] = NO_ARGUMENTS,
) -> list[Finding]:
    """That samples are training images, if that was certain when it was last looked for.

    Args:
        validations: in order.
        best: the round of the best checkpoint, if one is kept.
        arguments: of the recipe, by name.

    >>> found = [Validation(step, "kid", 0.1, share) for step, share in ((9, 0.0), (12, 0.2))]
    >>> [finding] = copying(found, best=9)
    >>> finding.failure, finding.since
    ('copying', 12)
    >>> finding.evidence.partition("; ")[2]
    'the best checkpoint, of round 9, is from before that'
    """
    looked = [one for one in validations if one.copied is not None]
    since = len(looked)
    while since and looked[since - 1].copied:
        since -= 1
    if since == len(looked):
        return []
    evidence = f"at least {looked[-1].copied:.1%} of samples are training images"
    if best is not None:
        evidence += f"; the best checkpoint, of round {best:,}, is from before that"
    return [Finding("copying", looked[since].step, evidence, remedy("copying", arguments))]


def summary(validations: Sequence[Validation], best: Mapping[str, Any] | None) -> str:
    """Which checkpoint is the best, and of how many, in words; nothing where none was validated.

    >>> summary([Validation(9, "kid", 0.1), Validation(12, "kid", 0.2)], {"step": 9, "value": 0.1})
    'best by kid: round 9 (0.1), of 2 rounds validated'
    """
    if not validations:
        return ""
    which = "no round" if best is None else f"round {best['step']:,} ({best['value']:.3g})"
    looked = [one.copied for one in validations if one.copied is not None]
    clean = "; no sign of copying" if looked and not any(looked) else ""
    of = f"of {len(validations)} round{'s' * (len(validations) > 1)} validated"
    return f"best by {validations[0].metric}: {which}, {of}{clean}"
