"""What exact samples get where modes can be counted: the ceilings of the judge.

    python benchmarks/modes.py --data MNIST --classifier mnist

Exact samples of the ring of 8 and the grid of 25, and 26,000 stacks of real test digits, whose
classes a classifier tells that `frenemy judge --train-features MNIST --name mnist` trained.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from frenemy.data import open_dataset
from frenemy.judge.features import extract, features_named
from frenemy.judge.modes import (
    class_modes,
    kl_floor,
    mixture_modes,
    quality_ceiling,
    ring,
    sample_mixture,
    square_grid,
    stack,
)

STACKS = 26_000


def main(data: Path, classifier: str = "mnist") -> None:
    """Prints modes, high-quality share and reverse KL of exact samples.

    Args:
        data: MNIST's IDX files.
        classifier: the name of the classifier of digits.
    """
    for name, centres, sd in (("ring", ring(), 0.01), ("grid", square_grid(), 0.05)):
        exact = sample_mixture(centres=centres, sd=sd, count=100_000, seed=0)
        found = mixture_modes(centres=centres, sd=sd, fake=exact)
        print(f"{name}: {found.caught} of {found.total} modes, reverse KL {found.reverse_kl},")
        print(f"  high quality {found.quality}, ceiling {quality_ceiling(2):.5f}")
    test = open_dataset(data).test
    assert test.labels is not None
    images, classes = stack(images=test.images[:], labels=test.labels[:], count=STACKS, seed=0)
    logits = extract(features_named(f"stacked-{classifier}"), images).logits
    assert logits is not None
    told = logits.argmax(1)
    right = (told.numpy() == classes).mean()
    found = class_modes(fake_classes=told, count=1000)
    print(f"stacked test digits: {found.caught} of 1,000 modes, reverse KL {found.reverse_kl},")
    print(f"  floor {kl_floor(1000, STACKS):.4f}; {right:.2%} of the stacks told rightly")


if __name__ == "__main__":
    tyro.cli(main)
