"""What a judge found as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frenemy.figures import Figure
from frenemy.judge.plots import curve
from frenemy.judge.verdict import ARROWS, Better, Report
from frenemy.pages import render
from frenemy.pictures import enlarge, grid, nearest_grid

SHOWN = 64  # samples in the grid


class Family(NamedTuple):
    """Metrics that are explained together.

    Attributes:
        pattern: what the names of their protocols begin with, a regular expression.
        name: of the family.
        told: what it measures, in a sentence or two.
        source: the paper.
    """

    pattern: str
    name: str
    told: str
    source: str


FAMILIES = (
    Family(
        r"fid",
        "Fréchet distance (FID)",
        "The features of both sets are taken to be Gaussian, and this is the distance between the "
        "two Gaussians: it grows with bad samples and with missing kinds alike. Few samples make "
        "it too large, so compare values of the same number of samples and the same features only; "
        "FID-infinity extrapolates that bias away (Chong and Forsyth 2020, Effectively Unbiased "
        "FID and Inception Score and Where to Find Them).",
        "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
        "Equilibrium",
    ),
    Family(
        r"kid",
        "Kernel distance (KID)",
        "The squared maximum mean discrepancy between the features, with a cubic polynomial "
        "kernel. It is unbiased: between sets of one distribution it is zero on average, so a "
        "value slightly below zero is nothing odd.",
        "Bińkowski et al. 2018, Demystifying MMD GANs",
    ),
    Family(
        r"is(?![a-z])",
        "Inception-style score",
        "High if a classifier is sure of the class of each sample, and the classes are many. It "
        "never looks at the real images: samples that repeat one image a class still score well.",
        "Salimans et al. 2016, Improved Techniques for Training GANs",
    ),
    Family(
        r"precision|recall",
        "Precision and recall",
        "Precision is the share of samples that lie among the real images: quality. Recall is the "
        "share of real images that lie among the samples: variety; a generator that has collapsed "
        "has high precision and low recall.",
        "Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative "
        "Models",
    ),
    Family(
        r"density|coverage",
        "Density and coverage",
        "Precision and recall in a form that single outliers move less: in how many real "
        "neighbourhoods a sample lies on average (1 is normal, and it may be more), and what share "
        "of the real neighbourhoods holds a sample.",
        "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models",
    ),
    Family(
        r"two-sample",
        "Classifier two-sample test",
        "How often a classifier trained to tell samples from real images is right on ones that it "
        "has not seen: one half means that it cannot, 1 that it always can.",
        "Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests",
    ),
    Family(
        r"sliced-wasserstein",
        "Sliced Wasserstein distance",
        "How far the one set has to be moved to become the other, seen along many random "
        "directions and averaged.",
        "Rabin et al. 2012, Wasserstein Barycenter and Its Application to Texture Mixing",
    ),
    Family(
        r"vendi",
        "Vendi score",
        "The effective number of different images in a set: 1 if all are the same, their number if "
        "all are wholly unlike. It says nothing of quality: noise is diverse.",
        "Friedman and Dieng 2023, The Vendi Score: A Diversity Evaluation Metric for Machine "
        "Learning",
    ),
    Family(
        r"copying",
        "Data-copying test",
        "Whether samples lie nearer to the training images than held-out real images do. Far below "
        "zero: they are copies; near zero: as it should be; far above: they miss the data.",
        "Meehan et al. 2020, A Non-Parametric Test to Detect Data-Copying in Generative Models",
    ),
    Family(
        r"class-diversity",
        "Diversity within classes",
        "How unlike one another the samples of one class are, as a share of what real images of "
        "that class are: 1 is as various as these, and near 0 each class has one picture only.",
        "Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs",
    ),
    Family(
        r"parzen",
        "Parzen-window likelihood",
        "The log-likelihood of held-out images, in nats, if a Gaussian sits on every sample. It "
        "can be far from what a person would call good (Theis et al. 2016, A Note on the "
        "Evaluation of Generative Models).",
        "Goodfellow et al. 2014, Generative Adversarial Networks",
    ),
    Family(
        r"ais",
        "Likelihood by annealed importance sampling",
        "The log-likelihood of held-out images, in nats, if the generator's output had Gaussian "
        "noise of a stated variance: a lower bound on average, and the gap tells how loose it is.",
        "Wu et al. 2017, On the Quantitative Analysis of Decoder-Based Generative Models",
    ),
    Family(
        r"class(es|-kl)",
        "Classes",
        "How many of the classes are ever made, and how far their shares are from those of the "
        "real images (reverse KL, class-kl: 0 is equal).",
        "Lin et al. 2018, PacGAN: The Power of Two Samples in Generative Adversarial Networks",
    ),
)


def page(
    report: Report,
    *,
    samples: Sequence[Figure] = (),
    neighbours: Sequence[Figure] = (),
    precision_recall: Sequence[Figure] = (),
    embedding: Sequence[Figure] = (),
) -> str:
    """The report as HTML with its curves, and with the figures that there are.

    Everything is in the text: pictures as data: URIs, plots as SVG. All words are escaped.

    Args:
        report: table, warnings, protocol and curves.
        samples: as of `samples_figure`; neighbours: as of `neighbours_figure`.
        precision_recall: as of `plots.precision_recall`.
        embedding: as of `plots.embedding`.
    """
    better = {line.metric: _direction(line.better) for line in report.lines}
    rows = [
        (line.metric, better[line.metric], [line.results.get(name) for name in report.subjects])
        for line in report.lines
    ]
    found = [estimate for *_, row in rows for estimate in row if estimate]
    curves = [
        curve(points, f"{metric} ({better[metric][1]})" if any(better.get(metric, "")) else metric)
        for metric, points in report.curves.items()
        if any(math.isfinite(value) for _, value, _ in points)
    ]
    figures = {
        "Samples": samples,
        "Nearest training images": neighbours,
        "Precision and recall": precision_recall,
        "Real and generated images in a plane": embedding,
    }
    names = [*better, *report.curves]
    return render(
        "judge.html",
        report=report,
        rows=rows,
        notes=list(dict.fromkeys(estimate.note for estimate in found if estimate.note)),
        figures={title: shown for title, shown in figures.items() if shown},
        curves=curves,
        families=[f for f in FAMILIES if any(re.match(f.pattern, name) for name in names)],
    )


def _direction(better: Better) -> tuple[str, str]:
    """An arrow, and what it means."""
    return ARROWS[better], f"{better} is better" if better else ""


def samples_figure(fake: NDArray[np.uint8]) -> Figure:
    """The first 64 samples, or all if there are fewer, as they come.

    Args:
        fake: uint8 (M, C, H, W), C = 1 or 3.

    Raises:
        FrenemyError: there are none.
    """
    shown = fake[:SHOWN]
    size = "{1} x {0} pixels".format(*fake.shape[2:])
    alt = f"A grid of {len(shown):,} generated images of {size}"
    told = f"The first {len(shown):,} of {len(fake):,} samples, {size}, not chosen by anyone."
    return Figure([grid(enlarge(shown))], alt, told)


def neighbours_figure(
    *, fake: NDArray[np.uint8], train: NDArray[np.uint8], index: NDArray[np.int64]
) -> Figure:
    """Rows of five samples and, sixth and apart, the training image nearest to the fifth.

    So Figure 2 of Goodfellow et al. (2014), Generative Adversarial Networks, shows that a
    generator has not memorised.

    Args:
        fake: uint8 (M, C, H, W), C = 1 or 3; train: uint8 (N, C, H, W).
        index: of the training image nearest to each sample, (M,), as of `compare_with_training`.

    Raises:
        FrenemyError: as `pictures.nearest_grid`.
    """
    alt = (
        "Rows of images: five generated ones, then, set apart, the training image nearest to the "
        "fifth"
    )
    told = (
        "In each row five samples and, right of the bar, the training image nearest to the fifth. "
        "A generator that has memorised shows the same picture on both sides of the bar."
    )
    return Figure([nearest_grid(fake=fake, train=train, index=index)], alt, told)
