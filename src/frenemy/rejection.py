"""Samples by rejection: of many, those that look most real."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from frenemy.data import Dataset
from frenemy.data.source import require_images
from frenemy.errors import FrenemyError, at_least
from frenemy.judge.features import extract, in_batches, judging_device
from frenemy.judge.named_features import features_named
from frenemy.judge.realism import realism
from frenemy.model import Model
from frenemy.opacity import over_white
from frenemy.validation import features_for

REAL = 10_000  # training images, at most, with which samples are compared
MOST = 1_000_000  # samples that are drawn
K = 3  # the neighbour that a real image's ball reaches to


def candidates(count: int, share: float) -> int:
    """How many samples are drawn to keep `count`, the share that is given.

    Raises:
        FrenemyError: the share is not in (0, 1], the count below 1, or there would be more than
            1,000,000.
    """
    at_least(1, count=count)
    if not 0 < share <= 1:
        raise FrenemyError(f"realism is {share}: give a share above 0 and up to 1, such as .1")
    if count / share > MOST:
        raise FrenemyError(
            f"realism is {share:g}, and {count:,} images are to be kept, of {count / share:,.0f}: "
            f"at most {MOST:,} are drawn; give a larger share, or keep fewer"
        )
    return math.ceil(count / share)


def most_real(
    model: Model,
    data: Dataset,
    count: int,
    share: float,
    *,
    seed: int = 0,
    labels: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
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
        FrenemyError: as `candidates` and `Model.sample`; or there are too few training images.
        MemoryError: so many samples do not fit.
    """
    many = candidates(count, share)
    require_images(model.facts.shape, str(model.run.path))
    if len(data.train) <= K:
        raise FrenemyError(f"{data.train.name}: {len(data.train)} images: needs {K + 1} or more")
    wanted = np.arange(count, dtype=np.int64) % max(1, len(model.classes))
    if labels is not None:
        told = model.checked_labels(labels, count)
        if told.ndim > 1:
            raise FrenemyError(f"labels: {told.shape}: give the class of each, ({count},)")
        wanted = told.astype(np.int64)
    of_each = np.resize(wanted, many)
    device = judging_device(model.game.device)
    features = features_named(features_for(data), device)
    real = over_white(model.as_seen(data.train.random(REAL, seed=0)))
    samples = model.sample(many, seed=seed, labels=of_each if model.classes else None)
    known = extract(features, real, device).features
    seen = in_batches(features.network, over_white(samples), device, features.batch).features
    scores = realism(real=known.to(device), fake=seen.to(device), k=K).cpu()
    kept = np.empty(count, np.int64)
    for kind in np.unique(wanted):
        places, mine = np.flatnonzero(wanted == kind), np.flatnonzero(of_each == kind)
        best = mine[np.argsort(-scores.numpy()[mine], kind="stable")[: len(places)]]
        kept[places] = np.sort(best)
    return samples[kept]
