"""The lines that metrics make of a report, and the names that state their protocols."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from frenemy.errors import FrenemyError
from frenemy.judge.estimate import Estimate
from frenemy.judge.feature_pairs import FeaturePair
from frenemy.judge.metrics import METRICS
from frenemy.judge.report import Line
from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES


def protocol_name(metric: str, count: int, seen: str, setting: str = "") -> str:
    """A metric's name with the number of samples, a setting if it has one, and what is looked at.

    >>> protocol_name("fid", 10_000, "random"), protocol_name("recall", 179, "random", "k5")
    ('fid10k_random', 'recall179-k5_random')
    """
    number = f"{count // 1000}k" if count % 1000 == 0 else str(count)
    return f"{metric}{number}{setting and '-'}{setting}_{seen}"


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


def lines_of(
    metrics: Sequence[str],
    pairs: Mapping[str, FeaturePair],
    warnings: list[str],
    say: Callable[[str], None],
    *,
    asked: bool,
    pixels: bool,
) -> list[Line]:
    """A line for each metric that is one on pairs of sets and could be measured.

    Where there are fewer held-out images than samples, what depends on the count is measured of as
    many samples at a time, too: the mean of up to `PARTS` parts, with its error.

    Args:
        metrics: names, others among them.
        pairs: by column, all of the same features.
        warnings: are added to.
        say: is told what is being measured.
        asked: somebody chose these metrics, and wants to know why one is left out.
        pixels: also those that look at pixels, whatever the features.
    """
    samples = pairs[SAMPLES]
    kind, count = samples.extractor.features.name, len(samples)
    lines = []
    for metric in (METRICS[name] for name in metrics):
        if metric.measure is None or (metric.pixels and not pixels):
            continue
        if metric.classes and samples.extractor.outputs_of(samples.images).logits is None:
            if asked:
                warnings.append(f"{metric.name}: the features {kind!r} know no classes")
            continue
        columns = {name: p for name, p in pairs.items() if metric.noise or name != NOISE}
        seen = "pixels" if metric.pixels else kind
        found = of_each(
            metric.name,
            columns,
            metric.of,
            warnings,
            lambda what, seen=seen: say(f"{what}, features {seen}"),
        )
        results: dict[str, Estimate] = {}
        for column, estimate in found.items():
            results[column] = _of_fewer(estimate, len(pairs[column]), count)
            held_out = pairs.get(HELD_OUT, samples)
            if column == SAMPLES and metric.counted and len(held_out) < count:
                name = at_a_time(len(held_out))
                parts = {
                    f"{name} ({i + 1})": part for i, part in enumerate(samples.parts(len(held_out)))
                }
                values = of_each(metric.name, parts, metric.of, [], say)
                if values:
                    note = f"mean of {len(values)} parts of {len(held_out):,} samples"
                    results[name] = mean_of_parts(list(values.values()), note)
        if results:
            name = protocol_name(metric.name, count, seen, metric.setting)
            lines.append(Line(name, metric.better, results))
    return lines


def at_a_time(count: int) -> str:
    """The column of samples of which so many are measured at a time.

    >>> at_a_time(1790)
    'samples, 1,790 at a time'
    """
    return f"{SAMPLES}, {count:,} at a time"


def mean_of_parts(estimates: Sequence[Estimate], note: str = "") -> Estimate:
    """The mean of a metric on parts of the samples, beside the same real images.

    Of its error what each part's own images make is averaged out, and what the real images make is
    not.

    >>> print(mean_of_parts([Estimate(0.2, 0.1), Estimate(0.4, 0.1)]))
    0.300 ± 0.071
    """
    count = len(estimates)
    every = [torch.tensor(e.shared, dtype=torch.float64) for e in estimates]
    known = all(len(shared) for shared in every)
    shared = torch.stack(every) if known else torch.zeros(count, 1, dtype=torch.float64)
    squares = torch.tensor([e.error for e in estimates], dtype=torch.float64).square()
    own = (squares - shared.square().mean(1)).clamp(min=0).mean().item() / count
    common = shared.mean(0)
    return Estimate(
        value=sum(e.value for e in estimates) / count,
        error=math.sqrt(own + common.square().mean().item()),
        note=note,
        shared=tuple(float(f"{x:.4g}") for x in common.tolist()) if known else (),
    )


def _of_fewer(estimate: Estimate, images: int, samples: int) -> Estimate:
    """The estimate with a note if it is of fewer images than there are samples."""
    if images >= samples:
        return estimate
    notes = (f"of {images:,} images", estimate.note)
    return replace(estimate, note="; ".join(filter(None, notes)))
