"""Judging: images of any origin against real ones, by metrics with a named protocol.

The same metrics are measured for two columns of reference: real images that were held out, which
is the best that can be had, and noise.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from frenemy.data import Dataset
from frenemy.data.source import permutation, require_images
from frenemy.errors import FrenemyError, at_least
from frenemy.figures import Figure
from frenemy.files import WritingFailed, write_atomically
from frenemy.judge import ais
from frenemy.judge.adding import SUBJECT, added, found_in, page_of
from frenemy.judge.by_class import by_class
from frenemy.judge.feature_pairs import FeaturePair, pairs_of
from frenemy.judge.features import Features, judging_device
from frenemy.judge.likelihoods import PUBLISHED, ais_lines, is_mnist_test, parzen_lines
from frenemy.judge.lines import at_a_time, lines_of
from frenemy.judge.metrics import METRICS
from frenemy.judge.named_features import default_features, features_named, require_features
from frenemy.judge.neighbours import nearest
from frenemy.judge.page import copies_figure, neighbours_figure, page, samples_figure
from frenemy.judge.plots import class_shares as class_bars
from frenemy.judge.plots import embedding, precision_recall
from frenemy.judge.report import Line, Report
from frenemy.judge.sets import HELD_OUT, NOISE, SAMPLES, Drawn, Images, Sets, check_sets, noise_like
from frenemy.judge.verdict import Evidence, verdict_of
from frenemy.names import known
from frenemy.opacity import over_white

Reference = Literal["samples", "all"]

VALIDATION_IMAGES = 50_000  # at most, by which it is told what is no copy


@dataclass(frozen=True)
class Target:
    """What is judged.

    Attributes:
        name: of a run or a folder.
        images: uint8 (N, C, H, W).
        decoder: standard normal z -> pixels in [0, 1], and the size of z; where there is one.
        ails: what health found while the game was played, in words.
        labels: int64 (N,), what class of the real images' each was told to be of, if any.
        digest: what they are, where that is known before; else that of the images.
    """

    name: str
    images: Images
    decoder: tuple[ais.Decoder, int] | None = None
    ails: str = ""
    labels: NDArray[np.int64] | None = None
    digest: str = ""


@dataclass(frozen=True)
class Protocol:
    """How images are judged.

    Attributes:
        metrics: names from `METRICS`, "all" for all but those that have to be named; if there are
            none, the default ones, and Parzen windows where the test images are the paper's.
        features: `Features`, or names as `features_named` takes them; if there are none, see
            `default_features`. Loaded only if one of the metrics looks at features.
        samples: how many images of each at most.
        reference: as many random training images as there are samples, or all of them, as
            published protocols often have it.
        seed: of all that is drawn.
        device: where to compute; the processor if None.

    Raises:
        FrenemyError: unknown names, or no samples.
    """

    metrics: Sequence[str] = ()
    features: Sequence[str | Features] = ()
    samples: int = 10_000
    reference: Reference = "samples"
    seed: int = 0
    device: torch.device | None = None

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        for name in self.metrics:
            known(name, ("all", *METRICS), "metric")
        for kind in self.features:
            if isinstance(kind, str):
                require_features(kind)


@dataclass(frozen=True)
class Judgement:
    """A report and what its pictures are drawn from.

    Attributes:
        report: what was found.
        sets: the images.
        pair: features of the samples and the reference, of the first kind; None if no metric is on
            features.
    """

    report: Report
    sets: Sets
    pair: FeaturePair | None

    def added_to(self, earlier: Report | None) -> Self:
        """The same, with what an earlier report of the same images has beside it: see `added`."""
        return self if earlier is None else replace(self, report=added(self.report, earlier))

    def save(self, path: Path | str, method: Literal["pca", "umap"] = "pca") -> list[Path]:
        """Writes the report as JSON, and its page beside it; returns the places of both.

        Raises:
            WritingFailed: one of them could not be written; the other was, if it could.
        """
        report, page = Path(path), page_of(Path(path))
        text = self.page(method)
        failed: list[WritingFailed] = []
        for write in (
            lambda: self.report.save(report),
            lambda: write_atomically(page, lambda part: part.write_text(text, "utf-8")),
        ):
            try:
                write()
            except WritingFailed as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return [report, page]

    def rows(self) -> list[dict[str, Any]]:
        """Every result as a row of a table: see `Report.rows`."""
        return self.report.rows()

    def _repr_html_(self) -> str:
        """The page, within a notebook."""
        page = html.escape(self.page())
        return f'<iframe srcdoc="{page}" style="width:100%;height:40em;border:0"></iframe>'

    def page(self, method: Literal["pca", "umap"] = "pca") -> str:
        """The report as one HTML file, with those of its pictures that so few images allow.

        Pictures of features are left out where no metric was on any.
        """
        images, train, pair = self.sets.judged[SAMPLES], self.sets.train, self.pair
        shown = images[:25]
        _, index = nearest(queries=shown, images=train)
        near, order = train[index.numpy()], np.arange(len(shown))
        figures: dict[str, Callable[[], Sequence[Figure]]] = {}
        looked = any(line.metric.startswith("copying") for line in self.report.lines)
        if pair is not None and looked and pair.copies.verdict == "copied":
            pairs = pair.copies.pairs
            figures["Copies"] = lambda: [copies_figure(fake=images, train=train, pairs=pairs)]
        if pair is not None and pair.knows_classes:
            figures["Classes"] = lambda: [class_bars(pair.class_shares)]
        figures["Nearest training images"] = lambda: [
            neighbours_figure(fake=shown, train=near, index=order)
        ]
        if pair is not None:
            real, fake = pair.real[:1000].cpu(), pair.fake[:1000].cpu()
            figures |= {
                "Precision and recall": lambda: precision_recall(
                    real=pair.real, fake=pair.fake, found=pair.neighbourhoods
                ),
                "Real and generated images in feature space": lambda: [
                    embedding(real=real, fake=fake, method=method)
                ],
            }
        drawn = {title: _if_possible(draw) for title, draw in figures.items()}
        return page(self.report, drawn, samples_figure(images))


def _if_possible(draw: Callable[[], Sequence[Figure]]) -> Sequence[Figure]:
    try:
        return draw()
    except FrenemyError:  # too few images: the report says how many there are
        return ()


def judge(
    target: Target,
    against: Dataset,
    protocol: Protocol = Protocol(),
    *,
    references: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Judgement:
    """Measures the target, held-out real images and noise against training images, all on white.

    As many random training images as there are samples are the reference, and as many random test
    images, if there are so many, the column of held-out images.

    Args:
        target: a model's samples, or any images.
        against: the real images.
        protocol: by what, and how.
        references: also measure held-out images and noise.
        say: is told what is being measured.

    Raises:
        FrenemyError: features that cannot be loaded, images of another shape than the target's, or
            nothing that could be measured of them.
    """
    target = replace(target, images=over_white(target.images))
    against = against.opaque()
    metrics = _metrics(protocol.metrics, against)
    seed, device = protocol.seed, judging_device(protocol.device)
    require_shape(target.name, target.images.shape[1:], against)
    warnings: list[str] = []
    looks = any(METRICS[name].measure for name in metrics)
    kinds = [
        features_named(kind, device) if isinstance(kind, str) else kind
        for kind in (protocol.features or default_features(against) if looks else ())
    ]
    sets = _sets(target, against, protocol, references)
    lines: list[Line] = []
    pairs: dict[str, FeaturePair] = {}
    for kind in reversed(kinds):  # the first is what the pictures show
        pairs = pairs_of(sets, kind, seed=seed, device=device)
        asked = any(name != "all" for name in protocol.metrics)
        first = kind is kinds[0]
        lines = lines_of(metrics, pairs, warnings, say, asked=asked, pixels=first) + lines
    if "parzen" in metrics:
        lines += parzen_lines(sets, warnings, say)
    if "ais" in metrics and target.decoder:
        lines += ais_lines(target.decoder, sets, warnings, say, seed=seed, device=device)
    elif "ais" in metrics:
        warnings.append(f"ais: {target.name} is not a frenemy model: only its images are known")
    if not lines:
        raise FrenemyError(f"{target.name}: nothing could be measured: {'; '.join(warnings)}")
    equal = at_a_time(len(sets.judged[HELD_OUT])) if references else SAMPLES
    columns = dict.fromkeys((SAMPLES, equal, *sets.judged, PUBLISHED))
    names = [name for name in columns if any(name in x.results for x in lines)]
    said = {SUBJECT: target.digest or _digest(target.images)}
    said |= _said(sets, against, kinds, protocol)
    warnings = [*check_sets(sets), *warnings]
    report = Report(
        *(target.name, against.description, said, names, lines, warnings),
        by_class=by_class(pairs) if pairs and references else {},
    )
    if references:
        evidence = _evidence(lines, pairs.get(SAMPLES), sets, target.ails)
        verdict = verdict_of(Evidence(found=found_in(lines), **evidence))
        report = replace(report, verdict=verdict, evidence=evidence)
    return Judgement(report, sets, pairs.get(SAMPLES))


def _metrics(names: Sequence[str], against: Dataset) -> list[str]:
    """The metrics that are measured, in the order of `METRICS`, or as they were named."""
    if names and "all" not in names:
        return list(names)
    if "all" in names:
        return [m.name for m in METRICS.values() if m.when != "named" or m.name in names]
    papers = ["parzen"] if is_mnist_test(against.test.images) else []
    return [m.name for m in METRICS.values() if m.when == "default"] + papers


def _digest(images: Images) -> str:
    """sha256 of images, as hexadecimal digits."""
    total = hashlib.sha256(f"{images.shape}".encode())
    for image in images:
        total.update(np.ascontiguousarray(image).data)
    return total.hexdigest()


def _evidence(
    lines: Sequence[Line], pair: FeaturePair | None, sets: Sets, ails: str
) -> dict[str, Any]:
    """What a verdict needs beside the lines: arguments of `Evidence`.

    Of the classes that are missing it has the names if the first features know them.
    """
    found = found_in(lines)
    copies = pair.copies if pair and "copying" in found else None
    seen = pair.feature_copies if pair and "feature-copying" in found else None
    copied = copies is not None and copies.verdict == "copied"
    told = copies.note if copies else ""
    if not copied and seen and seen.certain:
        copied, told = True, seen.share.note
    return {
        "samples": len(sets.judged[SAMPLES]),
        "held_out": len(sets.judged[HELD_OUT]),
        "equal": at_a_time(len(sets.judged[HELD_OUT])),
        "repeats": float(copies.repeats_low) if copies else 0.0,
        "copied": copied,
        "copies": f"{told[0].upper()}{told[1:]}." if told else "",
        "lost": [*pair.class_shares.missing] if pair and pair.knows_classes else [],
        "ails": ails,
    }


def require_shape(name: str, found: tuple[int, ...], against: Dataset) -> None:
    """Refuses to judge images of another shape (C, H, W) than the real ones.

    Raises:
        FrenemyError: they are; the message names them, and the remedy. Or these are no images.
    """
    wanted = against.shape
    require_images(wanted, against.train.name)
    if found != wanted:
        remedy = (
            "one is grey and the other in colour: bring both to one mode first, as by --grey"
            if found[0] != wanted[0]
            else "give --size to bring both to one size"
        )
        mine, theirs = ("x".join(map(str, shape)) for shape in (found, wanted))
        raise FrenemyError(
            f"{name} has images of {mine} (channels x height x width), {against.train.name} "
            f"of {theirs}: {remedy}"
        )


def _sets(target: Target, against: Dataset, protocol: Protocol, references: bool) -> Sets:
    fake, seed = target.images[: protocol.samples], protocol.seed
    judged, told = {SAMPLES: fake}, {}
    if references:
        many = min(len(fake), len(against.test))
        judged[HELD_OUT], told[HELD_OUT] = against.test.batch(seed, 0, many)
        judged[NOISE] = noise_like(fake, seed)
    if target.labels is not None:
        told[SAMPLES] = target.labels[: len(fake)]
    valid = permutation(seed, 0, len(against.valid))[:VALIDATION_IMAGES]
    whole, many = against.train, min(len(fake), len(against.train))
    if protocol.reference == "all":
        reference, labels = whole.images[:], whole.labels
    else:
        reference, labels = whole.batch(seed, 0, many)
    return Sets(
        judged,
        reference=reference,
        labels=labels,
        classes=whole.classes,
        told={name: labels for name, labels in told.items() if labels is not None},
        digest=whole.digest,
        train=Drawn(whole.images, np.arange(len(whole))),
        valid=Drawn(against.valid.images, np.sort(valid)),  # in order: Parzen takes the first
        test=against.test.images,
    )


def _said(
    sets: Sets, against: Dataset, kinds: Sequence[Features], protocol: Protocol
) -> Mapping[str, str]:
    """The protocol in words."""
    count, train, test = len(sets.judged[SAMPLES]), against.train, against.test
    size, fit = against.arguments.get("size"), against.arguments.get("fit")
    resized = "" if size is None else f" (all images brought to {size}x{size}: {fit})"
    greyed = " (colours left out)" if against.arguments.get("grey") else ""
    features = {
        f"features {kind.name}": (f"{kind.note}; " if kind.note else "")
        + f"digest {kind.digest[:12] or 'unknown'}"
        for kind in kinds
    }
    return {
        "samples": f"{count:,}",
        "reference": f"{'all ' if protocol.reference == 'all' else ''}{len(sets.reference):,} "
        f"{'' if protocol.reference == 'all' else 'random '}images of {train.name} "
        f"(digest {train.digest[:12]})",
        "reference digest": train.digest,  # whole, with how it was prepared: for comparisons
        "held-out images": f"{min(count, len(test)):,} of {test.name}",
        "copies": f"looked for among {len(sets.train):,} training images",
        "noise": "pixels uniform on 0..255",
        **features,
        "size": "x".join(map(str, against.shape)) + resized + greyed,
        "seed": str(protocol.seed),
        "versions": f"frenemy {version('frenemy')}, torch {torch.__version__}",
    }
