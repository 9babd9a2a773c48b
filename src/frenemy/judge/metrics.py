"""The metrics, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from frenemy.judge.classes import diversity_within_classes, inception_score
from frenemy.judge.diversity import vendi
from frenemy.judge.estimate import Estimate
from frenemy.judge.feature_pairs import FeaturePair
from frenemy.judge.fld import fld
from frenemy.judge.frechet import frechet, frechet_infinity
from frenemy.judge.kernel import cmmd, kid
from frenemy.judge.report import Better
from frenemy.judge.sharpness import sharpness
from frenemy.judge.slices import sliced_wasserstein
from frenemy.judge.two_sample import two_sample_test


@dataclass(frozen=True)
class Metric:
    """What is known of a metric; options, pages and documentation are made of it.

    Attributes:
        name: that `--metrics` takes, and that the names of its lines begin with.
        better: which direction is.
        told: what it measures, in a sentence or two.
        error: what its standard error is, and what is drawn anew in it.
        source: the paper.
        measure: what does so; None where it needs other than a pair of sets (`likelihoods`).
        when: measured by default, by `--metrics all`, or only if named, because it is slow.
        setting: what else its lines' names state, as the size of neighbourhoods does.
        counted: whether its value depends on how many images there are.
        classes: whether the features have to know classes.
        pixels: whether it looks at pixels alone, whatever the features.
        noise: whether it is measured of noise, too.
    """

    name: str
    better: Better
    told: str
    error: str
    source: str
    measure: Callable[[FeaturePair], Estimate] | None
    when: Literal["default", "all", "named"] = "all"
    setting: str = ""
    counted: bool = False
    classes: bool = False
    pixels: bool = False
    noise: bool = True

    def of(self, pair: FeaturePair) -> Estimate:
        """What it finds of a pair of sets, if it is one of these; from the disk if it is kept."""
        measure = self.measure
        assert measure is not None  # others have lines of their own: see `likelihoods`
        if pair.kept is None:
            return measure(pair)
        return pair.kept.once(self.name, lambda: {self.name: measure(pair)})[self.name]


def _class_diversity(pair: FeaturePair) -> Estimate:
    return diversity_within_classes(
        real=pair.real,
        fake=pair.fake,
        real_classes=pair.real_classes,
        fake_classes=pair.fake_logits.argmax(1),
    )


_KYNKAANNIEMI = (
    "Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models"
)
_NAEEM = "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"

_ALL = (
    Metric(
        name="fid-infinity",
        better="lower",
        told="FID extrapolated to infinitely many images of both sets, from the whole sets, their"
        " halves and their quarters: what few images add to FID is taken off, so that values"
        " of different counts are comparable, and sets of one distribution are at 0 on "
        "average.",
        error="that of `fid`, and of the cut in halves and quarters: samples and reference images",
        source="Chong and Forsyth 2020, Effectively Unbiased FID and Inception Score and Where to "
        "Find Them",
        measure=lambda p: frechet_infinity(real=p.real, fake=p.fake, seed=p.seed),
        when="default",
    ),
    Metric(
        name="fid",
        better="lower",
        told="Fréchet distance: the features of both sets are taken to be Gaussian, and this is "
        "the distance between the two Gaussians: it grows with bad samples and with missing kinds "
        "alike. Few samples make it too large, so compare values of the same number of samples "
        "and the same features only.",
        error="delta method on both Gaussians, divided by its order: samples and reference images",
        source="Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule Converge to a "
        "Local Nash Equilibrium",
        measure=lambda p: frechet(real=p.real, fake=p.fake),
        when="default",
        counted=True,
    ),
    Metric(
        name="kid",
        better="lower",
        told="Kernel distance: the squared maximum mean discrepancy between the features, with a "
        "cubic polynomial kernel. It is unbiased: between sets of one distribution it is zero on "
        "average, so a value slightly below zero is nothing odd.",
        error="variance of the U-statistic of all pairs: samples and reference images",
        source="Bińkowski et al. 2018, Demystifying MMD GANs",
        measure=lambda p: kid(real=p.real, fake=p.fake),
        when="default",
    ),
    Metric(
        name="cmmd",
        better="lower",
        told="The kernel distance with a Gaussian kernel of width 10 on features of unit length, "
        "times 1,000; meant for those of CLIP.",
        error="as `kid`",
        source="Jayasumana et al. 2024, Rethinking FID: Towards a Better Evaluation Metric for "
        "Image Generation",
        measure=lambda p: cmmd(real=p.real, fake=p.fake),
    ),
    Metric(
        name="is",
        better="higher",
        told="Inception-style score: high if a classifier is sure of the class of each sample, "
        "and the classes are many. It never looks at the real images: samples that repeat one "
        "image a class still score well.",
        error="delta method to second order, in 10 splits: samples; no real image has a part in "
        "the value",
        source="Salimans et al. 2016, Improved Techniques for Training GANs",
        measure=lambda p: inception_score(logits=p.fake_logits, seed=p.seed),
        classes=True,
        counted=True,
    ),
    Metric(
        name="precision",
        better="higher",
        told="The share of samples that lie among the real images: quality.",
        error="random halves: samples and reference images",
        source=_KYNKAANNIEMI,
        measure=lambda p: p.neighbourhoods.precision,
        when="default",
        setting="k5",
        counted=True,
    ),
    Metric(
        name="recall",
        better="higher",
        told="The share of real images that lie among the samples: variety; a generator that has "
        "collapsed has high precision and low recall.",
        error="random halves: samples and reference images",
        source=_KYNKAANNIEMI,
        measure=lambda p: p.neighbourhoods.recall,
        when="default",
        setting="k5",
        counted=True,
    ),
    Metric(
        name="density",
        better="",
        told="In how many real neighbourhoods a sample lies on average: 1 is normal. Neither "
        "more nor less is better: samples that crowd where real images are dense, as blurred "
        "ones do, have more.",
        error="random halves: samples and reference images",
        source=_NAEEM,
        measure=lambda p: p.neighbourhoods.density,
        setting="k5",
    ),
    Metric(
        name="coverage",
        better="higher",
        told="The share of real neighbourhoods that contain a sample: recall in a form less "
        "sensitive to outliers.",
        error="random halves: samples and reference images",
        source=_NAEEM,
        measure=lambda p: p.neighbourhoods.coverage,
        setting="k5",
        counted=True,
    ),
    Metric(
        name="two-sample",
        better="lower",
        told="Classifier two-sample test: the accuracy, on unseen images, of a classifier trained "
        "to tell samples from real ones: one half, the best, is chance; at 1 it is always right.",
        error="binomial: the halves that are tested on; the classifier that was trained on the "
        "others is held fixed",
        source="Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests",
        measure=lambda p: two_sample_test(real=p.real, fake=p.fake, seed=p.seed),
        when="default",
        counted=True,
    ),
    Metric(
        name="sharpness",
        better="",
        told="The fine detail of samples over that of real images: 1 is as sharp, less is blurred, "
        "more is noise.",
        error="delta method: samples and reference images",
        source="after Pech-Pacheco et al. 2000, Diatom Autofocusing in Brightfield Microscopy",
        measure=lambda p: sharpness(real=p.sets.reference, fake=p.judged),
        when="default",
        pixels=True,
    ),
    Metric(
        name="sliced-wasserstein",
        better="lower",
        told="Sliced Wasserstein distance: how far the one set has to be moved to become the "
        "other, seen along many random directions and averaged.",
        error="delta method on potentials, divided by its order: samples and reference images; "
        "the random directions are held fixed",
        source="Rabin et al. 2012, Wasserstein Barycenter and Its Application to Texture Mixing",
        measure=lambda p: sliced_wasserstein(real=p.real, fake=p.fake, seed=p.seed),
        counted=True,
    ),
    Metric(
        name="fld",
        better="lower",
        told="Feature likelihood divergence: how unlikely held-out images are if a Gaussian sits "
        "on every sample, of the width that makes the training images likeliest. Copies, bad "
        "samples and missing kinds all cost; but a slight blur is rewarded.",
        error="over held-out images, and over quarters of samples and training images: all of them",
        source="Jiralerspong et al. 2023, Feature Likelihood Divergence: Evaluating the "
        "Generalization of Generative Models Using Samples",
        measure=lambda p: fld(
            real=p.extractor.features_of(p.sets.valid), fake=p.fake, train=p.real, seed=p.seed
        ),
        counted=True,
    ),
    Metric(
        name="vendi",
        better="higher",
        told="Vendi score: the effective number of different images in a set: 1 if all are the "
        "same, their number if all are completely different. It says nothing about quality: "
        "noise is diverse.",
        error="delta method, divided by its order: samples; no real image has a part in the value",
        source="Friedman and Dieng 2023, The Vendi Score: A Diversity Evaluation Metric for "
        "Machine Learning",
        measure=lambda p: vendi(fake=p.fake),
        counted=True,
    ),
    Metric(
        name="classes",
        better="higher",
        told="How many classes are covered, more often than the classifier's own mistakes explain; "
        "with the p-values of classes that are lost or rare.",
        error="of resampling: samples; the classifier, and what is known of its mistakes, held "
        "fixed",
        source="Lin et al. 2018, PacGAN: The Power of Two Samples in Generative Adversarial "
        "Networks",
        measure=lambda p: p.class_shares.caught,
        classes=True,
        counted=True,
    ),
    Metric(
        name="class-kl",
        better="lower",
        told="Reverse KL divergence of the classes' shares from those of the real images: 0 is "
        "equal.",
        error="delta method on both shares, to second order: samples and reference images; samples "
        "alone where the true shares are known (`stacked-NAME`)",
        source="Srivastava et al. 2017, VEEGAN: Reducing Mode Collapse in GANs using Implicit "
        "Variational Learning",
        measure=lambda p: p.modes.reverse_kl,
        classes=True,
        counted=True,
    ),
    Metric(
        name="class-kl-forward",
        better="lower",
        told="The same divergence from the other side, of the real images' shares from the "
        "samples': a class that is lost costs much more.",
        error="as `class-kl`",
        source="Kullback and Leibler 1951, On Information and Sufficiency",
        measure=lambda p: p.modes.forward_kl,
        classes=True,
        counted=True,
    ),
    Metric(
        name="class-diversity",
        better="",
        told="How different the samples of one class are from each other, relative to real images "
        "of that class: 1 is as diverse as these, and near 0 each class has one picture only.",
        error="delta method on mean distances: samples and reference images",
        source="Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs",
        measure=_class_diversity,
        classes=True,
    ),
    Metric(
        name="copying",
        better="lower",
        told="The share of different samples that are training images, maybe shifted, mirrored or "
        "brighter, less the false alarms that held-out images show.",
        error="half of Newcombe's interval by 1.96: samples and validation images; training images "
        "are held fixed",
        source="Lowe 2004, Distinctive Image Features from Scale-Invariant Keypoints (a nearest "
        "match counts if it is much nearer than others are)",
        measure=lambda p: p.copies.share,
        when="default",
        pixels=True,
        noise=False,
    ),
    Metric(
        name="feature-copying",
        better="lower",
        told="The same in features, which may recognise an image that was rotated or enlarged, if "
        "they are made for that.",
        error="as `copying`",
        source="Lowe 2004, Distinctive Image Features from Scale-Invariant Keypoints",
        measure=lambda p: p.feature_copies.share,
        noise=False,
    ),
    Metric(
        name="data-copying",
        better="",
        told="Data-copying test: whether samples lie nearer to the training images than held-out "
        "real images do. Below -3: they are copies; near 0: as it should be; far above: they miss "
        "the data.",
        error="that of the null hypothesis: samples and validation images; training images and "
        "cells are held fixed",
        source="Meehan et al. 2020, A Non-Parametric Test to Detect Data-Copying in Generative "
        "Models",
        measure=lambda p: p.originals.authenticity.data_copying(p.fake),
        noise=False,
    ),
    Metric(
        name="authpct",
        better="",
        told="The share of samples that are farther from their nearest training image than that "
        "is from its own nearest: far below that of held-out images they are copies, far above "
        "it they miss the data.",
        error="binomial: samples; training images are held fixed",
        source="Alaa et al. 2022, How Faithful is your Synthetic Data? Sample-level Metrics for "
        "Evaluating and Auditing Generative Models",
        measure=lambda p: p.originals.authenticity.auth_pct(p.fake),
        noise=False,
    ),
    Metric(
        name="parzen",
        better="higher",
        told="Parzen windows: the log-likelihood of held-out images, in nats, if a Gaussian sits "
        "on every sample. It can be far from what a person would call good (Theis et al. 2016, A "
        "Note on the Evaluation of Generative Models).",
        error="halves of the samples, and std / sqrt n over test images, which the note has "
        "alone, as papers print it: samples and test images; sigma is held fixed",
        source="Goodfellow et al. 2014, Generative Adversarial Networks",
        measure=None,
        counted=True,
    ),
    Metric(
        name="ais",
        better="higher",
        told="Annealed importance sampling: the log-likelihood of held-out images, in nats, if "
        "the generator's output had Gaussian noise of a stated variance: a lower bound on "
        "average, and the gap tells how loose it is.",
        error="std / sqrt n, and the gap of its bounds: test images and their chains; the "
        "generator and the variance are held fixed",
        source="Wu et al. 2017, On the Quantitative Analysis of Decoder-Based Generative Models",
        measure=None,
        when="named",
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
        "| metric | measured | better | what it measures | standard error, and what is drawn anew "
        "| source |",
        "| --- " * 6 + "|",
    ]
    when = {"default": "by default", "all": "by `all`", "named": "if named"}
    for m in METRICS.values():
        cells = (f"`{m.name}`", when[m.when], m.better, m.told, m.error, m.source)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
