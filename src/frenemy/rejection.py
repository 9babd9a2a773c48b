"""Samples by rejection: of many, those that look most real."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frenemy.data import Dataset
from frenemy.data.source import require_images
from frenemy.errors import FrenemyError
from frenemy.judge.features import extract, in_batches, judging_device
from frenemy.judge.named_features import features_named
from frenemy.judge.realism import realism
from frenemy.model import Model
from frenemy.validation import features_for

REAL = 10_000  # training images, at most, with which samples are compared
MOST = 1_000_000  # samples that are drawn
K = 3  # the neighbour that a real image's ball reaches to


def most_real(
    model: Model,
    data: Dataset,
    count: int,
    share: float,
    *,
    seed: int = 0,
    labels: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Of count / share samples the `count` that look most real, uint8 (count, C, H, W).

    They have the highest realism scores beside the training images, by the features by which runs
    are validated; of each class, where there are some, as many as are asked for. They stand in the
    order in which the seed names them. Copies of training images would be the most real of all.

    Args:
        model: of images.
        data: the run's, of whose training part up to 10,000 images are looked at.
        count: how many.
        share: of the samples that is kept, in (0, 1].
        seed: of the noise.
        labels: of the samples, (count,), where the players are told classes; by default each class
            in turn.

    Raises:
        FrenemyError: the share is not in (0, 1], more than 1,000,000 samples would have to be
            drawn, there are too few training images, or as `Model.sample`.
        MemoryError: so many samples do not fit.
    """
    if not 0 < share <= 1:
        raise FrenemyError(f"realism is {share}: give a share above 0 and up to 1, such as .1")
    if count / share > MOST:
        raise FrenemyError(
            f"realism is {share:g}, and {count:,} images are to be kept, of {count / share:,.0f}: "
            f"at most {MOST:,} are drawn; give a larger share, or keep fewer"
        )
    require_images(model.facts.shape, str(model.run.path))
    many = math.ceil(count / share)
    kinds = max(1, len(model.classes))
    wanted = np.arange(count) % kinds if labels is None else labels
    of_each = np.resize(wanted, many)
    samples = model.sample(many, seed=seed, labels=of_each if model.classes else labels)
    device = judging_device(model.game.device)
    features = features_named(features_for(data), device)
    real = model.as_seen(data.train.random(REAL, seed=0))
    seen = in_batches(features.network, samples, device, features.batch).features
    scores = realism(real=extract(features, real, device).features, fake=seen, k=K).numpy()
    kept = np.empty(count, np.int64)
    for kind in np.unique(wanted):
        places, candidates = np.flatnonzero(wanted == kind), np.flatnonzero(of_each == kind)
        best = candidates[np.argsort(-scores[candidates], kind="stable")[: len(places)]]
        kept[places] = np.sort(best)
    return samples[kept]
