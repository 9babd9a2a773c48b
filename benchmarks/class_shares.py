"""Is a lost class named, and is an honest set left alone? Of a labelled set with one rare class.

    frenemy judge --train-features mnist --name mnist
    python benchmarks/class_shares.py --data mnist --features classifier-mnist

Each class in turn is reduced to 1 %. Samples are held-out images that nobody trained on or counted
confusions on, with or without it; the reference are training images. A table is printed.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Doc

from frenemy.data import open_dataset
from frenemy.judge.class_shares import class_shares
from frenemy.judge.features import extract
from frenemy.judge.named_features import features_named


def drawn(
    rng: np.random.Generator, labels: NDArray[np.int64], shares: NDArray[np.float64], count: int
) -> Tensor:
    """Indices of so many images, of these shares of the classes, (count,)."""
    parts = []
    for label, many in enumerate(rng.multinomial(count, shares / shares.sum())):
        of_class = np.flatnonzero(labels == label)
        parts.append(rng.choice(of_class, many, replace=many > len(of_class)))
    return torch.from_numpy(np.concatenate(parts))


def main(
    data: Annotated[str, Doc("a labelled set")] = "mnist",
    features: Annotated[str, Doc("of a classifier that was trained on it")] = "classifier-mnist",
    sets: Annotated[int, Doc("of each size")] = 100,
    seed: int = 0,
) -> None:
    """Prints how often a lost class is named, and an honest one is accused."""
    opened, kind = open_dataset(data), features_named(features)
    card, labels, train = kind.card, opened.valid.labels, opened.train.labels
    logits = extract(kind, opened.valid.images[:]).logits
    assert card is not None and labels is not None and train is not None and logits is not None
    seen, known = logits.argmax(1), torch.from_numpy(train.copy())
    rng, total = np.random.default_rng(seed), len(card.classes)
    print("samples  due  found  named  others  honest p < .01  honest accused")
    for count in (1000, 2000, 5000):
        due, found, named, others, rejected, accused = np.zeros(6)
        for i in range(sets):
            lost = i % total
            shares = np.where(np.arange(total) == lost, 0.01, 0.99 / (total - 1))
            reference = known[drawn(rng, train, shares, count)]
            honest, planted = (
                class_shares(
                    fake_classes=seen[drawn(rng, labels, made, count)],
                    real_classes=reference,
                    names=card.classes,
                    confusion=torch.tensor(card.confusion),
                    true=True,
                )
                for made in (shares, np.where(shares == 0.01, 0, shares))
            )
            names = {each.name for each in planted.named("lost")}
            due += planted.classes[lost].due / sets
            found += planted.classes[lost].found / sets
            named += card.classes[lost] in names
            others += bool(names - {card.classes[lost]})
            rejected += honest.p < 0.01
            accused += any(each.finding for each in honest.classes)
        print(
            f"{count:7,} {due:4.0f} {found:6.1f} {named:6.0f} {others:7.0f} {rejected:15.0f} "
            f"{accused:15.0f}",
            flush=True,
        )


if __name__ == "__main__":
    tyro.cli(main)
