"""The metrics: what is known of each, and the lines that they make of a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from frenemy.errors import FrenemyError
from frenemy.judge.authenticity import Authenticity
from frenemy.judge.classes import diversity_within_classes, inception_score
from frenemy.judge.copying import Copying
from frenemy.judge.diversity import vendi
from frenemy.judge.estimate import Estimate
from frenemy.judge.feature_pairs import Extractor, FeaturePair
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import kid
from frenemy.judge.sets import SAMPLES, Sets
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test
from frenemy.judge.verdict import Better, Line


@dataclass(frozen=True)
class Metric:
    """What is known of a metric; options, pages and documentation are made of it.

    Attributes:
        name: that `--metrics` takes, and that the names of its lines begin with.
        better: which direction is.
        told: what it measures, in a sentence or two.
        source: the paper.
        measure: what does so on features; None where it needs other than these (`likelihoods`).
        classes: whether the features have to know classes.
        slow: measured only when asked for.
    """

    name: str
    better: Better
    told: str
    source: str
    measure: Callable[[FeaturePair], Estimate] | None
    classes: bool = False
    slow: bool = False


def _class_diversity(pair: FeaturePair) -> Estimate:
    return diversity_within_classes(
        real=pair.real,
        fake=pair.fake,
        real_classes=pair.real_classes,
        fake_classes=pair.fake_logits.argmax(1),
    )


@lru_cache(maxsize=1)
def copying_of(sets: Sets, seed: int) -> Copying:
    """The search for copies of the training images, which all columns share."""
    return Copying(train=sets.train, held_out=sets.valid, seed=seed)


@lru_cache(maxsize=1)
def _authenticity_of(extractor: Extractor, sets: Sets, seed: int) -> Authenticity:
    train, valid = map(extractor.features_of, (sets.train, sets.valid))
    return Authenticity(real=valid, train=train, seed=seed)


def _authenticity(pair: FeaturePair) -> Authenticity:
    return _authenticity_of(pair.extractor, pair.sets, pair.seed)


_KYNKAANNIEMI = (
    "Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models"
)
_NAEEM = "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"

_ALL = (
    Metric(
        name="fid",
        better="lower",
        told="Fréchet distance: the features of both sets are taken to be Gaussian, and this is "
        "the distance between the two Gaussians: it grows with bad samples and with missing kinds "
        "alike. Few samples make it too large, so compare values of the same number of samples "
        "and the same features only.",
        source="Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule Converge to a "
        "Local Nash Equilibrium",
        measure=lambda p: frechet(real=p.real, fake=p.fake),
    ),
    Metric(
        name="fid-infinity",
        better="lower",
        told="FID with the bias of few samples extrapolated away.",
        source="Chong and Forsyth 2020, Effectively Unbiased FID and Inception Score and Where to "
        "Find Them",
        measure=lambda p: frechet_infinity(real=p.real, fake=p.fake, seed=p.seed),
        slow=True,
    ),
    Metric(
        name="kid",
        better="lower",
        told="Kernel distance: the squared maximum mean discrepancy between the features, with a "
        "cubic polynomial kernel. It is unbiased: between sets of one distribution it is zero on "
        "average, so a value slightly below zero is nothing odd.",
        source="Bińkowski et al. 2018, Demystifying MMD GANs",
        measure=lambda p: kid(real=p.real, fake=p.fake, seed=p.seed),
    ),
    Metric(
        name="is",
        better="higher",
        told="Inception-style score: high if a classifier is sure of the class of each sample, "
        "and the classes are many. It never looks at the real images: samples that repeat one "
        "image a class still score well.",
        source="Salimans et al. 2016, Improved Techniques for Training GANs",
        measure=lambda p: inception_score(logits=p.fake_logits, seed=p.seed),
        classes=True,
    ),
    Metric(
        name="precision",
        better="higher",
        told="The share of samples that lie among the real images: quality.",
        source=_KYNKAANNIEMI,
        measure=lambda p: p.manifolds["precision"],
    ),
    Metric(
        name="recall",
        better="higher",
        told="The share of real images that lie among the samples: variety; a generator that has "
        "collapsed has high precision and low recall.",
        source=_KYNKAANNIEMI,
        measure=lambda p: p.manifolds["recall"],
    ),
    Metric(
        name="density",
        better="higher",
        told="In how many real neighbourhoods a sample lies on average: precision in a form that "
        "single outliers move less; 1 is normal, and it may be more.",
        source=_NAEEM,
        measure=lambda p: p.manifolds["density"],
    ),
    Metric(
        name="coverage",
        better="higher",
        told="What share of the real neighbourhoods holds a sample: recall in a form that single "
        "outliers move less.",
        source=_NAEEM,
        measure=lambda p: p.manifolds["coverage"],
    ),
    Metric(
        name="two-sample",
        better="lower",
        told="Classifier two-sample test: how often one trained to tell samples from real images "
        "is right on ones that it has not seen: one half, the best, means that it cannot, 1 that "
        "it always can.",
        source="Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests",
        measure=lambda p: two_sample_test(real=p.real, fake=p.fake, seed=p.seed),
    ),
    Metric(
        name="sliced-wasserstein",
        better="lower",
        told="Sliced Wasserstein distance: how far the one set has to be moved to become the "
        "other, seen along many random directions and averaged.",
        source="Rabin et al. 2012, Wasserstein Barycenter and Its Application to Texture Mixing",
        measure=lambda p: sliced_wasserstein(real=p.real, fake=p.fake, seed=p.seed),
        slow=True,
    ),
    Metric(
        name="vendi",
        better="higher",
        told="Vendi score: the effective number of different images in a set: 1 if all are the "
        "same, their number if all are wholly unlike. It says nothing of quality: noise is "
        "diverse.",
        source="Friedman and Dieng 2023, The Vendi Score: A Diversity Evaluation Metric for "
        "Machine Learning",
        measure=lambda p: vendi(fake=p.fake),
    ),
    Metric(
        name="classes",
        better="higher",
        told="How many of the classes are ever made.",
        source="Lin et al. 2018, PacGAN: The Power of Two Samples in Generative Adversarial "
        "Networks",
        measure=lambda p: p.modes.caught,
        classes=True,
    ),
    Metric(
        name="class-kl",
        better="lower",
        told="Reverse KL divergence of the classes' shares from those of the real images: 0 is "
        "equal.",
        source="Srivastava et al. 2017, VEEGAN: Reducing Mode Collapse in GANs using Implicit "
        "Variational Learning",
        measure=lambda p: p.modes.reverse_kl,
        classes=True,
    ),
    Metric(
        name="class-diversity",
        better="",
        told="How unlike one another the samples of one class are, as a share of what real images "
        "of that class are: 1 is as various as these, and near 0 each class has one picture only.",
        source="Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs",
        measure=_class_diversity,
        classes=True,
    ),
    Metric(
        name="copying",
        better="lower",
        told="The share of different samples that are training images, maybe shifted, mirrored or "
        "brighter, less the false alarms that held-out images show.",
        source="Lowe 2004, Distinctive Image Features from Scale-Invariant Keypoints (a nearest "
        "match counts if it is much nearer than others are)",
        measure=lambda p: copying_of(p.sets, p.seed).of(p.images).share,
    ),
    Metric(
        name="data-copying",
        better="",
        told="Data-copying test: whether samples lie nearer to the training images than held-out "
        "real images do. Below -3: they are copies; near 0: as it should be; far above: they miss "
        "the data.",
        source="Meehan et al. 2020, A Non-Parametric Test to Detect Data-Copying in Generative "
        "Models",
        measure=lambda p: _authenticity(p).data_copying(p.fake),
        slow=True,
    ),
    Metric(
        name="authpct",
        better="",
        told="The share of samples that are not nearer to a training image than every other "
        "training image is: far below that of held-out images they are copies, far above it they "
        "miss the data.",
        source="Alaa et al. 2022, How Faithful is your Synthetic Data? Sample-level Metrics for "
        "Evaluating and Auditing Generative Models",
        measure=lambda p: _authenticity(p).auth_pct(p.fake),
        slow=True,
    ),
    Metric(
        name="parzen",
        better="higher",
        told="Parzen windows: the log-likelihood of held-out images, in nats, if a Gaussian sits "
        "on every sample. It can be far from what a person would call good (Theis et al. 2016, A "
        "Note on the Evaluation of Generative Models).",
        source="Goodfellow et al. 2014, Generative Adversarial Networks",
        measure=None,
    ),
    Metric(
        name="ais",
        better="higher",
        told="Annealed importance sampling: the log-likelihood of held-out images, in nats, if "
        "the generator's output had Gaussian noise of a stated variance: a lower bound on "
        "average, and the gap tells how loose it is.",
        source="Wu et al. 2017, On the Quantitative Analysis of Decoder-Based Generative Models",
        measure=None,
        slow=True,
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""All metrics, by the names that `--metrics` takes."""


def metric_of(line: str) -> Metric | None:
    """The metric of a report's line, by its name; None if there is none such.

    >>> metric_of("class-kl10k_random").name, metric_of("ais100x16x1000-quick").name
    ('class-kl', 'ais')
    """
    found = re.match(r"[a-z-]+(?=\d)", line)
    return METRICS.get(found[0]) if found else None


def metrics_in_markdown() -> str:
    """The metrics as a table for the documentation."""
    rows = [
        "| metric | better | what it measures | source |",
        "| --- " * 4 + "|",
    ]
    for metric in METRICS.values():
        name = f"`{metric.name}`" + (" (slow)" if metric.slow else "")
        cells = (name, metric.better, metric.told, metric.source)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def protocol_name(metric: str, count: int, features: str) -> str:
    """A metric's name with the number of samples and the features.

    >>> protocol_name("fid", 10_000, "classifier-mnist"), protocol_name("kid", 179, "random")
    ('fid10k_classifier-mnist', 'kid179_random')
    """
    number = f"{count // 1000}k" if count % 1000 == 0 else str(count)
    return f"{metric}{number}_{features}"


Thing = TypeVar("Thing")
Found = TypeVar("Found")


def of_each(
    metric: str,
    columns: Mapping[str, Thing],
    measure: Callable[[Thing], Found],
    warnings: list[str],
    say: Callable[[str], None],
) -> dict[str, Found]:
    """What is measured for each column; one that cannot be judged is left out, with a warning.

    Args:
        metric: its name, for messages.
        columns: by their names; what is measured of them.
        measure: the metric itself.
        warnings: are added to.
        say: is told what is being measured.
    """
    found: dict[str, Found] = {}
    reasons: dict[str, list[str]] = {}
    for column, thing in columns.items():
        say(f"{metric} of {column}")
        try:
            found[column] = measure(thing)
        except FrenemyError as error:
            reasons.setdefault(str(error), []).append(column)
    for reason, whose in reasons.items():
        of = f" of {' and '.join(whose)}" if len(whose) < len(columns) else ""
        warnings.append(f"{metric}{of}: {reason}")
    return found


def on_features(
    metrics: Sequence[str],
    pairs: Mapping[str, FeaturePair],
    warnings: list[str],
    say: Callable[[str], None],
    *,
    asked: bool,
) -> list[Line]:
    """A line for each metric that is one on features and could be measured.

    Args:
        metrics: names, others among them.
        pairs: by column, all of the same features.
        warnings: are added to.
        say: is told what is being measured.
        asked: somebody chose these metrics, and wants to know why one is left out.
    """
    samples = pairs[SAMPLES]
    kind, count = samples.extractor.features.name, len(samples.images)
    lines = []
    for name in metrics:
        metric = METRICS[name]
        if metric.measure is None:
            continue
        if metric.classes and samples.extractor.outputs_of(samples.images).logits is None:
            if asked:
                warnings.append(f"{name}: the features {kind!r} know no classes")
            continue
        found = of_each(
            name, pairs, metric.measure, warnings, lambda what: say(f"{what}, features {kind}")
        )
        results = {
            column: _of_fewer(estimate, len(pairs[column].images), count)
            for column, estimate in found.items()
        }
        if results:
            lines.append(Line(protocol_name(name, count, kind), metric.better, results))
    return lines


def _of_fewer(estimate: Estimate, images: int, samples: int) -> Estimate:
    """The estimate with a note if it is of fewer images than there are samples."""
    if images >= samples:
        return estimate
    notes = (f"of {images:,} images", estimate.note)
    return replace(estimate, note="; ".join(filter(None, notes)))
