"""Training the judge's classifier: a game of one player, on a labelled source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from frenemy.choices import DeviceName
from frenemy.data import Dataset, Source
from frenemy.data.source import require_images
from frenemy.engine import choose_device
from frenemy.errors import FrenemyError
from frenemy.experiment import Experiment, Stage
from frenemy.game import Game, Player, Prior, Round, Turn, mix
from frenemy.judge.classifier import (
    Card,
    Classifier,
    augmented,
    pixels_digest,
    save_classifier,
)
from frenemy.judge.features import in_batches, judging_device
from frenemy.judge.named_features import classifier_path

MINIBATCH = 128
ROUNDS = 2000
RATE = 2e-3
FEWEST = 10  # images in the parts to train on and to report on
STANDARD = 2000  # training images, at most, whose features have the mean variance 1


def cross_entropy(r: Round) -> Tensor:
    """-log p(y | x) on augmented images, (B,)."""
    assert r.y is not None
    x = r.x.detach()
    logits = r.nets["classifier"](augmented(x, flip=x.shape[1] == 3)).logits
    return F.cross_entropy(logits, r.y, reduction="none")


def train_classifier(
    data: Dataset,
    name: str,
    *,
    rounds: int | None = None,
    seed: int = 0,
    device: DeviceName = "auto",
    progress: Callable[[float], None] | None = None,
) -> tuple[Path, Card]:
    """Trains a classifier on the train part and saves it where the judge finds it by its name.

    Args:
        data: with labels.
        name: "mnist" makes it the features `classifier-mnist`.
        rounds: minibatches of 128, 2,000 by default; the rate rises over the first tenth and falls
            to 0.
        seed: of weights, order and augmentation.
        device: where to compute; the processor instead of Apple's GPU, see `judging_device`.
        progress: is told the share done, in [0, 1].

    Returns:
        Where it lies, and what is known of it, its confusions on the test part included.

    Raises:
        FrenemyError: before training, if there are no labels, fewer than two classes or fewer than
            10 images in the train or the test part, or if the name is taken; after it, and then
            nothing is saved, if the weights or features came out useless.
    """
    data = data.opaque()  # as the judge sees images
    train, test = data.train, data.test
    require_images(data.shape, train.name)
    if train.labels is None or len(train.classes) < 2:
        raise FrenemyError(
            f"{train.name} has {len(train.classes) or 'no'} classes: a classifier needs a set with "
            "labels, such as MNIST's files or a folder with one folder a class"
        )
    if min(len(train), len(test)) < FEWEST:
        raise FrenemyError(
            f"{train.name} has {len(train):,} images, {test.name} {len(test):,}: a classifier "
            f"needs {FEWEST} or more in each: a folder of {10 * FEWEST} images has them"
        )
    if len(np.unique(train.labels)) < 2:
        raise FrenemyError(
            f"all {len(train):,} images of {train.name} are of one class: a classifier needs two"
        )
    rounds = ROUNDS if rounds is None else rounds
    path = classifier_path(name)
    if path.exists():  # also of these images: reports made with it could not be made again
        raise FrenemyError(
            f"there is a classifier {name!r} already: give this one another --name, "
            f"or delete {path} first"
        )
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, 0, 2))
        net = Classifier(data.shape[0], len(train.classes))
    net.to(judging_device(choose_device(device)))
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)

    def schedule(t: int) -> dict[str, float]:
        return {"lr": RATE * min(1.0, 10 * (t + 1) / rounds, 1.1 * (1 - t / rounds))}

    player = Player(net, optimiser, schedule=schedule)
    turn = Turn({"classifier": {cross_entropy: 1.0}})
    game = Game({"classifier": player}, [turn], Prior("gaussian", 1), MINIBATCH)
    experiment = Experiment([Stage(game, 1)], train)
    minibatch = experiment.minibatch(game, seed, game.device)
    with torch.random.fork_rng():
        for step in range(rounds):
            game.play(minibatch, seed=seed, step=step)
            if progress is not None:
                progress((step + 1) / rounds)
    seen = in_batches(net.eval(), train.random(STANDARD, seed), game.device)
    net.standardise(seen.features)
    found = confusion(net, test).tolist()
    pixels = pixels_digest(train.images)
    card = Card(name, data.shape, train.classes, train.digest, pixels, found)
    return save_classifier(net, card, path), card


def confusion(net: Classifier, source: Source) -> Tensor:
    """How many images of the source are of each class and put into each, int64 (classes, classes).

    A row for each true class, a column for each that the network finds.
    """
    assert source.labels is not None
    logits = in_batches(net, source.images, next(net.parameters()).device).logits
    assert logits is not None
    classes = logits.shape[1]
    pairs = torch.from_numpy(source.labels.copy()) * classes + logits.argmax(1)
    return pairs.bincount(minlength=classes**2).reshape(classes, classes)
