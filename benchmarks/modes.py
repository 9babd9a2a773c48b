"""What exact samples get where modes can be counted: the ceilings of the judge.

    python benchmarks/modes.py --data MNIST --classifier mnist

Exact samples of the ring of 8 and the grid of 25, and 26,000 stacks of real test digits, whose
classes a classifier tells that `frenemy judge --train-features MNIST --name mnist` trained.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from frenemy.data import open_dataset
from frenemy.data.toy import stack
from frenemy.judge.features import extract
from frenemy.judge.modes import class_modes, kl_floor, quality_ceiling
from frenemy.judge.named_features import features_named
from frenemy.lab.mixtures import TARGETS

STACKS = 26_000


def main(data: Path, classifier: str = "mnist") -> None:
    """Prints modes, high-quality share and reverse KL of exact samples.

    Args:
        data: MNIST's IDX files.
        classifier: the name of the classifier of digits.
    """
    for name, target in TARGETS.items():
        found = target.judge(target.sample(100_000, seed=0))
        print(f"{name}: {found.caught} of {found.total} modes, reverse KL {found.reverse_kl},")
        print(f"  high quality {found.quality}, ceiling {quality_ceiling(2):.5f}")
    stacks = stack(open_dataset(data).test, STACKS)
    logits = extract(features_named(f"stacked-{classifier}"), stacks.images).logits
    assert logits is not None
    told = logits.argmax(1)
    right = (told.numpy() == stacks.labels).mean()
    found = class_modes(fake_classes=told, count=1000)
    print(f"stacked test digits: {found.caught} of 1,000 modes, reverse KL {found.reverse_kl},")
    print(f"  floor {kl_floor(1000, STACKS):.4f}; {right:.2%} of the stacks told rightly")


if __name__ == "__main__":
    tyro.cli(main)
