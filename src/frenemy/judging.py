"""Judging: a model's samples, or any images, against real ones, by metrics with a named protocol.

The same metrics are measured for two reference rows: real images that were held out, which is the
best that can be had, and noise.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Literal
from warnings import warn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.data import Dataset
from frenemy.errors import FrenemyError, at_least
from frenemy.judge import ais
from frenemy.judge.classes import diversity_within_classes, inception_score
from frenemy.judge.classifier import Seen
from frenemy.judge.copying import data_copying
from frenemy.judge.coverage import precision_recall_density_coverage
from frenemy.judge.diversity import vendi
from frenemy.judge.estimate import Estimate
from frenemy.judge.features import (
    Features,
    classifiers_of,
    extract,
    features_named,
    judging_device,
)
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import kid
from frenemy.judge.modes import Modes, class_modes
from frenemy.judge.neighbours import compare_with_training
from frenemy.judge.page import neighbours_picture, page, samples_picture
from frenemy.judge.parzen import GRIDS, parzen_on_grids, unit_pixels
from frenemy.judge.plots import Picture, embedding, precision_recall_picture
from frenemy.judge.report import Better, Line, Report
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test
from frenemy.model import Model

Images = NDArray[np.uint8]

SAMPLES, HELD_OUT, NOISE, PUBLISHED = "samples", "held-out images", "noise", "published"
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
        name: of a run or a folder.
        images: uint8 (N, C, H, W).
        decoder: standard normal z -> pixels in [0, 1], and the size of z; where there is one.
    """

    name: str
    images: Images
    decoder: tuple[ais.Decoder, int] | None = None


@dataclass(frozen=True)
class Protocol:
    """How images are judged.

    Attributes:
        metrics: from `NAMES`; all but the slow ones if there are none.
        features: `Features`, or names as `features_named` takes them; if there are none, a
            classifier that was trained on these images, or else "random".
        samples: how many images of each at most.
        seed: of all that is drawn.
        device: where to compute; the processor if None.
    """

    metrics: Sequence[str] = ()
    features: Sequence[str | Features] = ()
    samples: int = 10_000
    seed: int = 0
    device: torch.device | None = None


class Eyes:
    """One kind of features that remembers what it has seen."""

    def __init__(self, features: Features, device: torch.device) -> None:
        self.features = features
        self.device = device
        self._seen: dict[int, tuple[Images, Seen]] = {}

    def see(self, images: Images) -> Seen:
        """What is seen in these images, computed once."""
        if id(images) not in self._seen:  # they are kept, so that no other array gets their id
            self._seen[id(images)] = images, extract(self.features, images, self.device)
        return self._seen[id(images)][1]

    def look(self, images: Images) -> Tensor:
        """Their features, where metrics compute."""
        return self.see(images).features.to(self.device)

    def classify(self, images: Images) -> Tensor:
        """Their logits."""
        logits = self.see(images).logits
        assert logits is not None  # who asks has asked for the classes first
        return logits.to(self.device)


@dataclass(frozen=True)
class View:
    """One subject beside the real images, through one kind of features.

    Attributes:
        eyes: through which it is looked at.
        seed: of what metrics draw.
        reference: real images to compare with, uint8 (N, C, H, W); images: the subject's.
        valid: real images that are neither training images nor a subject.
        train: training images, for those who look for copies.
    """

    eyes: Eyes
    seed: int
    reference: Images
    images: Images
    valid: Images
    train: Images

    @property
    def real(self) -> Tensor:
        return self.eyes.look(self.reference)

    @property
    def fake(self) -> Tensor:
        return self.eyes.look(self.images)

    @cached_property
    def manifolds(self) -> Mapping[str, Estimate]:
        return precision_recall_density_coverage(real=self.real, fake=self.fake)

    @cached_property
    def modes(self) -> Modes:
        """Of the classes: their true shares are those among the reference images."""
        logits = self.eyes.classify(self.images)
        real = self.eyes.classify(self.reference).argmax(1).bincount(minlength=logits.shape[1])
        even = self.eyes.features.even
        return class_modes(
            fake_classes=logits.argmax(1),
            count=logits.shape[1],
            real_weights=None if even else real.clamp(min=0.5),  # none is impossible
        )

    def inception_score(self) -> Estimate:
        return inception_score(logits=self.eyes.classify(self.images), seed=self.seed)

    def copying(self) -> Estimate:
        return data_copying(
            real=self.eyes.look(self.valid),
            fake=self.fake,
            train=self.eyes.look(self.train),
            seed=self.seed,
        )

    def class_diversity(self) -> Estimate:
        return diversity_within_classes(
            real=self.real,
            fake=self.fake,
            real_classes=self.eyes.classify(self.reference).argmax(1),
            fake_classes=self.eyes.classify(self.images).argmax(1),
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
    "is": Metric("higher", View.inception_score, classes=True),
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
    "class-diversity": Metric("", View.class_diversity, classes=True),
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
    view: View

    def page(self, method: Literal["pca", "umap"] = "pca") -> str:
        """The report as one HTML file, with those of its pictures that so few images allow."""
        view, shown = self.view, self.view.images[:25]
        near = compare_with_training(fake=shown, train=view.train, test=shown)
        real, fake = view.real[:1000].cpu(), view.fake[:1000].cpu()
        return page(
            self.report,
            samples=_if_possible(lambda: samples_picture(view.images)),
            neighbours=_if_possible(
                lambda: neighbours_picture(fake=shown, train=view.train, index=near.index)
            ),
            precision_recall=_if_possible(lambda: precision_recall_picture(real=real, fake=fake)),
            embedding=_if_possible(lambda: embedding(real=real, fake=fake, method=method)),
        )


def _if_possible(draw: Callable[[], Picture]) -> Picture | None:
    try:
        return draw()
    except FrenemyError:  # too few images: the report says how many there are
        return None


def judge(
    target: Subject,
    against: Dataset,
    protocol: Protocol = Protocol(),
    *,
    references: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Judgement:
    """Measures the target, held-out real images and noise against training images.

    As many random training images as there are samples are the reference, and as many random test
    images, if there are so many, the row of held-out images.

    Args:
        target: a model's samples, or any images.
        against: the real images.
        protocol: by what, and how.
        references: also measure held-out images and noise.
        say: is told what is being measured.

    Raises:
        FrenemyError: unknown names, or images of another shape than the target's.
    """
    at_least(1, samples=protocol.samples)
    metrics = _known(protocol.metrics) or [name for name in NAMES if name not in SLOW]
    seed, device = protocol.seed, judging_device(protocol.device)
    _require_shape(target, against)
    fake = target.images[: protocol.samples]
    reference = against.train.random(len(fake), seed=seed)
    subjects = {SAMPLES: fake}
    if references:
        subjects[HELD_OUT] = against.test.random(len(fake), seed=seed)
        subjects[NOISE] = noise_like(fake, seed)
    train = against.train.random(TRAINING_IMAGES, seed=seed)
    valid = np.asarray(against.valid.images)
    warnings = _doubts(subjects, reference)
    lines: list[Line] = []
    kinds = [
        features_named(kind, device) if isinstance(kind, str) else kind
        for kind in protocol.features or default_features(against)
    ]
    views: dict[str, View] = {}
    for kind in reversed(kinds):  # the first is what the pictures show
        eyes = Eyes(kind, device)
        views = {
            name: View(eyes, seed, reference, images, valid, train)
            for name, images in subjects.items()
        }
        lines = _lines(metrics, bool(protocol.metrics), views, warnings, say) + lines
    if "parzen" in metrics:
        say("parzen")
        lines += _parzen(subjects, reference, against, warnings)
    if "ais" in metrics:
        lines += _ais(target, against, seed, device, warnings, say)
    said = {
        "samples": f"{len(fake):,}",
        "reference": f"{len(reference):,} random images of {against.train.name} "
        f"(digest {against.train.digest[:12]})",
        "held-out images": f"{min(len(fake), len(against.test)):,} of {against.test.name}",
        "copies": f"looked for among {len(train):,} training images",
        "noise": "pixels uniform on 0..255",
        **{
            f"features {kind.name}": f"{kind.note}; digest {kind.digest[:12] or 'unknown'}".lstrip(
                "; "
            )
            for kind in kinds
        },
        "size": "x".join(map(str, against.shape)) + _resized(against),
        "seed": str(seed),
        "versions": f"frenemy {version('frenemy')}, torch {torch.__version__}",
    }
    names = [*subjects, *([PUBLISHED] if any(PUBLISHED in x.results for x in lines) else [])]
    report = Report(target.name, against.description, said, names, lines, warnings)
    return Judgement(report, views[SAMPLES])


def curves(
    model: Model,
    against: Dataset,
    protocol: Protocol,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, list[tuple[int, float, float]]]:
    """Every metric at each of a run's checkpoints: by its name, (round, value, error) in order.

    Checkpoints that cannot be read, or are of an earlier stage with another game, are left out
    with a warning.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    for path in reversed(model.run.checkpoints()):
        try:
            model.restore(path)
        except FrenemyError as error:
            warn(f"{path} is left out: {error}", stacklevel=2)
            continue
        say(f"round {model.progress.step:,}")
        subject = subject_of(model, protocol.samples, protocol.seed)
        for line in judge(subject, against, protocol, references=False).report.lines:
            if estimate := line.results.get(SAMPLES):
                point = (model.progress.step, estimate.value, estimate.error)
                found.setdefault(line.metric, []).append(point)
    return found


def subject_of(model: Model, count: int, seed: int) -> Subject:
    """The first `count` samples of a model, and its decoder."""
    name = f"{model.run.path} (round {model.progress.step:,})"
    G = copy.deepcopy(model.game.players["G"].best).eval().requires_grad_(False)
    uniform = model.game.prior.kind == "uniform"

    def decoder(u: Tensor) -> Tensor:
        z = ais.uniform_from_normal(u) if uniform else u
        return G(z).flatten(1).add(1).div(2)

    return Subject(name, model.sample(count, seed=seed), (decoder, model.game.prior.size))


def default_features(data: Dataset) -> list[str]:
    """A classifier that was trained on these very images, if there is one; else "random"."""
    return classifiers_of(data.train.digest, data.shape)[:1] or ["random"]


def _require_shape(target: Subject, against: Dataset) -> None:
    if target.images.shape[1:] != against.shape:
        mine, theirs = ("x".join(map(str, s)) for s in (target.images.shape[1:], against.shape))
        grey = target.images.shape[1] != against.shape[0]
        remedy = (
            "one is grey and the other in colour: bring both to one mode first"
            if grey
            else "give --size to bring both to one size"
        )
        raise FrenemyError(
            f"{target.name} has images of {mine} (channels x height x width), {against.train.name} "
            f"of {theirs}: {remedy}"
        )


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
    asked: bool,
    views: Mapping[str, View],
    warnings: list[str],
    say: Callable[[str], None],
) -> list[Line]:
    """A line for each metric on these features; what a subject cannot be judged by is a warning."""
    view = views[SAMPLES]
    kind = view.eyes.features.name
    has_classes = view.eyes.see(view.images).logits is not None
    lines = []
    for name in metrics:
        metric = METRICS.get(name)
        if metric is None:
            continue
        if metric.classes and not has_classes:
            if asked:
                warnings.append(f"{name}: the features {kind!r} know no classes")
            continue
        results: dict[str, Estimate] = {}
        for subject, view in views.items():
            say(f"{name} ({kind}) of {subject}")
            try:
                found = metric.measure(view)
            except FrenemyError as error:
                warnings.append(f"{name} of {subject}: {error}")
                continue
            fewer = len(view.images) < len(views[SAMPLES].images)
            notes = [f"of {len(view.images):,} images"] if fewer else []
            note = "; ".join([*notes, *([found.note] if found.note else [])])
            results[subject] = replace(found, note=note)
        full = protocol_name(name, len(views[SAMPLES].images), kind)
        lines.append(Line(full, metric.better, results))
    return lines


def _parzen(
    subjects: Mapping[str, Images], reference: Images, against: Dataset, warnings: list[str]
) -> list[Line]:
    """The likelihood of test images by the samples, on either grid of widths.

    Training images stand in for held-out ones, whose own likelihood would be infinite.
    """
    real = unit_pixels(against.test.images[:10_000])
    valid = unit_pixels(against.valid.images[:1000])
    results: dict[str, dict[str, Estimate]] = {grid: {} for grid in GRIDS}
    for subject, images in subjects.items():
        fake = reference if subject == HELD_OUT else images
        try:
            found = parzen_on_grids(real=real, valid=valid, fake=unit_pixels(fake), grids=GRIDS)
        except FrenemyError as error:
            warnings.append(f"parzen of {subject}: {error}")
            continue
        stand_in = "training images as samples; " if subject == HELD_OUT else ""
        for grid, likelihood in found.items():
            note = f"{stand_in}nats, sigma {likelihood.sigma:.3f}"
            results[grid][subject] = Estimate(likelihood.value, likelihood.error, note)
    if against.shape in PARZEN_PUBLISHED:
        results["authors"][PUBLISHED] = PARZEN_PUBLISHED[against.shape]
    count = len(subjects[SAMPLES])
    return [
        Line(protocol_name("parzen", count, f"{grid}-grid"), "higher", found)
        for grid, found in results.items()
    ]


def _ais(
    target: Subject,
    against: Dataset,
    seed: int,
    device: torch.device,
    warnings: list[str],
    say: Callable[[str], None],
) -> list[Line]:
    """The likelihood of test images under a model with Gaussian noise, and the published ones."""
    if target.decoder is None:
        warnings.append(f"ais: {target.name} is no model of ours: only its images are known")
        return []
    decoder, size_of_z = target.decoder
    protocol = ais.default_protocol(device)
    valid, test = (
        ais.dequantised(np.array(part.images[:count]), seed=seed).flatten(1).to(device)
        for part, count in ((against.valid, 20), (against.test, protocol.images))
    )
    try:
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
    except FrenemyError as error:
        warnings.append(f"ais: {error}")
        return []
    lines = [Line(protocol.name, "higher", {SAMPLES: found.log_p})]
    if against.shape == (1, 28, 28):
        lines += [
            Line(f"{ais.FULL.name} {name}", "higher", {PUBLISHED: row.log_p})
            for name, row in ais.PUBLISHED.items()
        ]
    return lines


def _resized(against: Dataset) -> str:
    size, fit = against.arguments.get("size"), against.arguments.get("fit")
    return "" if size is None else f" (all images brought to {size}x{size}: {fit})"


def _doubts(subjects: Mapping[str, Images], reference: Images) -> list[str]:
    """What the numbers are worth, as far as the images themselves tell."""

    def digests(images: Images) -> list[bytes]:
        return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]

    known, doubts = set(digests(reference)), []
    for subject, images in subjects.items():
        found = digests(images)
        same = sum(digest in known for digest in found)
        if same:
            doubts.append(
                f"{same:,} of {len(images):,} {subject} are, byte for byte, among the reference "
                "images: the distances between these sets say little"
            )
        if len(set(found)) == 1:
            doubts.append(f"all {len(images):,} {subject} are one and the same image")
    fewest = {"reference": reference, **subjects}
    if few := [f"{len(x):,} {name}" for name, x in fewest.items() if len(x) < FEWEST]:
        doubts.append(
            f"only {', '.join(few)}: distances are biased upwards; compare equal counts only"
        )
    return doubts
