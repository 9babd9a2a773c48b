"""Is this game going well? Rules that turn a game's measurements into findings, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

HEALTH = "health/"
"""Begins the name of every measurement in a row of the log."""

Illness = Literal["non-convergence", "mode collapse", "diminished gradient"]
Tick = Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """One illness of a game.

    Attributes:
        illness: which of the three.
        since: the round from which on it was seen without a break.
        evidence: the measurements that show it.
        remedy: what to try.
    """

    illness: Illness
    since: int
    evidence: str
    remedy: str


def ticks_of(rows: Iterable[Mapping[str, Any]]) -> list[Tick]:
    """The measurements in rows of a log: each with its "step", names without their beginning.

    Of a game in several stages, each of which begins anew, only the last stage's.

    >>> ticks_of([{"step": 50, "D(x)": 0.6}, {"step": 100, "D(x)": 0.5, "health/motion": 0.1}])
    [{'step': 100, 'motion': 0.1}]
    """
    ticks: list[Tick] = []
    stage = 0
    for row in rows:
        if row.get("stage", stage) != stage:
            stage = row["stage"]
            ticks.clear()
        measured = {k.removeprefix(HEALTH): v for k, v in row.items() if k.startswith(HEALTH)}
        if measured:
            ticks.append({"step": row["step"], **measured})
    return ticks


FINITE = "finite"
"""The measurement that a game ends with if a loss or a weight is infinite or NaN: 0."""
BLOWN_UP = "a loss or a weight is not finite"

WINDOW = 5  # ticks, whose medians are looked at
EARLIEST = 10  # ticks: younger games may still be finding their feet

NO_SIGNAL = 0.02  # of |d loss / d D(G(z))|, which is 1/2 for a non-saturating G at the optimum
AHEAD = 0.98  # of all pairs of a real image and a sample: D has won
NARROW = 0.5  # diversity: the samples' mean distance over the data's
VERY_NARROW = 0.3  # so narrow that samples which move do so together, as D chases them
REPEATS = 0.25  # of the samples are as good as equal to another one
RESTLESS = 1.0  # motion of one z's sample from tick to tick, over the data's mean distance
UNSETTLED, COVERED = 0.5, 0.5  # motion, where coverage is below that
SETTLING = 0.6  # motion, over that of the window before: below, it is coming to rest
RISING = 1.1  # coverage, over that of the window before: above, kinds are still being learned
PRECISE, UNCOVERED = 0.5, 0.4  # precision of good samples, coverage of such as are not everywhere

REMEDIES: dict[Illness, str] = {
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


def diagnose(ticks: Sequence[Tick], before: Sequence[Finding] | None = None) -> list[Finding]:
    """What ails the game now, by the medians of its last five ticks.

    The rules in their order; the first that applies names the illness, and all but the very first
    wait for ten ticks:

    - *non-convergence*: a loss or a weight is not finite any more;
    - *diminished gradient*: less than .02 of D's slope reaches G, and D ranks more than 98 % of
      the pairs of a real image and a sample rightly;
    - *mode collapse*: samples are nearer to each other than .3 of what real images are;
    - *non-convergence*: the same z's sample moves from tick to tick by more than the real images'
      mean distance, or more than half of it while coverage is below .5; and by more than .6 of what
      it moved five ticks before;
    - *mode collapse*: one sample in four repeats another; or less than .4 of the real images have
      one near (coverage), and samples are nearer to each other than .5 of what real images are, or
      more than half of them are good (precision), coverage is no more than 1.1 of what it was five
      ticks before, and they move by less than .5.

    The illnesses are those of Goodfellow (2016), NIPS 2016 Tutorial: Generative Adversarial
    Networks, sections 3.2 and 5.1. The thresholds were chosen on one half of the games of
    `benchmarks/health.py`; its other half tells what they are worth.

    Args:
        ticks: the game's measurements from its beginning, as of `ticks_of`.
        before: what was found one tick earlier, where that is known: it spares the way back to the
            illness's first round.

    >>> lost = {"G signal": 1e-5, "D ahead": 1.0}
    >>> [finding] = diagnose([{"step": 100 * i, **lost} for i in range(1, 21)])
    >>> finding.illness, finding.since
    ('diminished gradient', 1000)
    """
    illness = _illness(ticks, len(ticks))
    if illness is None:
        return []
    evidence = BLOWN_UP if _blown_up(ticks[-1]) else _evidence(illness, _medians(ticks[-WINDOW:]))
    first = len(ticks)
    while before is None and _illness(ticks, first - 1) == illness:
        first -= 1
    known = {finding.illness: finding.since for finding in before or ()}
    since = known.get(illness, int(ticks[first - 1]["step"]))
    return [Finding(illness, since, evidence, REMEDIES[illness])]


def _illness(ticks: Sequence[Tick], end: int) -> Illness | None:
    """What ailed the game when it had `end` ticks."""
    if end and _blown_up(ticks[end - 1]):
        return "non-convergence"
    if end < EARLIEST:
        return None
    now = _medians(ticks[end - WINDOW : end])
    before = _medians(ticks[end - 2 * WINDOW : end - WINDOW])
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


def _blown_up(tick: Tick) -> bool:
    return not tick.get(FINITE, 1.0)


def _medians(ticks: Sequence[Tick]) -> dict[str, float]:
    names = dict.fromkeys(name for tick in ticks for name in tick)
    return {name: median(tick[name] for tick in ticks if name in tick) for name in names}


def _evidence(illness: Illness, now: Tick) -> str:
    match illness:
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
                "images from tick to tick"
            )
