"""The rows of Table 1: a line each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from frenemy.data import Dataset, Facts
from frenemy.judge.sets import Images, noise_like
from frenemy.nets.layers import Shape
from frenemy.table1.chains import (
    by_chains,
    consecutive_of_gsn,
    of_cae,
    of_dbn,
    of_denoising,
    of_rbm,
)
from frenemy.table1.drawing import Draw, independent

DIGIT, FACE = (1, 28, 28), (1, 48, 48)
"""Of the images of MNIST, and of the Toronto Face Database."""


@dataclass(frozen=True)
class Rival:
    """A model that is trained.

    Attributes:
        name: of the row.
        model: what the paper calls it.
        recipe: that trains it.
        rounds: played when training is cut short, on images of as many pixels as MNIST's or fewer;
            on others as many fewer.
        by_shape: another recipe and number of such rounds, for images of a shape.
        quick: arguments of the recipe when training is cut short.
        draw: how its samples are drawn.
    """

    name: str
    model: str
    recipe: str
    rounds: int
    by_shape: Mapping[Shape, tuple[str, int]] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    draw: Draw = independent

    def on(self, facts: Facts) -> tuple[str, int]:
        """The recipe's name for such images, and the rounds of a training that is cut short."""
        share = min(1.0, math.prod(DIGIT) / math.prod(facts.shape))
        return self.by_shape.get(facts.shape, (self.recipe, max(1, round(self.rounds * share))))

    @property
    def recipes(self) -> set[str]:
        """All that may train it."""
        return {self.recipe, *(recipe for recipe, _ in self.by_shape.values())}


@dataclass(frozen=True)
class Given:
    """Images that are judged as if they were samples.

    Attributes:
        name, model: as of a rival.
        images: (data, count, seed) -> so many, uint8 (N, C, H, W).
    """

    name: str
    model: str
    images: Callable[[Dataset, int, int], Images]


def _training(data: Dataset, count: int, seed: int) -> Images:
    return data.train.random(count, seed)


def _noise(data: Dataset, count: int, seed: int) -> Images:
    return noise_like(np.empty((count, *data.shape), np.uint8), seed)


OF_2014 = {DIGIT: ("mnist2014", 2000), FACE: ("faces2014", 40)}
BRIEF = {"sampling_steps": 20}
"""Chains when all is cut short."""
BRIEF_DBN = {**BRIEF, "rounds": 500, "fine_tuning": 500}
BRIEF_CAE = {**BRIEF, "layer_epochs": 1.0}
BRIEF_DIFFUSION = {"sampling_steps": 10, "averaging": 0.95}

ROWS: Sequence[Rival | Given] = (
    Rival("dbn", "DBN", "dbn", 1500, quick=BRIEF_DBN, draw=by_chains(of_dbn)),
    Rival("cae", "Stacked CAE", "cae", 1000, quick=BRIEF_CAE, draw=by_chains(of_cae)),
    Rival("gsn", "Deep GSN", "gsn", 400, draw=consecutive_of_gsn),
    Rival("adversarial", "Adversarial nets", "digits2014", 2000, OF_2014),
    Rival("ours", "Later adversarial nets", "digits", 1500, {DIGIT: ("mnist", 800)}),
    Rival("gmmn", "GMMN", "gmmn", 200),
    Rival("vae", "VAE", "vae", 2500),
    Rival("diffusion", "Diffusion", "diffusion", 200, quick=BRIEF_DIFFUSION),
    Rival("autoencoder", "Autoencoder", "autoencoder", 1000),
    Rival(
        "denoising",
        "Denoising autoencoder",
        "denoising",
        1000,
        quick=BRIEF,
        draw=by_chains(of_denoising),
    ),
    Rival("rbm", "RBM", "rbm", 1500, quick={**BRIEF, "rounds": 1500}, draw=by_chains(of_rbm)),
    Rival("gaussians", "Mixture of Gaussians", "gaussians", 1, quick={"components": 20}),
    Rival("kde", "Kernel density", "kde", 1),
    Given("training", "True training images", _training),
    Rival("kmeans", "k-means centroids", "kmeans", 1),
    Given("noise", "Noise", _noise),
)
"""In the order of the table."""
