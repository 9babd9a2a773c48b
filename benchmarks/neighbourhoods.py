"""What precision, recall, density and coverage reward, and what few images do to recall.

    python benchmarks/neighbourhoods.py --data MNIST FER2013

Held-out images, and what was made of them, against as many training images in `random` features.
Then recall of normal clouds in 64 dimensions, by the deviation of the samples, where that of the
real ones is 1, and by the count of either: the mean over draws, with its error.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import tyro
from traps import SEED, Makers

from frenemy.data import open_dataset
from frenemy.engine import choose_device
from frenemy.judge.coverage import Manifold, neighbourhoods, precision_recall_density_coverage
from frenemy.judge.estimate import Estimate
from frenemy.judge.features import in_batches, random
from frenemy.judge.sets import Images, noise_like

METRICS = ("precision", "recall", "density", "coverage")
DIMENSIONS = 64
COUNTS = (125, 500, 2000)


def measured(data: Path, count: int) -> dict[str, list[str]]:
    """The four metrics by what the samples are."""
    make = Makers(open_dataset(data), count)
    network = random().network

    def known(images: Images) -> Manifold:
        return Manifold.of(in_batches(network, images).features)

    real = known(make.copies)
    samples = {
        "held-out images": make.fresh,
        "blurred by 1 pixel": make.blurred(1.0),
        "the average image": make.average(),
        f"{count // 10:,} images, ten times each": np.repeat(make.fresh[: count // 10], 10, 0),
        "noise": noise_like(make.fresh, SEED),
    }
    found = {name: neighbourhoods(real, known(images)) for name, images in samples.items()}
    return {
        name: [f"{getattr(these, metric).value:.2f}" for metric in METRICS]
        for name, these in found.items()
    }


def recall_of_clouds(deviation: float, count: int, draws: int) -> Estimate:
    """Mean recall of normal samples of that deviation."""
    generator = torch.Generator().manual_seed(SEED)
    found = torch.empty(draws)
    for i in range(draws):
        real, fake = torch.randn(2, count, DIMENSIONS, generator=generator)
        found[i] = precision_recall_density_coverage(real=real, fake=deviation * fake).recall.value
    return Estimate(found.mean().item(), found.std().item() / draws**0.5)


def main(data: tuple[Path, ...], count: int = 2000, draws: int = 50) -> None:
    """Prints both as Markdown tables.

    Args:
        data: sources of images.
        count: of samples, and of training images.
        draws: of the clouds.
    """
    choose_device("cpu")
    found = [measured(source, count) for source in data]
    heads = [f"{source.name}: {metric}" for source in data for metric in METRICS]
    print(f"| {' | '.join(['samples', *heads])} |\n{'| --- ' * (1 + len(heads))}|")
    for name in found[0]:
        print(f"| {' | '.join([name, *(cell for these in found for cell in these[name])])} |")
    heads = [f"{count:,} of each" for count in COUNTS]
    print(f"\n| {' | '.join(['deviation', *heads])} |\n{'| --- ' * (1 + len(heads))}|")
    for deviation in (0.9, 1.0):
        row = [str(recall_of_clouds(deviation, count, draws)) for count in COUNTS]
        print(f"| {' | '.join([str(deviation), *row])} |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
