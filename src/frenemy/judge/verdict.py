"""What the numbers say, in words that need no knowledge of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frenemy.judge.estimate import Estimate
from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES

FEWEST = 100  # images of each set: with fewer, shares are known to a tenth at best
REPEATED = 0.1  # of the samples repeat another one: collapsed
SHARP = 0.7  # of the real images' detail: with less, blurred (half a pixel's blur leaves that much)
ROUGH = 1.5  # of it: with more, noisy
LOST, GOOD = (
    0.3,
    0.75,
)  # of the held-out images' precision or recall: below the one, above the other
NO_BETTER = 0.5  # of the held-out images' precision: where noise has more, precision tells nothing
FAR = 0.3  # of noise's kernel distance: as far from real images
TOLD_APART = 0.9  # of pairs of sets' images a classifier tells apart: not good, whatever else

NEEDED = ("precision", "recall", "sharpness", "copying")
"""Metrics without which there is no verdict."""


@dataclass(frozen=True)
class Verdict:
    """The judge's verdict.

    Attributes:
        word: good, fair, blurred, noisy, collapsed, copied, kinds missing, unlike real images, too
            few images to say, or no full verdict.
        said: why, and what else there is to know: whole sentences, the most important first.
    """

    word: str
    said: Sequence[str]

    def __str__(self) -> str:
        return f"{self.word.capitalize()}. {' '.join(self.said)}"


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made of.

    Attributes:
        samples, held_out: how many images.
        found: results by the metric's name, then by column; those of the first features.
        equal: the column of samples that is as large as that of held-out images.
        repeats: share of the samples that repeat another, at the least.
        copied: whether some samples are certainly copies of training images.
        copies: what the search for copies found, in words.
        lost: kinds of images that are missing, by name.
        ails: what health found while the game was played, in words; "" for nothing.
    """

    samples: int
    held_out: int
    found: Mapping[str, Mapping[str, Estimate]]
    equal: str = SAMPLES
    repeats: float = 0.0
    copied: bool = False
    copies: str = ""
    lost: Sequence[str] = ()
    ails: str = ""

    def value(self, metric: str, column: str) -> float | None:
        """A value, or None where it was not measured."""
        estimate = self.found.get(metric, {}).get(column)
        return None if estimate is None else estimate.value

    def of_samples(self, metric: str) -> float | None:
        """The samples' value, of as many of them as there are held-out images."""
        ours = self.value(metric, self.equal)
        return self.value(metric, SAMPLES) if ours is None else ours

    @property
    def precision_tells(self) -> bool:
        """Whether it is higher for real images than for noise: in some features it is not."""
        noise, best = self.value("precision", NOISE), self.value("precision", HELD_OUT)
        return noise is None or best is None or noise < NO_BETTER * best

    @property
    def far(self) -> bool:
        """Whether samples are nearly as far from real images as noise is."""
        ours, noise = self.value("kid", SAMPLES), self.value("kid", NOISE)
        return ours is not None and noise is not None and ours > FAR * noise > 0

    def relative(self, metric: str) -> float | None:
        """That over the held-out images' value."""
        ours, theirs = self.of_samples(metric), self.value(metric, HELD_OUT)
        return None if ours is None or theirs is None else ours / max(theirs, 1e-9)


def verdict_of(evidence: Evidence) -> Verdict:
    """The verdict: the first of these that holds.

    - *collapsed*: more than a tenth of the samples repeat another;
    - *copied*: samples are training images, for certain (see `frenemy.judge.copying`);
    - *too few images to say*: fewer than 100 samples or held-out images;
    - *blurred*: less than .7 of the real images' fine detail; *noisy*: more than 1.5 of it;
    - *unlike real images*: less than .3 of the held-out images' precision, or more than .3 of
      noise's kernel distance; where noise has more than half of the held-out images' precision,
      that of samples says nothing, and is not told;
    - *collapsed*: less than .3 of their recall, at equal counts;
    - *kinds missing*: classes that are due are not there;
    - *fair*: less than .75 of either, or a classifier tells 9 of 10 images rightly;
    - *good*.

    Args:
        evidence: all that is known. Without precision, recall, sharpness and copying there is no
            verdict but what is certain without them.
    """
    precision = evidence.relative("precision") if evidence.precision_tells else None
    recall = evidence.relative("recall")
    detail = evidence.of_samples("sharpness")
    told_apart = evidence.of_samples("two-sample")
    told: list[tuple[str, str]] = []
    if evidence.repeats > REPEATED:
        told.append(("collapsed", f"{evidence.repeats:.0%} of the samples repeat another."))
    if evidence.copied:
        told.append(("copied", evidence.copies))
    if (fewer := min(evidence.samples, evidence.held_out)) < FEWEST:
        whose = "samples" if evidence.samples == fewer else "held-out real images"
        told.append(("too few images to say", f"There are only {fewer:,} {whose}."))
    if detail is not None and detail < SHARP:
        told.append(("blurred", f"They have {detail:.0%} of the fine detail of real images."))
    if detail is not None and detail > ROUGH:
        told.append(("noisy", f"They have {detail:.1f} times the fine detail of real images."))
    if (precision is not None and precision < LOST) or evidence.far:
        told.append(("unlike real images", ""))
    if recall is not None and recall < LOST:
        told.append(("collapsed", "They lack most of the variety of real images."))
    if evidence.lost:
        listed = ", ".join(evidence.lost[:10]) + (", ..." if len(evidence.lost) > 10 else "")
        told.append(("kinds missing", f"Missing or far too rare: {listed}."))
    missing = [name for name in NEEDED if name not in evidence.found]
    if missing:
        said = f"Not measured: {', '.join(missing)}; leave out --metrics for a full verdict."
        told.append(("no full verdict", said))
    if (
        any(x is not None and x < GOOD for x in (precision, recall))
        or (told_apart or 0) > TOLD_APART
    ):
        told.append(("fair", ""))
    word = told[0][0] if told else "good"
    said = [text for _, text in told if text]
    said += _shares(evidence)
    if told_apart is not None:
        said.append(
            f"A small classifier tells samples from real images with {told_apart:.0%} accuracy; "
            "chance is 50%."
        )
    if evidence.copies and not evidence.copied and evidence.repeats <= REPEATED:
        said.append(evidence.copies)
    if evidence.ails:
        said.append(f"During training: {evidence.ails}")
    return Verdict(word, said)


def _shares(evidence: Evidence) -> list[str]:
    """Precision and recall without their names."""
    said = []
    for metric, ours, theirs in (
        (
            "precision",
            "{:.0f} of 100 samples lie among the real images",
            "of held-out real images {:.0f} do.",
        ),
        (
            "recall",
            "{:.0f} of 100 real images lie among the samples",
            "among as many held-out images {:.0f} do.",
        ),
    ):
        if metric == "precision" and not evidence.precision_tells:
            continue
        mine, best = evidence.of_samples(metric), evidence.value(metric, HELD_OUT)
        if mine is not None and best is not None:
            text = f"{ours.format(100 * mine)}; {theirs.format(100 * best)}"
            said.append(text[0].upper() + text[1:])
    return said
