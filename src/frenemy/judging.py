"""Judging: a model's samples, or any images, against real ones, by metrics with a named protocol.

The same metrics are measured for two reference rows: real images that were held out, which is the
best that can be had, and noise.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.data import Dataset
from frenemy.errors import FrenemyError, at_least
from frenemy.judge import ais
from frenemy.judge.classes import diversity_within_classes, inception_score
from frenemy.judge.classifier import Seen, load_classifier
from frenemy.judge.copying import data_copying
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.diversity import vendi
from frenemy.judge.estimate import Estimate
from frenemy.judge.features import Features, classifier_path, extract, features_named
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import kid
from frenemy.judge.modes import Modes, class_modes
from frenemy.judge.neighbours import compare_with_training
from frenemy.judge.page import neighbours_picture, page, samples_picture
from frenemy.judge.parzen import GRIDS, parzen_on_grids, unit_pixels
from frenemy.judge.plots import embedding, precision_recall_picture
from frenemy.judge.report import Better, Line, Report
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test
from frenemy.model import Model

Images = NDArray[np.uint8]

HELD_OUT, NOISE, PUBLISHED = "held-out images", "noise", "published"
PARZEN_PUBLISHED = {
    (1, 28, 28): Estimate(225, 2, "adversarial nets on MNIST (Goodfellow et al. 2014)"),
    (1, 48, 48): Estimate(2057, 26, "adversarial nets on TFD (Goodfellow et al. 2014)"),
}
"""Table 1 of the paper, by the shape of the images."""

TRAINING_IMAGES = 50_000  # at most, that samples are compared with for copies
FEWEST = 1000  # samples: with fewer the report warns


@dataclass(frozen=True)
class Subject:
    """Whose images are judged.

    Attributes:
        name: the column's.
        images: uint8 (N, C, H, W).
        decoder: standard normal z -> pixels in [0, 1], and the size of z; where there is one.
    """

    name: str
    images: Images
    decoder: tuple[ais.Decoder, int] | None = None


@dataclass(frozen=True)
class View:
    """One subject beside the real images, through one kind of features.

    Attributes:
        features, device, seed: how it is looked at.
        real: the reference, uint8 (N, C, H, W); fake: the subject's images.
        valid: real images that are neither training images nor a subject.
        train: all training images, for those who look for copies.
    """

    features: Features
    device: torch.device
    seed: int
    reference: Images
    images: Images
    valid: Images
    train: Images

    def _seen(self, images: Images) -> Seen:
        return extract(self.features, images, self.device)

    @property
    def has_classes(self) -> bool:
        return self._seen(self.images).logits is not None

    @cached_property
    def real(self) -> Tensor:
        return self._seen(self.reference).features.to(self.device)

    @cached_property
    def fake(self) -> Tensor:
        return self._seen(self.images).features.to(self.device)

    @cached_property
    def manifolds(self) -> Mapping[str, Estimate]:
        return precision_recall_density_coverage(real=self.real, fake=self.fake)

    def logits(self, images: Images) -> Tensor:
        logits = self._seen(images).logits
        assert logits is not None  # `has_classes` was asked
        return logits.to(self.device)

    def copying(self) -> Estimate:
        return data_copying(
            real=self._seen(self.valid).features.to(self.device),
            fake=self.fake,
            train=self._seen(self.train).features.to(self.device),
            seed=self.seed,
        )

    @cached_property
    def modes(self) -> Modes:
        """Of the classes: their true shares are those among the reference images."""
        logits = self.logits(self.images)
        real = self.logits(self.reference).argmax(1).bincount(minlength=logits.shape[1])
        weights = None if self.features.even else real.clamp(min=0.5)  # none is impossible
        return class_modes(
            fake_classes=logits.argmax(1), count=logits.shape[1], real_weights=weights
        )

    def within_classes(self) -> Estimate:
        return diversity_within_classes(
            real=self.real,
            fake=self.fake,
            real_classes=self.logits(self.reference).argmax(1),
            fake_classes=self.logits(self.images).argmax(1),
        )


@dataclass(frozen=True)
class Metric:
    """A metric on features: which direction is better, how it is measured, if it needs classes."""

    better: Better
    measure: Callable[[View], Estimate]
    classes: bool = False


METRICS: dict[str, Metric] = {
    "fid": Metric("lower", lambda v: frechet(real=v.real, fake=v.fake)),
    "fid-infinity": Metric(
        "lower", lambda v: frechet_infinity(real=v.real, fake=v.fake, seed=v.seed)
    ),
    "kid": Metric("lower", lambda v: kid(real=v.real, fake=v.fake, seed=v.seed)),
    "is": Metric(
        "higher", lambda v: inception_score(logits=v.logits(v.images), seed=v.seed), classes=True
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
    "class-diversity": Metric("", View.within_classes, classes=True),
    "copying": Metric("", View.copying),
}
"""The metrics on features, by the names that `--metrics` takes."""

ON_PIXELS = ("parzen", "ais")
NAMES = (*METRICS, *ON_PIXELS)
SLOW = ("fid-infinity", "sliced-wasserstein", "ais")  # measured only when asked for


@dataclass(frozen=True)
class Judgement:
    """A report and what its pictures are drawn from."""

    report: Report
    target: Subject
    view: View

    def page(self, method: Literal["pca", "umap"] = "pca") -> str:
        """The report as one HTML file, with samples, neighbours and plots."""
        shown = self.target.images[:1000]
        near = compare_with_training(
            fake=shown[:25], train=self.view.train, test=self.view.valid[:25]
        )
        real, fake = self.view.real[:1000].cpu(), self.view.fake[:1000].cpu()
        return page(
            self.report,
            samples=samples_picture(self.target.images),
            neighbours=neighbours_picture(fake=shown[:25], train=self.view.train, index=near.index),
            precision_recall=precision_recall_picture(real=real, fake=fake),
            embedding=embedding(real=real, fake=fake, method=method),
        )


def judge(
    target: Subject,
    against: Dataset,
    *,
    metrics: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    samples: int = 10_000,
    seed: int = 0,
    device: torch.device | None = None,
    references: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Judgement:
    """Measures the target, held-out real images and noise against training images.

    Args:
        target: of the model, or of any images; at most `samples` of them are judged.
        against: the real images. As many random training images as there are samples are the
            reference; the test part is the row of held-out images.
        metrics: from `NAMES`; all but the slow ones if None.
        features: names as `features_named` takes them; if None, a classifier that was trained on
            these images, or else "random".
        samples: how many images of each.
        seed: of all that is drawn.
        device: where to compute.
        references: also measure held-out images and noise.
        say: is told what is being measured.

    Raises:
        FrenemyError: unknown names, or images of another shape than the target's.
    """
    at_least(2, samples=samples)
    metrics = _known(metrics) if metrics else [name for name in NAMES if name not in SLOW]
    device = device or torch.device("cpu")
    if target.images.shape[1:] != against.shape:
        mine, theirs = ("x".join(map(str, s)) for s in (target.images.shape[1:], against.shape))
        grey = target.images.shape[1] != against.shape[0]
        remedy = "one is grey, one colour" if grey else "give --size to bring both to one size"
        raise FrenemyError(
            f"{target.name} has images of {mine} (channels x height x width), {against.train.name} "
            f"of {theirs}: {remedy}"
        )
    reference = against.train.random(samples, seed=seed)
    subjects = [Subject(target.name, target.images[:samples], target.decoder)]
    if references:
        subjects += [
            Subject(HELD_OUT, np.asarray(against.test.images[:samples])),
            Subject(NOISE, noise_like(subjects[0].images, seed)),
        ]
    warnings = _doubts(subjects, reference)
    train = against.train.random(TRAINING_IMAGES, seed=seed)
    lines: list[Line] = []
    views: list[View] = []
    for kind in [features_named(name, device) for name in features or default_features(against)]:
        for subject in subjects:
            views.append(
                View(kind, device, seed, reference, subject.images, against.valid.images, train)
            )
        lines += _lines(metrics, subjects, views[-len(subjects) :], warnings, say)
    if "parzen" in metrics:
        say("parzen")
        lines += _parzen(subjects, reference, against, warnings)
    if "ais" in metrics:
        lines += _ais(subjects[0], against, seed, device, warnings, say)
    protocol = {
        "samples": f"{len(subjects[0].images):,}",
        "reference": f"{len(reference):,} random images of {against.train.name}",
        "held-out images": f"{min(samples, len(against.test)):,} of {against.test.name}",
        "noise": "pixels uniform on 0..255",
        "features": "; ".join(
            v.features.name + (f" ({v.features.note})" if v.features.note else "")
            for v in views[:: len(subjects)]
        ),
        "size": " x ".join(map(str, against.shape)) + _resized(against),
        "seed": str(seed),
        "versions": f"frenemy {version('frenemy')}, torch {torch.__version__}",
    }
    names = [subject.name for subject in subjects]
    names += [PUBLISHED] if any(PUBLISHED in line.results for line in lines) else []
    report = Report(target.name, against.description, protocol, names, lines, warnings)
    return Judgement(report, subjects[0], views[0])


def curves(
    model: Model, against: Dataset, *, say: Callable[[str], None] = lambda _: None, **how: Any
) -> dict[str, list[tuple[int, float, float]]]:
    """Every metric at each of a run's checkpoints: by its name, (round, value, error) in order.

    Args:
        model: of the run; against, how: as for `judge`.
        say: is told which round is being judged.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    for path in reversed(model.run.checkpoints()):
        model.restore(path)
        say(f"round {model.progress.step:,}")
        subject = subject_of(model, how["samples"], how["seed"])
        for line in judge(subject, against, references=False, **how).report.lines:
            if estimate := line.results.get(subject.name):
                point = (model.progress.step, estimate.value, estimate.error)
                found.setdefault(line.metric, []).append(point)
    return found


def subject_of(model: Model, count: int, seed: int) -> Subject:
    """The first `count` samples of a model, and its decoder."""
    name = f"{model.run.path} (round {model.progress.step:,})"
    G = model.game.players["G"].best.eval().requires_grad_(False)
    uniform = model.game.prior.kind == "uniform"

    def decoder(u: Tensor) -> Tensor:
        z = ais.uniform_from_normal(u) if uniform else u
        return G(z).flatten(1).add(1).div(2)

    return Subject(name, model.sample(count, seed=seed), (decoder, model.game.prior.size))


def default_features(data: Dataset) -> list[str]:
    """A classifier that was trained on these very images, if there is one; else "random"."""
    folder = classifier_path("any").parent
    for path in sorted(folder.glob("*.safetensors")):
        if load_classifier(path)[1].data == data.train.digest:
            return [f"classifier-{path.stem}"]
    return ["random"]


def noise_like(images: Images, seed: int) -> Images:
    """Uniform noise of the images' shape and number."""
    return np.random.default_rng(seed).integers(0, 256, images.shape, np.uint8)


def _known(metrics: Iterable[str]) -> list[str]:
    for name in metrics:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=2, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(NAMES)}"
            raise FrenemyError(f"no metric {name!r}: {hint}")
    return list(metrics)


def protocol_name(metric: str, count: int, features: str) -> str:
    """A metric's name with the number of samples and the features.

    >>> protocol_name("fid", 10_000, "classifier-mnist"), protocol_name("kid", 179, "random")
    ('fid10k_classifier-mnist', 'kid179_random')
    """
    number = f"{count // 1000}k" if count % 1000 == 0 else str(count)
    return f"{metric}{number}_{features}"


def _lines(
    metrics: Sequence[str],
    subjects: Sequence[Subject],
    views: Sequence[View],
    warnings: list[str],
    say: Callable[[str], None],
) -> list[Line]:
    """A line for each metric on these features; what a subject cannot be judged by is a warning."""
    lines = []
    for name in metrics:
        metric = METRICS.get(name)
        if metric is None or (metric.classes and not views[0].has_classes):
            continue
        results = {}
        for subject, view in zip(subjects, views, strict=True):
            say(f"{name} ({view.features.name}) of {subject.name}")
            try:
                results[subject.name] = metric.measure(view)
            except FrenemyError as error:
                warnings.append(f"{name} of {subject.name}: {error}")
        full = protocol_name(name, len(subjects[0].images), views[0].features.name)
        lines.append(Line(full, metric.better, results))
    return lines


def _parzen(
    subjects: Sequence[Subject], reference: Images, against: Dataset, warnings: list[str]
) -> list[Line]:
    """The likelihood of test images by the samples, on either grid of widths.

    Training images stand in for held-out ones, whose own likelihood would be infinite.
    """
    real = unit_pixels(against.test.images[:10_000])
    valid = unit_pixels(against.valid.images[:1000])
    results: dict[str, dict[str, Estimate]] = {grid: {} for grid in GRIDS}
    for subject in subjects:
        fake = reference if subject.name == HELD_OUT else subject.images
        try:
            found = parzen_on_grids(real=real, valid=valid, fake=unit_pixels(fake), grids=GRIDS)
        except FrenemyError as error:
            warnings.append(f"parzen of {subject.name}: {error}")
            continue
        stand_in = "training images as samples; " if subject.name == HELD_OUT else ""
        for grid, likelihood in found.items():
            note = f"{stand_in}nats, sigma {likelihood.sigma:.3f}"
            results[grid][subject.name] = Estimate(likelihood.value, likelihood.error, note)
    if against.shape in PARZEN_PUBLISHED:
        results["authors"][PUBLISHED] = PARZEN_PUBLISHED[against.shape]
    count = len(subjects[0].images)
    return [
        Line(protocol_name("parzen", count, f"{grid}-grid"), "higher", found)
        for grid, found in results.items()
    ]


def _ais(
    subject: Subject,
    against: Dataset,
    seed: int,
    device: torch.device,
    warnings: list[str],
    say: Callable[[str], None],
) -> list[Line]:
    """The likelihood of test images under a model with Gaussian noise, and the published ones."""
    if subject.decoder is None:
        warnings.append(f"ais: {subject.name} is no model of ours: only its images are known")
        return []
    decoder, size_of_z = subject.decoder
    protocol = ais.default_protocol(device)
    valid, test = (
        ais.dequantised(np.array(part.images[:count]), seed=seed).flatten(1).to(device)
        for part, count in ((against.valid, 20), (against.test, protocol.images))
    )
    variance = ais.choose_variance(
        decoder,
        valid=valid,
        size_of_z=size_of_z,
        seed=seed,
        progress=lambda share: say(f"ais: choosing the variance, {share:.0%}"),
    )
    found = ais.ais(
        decoder,
        real=test,
        size_of_z=size_of_z,
        variance=variance,
        protocol=protocol,
        seed=seed,
        progress=lambda share: say(f"{protocol.name}, {share:.0%}"),
    )
    lines = [Line(protocol.name, "higher", {subject.name: found.log_p})]
    if against.shape == (1, 28, 28):
        lines += [
            Line(f"{ais.FULL.name} {name}", "higher", {PUBLISHED: row.log_p})
            for name, row in ais.PUBLISHED.items()
        ]
    return lines


def _resized(against: Dataset) -> str:
    size, fit = against.arguments.get("size"), against.arguments.get("fit")
    return "" if size is None else f" (all images brought to {size}x{size}: {fit})"


def _doubts(subjects: Sequence[Subject], reference: Images) -> list[str]:
    """What the numbers are worth, as far as the images themselves tell."""
    known = {image.tobytes() for image in reference}
    doubts = []
    for subject in subjects:
        images = subject.images
        same = sum(image.tobytes() in known for image in images)
        if same:
            doubts.append(
                f"{same:,} of {len(images):,} images of {subject.name} are, byte for byte, among "
                "the reference images: the distances between these sets say little"
            )
        if len({image.tobytes() for image in images}) == 1:
            doubts.append(f"all {len(images):,} images of {subject.name} are one and the same")
        if len(images) < FEWEST:
            doubts.append(
                f"only {len(images):,} images of {subject.name}: distances are biased upwards; "
                "compare only numbers with equal counts"
            )
    return doubts
