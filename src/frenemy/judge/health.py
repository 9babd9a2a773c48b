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
    """The measurements in rows of a log: each with its "step", names without their beginning."""
    ticks: list[Tick] = []
    for row in rows:
        measured = {k.removeprefix(HEALTH): v for k, v in row.items() if k.startswith(HEALTH)}
        if measured:
            ticks.append({"step": row["step"], **measured})
    return ticks


WINDOW = 5  # ticks, whose medians are looked at
EARLIEST = 10  # ticks: younger games may still be finding their feet

NO_SIGNAL = 0.02  # of |d loss / d D(G(z))|, which is 1/2 for a non-saturating G at the optimum
AHEAD = 0.98  # of all pairs of a real image and a sample: D has won
NARROW = 0.5  # diversity: the samples' mean distance over the data's
VERY_NARROW = 0.3  # so narrow that samples which move do so together, as D chases them
REPEATS = 0.15  # of the samples are as good as equal to another one
RESTLESS = 0.7  # motion of one z's sample from tick to tick, over the data's mean distance
UNSETTLED, COVERED = 0.3, 0.6  # motion, where coverage is below that
SETTLING = 0.6  # motion, over that of the window before: below, it is coming to rest
PRECISE, UNCOVERED = 0.5, 0.4  # precision of good samples, coverage of such as are not everywhere

REMEDIES: dict[Illness, str] = {
    "diminished gradient": "--objective nonsaturating or pairing, fewer D steps, or R1 and R2",
    "mode collapse": "--objective pairing with R1 and R2 (a higher --gamma), or a lower rate of G",
    "non-convergence": "a lower --rate, R1 and R2 (a higher --gamma), or averaging of G",
}


def diagnose(ticks: Sequence[Tick]) -> list[Finding]:
    """What ails the game now, by the medians of its last five ticks.

    The rules in their order; the first that applies names the illness:

    - *diminished gradient*: less than .02 of D's slope reaches G, and D ranks more than 98 % of
      the pairs of a real image and a sample rightly;
    - *mode collapse*: samples are nearer to each other than .3 of what real images are;
    - *non-convergence*: the same z's sample moves from tick to tick by more than .7 of the real
      images' mean distance, or more than .3 while coverage is below .6; and by more than .6 of what
      it moved five ticks before;
    - *mode collapse*: samples are nearer to each other than .5 of what real images are, or 15 % of
      them repeat another one, or more than half of them are good (precision), and less than .4 of
      the real images have one near (coverage).

    The illnesses are those of Goodfellow (2016), NIPS 2016 Tutorial: Generative Adversarial
    Networks, sections 3.2 and 5.1. The thresholds were chosen on one half of the games of
    `benchmarks/health.py`; its other half tells what they are worth.

    Args:
        ticks: the game's measurements from its beginning, as of `ticks_of`.

    >>> lost = {"G signal": 1e-5, "D ahead": 1.0}
    >>> [finding] = diagnose([{"step": 100 * i, **lost} for i in range(1, 21)])
    >>> finding.illness, finding.since
    ('diminished gradient', 1000)
    """
    illness = _illness(ticks)
    if illness is None:
        return []
    first = len(ticks)
    while _illness(ticks[: first - 1]) == illness:
        first -= 1
    evidence = _evidence(illness, _medians(ticks[-WINDOW:]))
    return [Finding(illness, int(ticks[first - 1]["step"]), evidence, REMEDIES[illness])]


def _illness(ticks: Sequence[Tick]) -> Illness | None:
    if len(ticks) < EARLIEST:
        return None
    now, before = _medians(ticks[-WINDOW:]), _medians(ticks[-2 * WINDOW : -WINDOW])
    diversity, coverage = now.get("diversity", 1.0), now.get("coverage", 1.0)
    motion = now.get("motion", 0.0)
    if now.get("G signal", 1.0) < NO_SIGNAL and now.get("D ahead", 0.0) > AHEAD:
        return "diminished gradient"
    if diversity < VERY_NARROW:
        return "mode collapse"
    restless = motion > SETTLING * before.get("motion", 0.0)
    if restless and (motion > RESTLESS or (motion > UNSETTLED and coverage < COVERED)):
        return "non-convergence"
    if diversity < NARROW or now.get("repeats", 0.0) > REPEATS:
        return "mode collapse"
    if motion < UNSETTLED and now.get("precision", 0.0) > PRECISE and coverage < UNCOVERED:
        return "mode collapse"
    return None


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
            return (
                f"samples are {now['diversity']:.2f} times as far from each other as real images, "
                f"{now.get('repeats', 0.0):.0%} repeat another, coverage is "
                f"{now.get('coverage', 0.0):.2f}"
            )
        case "non-convergence":
            return (
                f"one z's sample moves by {now['motion']:.2f} of the distance between two real "
                "images from tick to tick"
            )
