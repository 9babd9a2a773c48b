"""The metrics by name: what each measures of a view, and the lines that they make of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from frenemy.errors import FrenemyError
from frenemy.judge.classes import diversity_within_classes, inception_score
from frenemy.judge.copying import data_copying
from frenemy.judge.diversity import vendi
from frenemy.judge.estimate import Estimate
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import kid
from frenemy.judge.sets import SAMPLES
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test
from frenemy.judge.verdict import Better, Line
from frenemy.judge.views import View


@dataclass(frozen=True)
class Metric:
    """A metric on features: which direction is better, how it is measured, if it needs classes."""

    better: Better
    measure: Callable[[View], Estimate]
    classes: bool = False


def _class_diversity(v: View) -> Estimate:
    return diversity_within_classes(
        real=v.real,
        fake=v.fake,
        real_classes=v.real_classes,
        fake_classes=v.fake_logits.argmax(1),
    )


def _copying(v: View) -> Estimate:
    train, valid = v.eyes.look(v.sets.train), v.eyes.look(v.sets.valid)
    return data_copying(real=valid, fake=v.fake, train=train, seed=v.seed)


METRICS: dict[str, Metric] = {
    "fid": Metric("lower", lambda v: frechet(real=v.real, fake=v.fake)),
    "fid-infinity": Metric(
        "lower", lambda v: frechet_infinity(real=v.real, fake=v.fake, seed=v.seed)
    ),
    "kid": Metric("lower", lambda v: kid(real=v.real, fake=v.fake, seed=v.seed)),
    "is": Metric(
        "higher", lambda v: inception_score(logits=v.fake_logits, seed=v.seed), classes=True
    ),
    "precision": Metric("higher", lambda v: v.manifolds["precision"]),
    "recall": Metric("higher", lambda v: v.manifolds["recall"]),
    "density": Metric("higher", lambda v: v.manifolds["density"]),
    "coverage": Metric("higher", lambda v: v.manifolds["coverage"]),
    "two-sample": Metric("lower", lambda v: two_sample_test(real=v.real, fake=v.fake, seed=v.seed)),
    "sliced-wasserstein": Metric(
        "lower", lambda v: sliced_wasserstein(real=v.real, fake=v.fake, seed=v.seed)
    ),
    "vendi": Metric("higher", lambda v: vendi(fake=v.fake)),
    "classes": Metric("higher", lambda v: v.modes.caught, classes=True),
    "class-kl": Metric("lower", lambda v: v.modes.reverse_kl, classes=True),
    "class-diversity": Metric("", _class_diversity, classes=True),
    "copying": Metric("", _copying),
}
"""The metrics on features, by the names that `--metrics` takes."""

NAMES = (*METRICS, "parzen", "ais")
SLOW = ("fid-infinity", "sliced-wasserstein", "ais")  # measured only when asked for


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
    subjects: Mapping[str, Thing],
    measure: Callable[[Thing], Found],
    warnings: list[str],
    say: Callable[[str], None],
) -> dict[str, Found]:
    """What is measured of each subject; one that cannot be judged is left out, with a warning.

    Args:
        metric: its name, for messages.
        subjects: by their names; what is measured of them.
        measure: the metric itself.
        warnings: are added to.
        say: is told what is being measured.
    """
    found: dict[str, Found] = {}
    reasons: dict[str, list[str]] = {}
    for subject, thing in subjects.items():
        say(f"{metric} of {subject}")
        try:
            found[subject] = measure(thing)
        except FrenemyError as error:
            reasons.setdefault(str(error), []).append(subject)
    for reason, whose in reasons.items():
        of = f" of {' and '.join(whose)}" if len(whose) < len(subjects) else ""
        warnings.append(f"{metric}{of}: {reason}")
    return found


def on_features(
    metrics: Sequence[str],
    views: Mapping[str, View],
    warnings: list[str],
    say: Callable[[str], None],
    *,
    asked: bool,
) -> list[Line]:
    """A line for each metric that is one on features and could be measured.

    Args:
        metrics: names, others among them.
        views: of every subject, through the same features.
        warnings: are added to.
        say: is told what is being measured.
        asked: somebody chose these metrics, and wants to know why one is left out.
    """
    samples = views[SAMPLES]
    kind, count = samples.eyes.features.name, len(samples.images)
    lines = []
    for name in metrics:
        metric = METRICS.get(name)
        if metric is None:
            continue
        if metric.classes and samples.eyes.see(samples.images).logits is None:
            if asked:
                warnings.append(f"{name}: the features {kind!r} know no classes")
            continue
        found = of_each(
            name, views, metric.measure, warnings, lambda what: say(f"{what}, features {kind}")
        )
        results = {
            subject: _of_fewer(estimate, len(views[subject].images), count)
            for subject, estimate in found.items()
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
