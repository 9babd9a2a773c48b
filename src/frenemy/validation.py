"""What validation images say of a game's samples while it is played: how good, and whether copied.

All of it is a function of the seed and the weights, and when it is measured one of the rounds, so
that a resumed run measures the same.
"""

from __future__ import annotations

import math
import warnings
from functools import cached_property

import numpy as np
import torch

from frenemy.best import Validation
from frenemy.data.source import PLANE, Dataset, Drawn, require_images
from frenemy.errors import FrenemyError
from frenemy.game import Game, mix
from frenemy.judge.copying import Copying
from frenemy.judge.feature_pairs import pairs_of
from frenemy.judge.features import Features, judging_device
from frenemy.judge.kernel import LEAST
from frenemy.judge.lite0 import lite0_is_here
from frenemy.judge.metrics import METRICS
from frenemy.judge.named_features import default_features, features_named, require_features
from frenemy.judge.sets import SAMPLES, Images, Sets
from frenemy.names import known
from frenemy.opacity import over_white
from frenemy.sampling import as_seen, generate, noise, reads_images

COUNT = 500  # samples, compared with as many validation images at most,
LOOKED_UP = 250  # and so many of them looked up among the training images
KNOWN = 20  # times that each of these has to have been seen before: sooner none is known by heart
BETWEEN = 50_000  # images that are played on from one time to the next, at least
SMALL = 16  # pixels, of which ImageNet's features know nothing
NONE = "none"  # as a metric: no best checkpoint is kept
USUAL = "kid"  # unbiased, however few images there are, and soon computed
NAMES = tuple(
    name
    for name, metric in METRICS.items()
    # fld and the searches for copies compare with training images, is and vendi with none
    if metric.better and metric.measure and metric.noise and name not in ("fld", "is", "vendi")
)
"""The metrics by which a checkpoint can be the best."""


def is_validated(rounds: int, minibatch: int) -> bool:
    """Whether samples are validated after so many rounds: at first every 50,000 images.

    Later each time when a quarter more has been played.

    >>> [rounds for rounds in range(1, 1000) if is_validated(rounds, 500)]
    [100, 200, 300, 400, 500, 625, 781, 976]
    """
    first = -(-BETWEEN // minibatch)
    at = first
    while at < rounds:
        at += max(first, at // 4)
    return at == rounds


class Validator:
    """Measures samples of a game, of the same z each time.

    Args:
        metric: its name.
        features: the name of those that it looks at.
        game: that is played.
        data: on what; the test images have no part in it.
        seed: of the run and its stage.
        device: where to compute.

    Raises:
        FrenemyError: no metric that has a better end, no such features, or no images.
    """

    def __init__(
        self,
        metric: str,
        features: str,
        game: Game,
        data: Dataset,
        seed: int,
        device: torch.device,
    ) -> None:
        self.metric = METRICS[known(metric, NAMES, "metric to keep the best checkpoint by")]
        require_features(features)
        require_images(data.shape, data.train.name)
        self._name = features
        self._game, self._data = game, data
        self._seed = mix(seed, 6)
        self._device = judging_device(device)

    def try_out(self) -> None:
        """Measures validation images as if they were samples, before any training.

        Raises:
            FrenemyError: there are too few, or the features do not know what is asked for.
        """
        self._value(self._valid[::-1].copy())

    def of(self, step: int, times: float) -> Validation:
        """What is to be said of samples, drawn by the averages.

        Args:
            step: rounds that have been played.
            times: how often each training image was seen.
        """
        value = copied = None
        try:
            samples = self._draw(0)
            value = self._value(samples)
            copied = self._copied(samples) if times >= KNOWN else None
        except FrenemyError as error:
            warnings.warn(f"round {step:,}: samples were not validated: {error}", stacklevel=2)
        return Validation(step, self.metric.name, value, copied)

    def _draw(self, number: int) -> Images:
        facts, source = self._data.facts, self._data.train
        x, labels = source.batch(self._seed, number, COUNT)  # classes as frequent as they are
        given = x if reads_images(self._game, facts) else None
        seed = mix(self._seed, number)
        z = noise(self._game, COUNT, seed)
        images = generate(self._game, facts, z, COUNT, seed=seed, labels=labels, images=given)
        return over_white(images)

    def _value(self, samples: Images) -> float:
        pair = pairs_of(self._sets(samples), self._features, seed=0, device=self._device)[SAMPLES]
        if self.metric.classes and pair.extractor.outputs_of(samples).logits is None:
            raise FrenemyError(f"{self.metric.name}: the features {self._name!r} know no classes")
        value = self.metric.of(pair).value
        if not math.isfinite(value):
            raise FrenemyError(f"{self.metric.name} is {value}")
        return value

    def _sets(self, samples: Images) -> Sets:
        """All but the samples are validation images: the metrics here ask for no others."""
        valid = Drawn(self._valid, np.arange(len(self._valid)))
        return Sets({SAMPLES: samples}, self._valid, train=valid, valid=valid, test=self._valid)

    def _copied(self, samples: Images) -> float | None:
        """What is certain of other samples, too: of so many searches one may err."""
        if self._search is None:
            return None
        for some in (lambda: samples, lambda: self._draw(1)):
            found = self._search.of(some()[:LOOKED_UP])
            if not found.certain:
                return 0.0
        return found.low

    @cached_property
    def _valid(self) -> Images:
        return over_white(as_seen(self._game, self._data.valid.random(COUNT, self._seed)))

    @cached_property
    def _features(self) -> Features:
        return features_named(self._name, self._device)

    @cached_property
    def _search(self) -> Copying | None:
        """None where there are too few training images to know what is usual."""
        parts = self._data.train, self._data.valid
        train, held_out = (over_white(as_seen(self._game, part.images)) for part in parts)
        try:
            return Copying(train=train, held_out=held_out, seed=0)
        except FrenemyError:
            return None


def best_by(
    metric: str | None, usual: str | None, game: Game, data: Dataset, device: torch.device
) -> dict[str, str | None]:
    """By which metric of which features the best checkpoint is kept: fields of `run.json`.

    Args:
        metric: as it was given, `NONE` to keep none.
        usual: where none is given, if the data allow it.
        game, data: that is played, and on what.
        device: where to compute.

    Raises:
        FrenemyError: there is no such metric, or it cannot be measured here.
    """
    allowed = data.shape != PLANE and len(data.valid) >= LEAST
    name = metric or (usual if allowed else None)
    if name is None or name == NONE:
        return {"keep_best": None}
    features = features_for(data)
    if metric:
        Validator(metric, features, game, data, 0, device).try_out()
    return {"keep_best": name, "best_features": features}


def features_for(data: Dataset) -> str:
    """The judge's own for these images; but for "random", which hardly tell good samples apart.

    Of a few hundred grey pictures, those of ImageNet tell a half-learnt face from a learnt one.
    """
    (found,) = default_features(data)
    large = max(data.shape[1:]) > SMALL
    return "lite0" if found == "random" and large and lite0_is_here() else found
