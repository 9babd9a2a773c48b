"""How far the score of one chain of a GSN tells of the network: chains from several test images.

    python benchmarks/gsn_chains.py RUN ... --data MNIST

The number that is published of a GSN comes from one chain of 10,000 consecutive expectations.
Here each run's chains start from the first test images, one each, and are judged alike, by
2,000 test images and the width that 1,000 validation images choose. Prints a Markdown table of
nats on the authors' grid of widths, with its mean over the chains and the error of that; and the
mean at a width of .20, by which the published number was found.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import tyro
from gpu_rivals import one_chain
from trials import markdown

from frenemy import Model
from frenemy.data import open_dataset
from frenemy.judge.parzen import GRIDS, parzen, unit_pixels

PUBLISHED = {"published": (0.2,)}


def main(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    data: Path,
    starts: int = 4,
    steps: int = 10_000,
    judged: int = 2000,
) -> None:
    """Judges the chains.

    Args:
        runs: of the recipe gsn.
        data: the images that they were trained on.
        starts: chains of each run.
        steps: of each chain.
        judged: test images.
    """
    torch.set_num_threads(1)
    images = open_dataset(data)
    test, valid = unit_pixels(images.test.images[:judged]), unit_pixels(images.valid.images[:1000])
    rows = []
    for run in runs:
        game = Model.load(run).game
        nats, fixed = list[float](), list[float]()
        for start in range(starts):
            fake = unit_pixels(one_chain(game, images, steps, start))
            found = parzen(real=test, valid=valid, fake=fake, grids=GRIDS | PUBLISHED)
            nats.append(found["authors"].found.value)
            fixed.append(found["published"].found.value)
            print(f"{run.name}, from test image {start}: {nats[-1]:.1f}", flush=True)
        mean = f"{np.mean(nats):.1f}"
        if starts > 1:
            mean += f" ± {np.std(nats, ddof=1) / len(nats) ** 0.5:.1f}"
        rows.append([run.name, *(f"{n:.0f}" for n in nats), mean, f"{np.mean(fixed):.1f}"])
    print(markdown(["run", *map(str, range(starts)), "mean", "at .20"], rows))


if __name__ == "__main__":
    tyro.cli(main)
