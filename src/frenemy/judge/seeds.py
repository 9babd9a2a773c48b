"""Reports of runs that differ by their seed alone, and what they come to together."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import norm, t

from frenemy.judge.estimate import Estimate, error_of_difference
from frenemy.judge.report import Report
from frenemy.run import Run, step_of

CERTAIN = 2.6
"""Standard errors by which equal runs differ once in a hundred times, if the errors are known."""

GAME = ("recipe", "recipe_digest", "arguments", "target", "minutes", "precision", "mirror", "init")
"""The fields of `run.json` that say what was played, and those that say where and on what."""
PLACE = ("device", "versions")
IMAGES = ("digest", "shape")
ENDS = "ends"
"""The argument that says when the schedules of a run by the clock turned out to end."""


@dataclass(frozen=True)
class Judged:
    """A report and, if it lies in a run, what the run played.

    Attributes:
        report: of `frenemy judge`.
        game: everything that makes two runs the same but for their seed, as text; "" if unknown.
        seed: of the run; None if unknown.
    """

    report: Report
    game: str = ""
    seed: int | None = None

    @classmethod
    def load(cls, path: Path) -> Judged:
        """The report at `path`, or of the run there.

        Raises:
            FrenemyError: it is not there, or no such report; or the run is damaged.
        """
        file = path / "judge.json" if path.is_dir() else path
        report = Report.load(file)
        if not (file.parent / "run.json").exists():
            return cls(report)
        run = Run.open(file.parent)
        return cls(report, _game(run, report), run.header["seed"])


def _game(run: Run, report: Report) -> str:
    """What was played and judged but for the seed, and for when the clock ended a run."""
    told: dict[str, Any] = {name: run.header.get(name) for name in (*GAME, *PLACE)}
    if told["minutes"] is not None:
        told["target"] = None
        told["arguments"] = {k: v for k, v in told["arguments"].items() if k != ENDS}
    told["device"] = told["device"].partition(":")[0]  # not which one of several
    told["images"] = [run.header["data"].get(name) for name in IMAGES]
    told["judged"] = [report.against, _checkpoint(run, report)]
    return json.dumps(told, sort_keys=True)


def _checkpoint(run: Run, report: Report) -> int | str:
    """Which one was judged: the run's last, its best, or that of another round."""
    found = re.search(r"\(round ([\d,]+)\)$", report.target)
    step = int(found[1].replace(",", "")) if found else -1
    checkpoints = run.checkpoints()
    last = run.header["target"].get("steps") or (checkpoints and step_of(checkpoints[0]))
    if step == last:
        return "last"
    return "best" if step == (run.header.get("best") or {}).get("step") else step


def grouped(judged: Sequence[Judged]) -> list[list[Judged]]:
    """Those that differ by their seed alone, together: in the order of the first of each group.

    A second run of one seed says nothing of another seed, and begins a group of its own.

    >>> a, b, c = (Judged(Report("", "", {}, [], []), "hinge", seed) for seed in (0, 1, 0))
    >>> [len(group) for group in grouped([a, b, c])]
    [2, 1]
    """
    groups: list[list[Judged]] = []
    for one in judged:
        for group in groups:
            if one.game and one.game == group[0].game and one.seed not in [x.seed for x in group]:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


@dataclass(frozen=True)
class OverSeeds:
    """A metric over the seeds of a group.

    Attributes:
        shown: the mean; its error is the standard error of the mean over seeds, s / sqrt n with
            s^2 = sum (x - mean)^2 / (n - 1), or the judge's own, of one seed.
        found: what the judge said of each seed.
        shared: as of an estimate: what the real images make of the mean beside that error. Of one
            seed, and where each was judged by other real images, the error has it already.
    """

    shown: Estimate
    found: Sequence[Estimate]
    shared: tuple[float, ...] = ()

    @classmethod
    def of(cls, found: Sequence[Estimate], *, same_images: bool = False) -> OverSeeds:
        """Of what the judge said of each.

        Args:
            found: one or more, by the same metric.
            same_images: whether by the same real images, in the same order: what these make of
                the values is then no part of their spread.

        >>> print(OverSeeds.of([Estimate(x, 0.1) for x in (1.0, 2.0, 3.0)]).shown)
        2.00 ± 0.58
        """
        if len(found) == 1:
            return cls(found[0], found, found[0].shared)
        values = [one.value for one in found]
        mean, error = sum(values) / len(values), math.nan
        if all(map(math.isfinite, values)):
            mean, error = statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))
        shared: tuple[float, ...] = ()
        if same_images and all(one.shared for one in found):
            shared = tuple(map(statistics.mean, zip(*(one.shared for one in found), strict=True)))
        return cls(Estimate(mean, error), found, shared)

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.found)

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; 0 where there is one."""
        return self.shown.error * math.sqrt(self.seeds) if self.seeds > 1 else 0.0

    def own(self, other: OverSeeds) -> float:
        """The squared error of the mean, but for what the real images make of it.

        Not less than what the judge's own errors leave of it, however near the seeds lie by
        chance; and of one seed not less than another group's seeds spread.
        """
        apart = [_mean_square(one.shared) if self.shared else 0.0 for one in self.found]
        measured = sum(x.error**2 - part for x, part in zip(self.found, apart, strict=True))
        measured = 0.0 if measured < 0 else measured / self.seeds**2
        spread = self.shown.error**2 if self.seeds > 1 else other.spread**2
        if math.isnan(measured) and self.seeds > 1:
            return spread  # which a metric without an error has all the same
        return math.nan if math.isnan(spread + measured) else max(spread, measured)

    def differs(self, other: OverSeeds, *, same_images: bool) -> bool:
        """Whether the two differ by more than chance explains in one of a hundred cases.

        By Welch's test (1947, The Generalization of "Student's" Problem when Several Different
        Population Variances are Involved): from few seeds the error is itself badly known, so that
        the difference has to be larger. Between two single runs only the judge's errors count, and
        the difference is one of these two runs.

        Args:
            other: of the same metric.
            same_images: whether both were judged by the same real images, in the same order.

        >>> one = OverSeeds.of([Estimate(1.0, 0.1)])
        >>> one.differs(OverSeeds.of([Estimate(1.4, 0.1)]), same_images=False)
        True
        >>> several = OverSeeds.of([Estimate(x, 0.1) for x in (1.2, 1.4, 1.6)])
        >>> one.differs(several, same_images=False)
        False
        """
        sides = [(self, self.own(other)), (other, other.own(self))]
        a, b = (
            Estimate(side.shown.value, math.sqrt(own + _mean_square(side.shared)), "", side.shared)
            for side, own in sides
        )
        error = error_of_difference(a, b, same_images=same_images)
        return abs(a.value - b.value) > _threshold(sides) * error


def _threshold(sides: Sequence[tuple[OverSeeds, float]]) -> float:
    """By how many errors the two have to differ, for as few seeds as they are."""
    free = [side.seeds - 1 for side, _ in sides]
    if not any(free):
        return CERTAIN
    if not all(free):  # the spread of the one stands for that of the other, too
        return float(t.isf(norm.sf(CERTAIN), max(free)))
    squares = [own for _, own in sides]
    total = sum(own**2 / n for own, n in zip(squares, free, strict=True))
    degrees = sum(squares) ** 2 / total if total > 0 else min(free)
    return float(t.isf(norm.sf(CERTAIN), degrees))


def _mean_square(shared: Sequence[float]) -> float:
    return statistics.mean(x * x for x in shared) if shared else 0.0
