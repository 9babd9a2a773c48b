"""Is this game going well? Rules that turn a game's measurements into findings, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from frenemy.remedies import FailureMode, remedy

HEALTH = "health/"
"""Begins the name of every quantity of a measurement in a row of the log."""

Measurement = Mapping[str, float]
NO_ARGUMENTS: Mapping[str, Any] = {}

SAMPLES = 256  # in a measurement, compared with as many real images
FEWEST_REAL = 50  # different ones: of fewer, neighbourhoods say nothing


@dataclass(frozen=True)
class Finding:
    """One failure mode of a game.

    Attributes:
        failure: which.
        since: the round from which on it was seen without a break.
        evidence: the measurements that show it.
        remedy: what to try.
    """

    failure: FailureMode
    since: int
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Outcome:
    """How a game goes, as far as can be told.

    Attributes:
        word: a failure was found, or none, or it cannot be told.
        sentence: what was found, or looked for in vain, or why it cannot be told.
        findings: the failures, if there are any.
    """

    word: Literal["failure", "well", "cannot tell"]
    sentence: str
    findings: Sequence[Finding] = ()


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

WELL = (
    "no sign of non-convergence, mode collapse, a diminished gradient, or a player that does not "
    "learn"
)
RARE = f"{SAMPLES} samples cannot show whether kinds rarer than about 1 in 100 are missing"

WINDOW = 5  # measurements, whose medians are looked at
LONG = 3 * WINDOW  # measurements
FEWEST, YOUNGEST = 10, 100_000  # measurements and images: younger games may be finding their feet
SURE, SOON = 4, 40_000  # of what no game that goes well does
SLOW = 2.5  # times as many measurements do, however few images they are
UNKNOWN = 10_000  # images to a measurement, where the log does not say

NO_SIGNAL = 0.02  # of |d loss / d D(G(z))|, which is 1/2 for a non-saturating G at the optimum
AHEAD = 0.98  # of all pairs of a real image and a sample: D has won
BEHIND = 0.05  # of all pairs: it is always fooled
CHANCE = 0.6  # of all pairs: it hardly knows anything
AT_CHANCE = 0.15  # off one half: as little
FAR = 0.02  # precision and coverage: no sample is near any real image
NEARER = 0.97  # distance, over that of two windows before: below, samples come nearer
ALIKE = 0.1  # diversity: samples are one picture, give or take
NARROW = 0.5  # diversity: the samples' mean distance over the data's
VERY_NARROW = 0.3  # so narrow that samples which move do so together, as D chases them
REPEATS = 0.25  # of the samples are as good as equal to another one
RESTLESS = 1.0  # motion of one z's sample in 100 rounds, over the data's mean distance
UNSETTLED, STILL = 0.5, 0.01  # motion of samples that are not at rest; that stay where they are
FEW, SOME = 0.25, 0.6  # coverage: so many of the real images have a sample near
SETTLING = 0.6  # motion, over that of the window before: below, it is coming to rest
WIDENING = 1.1  # diversity, over that of the window before: above, G still learns kinds
PRECISE = 0.5  # precision of good samples


def diagnose(
    history: Sequence[Measurement],
    before: Sequence[Finding] | None = None,
    arguments: Mapping[str, Any] = NO_ARGUMENTS,
) -> list[Finding]:
    """What is going wrong now, by the medians of the game's last five measurements.

    The rules in their order; the first that applies names the failure mode:

    - *non-convergence*: a loss or a weight is not finite any more;
    - *mode collapse*, soon: in each of the last four measurements one sample in four repeats
      another, and samples, and what G makes as it plays, are nearer to each other than .1 of what
      real images are; they are no less alike than at first (fourteen measurements before at most),
      and D has not won.

    All others wait for ten measurements and 100,000 images, or 25 measurements:

    - *diminished gradient*: less than .02 of D's slope reaches G, and D ranks more than 98 % of
      the pairs of a real image and a sample rightly;
    - *D does not learn*: in each of the last ten measurements it ranks less than 5 % of pairs
      rightly;
    - *mode collapse*: samples are nearer to each other than .3 of what real images are; or *G makes
      no headway*, if D has won and they move by less than .01; or, where the players are told
      classes, *mode collapse* if those of one class are, each class being one picture;
    - *non-convergence*: the same z's sample moves in 100 rounds by more than the real images' mean
      distance, or more than half of it while coverage is below .25; and by more than .6 of what it
      moved five measurements before;
    - *mode collapse*: one sample in four repeats another; or samples are nearer to each other than
      .5 of what real images are, and no more than 1.1 as far as five measurements before, and less
      than .6 of the real images have one near (coverage);
      or coverage is less than .25 in each of the last ten measurements, while more than half of
      the samples are good (precision) and they move by less than .5;
    - *G makes no headway*: in each of the last fifteen measurements precision and coverage are .02
      at most, and samples are more than .97 as far from real images as ten measurements before; or
      *D does not learn*, if it ranks no more than 60 % of pairs rightly then.

    The first three failure modes are those of Goodfellow (2016), NIPS 2016 Tutorial: Generative
    Adversarial Networks, sections 3.2 and 5.1. The thresholds were chosen on one half of the games
    of `benchmarks/health.py`; its other half tells what they are worth.

    Args:
        history: the game's measurements from its beginning, as of `measurements_of`.
        before: what was found one measurement earlier, where that is known: it spares the way back
            to the failure's first round.
        arguments: of the recipe, by name, as `run.json` has them: remedies are found among them.

    >>> lost = {"G signal": 1e-5, "D ahead": 1.0}
    >>> [finding] = diagnose([{"step": 100 * i, **lost} for i in range(1, 21)])
    >>> finding.failure, finding.since
    ('diminished gradient', 1000)
    """
    failure = _failure(history, len(history))
    if failure is None:
        return []
    now = _medians(history[-WINDOW:])
    first = len(history)
    while before is None and _failure(history, first - 1) == failure:
        first -= 1
    known = {finding.failure: finding.since for finding in before or ()}
    since = known.get(failure, int(history[first - 1]["step"]))
    if _diverged(history[-1]):
        return [Finding(failure, since, DIVERGED, remedy(failure, arguments))]
    at_chance = failure == "mode collapse" and abs(now.get("D ahead", 0.0) - 0.5) < AT_CHANCE
    options = remedy(failure, arguments, at_chance=at_chance)
    return [Finding(failure, since, _evidence(failure, now), options)]


def outcome(
    history: Sequence[Measurement],
    arguments: Mapping[str, Any] = NO_ARGUMENTS,
    others: Sequence[Finding] = (),
) -> Outcome:
    """How the game goes now: a failure, well, or that it cannot be told, and why.

    Args:
        history, arguments: as of `diagnose`.
        others: what was found by other means.

    >>> outcome([]).sentence
    'cannot tell: nothing was measured yet'
    """
    if findings := [*diagnose(history, arguments=arguments), *others]:
        said = " ".join(finding_text(finding).plain for finding in findings)
        return Outcome("failure", said, findings)
    if reason := _unknown(history):
        return Outcome("cannot tell", f"cannot tell: {reason}")
    return Outcome("well", f"{WELL}; {RARE}")


def _unknown(history: Sequence[Measurement]) -> str | None:
    """Why nothing can be said of a game in which nothing was found."""
    if not history:
        return "nothing was measured yet"
    if not _of_age(history, len(history), FEWEST, YOUNGEST):
        reached = {
            "measurements": (len(history), FEWEST),
            "images": (_images(history, len(history)), YOUNGEST),
        }
        missing = [f"{n:,.0f} of {m:,} {what}" for what, (n, m) in reached.items() if n < m]
        return f"it is too early: {', '.join(missing)}"
    now = _medians(history[-WINDOW:])
    if "diversity" not in now:
        return "samples could not be compared: there is only one distinct real image"
    if "coverage" not in now:
        return f"there are fewer than {FEWEST_REAL} different real images to compare samples with"
    if _is_far(now):
        return "no sample is close to a real image yet"
    if _is_narrow(now):
        return "samples are still close to each other, but spreading"
    return None


def _failure(history: Sequence[Measurement], end: int) -> FailureMode | None:
    """How the game failed when it had `end` measurements."""
    recent = history[max(0, end - LONG) : end]
    if recent and _diverged(recent[-1]):
        return "non-convergence"
    if not _of_age(recent, end, SURE, SOON):
        return None
    now = _medians(recent[-WINDOW:])
    won = now.get("D ahead", 0.0) > AHEAD
    alike = all(map(_is_alike, recent[-SURE:]))
    if not won and alike and recent[-1]["diversity"] <= recent[0].get("diversity", 1.0):
        return "mode collapse"
    if not _of_age(recent, end, FEWEST, YOUNGEST):
        return None
    before = _medians(recent[-2 * WINDOW : -WINDOW])
    if won and now.get("G signal", 1.0) < NO_SIGNAL:
        return "diminished gradient"
    if all(measurement.get("D ahead", 1.0) < BEHIND for measurement in recent[-2 * WINDOW :]):
        return "D does not learn"
    diversity, coverage = _diversity(now), now.get("coverage", 1.0)
    motion = now.get("motion", 0.0)
    if diversity < VERY_NARROW:
        return "G makes no headway" if won and now.get("motion", 1.0) < STILL else "mode collapse"
    if now.get("diversity within classes", 1.0) < VERY_NARROW:
        return "mode collapse"
    restless = motion > SETTLING * before.get("motion", 0.0)
    if restless and (motion > RESTLESS or (motion > UNSETTLED and coverage < FEW)):
        return "non-convergence"
    widening = diversity > WIDENING * _diversity(before)
    if (_is_narrow(now) and not widening) or now.get("repeats", 0.0) > REPEATS:
        return "mode collapse"
    few = all(measurement.get("coverage", 1.0) < FEW for measurement in recent[-2 * WINDOW :])
    if few and motion < UNSETTLED and now.get("precision", 0.0) > PRECISE:
        return "mode collapse"
    stays_far = len(recent) == LONG and all(map(_is_far, recent))
    if stays_far and now["distance"] > NEARER * _medians(recent[:WINDOW])["distance"]:
        return "D does not learn" if now.get("D ahead", 1.0) <= CHANCE else "G makes no headway"
    return None


def _of_age(recent: Sequence[Measurement], count: int, fewest: int, images: int) -> bool:
    """Whether a game is old enough that has had `count` measurements, these the last of them."""
    return count >= SLOW * fewest or (count >= fewest and _images(recent, count) >= images)


def _images(recent: Sequence[Measurement], count: int) -> float:
    """That it was played on."""
    return recent[-1].get("images", UNKNOWN * count)


def _diversity(measurement: Measurement) -> float:
    """Of samples, or of what G makes as it plays: an average of its weights may lag behind."""
    found = [measurement.get("diversity", 1.0), measurement.get("diversity in play", 0.0)]
    return max(found)


def _is_alike(measurement: Measurement) -> bool:
    return _diversity(measurement) < ALIKE and measurement.get("repeats", 0.0) > REPEATS


def _is_narrow(now: Measurement) -> bool:
    return _diversity(now) < NARROW and now.get("coverage", 1.0) < SOME


def _is_far(measurement: Measurement) -> bool:
    return "distance" in measurement and (
        max(measurement["precision"], measurement["coverage"]) <= FAR
    )


def _diverged(measurement: Measurement) -> bool:
    return not measurement.get(FINITE, 1.0)


def _medians(history: Sequence[Measurement]) -> dict[str, float]:
    names = dict.fromkeys(name for now in history for name in now)
    return {name: median(now[name] for now in history if name in now) for name in names}


def _evidence(failure: FailureMode, now: Measurement) -> str:
    ranks = f"D ranks {now.get('D ahead', math.nan):.1%} of pairs correctly"
    match failure:
        case "diminished gradient":
            return f"{ranks}, and {now['G signal']:.2g} of its slope reaches G"
        case "mode collapse":
            said = {
                "diversity": "samples are {:.2f} times as far from each other as real images",
                "diversity within classes": "those of one class {:.2f} times",
                "repeats": "{:.0%} repeat another",
                "coverage": "coverage is {:.2f}",
            }
            return ", ".join(text.format(now[key]) for key, text in said.items() if key in now)
        case "non-convergence":
            return (
                f"the sample of a fixed z moves by {now['motion']:.2f} of the distance between two "
                "real images in 100 rounds"
            )
        case "D does not learn":
            return ranks if not _is_far(now) else f"{ranks}, {_how_far(now)}"
        case _:
            stays = f"{_how_far(now)}, and get no closer" if _is_far(now) else "samples do not move"
            return f"{stays}; {ranks}"


def _how_far(now: Measurement) -> str:
    return f"samples are {now['distance']:.1f} times as far from real images as these are apart"


def health_table(history: Sequence[Measurement], outcome: Outcome, width: int) -> Group:
    """What was measured of a game, at as many rounds as so many columns hold, and how it goes."""
    count = max(2, min(8, (width - 20) // 12))  # names take 20 columns, a round 12
    shown = sorted({round(i * (len(history) - 1) / (count - 1)) for i in range(count)})
    table = Table("round", *(f"{history[i]['step']:,}" for i in shown))
    for column in table.columns[1:]:
        column.justify = "right"
    for name in dict.fromkeys(key for now in history for key in now if key != "step"):
        values = [history[i].get(name) for i in shown]
        table.add_row(escape(name), *("" if v is None else f"{v:.3g}" for v in values))
    return Group(table, outcome_text(outcome))


def outcome_text(outcome: Outcome) -> Text:
    """An outcome in words."""
    if not outcome.findings:
        return Text(outcome.sentence)
    return Text(" ").join(finding_text(finding) for finding in outcome.findings)


def finding_text(finding: Finding) -> Text:
    """One finding in words."""
    return Text.assemble(
        (f"{finding.failure} since round {finding.since:,}", "bold yellow"),
        f": {finding.evidence}. Try: {finding.remedy}.",
    )
