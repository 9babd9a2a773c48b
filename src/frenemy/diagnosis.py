"""Is this game going well? Rules that turn a game's measurements into findings, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

HEALTH = "health/"
"""Begins the name of every quantity of a measurement in a row of the log."""

FailureMode = Literal["non-convergence", "mode collapse", "diminished gradient"]
Measurement = Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """One failure mode of a game.

    Attributes:
        failure: which of the three.
        since: the round from which on it was seen without a break.
        evidence: the measurements that show it.
        remedy: what to try.
    """

    failure: FailureMode
    since: int
    evidence: str
    remedy: str


def measurements_of(rows: Iterable[Mapping[str, Any]]) -> list[Measurement]:
    """The measurements in rows of a log: each with its "step", names without their beginning.

    Of a game in several stages, each of which begins anew, only the last stage's.

    >>> row = {"step": 100, "D(x)": 0.5, "health/motion": 0.1}
    >>> measurements_of([{"step": 50, "D(x)": 0.6}, row])
    [{'step': 100, 'motion': 0.1}]
    """
    found: list[Measurement] = []
    stage = 0
    for row in rows:
        if row.get("stage", stage) != stage:
            stage = row["stage"]
            found.clear()
        measured = {k.removeprefix(HEALTH): v for k, v in row.items() if k.startswith(HEALTH)}
        if measured:
            found.append({"step": row["step"], **measured})
    return found


FINITE = "finite"
"""The quantity that a game ends with if a loss or a weight is infinite or NaN: 0."""
DIVERGED = "a loss or a weight is not finite"

WELL = "no sign of non-convergence, mode collapse or a diminished gradient"

WINDOW = 5  # measurements, whose medians are looked at
EARLIEST = 10  # measurements: younger games may still be finding their feet

NO_SIGNAL = 0.02  # of |d loss / d D(G(z))|, which is 1/2 for a non-saturating G at the optimum
AHEAD = 0.98  # of all pairs of a real image and a sample: D has won
NARROW = 0.5  # diversity: the samples' mean distance over the data's
VERY_NARROW = 0.3  # so narrow that samples which move do so together, as D chases them
REPEATS = 0.25  # of the samples are as good as equal to another one
RESTLESS = 1.0  # motion of one z's sample between measurements, over the data's mean distance
UNSETTLED, COVERED = 0.5, 0.5  # motion, where coverage is below that
SETTLING = 0.6  # motion, over that of the window before: below, it is coming to rest
RISING = 1.1  # coverage, over that of the window before: above, kinds are still being learned
PRECISE, UNCOVERED = 0.5, 0.4  # precision of good samples, coverage of such as are not everywhere

REMEDIES: dict[FailureMode, str] = {
    "diminished gradient": (
        "--objective nonsaturating (or pairing, where the recipe has it), or fewer steps of D "
        "(--k, where the recipe has it)"
    ),
    "mode collapse": (
        "the pairing objective with R1 and R2, as the recipe mnist plays it (a higher --gamma "
        "there), or more steps of D (--k, where the recipe has it)"
    ),
    "non-convergence": (
        "a lower --rate, R1 and R2 (a higher --gamma, where the recipe has it), or averaging of "
        "G's weights, as the recipe mnist does"
    ),
}


def diagnose(
    history: Sequence[Measurement], before: Sequence[Finding] | None = None
) -> list[Finding]:
    """What is going wrong now, by the medians of the game's last five measurements.

    The rules in their order; the first that applies names the failure mode, and all but the very
    first wait for ten measurements:

    - *non-convergence*: a loss or a weight is not finite any more;
    - *diminished gradient*: less than .02 of D's slope reaches G, and D ranks more than 98 % of
      the pairs of a real image and a sample rightly;
    - *mode collapse*: samples are nearer to each other than .3 of what real images are;
    - *non-convergence*: the same z's sample moves between measurements by more than the real
      images' mean distance, or more than half of it while coverage is below .5; and by more than .6
      of what it moved five measurements before;
    - *mode collapse*: one sample in four repeats another; or less than .4 of the real images have
      one near (coverage), and samples are nearer to each other than .5 of what real images are, or
      more than half of them are good (precision), coverage is no more than 1.1 of what it was five
      measurements before, and they move by less than .5.

    The failure modes are those of Goodfellow (2016), NIPS 2016 Tutorial: Generative Adversarial
    Networks, sections 3.2 and 5.1. The thresholds were chosen on one half of the games of
    `benchmarks/health.py`; its other half tells what they are worth.

    Args:
        history: the game's measurements from its beginning, as of `measurements_of`.
        before: what was found one measurement earlier, where that is known: it spares the way back
            to the failure's first round.

    >>> lost = {"G signal": 1e-5, "D ahead": 1.0}
    >>> [finding] = diagnose([{"step": 100 * i, **lost} for i in range(1, 21)])
    >>> finding.failure, finding.since
    ('diminished gradient', 1000)
    """
    failure = _failure(history, len(history))
    if failure is None:
        return []
    evidence = (
        DIVERGED if _diverged(history[-1]) else _evidence(failure, _medians(history[-WINDOW:]))
    )
    first = len(history)
    while before is None and _failure(history, first - 1) == failure:
        first -= 1
    known = {finding.failure: finding.since for finding in before or ()}
    since = known.get(failure, int(history[first - 1]["step"]))
    return [Finding(failure, since, evidence, REMEDIES[failure])]


def _failure(history: Sequence[Measurement], end: int) -> FailureMode | None:
    """How the game failed when it had `end` measurements."""
    if end and _diverged(history[end - 1]):
        return "non-convergence"
    if end < EARLIEST:
        return None
    now = _medians(history[end - WINDOW : end])
    before = _medians(history[end - 2 * WINDOW : end - WINDOW])
    diversity, coverage = now.get("diversity", 1.0), now.get("coverage", 1.0)
    motion = now.get("motion", 0.0)
    if now.get("G signal", 1.0) < NO_SIGNAL and now.get("D ahead", 0.0) > AHEAD:
        return "diminished gradient"
    if diversity < VERY_NARROW:
        return "mode collapse"
    restless = motion > SETTLING * before.get("motion", 0.0)
    if restless and (motion > RESTLESS or (motion > UNSETTLED and coverage < COVERED)):
        return "non-convergence"
    narrow = diversity < NARROW and coverage < UNCOVERED
    if narrow or now.get("repeats", 0.0) > REPEATS:
        return "mode collapse"
    stuck = coverage < UNCOVERED and coverage < RISING * before.get("coverage", 1.0)
    if motion < UNSETTLED and now.get("precision", 0.0) > PRECISE and stuck:
        return "mode collapse"
    return None


def _diverged(measurement: Measurement) -> bool:
    return not measurement.get(FINITE, 1.0)


def _medians(history: Sequence[Measurement]) -> dict[str, float]:
    names = dict.fromkeys(name for now in history for name in now)
    return {name: median(now[name] for now in history if name in now) for name in names}


def _evidence(failure: FailureMode, now: Measurement) -> str:
    match failure:
        case "diminished gradient":
            return (
                f"D ranks {now['D ahead']:.1%} of pairs rightly, and {now['G signal']:.2g} of its "
                "slope reaches G"
            )
        case "mode collapse":
            said = {
                "diversity": "samples are {:.2f} times as far from each other as real images",
                "repeats": "{:.0%} repeat another",
                "coverage": "coverage is {:.2f}",
            }
            return ", ".join(text.format(now[key]) for key, text in said.items() if key in now)
        case "non-convergence":
            return (
                f"one z's sample moves by {now['motion']:.2f} of the distance between two real "
                "images between measurements"
            )


def health_table(history: Sequence[Measurement], findings: Sequence[Finding], width: int) -> Group:
    """What was measured of a game, at as many rounds as so many columns hold, and the findings."""
    count = max(2, min(8, (width - 20) // 12))  # names take 20 columns, a round 12
    shown = sorted({round(i * (len(history) - 1) / (count - 1)) for i in range(count)})
    table = Table("round", *(f"{history[i]['step']:,}" for i in shown))
    for column in table.columns[1:]:
        column.justify = "right"
    for name in dict.fromkeys(key for now in history for key in now if key != "step"):
        values = [history[i].get(name) for i in shown]
        table.add_row(escape(name), *("" if v is None else f"{v:.3g}" for v in values))
    young = f"too young to tell how it goes: {len(history)} of {EARLIEST} measurements"
    well = WELL if len(history) >= EARLIEST else young
    return Group(table, *([finding_text(finding) for finding in findings] or [Text(well)]))


def finding_text(finding: Finding) -> Text:
    """One finding in words."""
    return Text.assemble(
        (f"{finding.failure} since round {finding.since:,}", "bold yellow"),
        f": {finding.evidence}. Try: {finding.remedy}.",
    )
