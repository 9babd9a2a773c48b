"""The rows of Table 1: a line each."""

from __future__ import annotations

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
        recipe: that trains it; where images have a shape of `by_shape`, the one that stands there.
        quick: its arguments when training is cut short, and `rounds` how many are played then.
        rounds: see there.
        epochs: to be played; the recipe's own if None.
        draw: how its samples are drawn.
    """

    name: str
    model: str
    recipe: str
    by_shape: Mapping[Shape, str] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 1000
    epochs: float | None = None
    draw: Draw = independent

    def recipe_for(self, facts: Facts) -> str:
        """The recipe's name."""
        return self.by_shape.get(facts.shape, self.recipe)

    @property
    def recipes(self) -> set[str]:
        """All that may train it."""
        return {self.recipe, *self.by_shape.values()}


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


OF_2014 = {DIGIT: "mnist2014", FACE: "faces2014"}
BRIEF = {"sampling_steps": 20}
"""Chains when all is cut short."""
BRIEF_DBN = {**BRIEF, "pretraining": 1.0, "fine_tuning": 1.0}
BRIEF_CAE = {**BRIEF, "layer_epochs": 1.0}

ROWS: Sequence[Rival | Given] = (
    Rival("dbn", "DBN", "dbn", quick=BRIEF_DBN, rounds=1500, draw=by_chains(of_dbn)),
    Rival("cae", "Stacked CAE", "cae", quick=BRIEF_CAE, draw=by_chains(of_cae)),
    Rival("gsn", "Deep GSN", "gsn", rounds=300, draw=consecutive_of_gsn),
    Rival("adversarial", "Adversarial nets", "digits2014", OF_2014, rounds=3000),
    Rival("ours", "Adversarial nets, later loss", "digits", {DIGIT: "mnist"}, rounds=2000),
    Rival("gmmn", "GMMN", "gmmn", rounds=200),
    Rival("vae", "VAE", "vae", rounds=2000),
    Rival("autoencoder", "Autoencoder, Gaussian codes", "autoencoder"),
    Rival(
        "denoising", "Denoising autoencoder", "denoising", {}, BRIEF, draw=by_chains(of_denoising)
    ),
    Rival("rbm", "RBM", "rbm", quick=BRIEF, rounds=2000, draw=by_chains(of_rbm)),
    Rival("gaussians", "Mixture of Gaussians", "gaussians", quick={"components": 20}),
    Rival("kde", "Kernel density", "kde"),
    Given("training", "True training images", _training),
    Rival("kmeans", "k-means centroids", "kmeans", quick={"components": 200}),
    Given("noise", "Noise", _noise),
)
"""In the order of the table."""
